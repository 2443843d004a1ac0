"""The pages behind our links, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from PIL import Image, ImageChops
from playwright.async_api import Browser, Page

from bridge.languages.language import LANGUAGES, load_language
from tests.browser.conftest import PICTURES, QUESTION, REQUEST_ID, WIDTHS, open_page
from tests.browser.sample_records import EXTREMES
from tests.flows.conftest import Launch

pytestmark = pytest.mark.browser

REFERENCES = Path(__file__).parent / "references"
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")
COLOURS = ["color-contrast", "link-in-text-block"]
"""All that a theme changes."""
OPEN_OR_CLOSE = "open => document.querySelectorAll('details').forEach(one => { one.open = open })"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def violations(page: Page, rules: list[str]) -> list[str]:
    """What axe finds against these standards or rules."""
    found: Any = await page.evaluate(
        "rules => axe.run({runOnly: rules, resultTypes: ['violations']})", rules
    )
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


async def overflow(page: Page) -> list[str]:
    """The elements that reach beyond the right edge of the window, if one can scroll there: what is
    only for screen readers is clipped.
    """
    found: list[str] = await page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth + 1 ? []
            : [...document.body.querySelectorAll('*')]
            .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
            .map(one => one.outerHTML.slice(0, 120))"""
    )
    return found


@pytest.mark.parametrize("lang", ["de", "en"])
async def test_everybody_can_use_every_page(
    browser: Browser, pages: dict[str, str], lang: str
) -> None:
    """Axe finds nothing on any page, wide or narrow, light or dark, and nothing has to be scrolled
    sideways.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    page = await open_page(browser, "about:blank")
    wrong = {}
    for name, url in pages.items():
        of, _, what = name.partition("/")
        if of != lang or (lang != "de" and what in EXTREMES):
            continue
        await page.goto(url)
        await page.evaluate(AXE)
        assert await page.get_attribute("html", "lang") == lang
        for theme, rules in (("light", STANDARDS), ("dark", COLOURS)):
            await page.emulate_media(color_scheme=theme)
            for width, pixels in WIDTHS.items():
                await page.set_viewport_size({"width": pixels, "height": 900})
                await page.evaluate(OPEN_OR_CLOSE, width == "narrow")
                look = f"{lang}-{what}-{width}-{theme}"
                if lang == "de":
                    await page.screenshot(path=PICTURES / f"{look}.png", full_page=True)
                if found := [*await violations(page, rules), *await overflow(page)]:
                    wrong[look] = found
    assert wrong == {}


async def test_candidate_presses_the_button(browser: Browser, launch: Launch) -> None:
    """The button leads to the test, also by keyboard; whoever comes back reads so, in the same
    language, and can go on.
    """
    bridge = await launch()
    words = load_language("fr")
    url = f"{(await bridge.globex.invite('job-3')).json['testUrl']}?lang=fr"
    test = bridge.equalture.applications[bridge.created()].assessment_url
    page = await open_page(browser, url)
    assert await page.get_by_role("button").count() == 1
    await page.get_by_role("button", name=words.gettext("Start the test")).focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(test)
    await page.goto(url)
    assert await page.get_by_text(words.gettext("You have already opened the test")).is_visible()
    await page.get_by_role("button", name=words.gettext("Continue the test")).click()
    await page.wait_for_url(test)


async def test_language_is_changed_on_the_page(browser: Browser, pages: dict[str, str]) -> None:
    """A click on a language shows the same page in it, each of the four, without losing the link's
    token; numbers for support are on it.
    """
    page = await open_page(browser, pages["de/good"])
    for code in LANGUAGES:
        words = load_language(code)
        await page.get_by_role("link", name=words.name, exact=True).click()
        assert await page.get_attribute("html", "lang") == code
        assert page.url == f"{pages['de/good']}?lang={code}"
        assert await page.get_by_role("heading", name=words.gettext("Traits")).is_visible()
        assert REQUEST_ID in await page.inner_text("footer")


async def test_a_question_stands_at_its_trait(browser: Browser, pages: dict[str, str]) -> None:
    """Where the customer wants questions for the interview, the trait outside of its range has its
    own, and no other trait has one.
    """
    page = await open_page(browser, pages["en/good"], "narrow")
    asked = page.locator(".traits .ask")
    assert await asked.count() == 1
    assert QUESTION in await page.locator(".traits li.out").inner_text()
    assert await asked.is_visible()


async def test_result_is_there_without_style(browser: Browser, pages: dict[str, str]) -> None:
    """Without the style sheet everything can still be read, the drawings' content too."""
    page = await open_page(browser, pages["de/good"])
    await page.evaluate("() => document.querySelector('style').remove()")
    text = await page.inner_text("body")
    for words in (
        "app-1001",
        "Hohe Passung",
        "Im Zielbereich: 4 von 5 Merkmalen",
        "Wert 2 von 5, Zielbereich 3–5",  # noqa: RUF001 - a dash between numbers
        "unter dem Zielbereich",
        "hohes Gewicht",
    ):
        assert words in text
    drawn = page.get_by_role("img", name="Wert 2 von 5, Zielbereich 3–5")  # noqa: RUF001
    assert await drawn.count() == 1


async def test_gap_leads_to_its_trait(browser: Browser, pages: dict[str, str]) -> None:
    """What lies outside its range is named beside the fit; a click leads to it."""
    page = await open_page(browser, pages["de/good"])
    await page.get_by_role("link", name="Konzentration unter Druck").click()
    marked = await page.inner_text("li:target")
    assert "Konzentration unter Druck" in marked
    assert "unter dem Zielbereich" in marked


async def test_paper(browser: Browser, pages: dict[str, str]) -> None:
    """A printed page has the result and no buttons, in the colours of paper also for those who read
    in the dark.
    """
    page = await open_page(browser, pages["de/good"], theme="dark")
    await page.emulate_media(media="print", color_scheme="dark")
    assert not await page.get_by_role("link", name="Als PDF öffnen").is_visible()
    assert not await page.get_by_role("navigation").is_visible()
    assert await page.get_by_text("Hohe Passung").is_visible()
    ground = await page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    await page.screenshot(path=PICTURES / "de-good-print.png", full_page=True)


@pytest.mark.pictures
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_result_page_looks_as_it_did(
    browser: Browser, pages: dict[str, str], theme: str
) -> None:
    """The page looks as in its reference picture, but for edges and a few pixels: where it is meant
    to look otherwise, the picture in build/pictures is the new reference.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    page = await open_page(browser, pages["de/good"], theme=theme)
    seen = PICTURES / f"result-page-{theme}.png"
    await page.screenshot(path=seen, full_page=True)
    with Image.open(seen) as now, Image.open(REFERENCES / seen.name) as before:
        assert now.width == before.width
        assert abs(now.height - before.height) <= 8
        # In cells of 4 x 4 pixels, since the edges of letters are drawn differently everywhere.
        size = before.width // 4, before.height // 4
        cells = [one.convert("L").resize(size, Image.Resampling.BOX) for one in (now, before)]
        differing = sum(ImageChops.difference(*cells).histogram()[24:])
    assert differing / (size[0] * size[1]) < 0.01, f"compare {seen} with {REFERENCES}"
