"""What a candidate reads in front of a test: in every state, in every language, and never spoken to
like a recruiter.
"""

from __future__ import annotations

import base64
import html
import re
from datetime import timedelta

import pytest

from bridge.languages.language import LANGUAGES, load_language
from bridge.sandbox import BridgeReply
from bridge.web.page_messages import MESSAGES
from tests.flows.conftest import Bridge, Config, Launch

NOT_A_CANDIDATES = re.compile(
    "recruit|software|result|ergebnis|report|score|dashboard|colleague|kolleg|kandidat|candidate"
    "|bewerbung|application|sollicitatie|candidature|softgarden|equalture",
    re.IGNORECASE,
)
DISPLAY = {
    "name": "ACME & Söhne",
    "timezone": "Asia/Tokyo",
    "contact": "jobs@acme.example",
    "privacy_url": "https://acme.example/privacy?for=jobs",
}
FROM_OUR_PAGE = {"Sec-Fetch-Site": "same-origin"}


def read(page: BridgeReply) -> str:
    """The words of a page, without its style; none of them may be a recruiter's."""
    assert page.headers["Content-Type"].split(";")[0] == "text/html"
    words = re.sub("<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page.text, flags=re.DOTALL)
    words = " ".join(html.unescape(words).split())
    assert NOT_A_CANDIDATES.findall(words) == []
    return words


async def said_to_candidate(bridge: Bridge, url: str, status: int, lang: str) -> str:
    """The words of the page behind *url* in this language."""
    page = await bridge.ask("GET", f"{url}?lang={lang}")
    assert (page.status, f'<html lang="{lang}">' in page.text) == (status, True)
    return read(page)


async def follow(bridge: Bridge, url: str, **headers: str) -> BridgeReply:
    """The answer to a form that is posted to *url*."""
    return await bridge.ask("POST", url, headers=headers)


@pytest.fixture
def config(config: Config) -> Config:
    config.customers["acme"] |= {"test_url": "landing", "display": DISPLAY}
    return config


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_every_state_of_a_start_link(bridge: Bridge, lang: str) -> None:
    """Before, during and after the test, after a deletion, with a link that was cut, and while the
    bridge cannot work, the page says what a candidate can do.
    """
    words = load_language(lang)

    def told(name: str) -> str:
        return words.gettext(MESSAGES[name][1])

    async def says(message: str, url: str) -> None:
        assert words.gettext(message) in await said_to_candidate(bridge, url, 200, lang)

    invited = (await bridge.acme.invite("engineer")).json
    an_id, url = invited["invitationId"], invited["testUrl"]
    await says("Start the test", url)
    await says("What happens next", url)
    assert told("start_unknown") in await said_to_candidate(bridge, url[:-1], 404, lang)
    bridge.runtime.state.not_ready_reason = "Redis is not durable"
    assert told("start_later") in await said_to_candidate(bridge, url, 503, lang)
    bridge.runtime.state.not_ready_reason = None
    assert (await follow(bridge, url)).status == 303
    await says("Continue the test", url)
    await says("You have already opened the test", url)
    await bridge.equalture.complete(bridge.created())
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    await says("Thank you, the test is finished", url)
    assert (await bridge.acme.delete(an_id)).status == 204
    assert told("start_gone") in await said_to_candidate(bridge, url, 410, lang)


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_an_expired_start_link(bridge: Bridge, lang: str) -> None:
    """Who comes too late reads until when it was possible, and whom to ask."""
    url = (await bridge.acme.invite("engineer")).json["testUrl"]
    until = load_language(lang).moment(bridge.clock() + timedelta(days=7), "Asia/Tokyo")
    await bridge.advance(timedelta(days=7, seconds=1))
    words = await said_to_candidate(bridge, url, 200, lang)
    assert load_language(lang).gettext("The time for this test has run out") in words
    assert until[:-12] in words
    assert "ACME & Söhne" in words


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_a_create_without_an_answer(bridge: Bridge, lang: str) -> None:
    """While nobody knows whether there is a test the page says to come back later."""
    bridge.equalture.fault("create", status=500, times=1)
    assert (await bridge.acme.invite("engineer")).status == 504
    (one,) = [known async for known in bridge.runtime.invitations.scan()]
    url = bridge.runtime.signer.start_url(one.id)
    words = await said_to_candidate(bridge, url, 200, lang)
    assert load_language(lang).gettext("This test is not ready yet") in words
    assert "<form" not in (await follow(bridge, url)).text


async def test_who_what_until_when(bridge: Bridge) -> None:
    """The page says who asks, for which test, how long it takes, until when in local time and for
    machines, what happens next, whom to ask, and where the data protection page is.
    """
    invited = (await bridge.acme.invite("engineer")).json
    page = await bridge.ask("GET", f"{invited['testUrl']}?lang=en")
    words = read(page)
    until = (await bridge.record(invited["invitationId"])).deadline
    assert until is not None
    for said in (
        "ACME & Söhne invites you to a test Engineer assessment",
        "Takes about 30 minutes",
        f"Can be taken until {load_language('en').moment(until, 'Asia/Tokyo')}",
        "Once you have finished, ACME & Söhne is told automatically.",
        "Your contact jobs@acme.example",
        "Data protection How ACME & Söhne handles your data",
    ):
        assert said in words
    assert f'<time datetime="{until.isoformat(timespec="seconds")}">' in page.text
    assert 'href="mailto:jobs@acme.example"' in page.text
    assert 'href="https://acme.example/privacy?for=jobs"' in page.text
    assert page.text.count("<button") == 1
    for code in LANGUAGES:
        assert f'href="?lang={code}"' in page.text


async def test_of_an_employer_nothing_is_known(bridge: Bridge) -> None:
    """Without a name, a contact and a duration the page does without them."""
    url = (await bridge.globex.invite("job-3")).json["testUrl"]
    page = await bridge.ask("GET", f"{url}?lang=en")
    words = read(page)
    assert "You are invited to a test Assessment - Sales" in words
    assert "Once you have finished, the company is told automatically." in words
    for part in ("Takes about", "Your contact", "Data protection"):
        assert part not in words


async def test_a_contact_that_is_no_link(config: Config, launch: Launch) -> None:
    """A contact that is no address is shown as it is written, whatever it holds."""
    config.customers["acme"]["display"] = {"contact": "javascript:alert(1)//<b>"}
    bridge = await launch()
    url = (await bridge.acme.invite("engineer")).json["testUrl"]
    page = await bridge.ask("GET", url)
    assert "Your contact javascript:alert(1)//<b>" in read(page)
    assert 'href="javascript' not in page.text


async def test_whoever_comes_back(bridge: Bridge) -> None:
    """After the button was pressed the page says since when, until when one can come back, and what
    to do if the link is used up; the button still leads to the test.
    """
    invited = (await bridge.acme.invite("engineer")).json
    url = f"{invited['testUrl']}?lang=en"
    first = await follow(bridge, url)
    words = read(await bridge.ask("GET", url))
    record = await bridge.record(invited["invitationId"])
    assert record.deadline is not None
    until = load_language("en").moment(record.deadline, "Asia/Tokyo")
    for said in (
        "Opened on",
        f"You can come back to this page until {until}.",
        "please ask ACME & Söhne for help",
        "Continue the test",
    ):
        assert said in words
    again = await follow(bridge, url)
    assert (again.status, again.headers["Location"]) == (303, first.headers["Location"])


async def test_begun_but_not_done_in_time(config: Config, launch: Launch) -> None:
    """Who is known to have begun in time may still finish on the day after the deadline, and reads
    that it is time.
    """
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    config.customers["acme"]["equalture"]["webhook_secret"] = secret
    bridge = await launch()
    account = bridge.equalture.accounts["acme"]
    account.webhook_url = f"{bridge.url}/equalture/webhooks/acme"
    account.webhook_secret = secret
    url = (await bridge.acme.invite("engineer")).json["testUrl"]
    await bridge.equalture.start_test(bridge.created())
    assert "You can come back" in await said_to_candidate(bridge, url, 200, "en")
    await bridge.advance(timedelta(days=7, seconds=1))
    assert "Its time has run out" in await said_to_candidate(bridge, url, 200, "en")
    assert (await follow(bridge, url)).status == 303
    await bridge.advance(timedelta(days=1))
    assert "has run out" in await said_to_candidate(bridge, url, 200, "en")
    assert (await follow(bridge, url)).status == 200


async def test_reported_but_not_confirmed(bridge: Bridge) -> None:
    """Who has just finished reads so, although the result could not be fetched yet, and is not led
    to the test again.
    """
    invited = (await bridge.acme.invite("engineer")).json
    url = f"{invited['testUrl']}?lang=en"
    bridge.equalture.fault("results", status=404)
    assert await bridge.equalture.complete(bridge.created()) == 200
    for method in ("GET", "POST"):
        page = await bridge.ask(method, url)
        assert (page.status, "<form" in page.text) == (200, False)
        assert "Thank you, the test is finished" in read(page)


async def test_whoever_only_looks_uses_nothing_up(bridge: Bridge) -> None:
    """Mail scanners, browsers that look ahead and forms on other sites get the page: the link stays
    as good as new.
    """
    url = (await bridge.acme.invite("engineer")).json["testUrl"]
    assert (await bridge.ask("HEAD", url)).status == 200
    for method, headers in (
        ("GET", {}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("POST", {"Sec-Purpose": "prefetch", **FROM_OUR_PAGE}),
        ("POST", {"Sec-Fetch-Site": "cross-site"}),
    ):
        page = await bridge.ask(method, f"{url}?lang=en", headers=headers)
        assert (page.status, "Location" in page.headers) == (200, False)
        assert "Start the test" in read(page)
    pressed = await bridge.ask("POST", url, headers=FROM_OUR_PAGE)
    assert pressed.status == 303


async def test_language_is_kept(bridge: Bridge) -> None:
    """A form that is posted too late is answered in the language of its page."""
    url = f"{(await bridge.acme.invite('engineer')).json['testUrl']}?lang=fr"
    await bridge.advance(timedelta(days=7, seconds=1))
    page = await follow(bridge, url)
    assert (page.status, '<html lang="fr">' in page.text) == (200, True)


async def test_a_recruiter_is_not_taken_for_a_candidate(bridge: Bridge) -> None:
    """Recruiters and colleagues with a dead link are not told that they applied somewhere."""
    for path in ("/results/x", "/share/x", "/reports/x.pdf"):
        page = await bridge.ask("GET", path)
        assert (page.status, MESSAGES["unknown"][1] in page.text) == (404, True)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_candidates_read_nothing_of_recruiters(lang: str) -> None:
    """All that candidates read is for them, in every language."""
    for name, texts in MESSAGES.items():
        if name.startswith("start_"):
            for text in texts:
                assert NOT_A_CANDIDATES.findall(load_language(lang).gettext(text)) == [], name
