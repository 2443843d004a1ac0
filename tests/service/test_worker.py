"""The worker: bounded in all and in every lane, and hard to kill."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from bridge.concurrency import LEASE_BATCH, PER_LANE
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle.events import ResultReported
from bridge.core.queueing import Lane, Lease, LeaseRequest, TaskKind
from bridge.log_context import begin_log_fields, get_log_fields
from bridge.ports import BeforeClockStep
from bridge.service.commit_loop import CommitLoop
from bridge.service.task_handlers import LEASE_LIFE
from bridge.task_handover import MOST_OF_A_LANE, TaskHandover
from bridge.worker import Worker, run_worker_in_background
from tests.service.fakes import ACME, HISTORY_KEYS, NOW, RESULT, World, until


class Slow:
    """Tasks that hang until told otherwise."""

    @staticmethod
    def serves(customer: str) -> bool:
        return True

    def __init__(self) -> None:
        self.under_way: Counter[tuple[str, TaskKind]] = Counter()
        self.most: Counter[tuple[str, TaskKind]] = Counter()
        self.go = asyncio.Event()

    async def perform(self, lease: Lease, known: object = None) -> bool:
        lane = (lease.customer, lease.kind)
        self.under_way[lane] += 1
        self.most[lane] = max(self.most[lane], self.under_way[lane])
        await self.go.wait()
        self.under_way[lane] -= 1
        return True


class Queue:
    """Ever more tasks of two customers; the first look at it fails in an unforeseen way."""

    def __init__(self) -> None:
        self.looks = 0
        self.extended: list[tuple[int, Any]] = []
        self.idle = asyncio.Event()
        """Both lanes are refused by the worker itself: it has as many of them as it may."""

    async def lease(self, request: LeaseRequest) -> tuple[Lease, ...]:
        self.looks += 1
        if self.looks == 1:
            raise ValueError("'unheard_of' is not a valid TaskKind")
        lanes = [
            lane
            for lane in (Lane("acme", TaskKind.NOTIFY), Lane("globex", TaskKind.CHECK))
            if lane not in request.avoid
        ]
        if not lanes:
            self.idle.set()
        found = [
            Lease(f"iv_{self.looks}-{number}", lane.kind, lane.customer, 1, request.owner, 1)
            for lane in lanes
            for number in range(request.per_lane)
        ]
        return tuple(found[: request.count])

    async def next_due(self) -> None:
        return None

    async def extend(self, leases: Any, until: Any) -> None:
        self.extended.append((len(leases), until))

    async def release(self, leases: Any, now: Any) -> None:
        return None


class EmptyQueue(Queue):
    """Nothing is queued, until somebody has asked three times when something is due."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def lease(self, request: LeaseRequest) -> tuple[Lease, ...]:
        self.looks += 1
        if self.asked >= 3:
            self.idle.set()
        return ()

    async def next_due(self) -> datetime | None:  # type: ignore[override]
        self.asked += 1
        return NOW if self.asked >= 3 else None


async def test_an_idle_worker_asks_once(world: World) -> None:
    """As long as nothing is due, a worker asks for nothing but when that will be; what another
    process made due is then leased.
    """
    queue = EmptyQueue()
    worker = Worker(Slow(), queue, world.clock, lambda: "owner", asyncio.Event())  # type: ignore[arg-type]
    async with run_worker_in_background(worker, grace_s=1, on_death=lambda: None):
        async with asyncio.timeout(20):
            await queue.idle.wait()
    assert queue.looks == 2


async def test_lanes_are_bounded(world: World) -> None:
    """However much is due, a lane never has more than its share, and a queue that cannot be read is
    no reason to die.
    """
    tasks, queue, died = Slow(), Queue(), []
    worker = Worker(tasks, queue, world.clock, lambda: "owner", asyncio.Event())  # type: ignore[arg-type]
    async with run_worker_in_background(worker, grace_s=1, on_death=lambda: died.append(True)):
        async with asyncio.timeout(20):
            await queue.idle.wait()
        assert {("acme", TaskKind.NOTIFY): PER_LANE, ("globex", TaskKind.CHECK): PER_LANE} == dict(
            tasks.most
        )
        tasks.go.set()
    assert not died


