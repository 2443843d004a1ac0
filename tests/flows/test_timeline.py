"""Everything that happens to an invitation is told by its timeline, and proven."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from tests.flows.conftest import Bridge, Config, Launch, eventually


async def command(config: Config, *arguments: str) -> tuple[int, str, str]:
    """A command of an operator's, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", *arguments, "--config", str(config.folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def told(config: Config, an_id: str) -> list[dict[str, Any]]:
    code, out, err = await command(config, "invitations", "show", an_id, "--verify", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["verified"] is True
    timeline: list[dict[str, Any]] = document["timeline"]
    return timeline


async def completed(bridge: Bridge) -> tuple[str, Any]:
    acme = bridge.acme
    invited = await acme.invite("engineer", candidate_id="app-3001")
    an_id = invited.json["invitationId"]
    await acme.invite("engineer", candidate_id="app-3001")
    await acme.read_results(an_id)
    await bridge.equalture.complete(bridge.created())
    await eventually(lambda: bridge.notified(an_id))
    await bridge.idle()
    return an_id, (await bridge.result(acme, an_id, "COMPLETED"))["result"]


async def test_timeline_of_one_candidate(launch: Launch, config: Config) -> None:
    """Order, repeat, attempt, callback, check, completion, notification, readings, pages and the
    deletion are all told, signed, and after the deletion nothing but that.
    """
    bridge = await launch()
    an_id, result = await completed(bridge)
    for url in (result["resultUrl"], result["reportUrl"], result["shareUrl"]):
        assert (await bridge.ask("GET", url)).status in (200, 302)
    rows = await told(config, an_id)
    assert {row["what"] for row in rows} == {
        *("ordered", "repeated", "attempt", "issued", "read_open", "callback", "completed"),
        *("notified", "read", "page_opened", "report_opened", "share_used"),
    }
    by_kind = {row["what"]: row for row in rows}
    assert len(by_kind["ordered"]["text"]) == 8
    assert by_kind["notified"]["status"] == 204
    assert "confirmed {fit_label}" in by_kind["completed"]["text"]

    code, out, _ = await command(config, "evidence", an_id)
    assert (code, json.loads(out)["faults"]) == (0, [])
    assert (await bridge.acme.delete(an_id)).status == 204
    rows = await told(config, an_id)
    assert [row["what"] for row in rows] == ["erased", "anonymised"]
    assert rows[0]["text"].startswith("ats: ")


async def test_found_by_what_an_operator_has(launch: Launch, config: Config) -> None:
    """An operator finds it by softgarden's application id, Equalture's reference id and any link,
    and is told that everything was delivered; after the deletion by its id alone.
    """
    bridge = await launch()
    an_id, result = await completed(bridge)
    for term in ("app-3001", bridge.created(), result["shareUrl"], result["reportUrl"], an_id):
        code, out, err = await command(config, "find", term, "--json")
        assert (code, err) == (0, ""), term
        (found,) = json.loads(out)["found"]
        assert (found["id"], found["situation"]) == (an_id, "delivered")
    assert (await bridge.acme.delete(an_id)).status == 204
    code, out, _ = await command(config, "find", "app-3001")
    assert (code, "Likely: it was never ordered" in out) == (1, True)
    code, out, _ = await command(config, "find", an_id)
    assert (code, "deleted" in out) == (0, True)


async def test_the_score_as_a_recruiter_reads_it(launch: Launch, config: Config) -> None:
    """The timeline shows the score in the customer's language, as softgarden was told it."""
    config.customers["acme"]["equalture"]["locale"] = "de"
    an_id, result = await completed(await launch())
    for name in (("find",), ("invitations", "show")):
        code, out, err = await command(config, *name, an_id)
        assert (code, err, f"score {result['score']}, by" in out) == (0, "", True), out
    assert "Passung" in result["score"]


async def test_a_refused_notification_is_told(launch: Launch, config: Config) -> None:
    """What softgarden answered stands in the timeline, and that it was given up."""
    bridge = await launch()
    bridge.softgarden.fault("notify", status=400, times=1)
    acme = bridge.acme
    an_id = (await acme.invite("engineer")).json["invitationId"]
    await bridge.equalture.complete(bridge.created())
    await eventually(bridge.dead_letters)
    await bridge.idle()
    rows = await told(config, an_id)
    assert [(row["what"], row.get("status"), row.get("text")) for row in rows[-2:]] == [
        ("notified", 400, "rejected"),
        ("given_up", None, "notify rejected"),
    ]
