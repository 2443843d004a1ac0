"""With its callback lost a result came only with the next poll, however often softgarden asked for
it.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.core.assessment import ApplicationProgress
from bridge.core.invitation import State
from bridge.core.invitation_view import InvitationViewStatus
from bridge.core.lifecycle.policy import READ_CHECK_PAUSE
from bridge.core.links import LinkSigner
from bridge.errors import OutcomeUnknown, StoreUnavailable
from bridge.service.result_access import ResultAccess
from tests.service.fakes import ACME, World

LINKS = LinkSigner("https://bridge.example.com", [b"k" * 32])


def reader(world: World) -> ResultAccess:
    """One process's."""
    return ResultAccess(world.records, world.store, world.directory, LINKS)


def counted(world: World) -> list[object]:
    """Every call that makes a queued task due from now on."""
    calls: list[object] = []
    bring_forward = world.store.bring_forward

    async def noted(*about: object, **more: object) -> bool:
        calls.append(about)
        return await bring_forward(*about, **more)  # type: ignore[arg-type]

    world.store.bring_forward = noted  # type: ignore[method-assign]
    return calls


async def test_reading_makes_a_check_due(world: World) -> None:
    """softgarden's reading of a PENDING result has Equalture asked at once, and the next one shows
    what came of it.
    """
    one, reads, woken = await world.invited(), reader(world), world.woken
    assert InvitationViewStatus.PENDING is (await reads.read(ACME, one.id)).status
    assert woken + 1 == world.woken
    assert 1 == await world.work()
    assert InvitationViewStatus.COMPLETED is (await reads.read(ACME, one.id)).status


async def test_once_a_minute(world: World) -> None:
    """However many processes are asked however often, Equalture is asked once a minute for one
    invitation.
    """
    one, other = await world.invited(), await world.invited("application-2")
    world.provider.script.on("status", ApplicationProgress(False, "invited"))
    processes = [reader(world) for _ in range(3)]
    asked = 0
    for second in range(180):
        for process in processes:
            await process.read(ACME, one.id)
        asked += await world.work()
        world.clock.advance(timedelta(seconds=1))
        assert asked == second // 60 + 1
    await processes[0].read(ACME, other.id)
    assert 1 == await world.work()


async def test_most_reads_do_not_touch_the_queue(world: World) -> None:
    """A process that has looked a moment ago does not even ask the queue."""
    one, reads, calls = await world.invited(), reader(world), counted(world)
    for _ in range(100):
        await reads.read(ACME, one.id)
    assert 1 == len(calls)
    world.clock.advance(READ_CHECK_PAUSE)
    await reads.read(ACME, one.id)
    assert 2 == len(calls)


async def test_memory_is_bounded(world: World) -> None:
    """Only the last readings are remembered."""
    reads = ResultAccess(world.records, world.store, world.directory, LINKS, remembered=3)
    invited, calls = (
        [await world.invited(f"application-{number}") for number in range(5)],
        counted(world),
    )
    for one in (*invited, invited[-1], invited[-3]):
        await reads.read(ACME, one.id)
    assert 5 == len(calls)
    await reads.read(ACME, invited[0].id)
    assert 6 == len(calls)


async def test_what_cannot_be_asked_about_is_left_alone(world: World) -> None:
    """A lost create has nobody to ask: its reading touches no queue."""
    create = world.provider.script.planned("create")
    world.provider.script.on("create", OutcomeUnknown("equalture", "create", "no answer"), create)
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    (one,) = [known async for known in world.store.scan()]
    due = await world.next_due()
    await reader(world).read(ACME, one.id)
    assert due == await world.next_due()
    assert State.UNCERTAIN is (await world.load(one)).state


async def test_reading_does_not_fail_for_it(world: World) -> None:
    """A queue that does not answer costs the reading nothing."""
    one = await world.invited()

    async def away(*_: object, **__: object) -> bool:
        raise StoreUnavailable("away")

    world.store.bring_forward = away  # type: ignore[method-assign]
    assert InvitationViewStatus.PENDING is (await reader(world).read(ACME, one.id)).status
