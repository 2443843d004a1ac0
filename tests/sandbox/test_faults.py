"""Fault switches: what goes wrong, when, how often, and how it ends."""

from __future__ import annotations

import asyncio
import random
from time import perf_counter
from typing import Any

import aiohttp
import pytest

from bridge.sandbox import EqualtureSandbox, LedgerEntry, SoftgardenSandbox
from tests.sandbox.conftest import JOBS, Bearer, Notify, Peer


async def test_a_status_means_not_done(equalture: EqualtureSandbox, call: Bearer) -> None:
    """``status`` answers with headers and text, does no work, and heals after so many strikes."""
    fault = equalture.fault(
        "create", status=503, headers={"Retry-After": "3"}, text="busy", times=2
    )
    url = f"{equalture.base_url}/connect_ats/applications"
    for _ in range(2):
        async with call.session.post(url) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "3")
            assert (await response.text(), response.content_type) == ("busy", "text/plain")
    assert not equalture.applications
    assert (fault.strikes, fault.is_spent) == (2, True)
    assert (await call.create())[0] == 201
    assert equalture.calls("create")[0].fault is not None
    assert equalture.violations == []


async def test_status_after_means_done(equalture: EqualtureSandbox, call: Bearer) -> None:
    """``status_after`` hides that the work was done."""
    equalture.fault("create", status_after=502)
    assert (await call.create())[0] == 502
    assert len(equalture.applications) == 1
    assert equalture.calls("create", status=502)[0].reference_id in equalture.applications


@pytest.mark.parametrize(("moment", "made"), [("before", 0), ("after", 1)])
async def test_drop_cuts_the_connection(
    equalture: EqualtureSandbox, call: Bearer, moment: Any, made: int
) -> None:
    """``drop`` resets the connection without an answer, before or after the work."""
    equalture.fault("create", drop=moment, times=1)
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await call.create()
    assert len(equalture.applications) == made
    assert equalture.calls("create")[0].status == 0
    assert (await call.create())[0] == 201


async def test_hang_lasts_until_healed(equalture: EqualtureSandbox, call: Bearer) -> None:
    """A call that hangs goes on when healed, and is done if its caller is still there."""
    fault = equalture.fault("jobs", hang="before")
    asked = asyncio.create_task(call("GET", "/connect_ats/jobs"))
    await fault.wait_applied()
    assert not asked.done()
    assert fault.waiting == 1
    assert equalture.heal("create") == 0
    assert equalture.heal("jobs") == 1
    assert (await asked)[0] == 200


async def test_nothing_is_done_for_a_caller_who_left(
    equalture: EqualtureSandbox, call: Bearer
) -> None:
    """A create whose caller gave up during ``hang="before"`` makes no application; with "after" it
    was made.
    """
    for moment, made in (("before", 0), ("after", 1)):
        fault = equalture.fault("create", hang=moment)  # type: ignore[arg-type]
        asked = asyncio.create_task(call.create())
        await fault.wait_applied()
        await asyncio.sleep(0.02)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await asyncio.sleep(0.02)
        fault.heal()
        await equalture.wait_calls("create", made + 1)
        assert len(equalture.applications) == made


async def test_delays_are_kept_and_end_when_healed(
    equalture: EqualtureSandbox, call: Bearer
) -> None:
    """``delay`` and ``delay_after`` hold the call that long; healing ends a long one at once."""
    equalture.fault("jobs", delay=0.03, delay_after=0.03, times=1)
    began = perf_counter()
    assert (await call("GET", "/connect_ats/jobs"))[0] == 200
    assert perf_counter() - began >= 0.06
    assert equalture.calls("jobs")[0].duration_ms >= 60
    fault = equalture.fault("jobs", delay=60)
    asked = asyncio.create_task(call("GET", "/connect_ats/jobs"))
    await fault.wait_applied()
    equalture.heal()
    assert (await asked)[0] == 200


@pytest.mark.parametrize(
    ("what", "content_type", "start"),
    [
        ({"body": "html"}, "text/html", "<!doctype html>"),
        ({"body": "bad_json"}, "application/json", '{"id": "cut'),
        ({"body": "wrong_shape"}, "application/json", '{"unexpected"'),
        ({"body": "empty"}, "application/json", ""),
        ({"body": "huge", "huge_bytes": 100_000}, "application/json", '{"padding":"xxx'),
        ({"text": '[{"id": 7}]'}, "application/json", '[{"id": 7}]'),
    ],
)
async def test_bodies_can_be_broken(
    equalture: EqualtureSandbox, call: Bearer, what: Any, content_type: str, start: str
) -> None:
    """The work is done, the status stays, the body is something else."""
    equalture.fault("jobs", **what)
    headers = {"Authorization": f"Bearer {call.token}"}
    async with call.session.get(
        f"{equalture.base_url}/connect_ats/jobs", headers=headers
    ) as response:
        text = await response.text()
        assert (response.status, response.content_type) == (200, content_type)
        assert text.startswith(start)
        if what.get("body") == "huge":
            assert len(text) == 100_000
        if what.get("body") == "empty":
            assert text == ""


