"""The worker beside the server: leases due tasks, or takes over those that a commit of this process
has leased to it, and has the use case perform them.

Bounded in all and per lane (one customer's tasks of one kind; ``AdaptiveConcurrency``), so that one
customer's dead endpoint cannot take the slots of another's tasks. It outlives a Redis that does not
answer; that it ended unexpectedly is reported to *on_death*.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import structlog

from bridge.concurrency import LEASE_BATCH, AdaptiveConcurrency
from bridge.core.invitation import Invitation
from bridge.core.queueing import LEASE_LIFE, Lane, Lease, LeaseOffer, LeaseRequest
from bridge.errors import StoreUnavailable
from bridge.log_context import begin_log_fields
from bridge.ports import (
    BeforeClockStep,
    Clock,
    Monotonic,
    NewSecret,
    TaskPerformer,
    TaskQueue,
)
from bridge.task_handover import HandedTasks, TaskHandover

HEARTBEAT_S = 3.0
IDLE_S = 0.5
"""How often the queue is polled without a wake-up: tasks of other processes are found within this
time.
"""
_IDLE_LOOKS = 20
"""After so many polls that found nothing due the queue is read as if something were: only that
tells of lanes that another version alone knows.
"""

MAX_CLOCK_SKEW_S = 5.0
"""By how much the times of two processes may differ without one taking the other's running tasks:
the shortest remaining life of a lease (its life less the pause between two heartbeats, and two
seconds for a slow Redis).
"""

_STORE_RETRY_S = 1.0
_LOAD_CHECK_S = 0.05
"""How often it is measured how busy the event loop is, while tasks run."""
_STOP_TIMEOUT_S = 2.0
"""How long the loop may take to notice that it was stopped: one call to a Redis that does not
answer.
"""

log = structlog.get_logger()


class Worker:
    """One per process; *awake* is set whenever something was made due by this process.

    *synchronise_clock* synchronises *clock* with the other processes', if that is due; until that
    was possible once nothing is leased: by a wrong clock others' leases may look expired.
    *processor_time* is what this thread has used, in seconds.
    """

    def __init__(
        self,
        tasks: TaskPerformer,
        queue: TaskQueue,
        clock: Clock,
        new_secret: NewSecret,
        awake: asyncio.Event,
        *,
        synchronise_clock: Callable[[BeforeClockStep], Awaitable[bool]] | None = None,
        handover: TaskHandover | None = None,
        processor_time: Monotonic = time.thread_time,
    ) -> None:
        self._tasks = tasks
        self._queue = queue
        self._clock = clock
        self._owner = new_secret()
        self._awake = awake
        self._synchronise_clock = synchronise_clock
        self._time_is_known = synchronise_clock is None
        self._handover = handover or TaskHandover()
        self._processor_time = processor_time
        self._running: dict[asyncio.Task[bool], Lease] = {}
        self._is_at_work = asyncio.Event()
        self._concurrency = AdaptiveConcurrency()
        self._handed = HandedTasks()
        self._behind: frozenset[Lane] = frozenset()
        """Lanes of which more is due than was taken."""
        self._revisions = itertools.count(1)
        self._context = contextvars.Context()
        self._stopping = False
        self._complained = False

    @property
    def at_work(self) -> int:
        """How many tasks it is performing."""
        return len(self._running)

    def wake(self) -> None:
        """Poll the queue at once, instead of within ``IDLE_S``."""
        self._awake.set()

    async def run(self) -> None:
        """Lease and perform until ``stop``."""
        self._context = contextvars.copy_context()
        async with asyncio.TaskGroup() as group:
            await self._check_clock()
            loops = (self._heartbeat(), self._clock_loop(), self._watch_load())
            beside = [group.create_task(one) for one in loops]
            self._handover.worker = self
            try:
                while not self._stopping:
                    self._awake.clear()
                    leased = await self._lease()
                    if not leased and not self._stopping:
                        await self._sleep_until_due()
            finally:
                self._handover.worker = None
                for task in beside:
                    task.cancel()

    def offer_lease(self, lane: Lane) -> LeaseOffer | None:
        """See ``TaskTaker``."""
        if self._stopping or not self._time_is_known or not self._tasks.serves(lane.customer):
            return None
        if not self._handed.promise(lane):
            return None
        until = self._clock() + LEASE_LIFE
        return LeaseOffer(lane, self._owner, next(self._revisions), until)

    def start(self, offer: LeaseOffer, invitation: Invitation) -> None:
        """See ``TaskTaker``."""
        self._handed.add(offer.build_lease(invitation.id), invitation)
        self._start_handed()

    def withdraw(self, offer: LeaseOffer) -> None:
        """See ``TaskTaker``."""
        self._handed.withdraw(offer.lane)

    async def stop(self, grace_s: float) -> None:
        """Take no more tasks, let running ones finish within *grace_s*, and release the rest."""
        self._stopping = True
        self._awake.set()
        if self._running:
            await asyncio.wait(self._running, timeout=grace_s)
        left = dict(self._running)
        for task in left:
            task.cancel()
        if left:
            await asyncio.gather(*left, return_exceptions=True)
        leases = (*left.values(), *self._handed.drain())
        if leases:
            with contextlib.suppress(StoreUnavailable):
                await self._queue.release(leases, self._clock())
            log.info("worker.released", count=len(leases))

    async def _lease(self) -> int:
        room, room_for_all = self._concurrency.get_free_slots()
        if room <= 0 or not self._time_is_known:
            return 0
        full = self._concurrency.list_crowded()
        now = self._clock()
        try:
            leases = await self._queue.lease(
                LeaseRequest(
                    now,
                    owner=self._owner,
                    until=now + LEASE_LIFE,
                    count=room_for_all or room,
                    per_lane=LEASE_BATCH,
                    avoid=full,
                    urgent_only=room_for_all <= 0,
                    serves=self._tasks.serves,
                )
            )
        except StoreUnavailable as error:
            self._warn_once(error)
            await asyncio.sleep(_STORE_RETRY_S)
            return 0
        except Exception:
            # One entry of the queue cannot be read: the other tasks must still be performed.
            log.exception("worker.lease_failed")
            await asyncio.sleep(_STORE_RETRY_S)
            return 0
        self._complained = False
        if self._stopping:
            # Leased while the worker was stopped: released again, for other processes.
            with contextlib.suppress(StoreUnavailable):
                await self._queue.release(leases, self._clock())
            return 0
        given = Counter(lease.lane for lease in leases)
        some = {lane for lane, count in given.items() if count >= LEASE_BATCH}
        self._behind = frozenset({*full, *some})
        for lease in leases:
            self._start(lease)
        return len(leases)

    def _start_handed(self) -> None:
        while not self._stopping and (found := self._handed.take(self._concurrency.may_begin)):
            self._start(*found)

    def _start(self, lease: Lease, known: Invitation | None = None) -> None:
        # In the worker's own context: that of a request would give its ids to the task's log lines.
        self._concurrency.begin(lease.lane)
        task = asyncio.get_running_loop().create_task(
            self._perform(lease, known), name=lease.task_id, context=self._context.copy()
        )
        self._running[task] = lease
        self._is_at_work.set()
        task.add_done_callback(self._finished)

    async def _perform(self, lease: Lease, known: Invitation | None) -> bool:
        begin_log_fields(task_id=lease.task_id)
        try:
            return await self._tasks.perform(lease, known)
        except StoreUnavailable as error:
            # Not settled: the lease runs out and the task is repeated.
            self._warn_once(error)
            return False

    def _finished(self, task: asyncio.Task[bool]) -> None:
        lease = self._running.pop(task)
        crash = None if task.cancelled() else task.exception()
        if crash is not None:
            log.error("worker.task_crashed", exc_info=crash)
        well = not task.cancelled() and crash is None and task.result()
        was_full = not self._concurrency.get_free_slots()[1]
        self._concurrency.end(lease.lane, well=well)
        self._start_handed()
        if was_full or lease.lane in self._behind:
            self._awake.set()

    async def _watch_load(self) -> None:
        while True:
            await self._is_at_work.wait()
            await asyncio.sleep(_LOAD_CHECK_S)
            begun = self._processor_time()
            await asyncio.sleep(0)  # one turn of the loop: everybody who is ready
            self._concurrency.notice_turn(self._processor_time() - begun)
            self._start_handed()
            if not self._running:
                self._is_at_work.clear()

    async def _sleep_until_due(self) -> None:
        """Until somebody wakes this worker, or something may be due: as long as nothing is, one
        look at the queue, for when that will be, is enough.
        """
        for turn in range(_IDLE_LOOKS):
            if self._awake.is_set():
                return
            left = await self._time_until_due()
            if left <= 0 and turn:
                return
            # What is due at first and was not leased just now is in a full lane: the next finished
            # task wakes the loop.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(IDLE_S, left) if left > 0 else IDLE_S):
                    await self._awake.wait()
            if left <= IDLE_S:
                return

    async def _time_until_due(self) -> float:
        """In seconds; 0 where that cannot be said."""
        if not self._concurrency.get_free_slots()[0] or not self._time_is_known:
            return 0.0
        try:
            due = await self._queue.next_due()
        except StoreUnavailable:
            return 0.0
        return math.inf if due is None else (due - self._clock()).total_seconds()

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self.extend_leases_before_clock_step(self._clock())

    async def _clock_loop(self) -> None:
        while self._synchronise_clock is not None:
            await asyncio.sleep(IDLE_S)
            await self._check_clock()

    async def _check_clock(self) -> None:
        try:
            if self._synchronise_clock is not None:
                extend = self.extend_leases_before_clock_step
                self._time_is_known = await self._synchronise_clock(extend)
        except Exception:
            # An unexpected error must neither end the loop nor keep all work waiting; the time
            # stays as it was.
            self._time_is_known = True
            log.exception("clock.check_failed")

    async def extend_leases_before_clock_step(self, now: datetime) -> None:
        """The time is about to become *now*: the leases that are held must neither look expired
        nor last for hours.
        """
        held = (*self._running.values(), *self._handed.list_leases())
        if held:
            with contextlib.suppress(StoreUnavailable):
                await self._queue.extend(held, now + LEASE_LIFE)

    def _warn_once(self, error: StoreUnavailable) -> None:
        if not self._complained:
            log.warning("worker.store_unavailable", error=str(error))
        self._complained = True


@contextlib.asynccontextmanager
async def run_worker_in_background(
    worker: Worker, *, grace_s: float, on_death: Callable[[], None]
) -> AsyncIterator[asyncio.Task[None]]:
    """Run *worker* beside the server; *on_death* is called if it ends by itself, since this process
    then performs no tasks.
    """
    stopping = False

    def died(task: asyncio.Task[None]) -> None:
        if not stopping:
            log.critical("worker.died", exc_info=task.exception() if not task.cancelled() else None)
            on_death()

    task = asyncio.create_task(worker.run())
    task.add_done_callback(died)
    try:
        yield task
    finally:
        stopping = True
        await worker.stop(grace_s)
        # It ends by itself; cancelled during a lease it would leave tasks leased that are not
        # performed.
        await asyncio.wait([task], timeout=_STOP_TIMEOUT_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
