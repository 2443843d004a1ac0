"""What a colleague finds behind a share link, and what it costs at Equalture."""

from __future__ import annotations

import asyncio
import html
import re

import pytest

from bridge.languages.language import LANGUAGES, load_language
from tests.flows.conftest import Bridge, Config, Journal, Launch

PREVIEWS = (
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "facebookexternalhit/1.1",
    "WhatsApp/2.23.20.0",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "LinkedInBot/1.0",
)
PEOPLE = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Linux; Android 8.0.0; CUBOT X18 Plus) AppleWebKit/537.36 Chrome/126 Mobile",
)


async def complete(bridge: Bridge) -> dict[str, str]:
    """What softgarden is told of a new, completed invitation, with its id."""
    invited = (await bridge.acme.invite("engineer")).json
    assert await bridge.equalture.complete(bridge.created(), "high") == 200
    view = await bridge.result(bridge.acme, invited["invitationId"], "COMPLETED")
    return {**view["result"], "invitationId": invited["invitationId"]}


def count_links(bridge: Bridge) -> int:
    """How often Equalture was asked for a public link."""
    return len(bridge.equalture.calls("public_link"))


@pytest.fixture
async def generous(config: Config, launch: Launch) -> Bridge:
    """A bridge whose customer allows its own page in place of Equalture's."""
    config.customers["acme"]["results"] = {"share_fallback": True}
    return await launch()


async def test_clicks_share_one_link(bridge: Bridge) -> None:
    """Many who click at once are led to one link, which Equalture was asked for once."""
    url = (await complete(bridge))["shareUrl"]
    clicks = await asyncio.gather(*(bridge.ask("GET", url) for _ in range(20)))
    assert {click.status for click in clicks} == {302}
    assert len({click.headers["Location"] for click in clicks}) == 1
    assert count_links(bridge) == 1


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_own_page_while_equalture_is_silent(
    generous: Bridge, lang: str, journal: Journal
) -> None:
    """Where the customer allows it, a colleague reads the result here while Equalture gives no
    link, without a link to anything else; the log says why, and the next click is tried again.
    """
    words = load_language(lang)
    shared = await complete(generous)
    generous.equalture.fault("public_link", status=503, times=1)
    page = await generous.ask("GET", f"{shared['shareUrl']}?lang={lang}")
    assert (page.status, f'<html lang="{lang}">' in page.text) == (200, True)
    said = html.unescape(page.text)
    assert "Engineer assessment" in said
    assert words.gettext("How to read this result") in said
    told = "%(provider)s cannot show this result right now. This is what is kept of it here."
    assert words.gettext(told, provider="Equalture") in said
    assert set(re.findall('href="([^"]*)"', page.text)) - {f"?lang={one}" for one in LANGUAGES} <= {
        "",
        *re.findall('href="(#trait-[0-9]+)"', page.text),
    }
    (line,) = [one for one in journal.events("request.handled") if "/share/" in one["route"]]
    assert (line["status"], line["code"], line["level"]) == (
        200,
        "upstream_unavailable",
        "warning",
    )
    again = await generous.ask("GET", shared["shareUrl"])
    assert again.status == 302


async def test_no_own_page_unless_it_is_allowed(bridge: Bridge) -> None:
    """By default a colleague is asked to come back later."""
    shared = await complete(bridge)
    bridge.equalture.fault("public_link", status=503)
    page = await bridge.ask("GET", shared["shareUrl"])
    assert (page.status, "Engineer assessment" in page.text) == (503, False)


async def test_nothing_is_left_after_a_deletion(generous: Bridge) -> None:
    """After a deletion there is no page either, silent or not, clicked or previewed."""
    shared = await complete(generous)
    assert (await generous.acme.delete(shared["invitationId"])).status == 204
    generous.equalture.fault("public_link", status=503)
    for headers in ({}, {"User-Agent": PREVIEWS[0]}):
        assert (await generous.ask("GET", shared["shareUrl"], headers=headers)).status == 410
    assert (await generous.ask("HEAD", shared["shareUrl"])).status == 410


async def test_whoever_only_looks_costs_nothing(bridge: Bridge) -> None:
    """A preview in a chat, a browser that looks ahead and HEAD do not have Equalture asked, and see
    nothing of the result; people do, even if they are taken for a preview.
    """
    url = (await complete(bridge))["shareUrl"]
    assert (await bridge.ask("HEAD", url)).status == 200
    for name, purpose in (
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ):
        assert (await bridge.ask("GET", url, headers={name: purpose})).status == 503
    for agent in PREVIEWS:
        page = await bridge.ask("GET", f"{url}?lang=de", headers={"User-Agent": agent})
        assert (page.status, "Engineer" in page.text) == (200, False)
        assert "Ein Testergebnis wird mit Ihnen geteilt" in page.text
    assert count_links(bridge) == 0
    assert 'href="?open=1&amp;lang=de"' in page.text
    opened = await bridge.ask("GET", f"{url}?open=1&lang=de", headers={"User-Agent": PREVIEWS[0]})
    assert opened.status == 302
    for agent in PEOPLE:
        assert (await bridge.ask("GET", url, headers={"User-Agent": agent})).status == 302
