"""A candidate is never spoken to like a recruiter, whatever becomes of the test."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from bridge.languages.language import LANGUAGES, load_language
from bridge.web.page_messages import MESSAGES
from tests.flows.conftest import Bridge

NOT_A_CANDIDATES = re.compile(
    "recruit|software|result|ergebnis|report|score|dashboard|colleague|kolleg|kandidat|candidate"
    "|bewerbung|application|sollicitatie|candidature|softgarden|equalture",
    re.IGNORECASE,
)
FOR_CANDIDATES = ("start_", "mailed", "over")


async def said_to_candidate(bridge: Bridge, url: str, status: int, lang: str) -> str:
    """The words of the page behind *url*, without its style."""
    page = await bridge.ask("GET", f"{url}?lang={lang}")
    assert (page.status, page.headers["Content-Type"].split(";")[0]) == (status, "text/html")
    assert f'<html lang="{lang}">' in page.text
    words = html.unescape(page.text)
    words = re.sub("<style>.*</style>|<[^>]+>", " ", words, flags=re.DOTALL)
    assert NOT_A_CANDIDATES.findall(words) == []
    return words


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_every_state_of_a_start_link(bridge: Bridge, lang: str) -> None:
    """Before, during and after the test, after a deletion, with a link that was cut, and while the
    bridge cannot work, the page says what a candidate can do.
    """
    words = load_language(lang)

    def told(name: str) -> str:
        return words.gettext(MESSAGES[name][1])

    invited = (await bridge.globex.invite("job-3")).json
    an_id, url = invited["invitationId"], invited["testUrl"]
    assert words.gettext("Start the test") in await said_to_candidate(bridge, url, 200, lang)
    assert told("start_unknown") in await said_to_candidate(bridge, url[:-1], 404, lang)
    bridge.runtime.state.not_ready_reason = "Redis is not durable"
    assert told("start_later") in await said_to_candidate(bridge, url, 503, lang)
    bridge.runtime.state.not_ready_reason = None
    await bridge.equalture.complete(bridge.created())
    await bridge.result(bridge.globex, an_id, "COMPLETED")
    assert told("over") in await said_to_candidate(bridge, url, 200, lang)
    assert (await bridge.globex.delete(an_id)).status == 204
    assert told("start_gone") in await said_to_candidate(bridge, url, 410, lang)


async def test_an_expired_start_link(bridge: Bridge) -> None:
    """Who comes too late reads whom to ask."""
    invited = (await bridge.globex.invite("job-3")).json
    await bridge.advance(timedelta(days=7, seconds=1))
    await bridge.result(bridge.globex, invited["invitationId"], "EXPIRED")
    words = await said_to_candidate(bridge, invited["testUrl"], 200, "en")
    assert "ask the company that you applied to" in words


async def test_a_recruiter_is_not_taken_for_a_candidate(bridge: Bridge) -> None:
    """Recruiters and colleagues with a dead link are not told that they applied somewhere."""
    for path in ("/results/x", "/share/x", "/reports/x.pdf"):
        page = await bridge.ask("GET", path)
        assert (page.status, MESSAGES["unknown"][1] in page.text) == (404, True)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_candidates_read_nothing_of_recruiters(lang: str) -> None:
    """All that candidates read is for them, in every language."""
    for name, texts in MESSAGES.items():
        if name.startswith(FOR_CANDIDATES):
            for text in texts:
                assert NOT_A_CANDIDATES.findall(load_language(lang).gettext(text)) == [], name
