"""What a recruiter reads behind a result's link, in every state of an invitation."""

from __future__ import annotations

import base64
import html
import re

import pytest

from bridge.core.invitation import Transition
from bridge.languages.language import LANGUAGES, load_language
from bridge.sandbox import BridgeReply
from tests.browser.sample_records import records
from tests.flows.conftest import Bridge, Config, Launch
from tests.settings.test_settings_logo import PNG

REQUEST = {"X-Request-ID": "request-of-a-recruiter"}


def read(page: BridgeReply) -> str:
    """The words of a page, without its style and drawings."""
    assert page.headers["Content-Type"].startswith("text/html")
    text = re.sub("<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def links(page: BridgeReply) -> list[str]:
    """Where the page leads, but for the switch of languages and places on itself."""
    found = [html.unescape(one) for one in re.findall('href="([^"]*)"', page.text)]
    return [one for one in found if not one.startswith(("?", "#"))]


async def show(bridge: Bridge, name: str, query: str = "", customer: str = "acme") -> BridgeReply:
    """The page of a sample record."""
    one = records(customer, "en")[name]
    if await bridge.runtime.invitations.load(one.id) is None:
        assert await bridge.runtime.invitations.commit(Transition(one))
    url = bridge.runtime.signer.results_url(one.id) + query
    return await bridge.ask("GET", url, headers=REQUEST)


async def test_whose_fit_and_gap(bridge: Bridge) -> None:
    """The page says whose result it is, when the test was completed, how well it fits, where the
    gaps are, and what may be made of that.
    """
    invited = (await bridge.acme.invite("engineer", candidate_id="app-77")).json
    scores = {"focus": 2, "cognitive_flexibility": 5}
    assert await bridge.equalture.complete(bridge.created(), "high", scores) == 200
    result = (await bridge.result(bridge.acme, invited["invitationId"], "COMPLETED"))["result"]
    page = await bridge.ask("GET", result["resultUrl"], headers=REQUEST)
    text = read(page)
    for said in (
        "Assessment result · Equalture",
        "Engineer assessment",
        "Application app-77",
        "Completed on",
        "Link valid until",
        "High fit",
        "In the wanted range: 4 of 5 traits",
        "Worth a question in the interview: Focus under pressure below the wanted range",
        "Value 5 of 5, wanted range 4\N{EN DASH}5",
        "high weight",
        "within the wanted range",
        "How to read this result",
        "A person decides, never this result alone (Art. 22 GDPR).",
        "Confidential",
        f"Invitation {invited['invitationId']}",
        "name this number: request-of-a-recruiter",
    ):
        assert said in text
    report, dashboard, share = links(page)
    assert (report, share) == (f"{result['reportUrl']}?lang=en", result["shareUrl"])
    assert dashboard.startswith("https://")


async def test_only_what_the_customer_wants(config: Config, launch: Launch) -> None:
    """Report and share link are offered where the customer has them; else the page has neither."""
    config.customers["acme"]["results"] = {"report": False, "share": False}
    bridge = await launch()
    page = await show(bridge, "good")
    assert links(page) == ["https://dashboard.example.com/1"]
    assert "Share with a colleague" not in page.text


async def test_employer_and_local_time(config: Config, launch: Launch) -> None:
    """The page is the employer's: name or logo, and times as its clocks show them."""
    config.customers["acme"]["display"] = {"name": "ACME & Söhne", "timezone": "Asia/Tokyo"}
    config.customers["globex"]["display"] = {"name": "Globex", "logo": "customers/globex.png"}
    (config.folder / "customers").mkdir(parents=True)
    (config.folder / "customers" / "globex.png").write_bytes(PNG)
    bridge = await launch()
    acme, globex = [await show(bridge, "good", customer=name) for name in ("acme", "globex")]
    assert read(acme).count("ACME & Söhne") == 2
    assert "25 Nov 2026, 00:18 +0900" in read(acme)
    assert "img-src" not in acme.headers["Content-Security-Policy"]
    assert "24 Nov 2026, 16:18 CET" in read(globex)
    image = base64.b64encode(PNG).decode()
    assert f'src="data:image/png;base64,{image}" alt="Globex"' in globex.text
    assert globex.headers["Content-Security-Policy"].endswith("; img-src data:")


async def test_link_ends_when_it_is_too_old(config: Config, launch: Launch) -> None:
    """The page says until when its links work: the result is kept, and they are not too old."""
    config.daemon |= {"retention": "100d", "limits": {"link_max_age": "3650d"}}
    bridge = await launch()
    assert "valid until 4 Mar 2027" in read(await show(bridge, "good"))
    await bridge.close()
    config.daemon |= {"limits": {"link_max_age": "90d"}}
    bridge = await launch()
    assert "valid until 22 Feb 2027" in read(await show(bridge, "good"))


async def test_before_there_is_a_result(bridge: Bridge) -> None:
    """Until when the test can be taken, when it was begun if that is known, and that it expired;
    nothing of a result or of its links.
    """
    pending, begun, expired = [await show(bridge, name) for name in ("pending", "begun", "expired")]
    assert "Can be taken until 29 Nov 2026, 16:18 CET" in read(pending)
    assert "Begun on" not in read(pending)
    assert "Begun on 24 Nov 2026, 16:18 CET" in read(begun)
    assert "Expired on 29 Nov 2026, 16:18 CET" in read(expired)
    assert "invite them again" in read(expired)
    for page in (pending, begun, expired):
        assert page.status == 200
        assert "Traits" not in read(page)
        assert "valid until" not in read(page)
        assert "request-of-a-recruiter" in read(page)
        assert [one for one in links(page) if one] == []


async def test_what_is_not_there(bridge: Bridge) -> None:
    """An erased and an unknown result are told apart, friendly, with the number of the request."""
    erased = await show(bridge, "erased")
    unknown = await bridge.ask("GET", "/results/x", headers=REQUEST)
    bridge.runtime.state.not_ready_reason = "Redis does not answer"
    later = await show(bridge, "good")
    bridge.runtime.state.not_ready_reason = None
    for page, status, said in (
        (erased, 410, "Not available any more"),
        (unknown, 404, "Nothing here"),
        (later, 503, "Please try again later"),
    ):
        assert page.status == status
        assert said in read(page)
        assert "name this number: request-of-a-recruiter" in read(page)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("poor", "Low fit In the wanted range: 2 of 5 traits"),
        ("medium", "Medium fit In the wanted range: 3 of 4 traits"),
        ("no-profile", "Values without comparison There is no wanted range"),
        ("no-traits", "High fit There are no values of single traits."),
        ("summary-only", "No fit was given There are no values of single traits."),
        ("many", "and 4 more"),
    ],
)
async def test_whatever_is_missing(bridge: Bridge, name: str, said: str) -> None:
    """Results with few or many parts have an answer at the top, too."""
    assert said in read(await show(bridge, name))


async def test_what_the_traits_do_not_say(bridge: Bridge) -> None:
    """Lines of the provider that say more than the traits stand below them."""
    text = read(await show(bridge, "medium"))
    assert "More about this result Lernstil Lernt am liebsten aus Beispielen." in text
    assert "More about" not in read(await show(bridge, "good"))


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_every_language(bridge: Bridge, lang: str) -> None:
    """Each state can be read in each language, which the page offers with the same link."""
    words = load_language(lang)
    bridge.equalture.fault("results", status=503)  # where texts in other languages are asked for
    for name, message in (
        ("good", "How to read this result"),
        ("pending", "Not finished yet"),
        ("expired", "Expired"),
        ("erased", "Not available any more"),
    ):
        page = await show(bridge, name, f"?lang={lang}")
        assert f'<html lang="{lang}">' in page.text
        assert words.gettext(message) in read(page)
        for code in LANGUAGES:
            assert f'href="?lang={code}" hreflang="{code}"' in page.text
