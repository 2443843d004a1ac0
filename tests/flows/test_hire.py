"""Hires: softgarden's data export and the command, both to Equalture, once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from datetime import timedelta
from typing import Any

import pytest

from bridge.core.queueing import TaskKind
from bridge.sandbox import BridgeReply
from tests.flows.conftest import TOKENS, Bridge, Config, Journal, eventually

EXPORT_TOKEN = "token-of-the-export-0004"
GLOBEX_TOKEN = "token-of-the-export-0005"
SECRET_WORDS = ("Muster", "1999-12-31", "salary-of-somebody")
APPLICATION = "application-of-ada"


@pytest.fixture
def config(config: Config) -> Config:
    for name, token in (("acme", EXPORT_TOKEN), ("globex", GLOBEX_TOKEN)):
        digest = hashlib.sha256(token.encode()).hexdigest()
        config.customers[name]["hire"] = {"enabled": True, "tokens_sha256": [digest]}
    config.customers["globex"]["hire"] |= {
        "id_field": "data.application.id",
        "add_to_team": False,
    }
    return config


async def export(
    bridge: Bridge, body: Any, *, customer: str = "acme", token: str | None = EXPORT_TOKEN
) -> BridgeReply:
    """What softgarden sends when somebody is moved to "hired"."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await bridge.ask("POST", f"/softgarden/hired/{customer}", json=body, headers=headers)


async def completed(bridge: Bridge, application: str = APPLICATION) -> tuple[str, str]:
    """A completed test of this application: invitation id and reference id."""
    reply = await bridge.acme.invite("engineer", candidate_id=application)
    an_id, reference = reply.json["invitationId"], bridge.created()
    await bridge.equalture.complete(reference)
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    await bridge.idle()
    return an_id, reference