async def test_chaos_can_be_repeated(session: aiohttp.ClientSession) -> None:
    """Faults with a probability strike by the injected dice: the same seed, the same calls."""
    runs = []
    for _ in range(2):
        async with EqualtureSandbox(rng=random.Random(7)) as sandbox:
            sandbox.fault("*", probability=0.5, status=500)
            for _ in range(20):
                async with session.get(f"{sandbox.base_url}/connect_ats/jobs") as response:
                    await response.read()
            runs.append([entry.status for entry in sandbox.ledger.entries])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {401, 500}


async def test_when_picks_the_calls(equalture: EqualtureSandbox, call: Bearer) -> None:
    """``when`` judges the call by what it says."""
    equalture.fault("create", status=500, when=lambda seen: seen.request_json["job_id"] == "job-2")
    assert [(await call.create(job_id=job))[0] for job, _ in JOBS] == [201, 500]


async def test_a_star_spares_the_pages(equalture: EqualtureSandbox, call: Bearer) -> None:
    """``"*"`` strikes the vendor's API, not the pages for people."""
    _, answer = await call.create()
    equalture.fault("*", status=500)
    async with call.session.get(answer["assessment_url"]) as response:
        assert response.status == 200
    assert (await call("GET", "/connect_ats/jobs"))[0] == 500


async def test_notifications_can_fail(softgarden: SoftgardenSandbox, notify: Notify) -> None:
    """softgarden's side has the same switches."""
    softgarden.fault("notify", status=500, times=1)
    softgarden.fault("notify", drop="after", times=1)
    assert await notify() == 500
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await notify()
    assert await notify() == 204
    assert [entry.status for entry in softgarden.calls("notify")] == [500, 0, 204]


@pytest.mark.parametrize(("moment", "arrived"), [("before", 0), ("after", 1)])
async def test_calls_made_can_be_lost(
    equalture: EqualtureSandbox, call: Bearer, peer: Peer, moment: Any, arrived: int
) -> None:
    """A callback can be dropped before it is sent, or its answer lost; it cannot be answered by a
    fault.
    """
    equalture.fault("callback", drop=moment)
    _, answer = await call.create(callback_url=f"{peer.url}/c")
    assert await equalture.complete(answer["reference_id"]) == 0
    assert len(peer.seen) == arrived
    with pytest.raises(ValueError, match="delayed"):
        equalture.fault("callback", status=500)


@pytest.mark.parametrize(
    "what",
    [
        {"status": 99},
        {"status": "500"},
        {"delay": -1},
        {"delay": True},
        {"times": 0},
        {"body": "soup"},
        {"drop": True},
        {"text": 5},
        {"headers": {"Retry-After": 3}},
        {"colour": "red"},
    ],
)
async def test_a_switch_that_does_not_exist_is_refused(
    equalture: EqualtureSandbox, what: Any
) -> None:
    """A misspelt switch or senseless value raises, so that no test passes for want of its fault."""
    with pytest.raises(ValueError):  # noqa: PT011
        equalture.fault("jobs", **what)
    with pytest.raises(ValueError, match="no operation"):
        equalture.fault("job")


async def test_an_outage_is_closed_and_opened(equalture: EqualtureSandbox, call: Bearer) -> None:
    """Closed it refuses connections and lets hanging calls go; started again it is at the same port
    with its state.
    """
    fault = equalture.fault("create", hang="before")
    asked = asyncio.create_task(call.create())
    await fault.wait_applied()
    before = equalture.base_url
    await equalture.close()
    with pytest.raises(aiohttp.ClientError):
        await asked
    with pytest.raises(aiohttp.ClientConnectorError):
        await call("GET", "/connect_ats/jobs")
    assert not equalture.applications
    await equalture.start()
    assert equalture.base_url == before
    assert (await call("GET", "/connect_ats/jobs"))[0] == 200


async def test_an_observer_sees_every_call(session: aiohttp.ClientSession) -> None:
    """``on_call`` is told of each call when it has ended, numbered by beginning."""
    seen: list[LedgerEntry] = []
    async with SoftgardenSandbox(on_call=seen.append) as sandbox:
        async with session.get(f"{sandbox.base_url}/favicon.ico") as response:
            assert response.status == 404
        await sandbox.connect("http://127.0.0.1:9", "t").list_tests()
    assert [(entry.number, entry.operation) for entry in seen] == [(1, "unknown"), (2, "tests")]
    assert sandbox.violations == []
