"""The loop through which every change goes: many at once, Redis away, other processes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bridge.core.assessment import Result
from bridge.core.invitation import Invitation, State, Transition
from bridge.core.lifecycle.events import ResultReported
from bridge.errors import RequestInProgress, StoreUnavailable, UnknownInvitation
from bridge.service.commit_loop import CHANGE_TIMEOUT, CommitLoop
from tests.service.fakes import ACME, HISTORY_KEYS, RESULT, World, settled, until

SECOND = timedelta(seconds=1)


class Counting:
    """Looks at what goes to the store; *before_commit* happens between the decision and the
    commit.
    """

    def __init__(self, world: World) -> None:
        self.commits = self.loads = self.lost = 0
        self._commit, self._load = world.store.commit, world.store.load
        self.before_commit = self._nothing
        world.store.commit, world.store.load = self.commit, self.load  # type: ignore[method-assign]

    async def commit(self, step: Transition, **leases: object) -> int:
        self.commits += 1
        await asyncio.sleep(0)  # as a journey to Redis: others get their turn
        await self.before_commit()
        done = await self._commit(step, **leases)  # type: ignore[arg-type]
        self.lost += not done
        return done

    async def load(self, invitation_id: str) -> Invitation | None:
        self.loads += 1
        await asyncio.sleep(0)
        return await self._load(invitation_id)

    async def _nothing(self) -> None:
        return None


def another_process(world: World) -> CommitLoop:
    """A process of its own on the same store."""
    return CommitLoop(
        world.store,
        world.clock,
        lambda: None,
        monotonic=world.clock.monotonic,
        random_fraction=lambda: 0.5,
        pause=world.pause,
        keys=HISTORY_KEYS,
    )


async def test_a_storm_of_the_same_report(world: World) -> None:
    """300 times the same report at once is one write, and all are told only after it was made."""
    one = await world.invited()
    store = Counting(world)
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        entered.set()
        await release.wait()

    store.before_commit = slow
    calls = [asyncio.create_task(world.unconfirmed_result(one)) for _ in range(300)]
    await entered.wait()
    await asyncio.sleep(0)
    assert not any(call.done() for call in calls)
    release.set()
    answers = await settled(*calls)
    assert all(
        isinstance(answer, Invitation) and answer.unconfirmed_result is not None
        for answer in answers
    )
    assert (store.commits, store.lost) == (1, 0)


async def test_a_storm_of_different_reports(world: World) -> None:
    """300 different reports at once are all kept in turn, and none keeps another from being
    written.
    """
    one = await world.invited()
    store = Counting(world)
    answers = await settled(
        *(world.unconfirmed_result(one, Result(fit=f"fit-{number}")) for number in range(300))
    )
    assert all(isinstance(answer, Invitation) for answer in answers)
    assert (store.commits, store.lost) == (300, 0)


async def test_a_storm_leads_to_one_notification(world: World) -> None:
    """However often a result is reported, softgarden is told once."""
    one = await world.invited()
    await settled(*(world.unconfirmed_result(one) for _ in range(300)))
    for _ in range(5):
        await world.work()
        await settled(*(world.unconfirmed_result(one) for _ in range(20)))
    assert (await world.load(one)).state is State.COMPLETED
    assert len(world.notifier.script.calls) == 1


async def test_a_later_repeat_is_looked_into(world: World) -> None:
    """The same report again after a while makes its check due at once, whatever was planned."""
    one = await world.invited()
    world.provider.script.on("results", None)
    await world.unconfirmed_result(one)
    for _ in range(5):
        await world.work()
        world.clock.advance(await world.next_due() or SECOND)
    before = await world.next_due()
    await world.unconfirmed_result(one)
    assert await world.next_due() == timedelta(0)
    assert before is not None


async def test_storms_at_several_processes(world: World) -> None:
    """Processes that change the same invitation at once wait for each other a little, and all get
    through.
    """
    one = await world.invited()
    others = [another_process(world) for _ in range(4)]
    reports = [Result(fit=f"fit-{number}") for number in range(50)]
    answers = await settled(
        *(
            other.apply(one, ResultReported(1, report), ACME)
            for other in [world.records, *others]
            for report in reports
        )
    )
    assert all(isinstance(answer, Invitation) for answer in answers)


async def test_somebody_is_always_faster(world: World) -> None:
    """Whoever loses every race is told to come back, within a bounded time."""
    one = await world.invited()
    store = Counting(world)
    other, number = another_process(world), iter(range(100_000))

    async def faster() -> None:
        store.before_commit = store._nothing
        await other.apply(
            await world.load(one), ResultReported(1, Result(fit=f"fit-{next(number)}")), ACME
        )
        store.before_commit = faster

    store.before_commit = faster
    began = world.clock.monotonic()
    with pytest.raises(RequestInProgress):
        await world.unconfirmed_result(one)
    assert world.clock.monotonic() - began <= CHANGE_TIMEOUT.total_seconds() + 1
    assert 5 < len(world.pauses) < 200


async def test_a_clock_that_is_set_back_ends_the_wait_all_the_same(world: World) -> None:
    """Patience is measured by a clock that nobody can set."""
    one = await world.invited()
    store = Counting(world)
    other, number = another_process(world), iter(range(100_000))

    async def faster() -> None:
        store.before_commit = store._nothing
        await other.apply(
            await world.load(one), ResultReported(1, Result(fit=f"fit-{next(number)}")), ACME
        )
        world.clock.set(-timedelta(minutes=1))
        store.before_commit = faster

    store.before_commit = faster
    with pytest.raises(RequestInProgress):
        await world.unconfirmed_result(one)


async def test_without_the_store_all_are_told_at_once(world: World) -> None:
    """Those who wait behind a change that found no store do not each wait for it again; later ones
    try anew.
    """
    one = await world.invited()
    store = Counting(world)
    entered, release = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        entered.set()
        await release.wait()
        world.store.down = True

    store.before_commit = hang
    calls = [asyncio.create_task(world.unconfirmed_result(one)) for _ in range(300)]
    await entered.wait()
    await asyncio.sleep(0)
    release.set()
    answers = await settled(*calls)
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert store.commits == 1
    world.store.down, store.before_commit = False, store._nothing
    assert (await world.unconfirmed_result(one)).unconfirmed_result is not None


async def test_one_invitation_does_not_wait_for_another(world: World) -> None:
    """A change that hangs keeps only those to the same invitation waiting."""
    one, two = await world.invited("application-1"), await world.invited("application-2")
    store = Counting(world)
    release = asyncio.Event()

    async def hang() -> None:
        store.before_commit = store._nothing
        await release.wait()

    store.before_commit = hang
    first = asyncio.create_task(world.unconfirmed_result(one))
    await until(lambda: store.commits)
    assert (await world.unconfirmed_result(two)).unconfirmed_result is not None
    assert not first.done()
    release.set()
    await first


async def test_nothing_is_kept(world: World) -> None:
    """Nothing of an invitation stays in this process's memory once its changes are through,
    whatever became of them.
    """
    one = await world.invited()
    calls = [asyncio.create_task(world.unconfirmed_result(one)) for _ in range(10)]
    await asyncio.sleep(0)
    for call in calls[:5]:
        call.cancel()
    await settled(*calls)
    world.store.forget()
    with pytest.raises(UnknownInvitation):
        await world.unconfirmed_result(one)
    assert world.records.changes_in_progress == 0


async def test_a_cancelled_change_leaves_the_next_one_alone(world: World) -> None:
    """Whoever comes after a change that was cut off decides on what is in the store, not on what
    was intended.
    """
    one = await world.invited()
    store = Counting(world)
    never = asyncio.Event()

    async def hang() -> None:
        store.before_commit = store._nothing
        await never.wait()

    store.before_commit = hang
    first = asyncio.create_task(world.unconfirmed_result(one, Result(fit="low")))
    await until(lambda: store.commits)
    second = asyncio.create_task(world.unconfirmed_result(one, RESULT))
    await asyncio.sleep(0)
    first.cancel()
    await settled(first)
    decided = await second
    assert decided == await world.load(one)
    assert decided.unconfirmed_result is not None
    assert decided.unconfirmed_result.report == RESULT
