"""The fakes over HTTP, for people who integrate without Python."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import bridge.sandbox
from bridge.sandbox import EqualtureSandbox, SandboxClock, SoftgardenSandbox
from tests.sandbox.conftest import Bearer, Notify, Peer


async def ask(
    session: aiohttp.ClientSession, method: str, url: str, body: Any = None
) -> tuple[int, Any]:
    kwargs = {} if body is None else {"json": body}
    async with session.request(method, url, **kwargs) as response:
        return response.status, await response.json()


async def test_faults_over_http(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer
) -> None:
    """Faults are switched on, listed and healed over HTTP."""
    url = f"{equalture.base_url}/_sandbox/faults"
    assert (await ask(session, "POST", url, {"operation": "jobs", "status": 503}))[0] == 201
    assert (await ask(session, "POST", url, {"operation": "status", "drop": "after"}))[0] == 201
    assert (await call("GET", "/connect_ats/jobs"))[0] == 503
    assert (await ask(session, "GET", url))[1][0] == {
        "operation": "jobs",
        "status": 503,
        "strikes": 1,
        "spent": False,
    }
    assert (await ask(session, "DELETE", f"{url}?operation=jobs"))[1] == {"healed": 1}
    assert (await call("GET", "/connect_ats/jobs"))[0] == 200
    assert (await ask(session, "DELETE", url))[1] == {"healed": 1}


async def test_the_clock_over_http(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer
) -> None:
    """Pushing the clock forward ends tokens."""
    url = f"{equalture.base_url}/_sandbox/clock"
    assert (await ask(session, "GET", url))[0] == 200
    assert (await ask(session, "POST", url, {"advance_s": 900}))[0] == 200
    assert (await call("GET", "/connect_ats/jobs"))[0] == 401


async def test_the_journey_over_http(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer, peer: Peer
) -> None:
    """Applications are started and completed, tokens revoked and the ledger read over HTTP."""
    admin = f"{equalture.base_url}/_sandbox"
    _, answer = await call.create(callback_url=f"{peer.url}/c")
    reference = answer["reference_id"]
    assert (await ask(session, "POST", f"{admin}/applications/{reference}/start"))[0] == 200
    done = await ask(session, "POST", f"{admin}/applications/{reference}/complete", {"fit": "low"})
    assert done == (200, {"callback_status": 200})
    again = await ask(session, "POST", f"{admin}/applications/{reference}/callback")
    assert again == (200, {"callback_status": 200})
    _, applications = await ask(session, "GET", f"{admin}/applications")
    assert [(a["reference_id"], a["state"], a["fit"]) for a in applications] == [
        (reference, "completed", "low")
    ]
    _, ledger = await ask(session, "GET", f"{admin}/ledger?reference_id={reference}")
    assert [entry["operation"] for entry in ledger] == ["create", "callback", "callback"]
    assert len((await ask(session, "GET", f"{admin}/ledger?operation=callback&limit=1"))[1]) == 1
    assert (await ask(session, "POST", f"{admin}/tokens/revoke"))[0] == 200
    assert (await call("GET", "/connect_ats/jobs"))[0] == 401
    assert (await ask(session, "GET", f"{admin}/violations"))[1] == []


async def test_softgarden_over_http(
    softgarden: SoftgardenSandbox, session: aiohttp.ClientSession, peer: Peer
) -> None:
    """softgarden's questions to a bridge can be put over HTTP."""
    peer.answers = {"/softgarden/tests": []}
    softgarden.connect(peer.url, "t", customer="acme")
    softgarden.add_customer("beta", "12")
    admin = f"{softgarden.base_url}/_sandbox/customers"
    _, customers = await ask(session, "GET", admin)
    assert [(c["customer"], c["client_id"], c["connected"]) for c in customers] == [
        ("acme", "10", True),
        ("beta", "12", False),
        ("default", "10", False),
    ]
    _, tests = await ask(session, "POST", f"{admin}/acme/tests")
    assert (tests["status"], tests["json"]) == (200, [])
    for path, body in (
        ("invite", {"test_id": "job-1"}),
        ("results/iv_1", None),
        ("delete/iv_1", None),
    ):
        assert (await ask(session, "POST", f"{admin}/acme/{path}", body))[0] == 200
    assert [entry.operation for entry in softgarden.ledger.entries] == [
        "tests",
        "invite",
        "results",
        "delete",
    ]


