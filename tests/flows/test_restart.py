"""Restarts: what one process owed, the next one pays."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta

from bridge.core.invitation import CreateOutcome, State
from bridge.core.lifecycle.policy import CREATE_MARGIN
from bridge.core.queueing import LEASE_LIFE
from bridge.service import invite
from tests.flows.conftest import KEY, Config, Launch, eventually

APPLICATION = "application-1"
TIMEOUT = timedelta(seconds=3)
CREATES = inspect.getfile(invite)


def power_cut() -> None:
    """Have all creates and tasks of this process end where they stand, as kill -9 would."""
    for task in asyncio.all_tasks():
        code = getattr(task.get_coro(), "cr_code", None)
        if task.get_name().startswith("iv_") or (code and code.co_filename == CREATES):
            task.cancel()


async def test_notification_is_paid_by_the_next_process(launch: Launch) -> None:
    """A notification that one process could not deliver is delivered by the next one, on the
    plan.
    """
    first = await launch()
    first.softgarden.fault("notify", status=500, times=2)
    invited = await first.acme.invite("engineer")
    assert await first.equalture.complete(first.created()) == 200
    await first.softgarden.wait_calls("notify")
    await first.idle()
    await first.close()

    second = await launch()
    assert len(second.softgarden.calls("notify")) == 1
    await second.advance(timedelta(seconds=5))
    await second.softgarden.wait_calls("notify", 2)
    await second.idle()
    await second.advance(timedelta(seconds=30))
    await eventually(lambda: second.notified(invited.json["invitationId"]))


async def test_expiry_is_paid_by_the_next_process(launch: Launch) -> None:
    """An invitation whose deadline passes while no process runs expires, and is notified, when one
    starts.
    """
    first = await launch()
    invited = await first.acme.invite("engineer")
    await first.close()
    first.clock.advance(timedelta(days=8))
    second = await launch()
    view = await second.result(second.acme, invited.json["invitationId"], "EXPIRED")
    assert view["expirationTime"] == invited.json["deadline"]
    await eventually(lambda: second.notified(invited.json["invitationId"]))


async def test_deletion_is_paid_by_the_next_process(launch: Launch) -> None:
    """An anonymising that Equalture did not confirm to one process is asked for by the next one."""
    first = await launch()
    invited = await first.acme.invite("engineer")
    first.equalture.fault("anonymise", status=503)
    assert (await first.acme.delete(invited.json["invitationId"])).status == 502
    await first.close()
    first.equalture.heal()
    first.clock.advance(timedelta(minutes=1))
    second = await launch()
    await eventually(lambda: second.equalture.applications[second.created()].state == "anonymized")
    await second.idle()
    assert (await second.acme.delete(invited.json["invitationId"])).status == 204


async def test_hint_is_followed_up_by_the_next_process(launch: Launch) -> None:
    """A callback answered 200 by a process that ended at once leads to the notification by the next
    one.
    """
    first = await launch()
    invited = await first.acme.invite("engineer")
    fault = first.equalture.fault("status", hang="before")
    assert await first.equalture.complete(first.created()) == 200
    await fault.wait_applied()
    power_cut()
    await first.close()
    first.equalture.heal()
    first.clock.advance(LEASE_LIFE)
    second = await launch()
    await second.result(second.acme, invited.json["invitationId"], "COMPLETED")
    await eventually(lambda: second.notified(invited.json["invitationId"]))
    await second.idle()
    assert len(second.softgarden.calls("notify")) == 1


async def test_task_of_a_stopped_process_is_given_back(launch: Launch) -> None:
    """A process that is stopped in good order gives back what it holds: the next one need not wait
    for a lease.
    """
    first = await launch()
    invited = await first.acme.invite("engineer")
    await first.equalture.complete(first.created(), send_callback=False)
    fault = first.softgarden.fault("notify", hang="before")
    assert await first.equalture.put_callback(first.created()) == 200
    await fault.wait_applied()
    await first.close()
    first.softgarden.heal()
    second = await launch()
    await eventually(lambda: second.notified(invited.json["invitationId"]), within_s=8)


async def test_create_cut_off_in_mid_air(launch: Launch) -> None:
    """A create whose process died ends as uncertain by itself, and a repeat is a new attempt under
    the same invitationId.
    """
    first = await launch()
    fault = first.equalture.fault("create", hang="after", times=1)
    call = asyncio.create_task(first.acme.invite("engineer", candidate_id=APPLICATION))
    await fault.wait_applied()
    await eventually(lambda: first.equalture.applications)
    (record,) = [one async for one in first.runtime.invitations.scan()]
    assert record.state is State.CREATING
    power_cut()
    await first.close()
    await asyncio.gather(call, return_exceptions=True)
    first.equalture.heal()

    second = await launch()
    assert (await second.record(record.id)).state is State.CREATING
    await second.advance(TIMEOUT + CREATE_MARGIN)

    async def uncertain() -> bool:
        return (await second.record(record.id)).state is State.UNCERTAIN

    await eventually(uncertain)
    assert (await second.acme.read_results(record.id)).json["status"] == "PENDING"
    again = await second.acme.invite("engineer", candidate_id=APPLICATION)
    assert (again.status, again.json["invitationId"]) == (200, record.id)
    outcomes = [attempt.outcome for attempt in (await second.record(record.id)).attempts]
    assert outcomes == [CreateOutcome.UNKNOWN, CreateOutcome.CREATED]
    assert await second.equalture.complete(second.created()) == 200
    await second.result(second.acme, record.id, "COMPLETED")


async def test_repeat_while_a_dead_process_may_be_creating(launch: Launch) -> None:
    """A repeat waits while a dead process's create may be under way, is told to come back, and the
    next one gets through.
    """
    first = await launch()
    fault = first.equalture.fault("create", hang="before", times=1)
    call = asyncio.create_task(first.acme.invite("engineer", candidate_id=APPLICATION))
    await fault.wait_applied()
    power_cut()
    await first.close()
    await asyncio.gather(call, return_exceptions=True)
    first.equalture.heal()
    second = await launch()
    repeat = asyncio.create_task(second.acme.invite("engineer", candidate_id=APPLICATION))
    await asyncio.wait([repeat], timeout=0.2)
    assert not repeat.done()
    await second.advance(TIMEOUT + CREATE_MARGIN)
    reply = await repeat
    assert (reply.status, reply.json["code"]) in ((503, "busy"), (504, "outcome_unknown"))
    final = await second.acme.invite("engineer", candidate_id=APPLICATION)
    assert final.status == 200
    assert len(second.equalture.applications) == 1


async def test_everything_survives_many_restarts(launch: Launch) -> None:
    """Ten invitations, with a restart between any two steps, are each notified exactly once."""
    bridge = await launch()
    invited = [(await bridge.acme.invite("engineer")).json["invitationId"] for _ in range(10)]
    references = list(bridge.equalture.applications)
    for half in (references[:5], references[5:]):
        await bridge.close()
        bridge = await launch()
        for reference in half:
            assert await bridge.equalture.complete(reference) == 200
        await bridge.idle()
    await bridge.softgarden.wait_calls("notify", 10, status=204)
    assert sorted(str(entry.invitation_id) for entry in bridge.notified()) == sorted(invited)
    for an_id in invited:
        assert (await bridge.acme.read_results(an_id)).json["status"] == "COMPLETED"


async def test_links_survive_a_restart_and_die_with_their_key(
    launch: Launch, config: Config
) -> None:
    """A link works after a restart and while its key is listed; after that it is 404, and a new one
    takes its place.
    """
    first = await launch()
    invited = await first.acme.invite("engineer")
    view = await first.acme.read_results(invited.json["invitationId"])
    link = view.json["result"]["resultUrl"]
    await first.close()
    for keys, status in (([KEY], 200), (["B" * 42 + "A", KEY], 200), (["B" * 42 + "A"], 404)):
        config.daemon["signing_keys"] = keys
        bridge = await launch()
        assert (await bridge.ask("GET", link)).status == status
        newest = (await bridge.acme.read_results(invited.json["invitationId"])).json["result"][
            "resultUrl"
        ]
        assert (newest == link, (await bridge.ask("GET", newest)).status) == (keys == [KEY], 200)
        await bridge.close()