async def command(config: Config, *arguments: str) -> tuple[int, str, str]:
    """A command as an operator calls it: exit code, standard output and error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", *arguments, "--config", str(config.folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_exported_applicant(bridge: Bridge, config: Config, journal: Journal) -> None:
    """An exported applicant is hired at Equalture, into the team, once for ten exports; the result
    stays, and nothing else of the export is kept.
    """
    an_id, reference = await completed(bridge)
    body = {
        "applicationPublicId": APPLICATION,
        "lastName": "Muster",
        "born": "1999-12-31",
        "note": "salary-of-somebody",
    }
    replies = await asyncio.gather(*(export(bridge, body) for _ in range(10)))
    assert {(reply.status, json.dumps(reply.json)) for reply in replies} == {
        (200, '{"status": "ok"}')
    }
    application = bridge.equalture.applications[reference]
    await eventually(lambda: application.state == "hired")
    await bridge.idle()
    assert (application.add_to_team, application.start_date) == (True, None)
    assert len(bridge.equalture.calls("hire")) == 1
    assert (await bridge.result(bridge.acme, an_id, "COMPLETED"))["result"]["score"]
    for kept in (await bridge.stored(), journal.text()):
        assert [word for word in (*SECRET_WORDS, EXPORT_TOKEN) if word in kept] == []
    code, out, _ = await command(config, "invitations", "show", an_id)
    assert code == 0
    assert "hired" in out


async def test_nobody_to_hire(bridge: Bridge) -> None:
    """An application without a test is the normal case: 200, and no call to Equalture."""
    await completed(bridge)
    assert (await export(bridge, {"applicationPublicId": "nobody"})).status == 200
    await bridge.idle()
    assert bridge.equalture.calls("hire") == []


async def test_deleted(bridge: Bridge) -> None:
    """Nobody is hired whose data was deleted."""
    an_id, _ = await completed(bridge)
    assert (await bridge.acme.delete(an_id)).status == 204
    assert (await export(bridge, {"applicationPublicId": APPLICATION})).status == 200
    await bridge.idle()
    assert bridge.equalture.calls("hire") == []


async def test_other_settings(bridge: Bridge) -> None:
    """The id is found where the customer's setting says, a number counts as its text, and nobody
    joins the team where that is switched off; another customer's token is of no use.
    """
    await bridge.globex.invite("job-3", candidate_id="4711")
    reference, body = bridge.created(), {"data": {"application": {"id": 4711}}}
    await bridge.equalture.complete(reference)
    assert (await export(bridge, body, customer="globex")).status == 401
    assert (await export(bridge, body, customer="globex", token=GLOBEX_TOKEN)).status == 200
    application = bridge.equalture.applications[reference]
    await eventually(lambda: application.state == "hired")
    assert application.add_to_team is False


@pytest.mark.parametrize(
    ("token", "status"), [(None, 401), ("wrong", 401), (TOKENS["acme"], 401), (EXPORT_TOKEN, 200)]
)
async def test_token(bridge: Bridge, token: str | None, status: int) -> None:
    """Only a token of the export may report hires; the one of the other endpoints may not."""
    reply = await export(bridge, {"applicationPublicId": APPLICATION}, token=token)
    assert reply.status == status
    if status == 401:
        assert reply.json["code"] == "unauthorized"


@pytest.mark.parametrize("customer", ["initech", "nobody"])
async def test_not_enabled(bridge: Bridge, customer: str) -> None:
    """Where it is not enabled it is 404, for a known and an unknown customer alike."""
    reply = await export(bridge, {"applicationPublicId": APPLICATION}, customer=customer)
    assert (reply.status, reply.json["code"]) == (404, "not_enabled")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        {"applicationPublicId": None},
        {"applicationPublicId": ""},
        {"applicationPublicId": {"id": "x"}},
        {"applicationPublicId": True},
        {"applicationPublicId": "x" * 201},
        {"applicationPublicId": "line\nbreak"},
    ],
)
async def test_without_an_id(bridge: Bridge, body: object) -> None:
    """A body without a usable id is 400, which names the field and the setting."""
    reply = await export(bridge, body)
    assert (reply.status, reply.json["code"]) == (400, "invalid_request")
    assert list(reply.json["errors"]) == ["applicationPublicId"]
    assert "hire.id_field" in reply.json["detail"]


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"<applicant/>", "application/xml", 400),
        (b"{", "application/json", 400),
        (b'"' + b"x" * 65_536 + b'"', "application/json", 413),
    ],
    ids=["xml", "broken", "large"],
)
async def test_other_bodies(bridge: Bridge, data: bytes, content_type: str, status: int) -> None:
    """XML and broken JSON are 400, an export with documents in it is 413."""
    headers = {"Authorization": f"Bearer {EXPORT_TOKEN}", "Content-Type": content_type}
    reply = await bridge.ask("POST", "/softgarden/hired/acme", data=data, headers=headers)
    assert reply.status == status


async def test_other_methods(bridge: Bridge) -> None:
    """Any other method is 405, and a trailing slash does no harm."""
    assert (await bridge.ask("GET", "/softgarden/hired/acme")).status == 405
    assert (await bridge.ask("POST", "/softgarden/hired/acme/")).status == 401


async def test_equalture_away(bridge: Bridge) -> None:
    """While Equalture is away the export is 200 all the same, and the hire is made later."""
    _, reference = await completed(bridge)
    bridge.equalture.fault("hire", status=503)
    assert (await export(bridge, {"applicationPublicId": APPLICATION})).status == 200
    await bridge.idle()
    bridge.equalture.heal()
    await bridge.advance(timedelta(minutes=5))
    await eventually(lambda: bridge.equalture.applications[reference].state == "hired")


async def test_refused(bridge: Bridge) -> None:
    """A test that is not completed cannot be hired at Equalture: a dead letter with its words, and
    a replay after the completion does it.
    """
    await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    reference = bridge.created()
    assert (await export(bridge, {"applicationPublicId": APPLICATION})).status == 200
    (letter,) = await eventually(bridge.dead_letters)
    assert (letter.kind, letter.reason) == (TaskKind.HIRE, "refused")
    assert letter.history[-1].status == 409
    await bridge.equalture.complete(reference)
    await bridge.idle()
    assert await bridge.runtime.services.operations.replay([letter]) == 1
    bridge.wake()
    await eventually(lambda: bridge.equalture.applications[reference].state == "hired")


@pytest.mark.parametrize("done", [True, False])
async def test_lost_answer(bridge: Bridge, done: bool) -> None:
    """A hire whose answer is lost is never sent again: the status tells that it was done, or it is
    a dead letter.
    """
    _, reference = await completed(bridge)
    fault: dict[str, Any] = {"status_after": 500} if done else {"status": 500}
    bridge.equalture.fault("hire", **fault)
    assert (await export(bridge, {"applicationPublicId": APPLICATION})).status == 200
    for _ in range(6):
        await bridge.advance(timedelta(minutes=1))
        await bridge.idle()
    assert len(bridge.equalture.calls("hire")) == 1
    assert (bridge.equalture.applications[reference].state == "hired") == done
    reasons = [letter.reason for letter in await bridge.dead_letters()]
    assert reasons == ([] if done else ["outcome_unknown"])


async def test_command(bridge: Bridge, config: Config) -> None:
    """An operator hires once, with start date and without the team; the second time says "already
    hired", also in JSON.
    """
    an_id, reference = await completed(bridge)
    code, out, err = await command(config, "hire", an_id, "--start-date", "2026-03-01", "--no-team")
    assert (code, err) == (0, "")
    assert "hired at Equalture" in out
    application = bridge.equalture.applications[reference]
    assert (application.add_to_team, application.start_date) == (False, "2026-03-01")
    code, out, _ = await command(config, "hire", an_id)
    assert code == 0
    assert "already hired" in out
    code, out, _ = await command(config, "hire", an_id, "--json")
    assert (code, json.loads(out)["outcome"]) == (0, "already_hired")
    assert len(bridge.equalture.calls("hire")) == 1
    assert "2026-03-01" not in await bridge.stored()


async def test_command_without_success(bridge: Bridge, config: Config) -> None:
    """An unknown invitation, one that Equalture refuses, and one without an application are exit
    code 1; a date that is none is 2.
    """
    unknown = "iv_0" + "a" * 24
    assert (await command(config, "hire", unknown))[0] == 1
    assert (await command(config, "hire", unknown, "--start-date", "2026-02-30"))[0] == 2
    reply = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    code, out, err = await command(config, "hire", reply.json["invitationId"])
    assert (code, out) == (1, "")
    assert "refused" in err
    assert (await bridge.acme.delete(reply.json["invitationId"])).status == 204
    code, _, err = await command(config, "hire", reply.json["invitationId"])
    assert code == 1
    assert "no application at Equalture" in err