async def test_a_bridge_is_connected_over_http(
    softgarden: SoftgardenSandbox, session: aiohttp.ClientSession, peer: Peer, notify: Notify
) -> None:
    """softgarden is told of a bridge and its token over HTTP, orders there, is notified with the
    client id that was given, and lists what it knows of the order.
    """
    invited = {
        "invitationId": "iv_1",
        "testUrl": "https://bridge.example/t/1",
        "deadline": "2026-01-15T10:00:00Z",
    }
    pending = {"status": "PENDING", "result": {"resultUrl": "https://bridge.example/r/1"}}
    peer.answers = {"/softgarden/invitations": invited, "/softgarden/results/iv_1": pending}
    admin = f"{softgarden.base_url}/_sandbox"
    told = {"bridge_url": peer.url, "token": "t0ken", "client_id": "11"}
    status, customer = await ask(session, "PUT", f"{admin}/customers/acme", told)
    assert (status, customer["connected"], customer["client_id"]) == (200, True, "11")
    assert "t0ken" not in str(customer)
    order = {"test_id": "job-1", "candidate_id": "app-1"}
    await ask(session, "POST", f"{admin}/customers/acme/invite", order)
    assert peer.seen[0][2]["Authorization"] == "Bearer t0ken"
    assert await notify(softgarden.callback_url("acme"), auth="Basic MTE6") == 204
    await ask(session, "POST", f"{admin}/customers/acme/results/iv_1")
    assert (await ask(session, "GET", f"{admin}/invitations"))[1] == [
        {
            "invitation_id": "iv_1",
            "customer": "acme",
            "application_id": "app-1",
            "test_id": "job-1",
            "test_url": "https://bridge.example/t/1",
            "deadline": "2026-01-15T10:00:00Z",
            "notified": 1,
            "deleted": False,
            "result": pending,
        }
    ]
    peer.status, peer.answers = 204, {}
    await ask(session, "POST", f"{admin}/customers/acme/delete/iv_1")
    assert (await ask(session, "GET", f"{admin}/invitations"))[1][0]["deleted"]


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"bridge_url": "http://127.0.0.1:9"},
        {"bridge_url": "127.0.0.1:9", "token": "t"},
        {"bridge_url": "http://127.0.0.1:9", "token": "two words"},
        {"bridge_url": "http://127.0.0.1:9", "token": "t", "client_id": 10},
        {"bridge_url": "http://127.0.0.1:9", "token": "t", "colour": "red"},
    ],
)
async def test_a_bridge_that_cannot_be(
    softgarden: SoftgardenSandbox, session: aiohttp.ClientSession, told: Any
) -> None:
    """What is no bridge is 400 and changes nothing; a call for a customer without one is 404 and
    says how to connect it.
    """
    url = f"{softgarden.base_url}/_sandbox/customers/acme"
    status, answer = await ask(session, "PUT", url, told)
    assert (status, list(answer)) == (400, ["detail"])
    status, answer = await ask(session, "POST", f"{url}/tests")
    assert status == 404
    assert "PUT /_sandbox/customers/acme" in answer["detail"]


async def test_a_link_expires_when_told(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer
) -> None:
    """A candidate's link is let expire over HTTP, begun or not; that of a finished test is not."""
    _, answer = await call.create()
    steps = f"{equalture.base_url}/_sandbox/applications/{answer['reference_id']}"
    async with session.get(answer["assessment_url"]) as response:
        assert response.status == 200
    assert await ask(session, "POST", f"{steps}/expire") == (200, {})
    async with session.get(answer["assessment_url"]) as response:
        assert response.status == 410
    await ask(session, "POST", f"{steps}/complete")
    assert (await ask(session, "POST", f"{steps}/expire"))[0] == 400


async def test_a_body_that_is_too_large(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession
) -> None:
    """A body that is too large is a mistake, not an unknown route."""
    body, headers = io.BytesIO(b" " * 2_000_000), {"Content-Type": "application/json"}
    url = f"{equalture.base_url}/_sandbox/faults"
    async with session.post(url, data=body, headers=headers) as response:
        assert (response.status, await response.json()) == (
            400,
            {"detail": "the body is too large"},
        )


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "nonsense", None, 404),
        ("PUT", "faults", {}, 404),
        ("POST", "faults", {"operation": "nonsense"}, 400),
        ("POST", "faults", {"operation": 7}, 400),
        ("POST", "faults", {"operation": "jobs", "drop": True}, 400),
        ("POST", "faults", {"operation": "jobs", "headers": {"X": 1}}, 400),
        ("POST", "faults", {"operation": "jobs", "when": "always"}, 400),
        ("POST", "clock", {}, 400),
        ("POST", "clock", {"advance_s": -1}, 400),
        ("POST", "clock", {"advance_s": "soon"}, 400),
        ("POST", "clock", {"advance_s": 1e300}, 400),
        ("GET", "ledger?limit=many", None, 400),
        ("GET", "ledger?colour=red", None, 400),
        ("POST", "applications/nobody/complete", None, 404),
        ("POST", "customers/nobody/tests", None, 404),
    ],
)
async def test_mistakes_are_told(
    equalture: EqualtureSandbox,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    body: Any,
    expected: int,
) -> None:
    """A mistake at the admin routes is told, is no violation, and is not in the ledger."""
    status, answer = await ask(session, method, f"{equalture.base_url}/_sandbox/{path}", body)
    assert (status, list(answer)) == (expected, ["detail"])
    assert re.search(r"Error|[\[{]", answer["detail"]) is None
    assert (equalture.violations, equalture.calls()) == ([], [])


def test_the_clock_only_goes_forward() -> None:
    """The clock may start anywhere aware, stand still, and never goes back."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = SandboxClock(start, ticking=False)
    assert clock() == clock() == start
    assert clock.advance(timedelta(hours=1)) == datetime(2026, 1, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(timedelta(seconds=-1))
    with pytest.raises(ValueError, match="aware"):
        SandboxClock(datetime(2026, 1, 1))  # noqa: DTZ001


def test_imports_nothing_of_the_bridge() -> None:
    """The sandbox's modules import no other module of the bridge: the oracle must not share its
    bugs.
    """
    for path in Path(bridge.sandbox.__file__).parent.glob("*.py"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]) and words[1].startswith("bridge"):
                assert words[1].startswith("bridge.sandbox"), (path.name, line)
