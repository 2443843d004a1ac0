"""A recruiter opens the PDF of a result."""

from __future__ import annotations

import io
import sys
from typing import Any

import pypdf
import pytest

from bridge.languages.language import LANGUAGES, load_language
from bridge.report.renderer import ReportRenderer
from tests.flows.conftest import Bridge, Config, Journal, Launch


async def completed(bridge: Bridge) -> Any:
    """What softgarden is told of a completed invitation."""
    invited = await bridge.acme.invite("engineer", candidate_id="app-1001")
    assert await bridge.equalture.complete(bridge.created()) == 200
    done = await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED")
    await bridge.idle()
    return done["result"]


async def read(bridge: Bridge, url: str) -> str:
    """The text of the PDF, on one line."""
    async with bridge.session.get(url) as response:
        assert (response.status, response.content_type) == (200, "application/pdf")
        pages = pypdf.PdfReader(io.BytesIO(await response.read())).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


async def test_the_report_says_what_the_result_is(config: Config, launch: Launch) -> None:
    """Whose it is, how it fits, each trait and how to read it, in the language that is asked for;
    nobody's name; saved under test and application.
    """
    config.customers["acme"]["display"] = {"name": "ACME Łódź GmbH"}
    bridge = await launch()
    url = (await completed(bridge))["reportUrl"]
    for code in LANGUAGES:
        words, text = load_language(code), await read(bridge, f"{url}?lang={code}")
        assert "app-1001" in text
        assert "ACME Łódź GmbH" in text
        assert words.gettext("How to read this result") in text
        assert words.gettext("within the wanted range").split()[0] in text
        assert words.gettext("Page %(page)s of %(pages)s", page=1, pages=1) in text
        assert "Muster" not in text
    answer = await bridge.ask("GET", url)
    assert 'filename="Engineer assessment app-1001.pdf"' in answer.headers["Content-Disposition"]
    head = await bridge.ask("HEAD", url)
    assert (head.status, head.headers["Content-Type"]) == (200, "application/pdf")


@pytest.mark.parametrize("code", ["import os; os._exit(1)", "import time; time.sleep(600)"])
async def test_a_report_that_cannot_be_made(launch: Launch, journal: Journal, code: str) -> None:
    """Where the typesetter dies or hangs, the recruiter gets a friendly page and may try again;
    the page of the result, other calls and the end of the daemon are not affected, and it is
    logged and counted.
    """
    command = (sys.executable, "-c", code)
    bridge = await launch(renderer=ReportRenderer(command, patience_s=1))
    result = await completed(bridge)
    for _ in range(2):
        page = await bridge.ask("GET", f"{result['reportUrl']}?lang=en")
        assert (page.status, page.headers["Content-Type"].split(";")[0]) == (503, "text/html")
        assert int(page.headers["Retry-After"]) > 0
        assert "try again" in page.text
    assert (await bridge.ask("GET", result["resultUrl"])).status == 200
    assert (await bridge.acme.invite("engineer", candidate_id="app-1002")).status == 200
    assert len(journal.events("report.failed")) == 1
    metrics = await bridge.ask("GET", f"{bridge.admin_url}/metrics")
    (counted,) = [
        line
        for line in metrics.text.splitlines()
        if line.startswith("bridge_http_requests_total")
        and "/reports/" in line
        and 'status="503"' in line
        and 'method="GET"' in line
    ]
    assert counted.endswith(" 2.0")