async def test_running_tasks_are_held_over_a_step(world: World) -> None:
    """Before a clock makes a step, the leases of what runs are prolonged by the new time; a stopped
    worker keeps no time.
    """
    tasks, queue = Slow(), Queue()
    queue.looks = 1
    step = world.clock() + timedelta(hours=1)
    seen = asyncio.Event()
    looks = 0

    async def synchronise_clock(extend_leases_before_clock_step: BeforeClockStep) -> bool:
        nonlocal looks
        looks += 1
        if tasks.under_way and not queue.extended:
            await extend_leases_before_clock_step(step)
            seen.set()
        return True

    worker = Worker(
        tasks,
        queue,
        world.clock,
        lambda: "owner",
        asyncio.Event(),
        synchronise_clock=synchronise_clock,
    )  # type: ignore[arg-type]
    async with run_worker_in_background(worker, grace_s=1, on_death=lambda: None):
        assert not seen.is_set()
        async with asyncio.timeout(20):
            await seen.wait()
        tasks.go.set()
    assert looks >= 2
    (count, until) = queue.extended[0]
    assert (count, until) == (2 * PER_LANE, step + LEASE_LIFE)


async def test_a_clock_that_cannot_be_read(world: World) -> None:
    """An unforeseen failure of the look at the clock is told, and work goes on."""
    tasks, queue, died = Slow(), Queue(), []
    queue.looks = 1

    async def synchronise_clock(_: BeforeClockStep) -> bool:
        raise ValueError("what a time")

    worker = Worker(
        tasks,
        queue,
        world.clock,
        lambda: "owner",
        asyncio.Event(),
        synchronise_clock=synchronise_clock,
    )  # type: ignore[arg-type]
    async with run_worker_in_background(worker, grace_s=1, on_death=lambda: died.append(True)):
        async with asyncio.timeout(20):
            await queue.idle.wait()
        tasks.go.set()
    assert not died


SOMETHING: Any = {"state": State.INVITED, "created_at": NOW, "updated_at": NOW}


class Handed:
    """Tasks that end when told so, well or not; what they were given is noted."""

    def __init__(self) -> None:
        self.given: list[tuple[Lease, Invitation | None]] = []
        self.bound: list[dict[str, Any]] = []
        self.go = asyncio.Event()

    @staticmethod
    def serves(customer: str) -> bool:
        return customer == "acme"

    async def perform(self, lease: Lease, known: Invitation | None = None) -> bool:
        self.given.append((lease, known))
        self.bound.append(dict(get_log_fields()))
        await self.go.wait()
        return True


async def test_a_commit_hands_its_task_over(world: World) -> None:
    """The check of a report begins at once with the record just committed, without a look at the
    queue, and its log lines have nothing of the request's.
    """
    one = await world.invited()
    tasks, handover = Handed(), TaskHandover()
    worker = Worker(
        tasks,
        world.store,
        world.clock,
        lambda: "owner",
        asyncio.Event(),
        handover=handover,
    )
    records = CommitLoop(world.store, world.clock, lambda: None, keys=HISTORY_KEYS, taker=handover)
    async with run_worker_in_background(worker, grace_s=1, on_death=lambda: None):
        await until(lambda: handover.worker is not None)
        begin_log_fields(request_id="r1")
        reported = await records.apply(one, ResultReported(1, RESULT), ACME)
        await until(lambda: bool(tasks.given))
        tasks.go.set()
    ((lease, known),) = tasks.given
    assert (lease.kind, lease.owner, lease.urgent, known) == (
        TaskKind.CHECK,
        "owner",
        True,
        reported,
    )
    assert tasks.bound == [{"task_id": f"{one.id}:check"}]


