"""A recruiter reads what to ask in the interview, on page and report; and what the score says."""

from __future__ import annotations

import io

import pypdf
import pytest
import yaml

from bridge.languages.language import load_language
from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, Config, Launch
from tests.flows.test_result_page import read

SHIPPED = "When did plans or rules change while you were at work on something?"
OWN = "Wobei hat sich zuletzt etwas Wichtiges geändert, und was war dann anders?"


async def complete(bridge: Bridge, fit: str = "low") -> dict[str, str]:
    """The links and score of a result with cognitive flexibility below its range."""
    invited = (await bridge.acme.invite("engineer", candidate_id="app-1001")).json
    scores = {"cognitive_flexibility": 1}
    assert await bridge.equalture.complete(bridge.created(), fit, scores) == 200
    result = await bridge.result(bridge.acme, invited["invitationId"], "COMPLETED")
    links: dict[str, str] = result["result"]
    return links


async def read_report(bridge: Bridge, url: str) -> str:
    """The text of the PDF, on one line."""
    async with bridge.session.get(url) as response:
        assert response.status == 200
        pages = pypdf.PdfReader(io.BytesIO(await response.read())).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


async def show(bridge: Bridge, url: str, lang: str) -> BridgeReply:
    return await bridge.ask("GET", f"{url}?lang={lang}")


async def test_questions_where_they_are_wanted(config: Config, launch: Launch) -> None:
    """Page and report have the question at its trait, in English for readers whose language the
    catalogue lacks; a reload brings a customer's own questions.
    """
    config.customers["acme"]["results"] = {"interview_guide": True}
    bridge = await launch()
    links = await complete(bridge)
    page = await show(bridge, links["resultUrl"], "fr")
    title = load_language("fr").gettext("Question for the interview")
    assert f"{title} {SHIPPED}" in read(page)
    assert '<bdi lang="en">When did plans' in page.text
    assert "Question for the interview" in await read_report(
        bridge, f"{links['reportUrl']}?lang=en"
    )

    (config.folder / "questions.yaml").write_text(
        f"cognitive_flexibility: {{de: '{OWN}'}}\n", encoding="utf-8"
    )
    config.customers["acme"]["results"]["interview_questions"] = "questions.yaml"
    file = config.folder / "customers" / "acme.yaml"
    file.write_text(yaml.safe_dump(config.customers["acme"]), encoding="utf-8")
    reply = await bridge.ask("POST", f"{bridge.admin_url}/-/reload")
    assert (reply.status, reply.json["changed"]) == (200, ["acme"])
    assert f"Frage für das Gespräch {OWN}" in read(await show(bridge, links["resultUrl"], "de"))
    assert "Frage für das Gespräch" in await read_report(bridge, f"{links['reportUrl']}?lang=de")


async def test_no_questions_otherwise(bridge: Bridge) -> None:
    """Without the setting nothing is asked."""
    links = await complete(bridge)
    for text in (
        read(await show(bridge, links["resultUrl"], "en")),
        await read_report(bridge, f"{links['reportUrl']}?lang=en"),
    ):
        assert "below the wanted range" in text
        assert "Question for the interview" not in text


@pytest.mark.parametrize(
    ("patterns", "fit", "expected"),
    [
        (["<b>{fit_label}</b>"], "low", "bLow fit/b"),
        (["{fit}"], "\x1b[31m<i>odd</i>\u202e\n" + "x" * 300, "[31miodd/i " + "x" * 89),
        (["{fit} {average}", "never"], "", "never"),
        ("{in_range} of {traits}", "low", "1 of 5"),
        ([], "low", None),
    ],
)
async def test_score(
    config: Config, launch: Launch, patterns: list[str] | str, fit: str, expected: str | None
) -> None:
    """softgarden gets plain text of at most 100 characters by the first pattern whose values are
    all there, or no score.
    """
    config.customers["acme"]["results"] = {"score": patterns}
    links = await complete(await launch(), fit)
    assert links.get("score") == expected
