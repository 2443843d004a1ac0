"""A candidate is never spoken to like a recruiter, whatever becomes of the test."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from bridge.web.translations import TRANSLATIONS
from tests.flows.conftest import Bridge

NOT_A_CANDIDATES = re.compile(
    "recruit|software|result|ergebnis|report|score|dashboard|colleague|kolleg|kandidat|candidate"
    "|bewerbung|application|softgarden|equalture",
    re.IGNORECASE,
)
FOR_CANDIDATES = ("start_", "mailed_", "over_")


async def said_to_candidate(bridge: Bridge, url: str, status: int, lang: str) -> str:
    """The words of the page behind *url*, without its style."""
    page = await bridge.ask("GET", url, headers={"Accept-Language": lang})
    assert (page.status, page.headers["Content-Type"].split(";")[0]) == (status, "text/html")
    assert f'<html lang="{lang}">' in page.text
    words = re.sub("<style>.*</style>|<[^>]+>", " ", page.text, flags=re.DOTALL)
    assert NOT_A_CANDIDATES.findall(words) == []
    return words


@pytest.mark.parametrize("lang", ["en", "de"])
async def test_every_state_of_a_start_link(bridge: Bridge, lang: str) -> None:
    """Before, during and after the test, after a deletion, with a link that was cut, and while the
    bridge cannot work, the page says what a candidate can do.
    """
    told = TRANSLATIONS[lang]
    invited = (await bridge.globex.invite("job-3")).json
    an_id, url = invited["invitationId"], invited["testUrl"]
    assert told["start_button"] in await said_to_candidate(bridge, url, 200, lang)
    assert told["start_unknown_text"] in await said_to_candidate(bridge, url[:-1], 404, lang)
    bridge.runtime.state.not_ready_reason = "Redis is not durable"
    assert told["start_later_text"] in await said_to_candidate(bridge, url, 503, lang)
    bridge.runtime.state.not_ready_reason = None
    await bridge.equalture.complete(bridge.created())
    await bridge.result(bridge.globex, an_id, "COMPLETED")
    assert told["over_text"] in await said_to_candidate(bridge, url, 200, lang)
    assert (await bridge.globex.delete(an_id)).status == 204
    assert told["start_gone_text"] in await said_to_candidate(bridge, url, 410, lang)


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
        assert (page.status, TRANSLATIONS["en"]["unknown_text"] in page.text) == (404, True)


def test_both_languages_say_the_same_things() -> None:
    """No text is missing in a language, and all that candidates read is for them."""
    assert TRANSLATIONS["en"].keys() == TRANSLATIONS["de"].keys()
    for words in TRANSLATIONS.values():
        for name, text in words.items():
            if name.startswith(FOR_CANDIDATES):
                assert NOT_A_CANDIDATES.findall(text) == [], name