async def test_what_is_handed_over_waits_for_its_turn(world: World) -> None:
    """More tasks than a lane may have at once begin in their order as others end; those of another
    customer need not wait for them.
    """
    tasks, handover = Handed(), TaskHandover()
    tasks.serves = lambda customer: True  # type: ignore[method-assign]
    worker = Worker(
        tasks, world.store, world.clock, lambda: "owner", asyncio.Event(), handover=handover
    )
    async with run_worker_in_background(worker, grace_s=1, on_death=lambda: None):
        await until(lambda: handover.worker is not None)
        names = [
            *((f"iv_{number}", "acme") for number in range(3 * PER_LANE)),
            ("other", "globex"),
        ]
        for name, customer in names:
            offer = handover.offer_lease(Lane(customer, TaskKind.CHECK))
            assert offer is not None
            handover.start(offer, Invitation(id=name, customer=customer, **SOMETHING))
        await until(lambda: len(tasks.given) == PER_LANE - LEASE_BATCH + 1)
        assert tasks.given[-1][0].invitation_id == "other"
        tasks.go.set()
        await until(lambda: len(tasks.given) == len(names))
        mine = [lease.invitation_id for lease, _ in tasks.given if lease.customer == "acme"]
        assert mine == [name for name, customer in names if customer == "acme"]


async def test_nothing_is_handed_over_where_there_is_no_room(world: World) -> None:
    """A lane in which many wait, a customer who is not served, and a worker that ends take nothing:
    then the queue has the task.
    """
    tasks, handover = Handed(), TaskHandover()
    worker = Worker(
        tasks, world.store, world.clock, lambda: "owner", asyncio.Event(), handover=handover
    )
    lane = Lane("acme", TaskKind.CHECK, urgent=True)
    assert handover.offer_lease(lane) is None
    async with run_worker_in_background(worker, grace_s=1, on_death=lambda: None):
        await until(lambda: handover.worker is not None)
        assert handover.offer_lease(Lane("globex", TaskKind.CHECK)) is None
        offers = [handover.offer_lease(lane) for _ in range(MOST_OF_A_LANE)]
        assert None not in offers
        assert handover.offer_lease(lane) is None
        handover.withdraw(offers[0])  # type: ignore[arg-type]
        assert handover.offer_lease(lane) is not None
        tasks.go.set()
    assert handover.offer_lease(lane) is None


async def test_a_worker_that_ends_gives_back_what_waits(world: World) -> None:
    """Tasks that were handed over and had no turn yet are due for other processes at once."""
    tasks, handover, made = Handed(), TaskHandover(), []
    worker = Worker(
        tasks, world.store, world.clock, lambda: "owner", asyncio.Event(), handover=handover
    )
    records = CommitLoop(world.store, world.clock, lambda: None, keys=HISTORY_KEYS, taker=handover)
    for number in range(2 * PER_LANE):
        made.append(await world.invited(f"application-{number}"))
    async with run_worker_in_background(worker, grace_s=0, on_death=lambda: None):
        await until(lambda: handover.worker is not None)
        for one in made:
            await records.apply(one, ResultReported(1, RESULT), ACME)
        assert await world.lease() == ()
    given_back: set[str] = set()
    while leases := await world.lease():
        given_back |= {lease.invitation_id for lease in leases}
    assert given_back == {one.id for one in made}


async def test_no_lease_by_a_clock_of_ones_own(world: World) -> None:
    """While the others' time could not be asked for yet, nothing is leased and nothing is taken
    over: by this host's clock a running task of another process may look as if it was left.
    """
    tasks, queue, handover = Slow(), Queue(), TaskHandover()
    queue.looks = 1
    asked, known = asyncio.Event(), False

    async def synchronise_clock(_: BeforeClockStep) -> bool:
        if handover.worker is not None:
            asked.set()
        return known

    worker = Worker(
        tasks,
        queue,
        world.clock,
        lambda: "owner",
        asyncio.Event(),
        synchronise_clock=synchronise_clock,
        handover=handover,
    )  # type: ignore[arg-type]
    async with run_worker_in_background(worker, grace_s=1, on_death=lambda: None):
        async with asyncio.timeout(20):
            await asked.wait()
        assert queue.looks == 1
        assert handover.offer_lease(Lane("acme", TaskKind.CHECK)) is None
        known = True
        async with asyncio.timeout(20):
            await queue.idle.wait()
        tasks.go.set()
