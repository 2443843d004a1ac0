"""The worker beside the server: leases due tasks and has the use case perform them.

Bounded in all (``SLOTS``) and per lane (one customer's tasks of one kind, ``PER_LANE``), so that
one customer's dead endpoint cannot take the slots of another's tasks, and with slots kept for what
is urgent. It outlives a Redis that does not answer; that it ended unexpectedly is
reported to *on_death*.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import structlog

from bridge.core.queueing import LEASE_LIFE, Lease, LeaseRequest
from bridge.errors import StoreUnavailable
from bridge.log_context import bound_log_fields
from bridge.ports import BeforeClockStep, Clock, NewSecret, TaskPerformer, TaskQueue

SLOTS = 64
URGENT_SLOTS = 16
"""Slots of these reserved for urgent tasks: a backlog of any size never delays a new result."""
PER_LANE = 8
LEASE_BATCH = 4
"""The most tasks of one lane in one lease, only taken while there is room for as many: so never
more than PER_LANE in all.
"""
HEARTBEAT_S = 3.0
IDLE_S = 0.5
"""How often the queue is polled without a wake-up: tasks of other processes are found within this
time.
"""

MAX_CLOCK_SKEW_S = 5.0
"""By how much the times of two processes may differ without one taking the other's running tasks:
the shortest remaining life of a lease (its life less the pause between two heartbeats, and two
seconds for a slow Redis).
"""

_STORE_RETRY_S = 1.0
_STOP_TIMEOUT_S = 2.0
"""How long the loop may take to notice that it was stopped: one call to a Redis that does not
answer.
"""

log = structlog.get_logger()


class Worker:
    """One per process; *awake* is set whenever something was made due by this process.

    *synchronise_clock* synchronises *clock* with the other processes', if that is due.
    """

    def __init__(
        self,
        tasks: TaskPerformer,
        queue: TaskQueue,
        clock: Clock,
        new_secret: NewSecret,
        awake: asyncio.Event,
        *,
        synchronise_clock: Callable[[BeforeClockStep], Awaitable[None]] | None = None,
    ) -> None:
        self._tasks = tasks
        self._queue = queue
        self._clock = clock
        self._owner = new_secret()
        self._awake = awake
        self._synchronise_clock = synchronise_clock
        self._running: dict[asyncio.Task[None], Lease] = {}
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
        async with asyncio.TaskGroup() as group:
            await self._check_clock()
            beside = [group.create_task(self._heartbeat()), group.create_task(self._clock_loop())]
            try:
                while not self._stopping:
                    self._awake.clear()
                    leased = await self._lease()
                    if not leased and not self._stopping:
                        await self._sleep_until_due()
            finally:
                for task in beside:
                    task.cancel()

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
            with contextlib.suppress(StoreUnavailable):
                await self._queue.release(tuple(left.values()), self._clock())
            log.info("worker.released", count=len(left))

    async def _lease(self) -> int:
        room = SLOTS - len(self._running)
        if room <= 0:
            return 0
        used = Counter(lease.lane for lease in self._running.values())
        full = [lane for lane, count in used.items() if count > PER_LANE - LEASE_BATCH]
        room_for_all = (
            SLOTS - URGENT_SLOTS - sum(count for lane, count in used.items() if not lane.urgent)
        )
        now = self._clock()
        try:
            leases = await self._queue.lease(
                LeaseRequest(
                    now,
                    owner=self._owner,
                    until=now + LEASE_LIFE,
                    count=min(room, room_for_all) if room_for_all > 0 else room,
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
        for lease in leases:
            task = asyncio.create_task(self._perform(lease), name=lease.task_id)
            self._running[task] = lease
            task.add_done_callback(self._finished)
        return len(leases)

    async def _perform(self, lease: Lease) -> None:
        with bound_log_fields(task_id=lease.task_id):
            try:
                await self._tasks.perform(lease)
            except StoreUnavailable as error:
                # Not settled: the lease runs out and the task is repeated.
                self._warn_once(error)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._awake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("worker.task_crashed", exc_info=error)

    async def _sleep_until_due(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(await self._time_until_due()):
                await self._awake.wait()

    async def _time_until_due(self) -> float:
        if len(self._running) >= SLOTS:
            return IDLE_S
        try:
            due = await self._queue.next_due()
        except StoreUnavailable:
            return IDLE_S
        if due is None:
            return IDLE_S
        # A due task that was not leased is in a full lane: the next finished task wakes the loop.
        left = (due - self._clock()).total_seconds()
        return min(IDLE_S, left) if left > 0 else IDLE_S

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if self._running:
                with contextlib.suppress(StoreUnavailable):
                    await self._queue.extend(
                        tuple(self._running.values()), self._clock() + LEASE_LIFE
                    )

    async def _clock_loop(self) -> None:
        while self._synchronise_clock is not None:
            await asyncio.sleep(IDLE_S)
            await self._check_clock()

    async def _check_clock(self) -> None:
        try:
            if self._synchronise_clock is not None:
                await self._synchronise_clock(self.extend_leases_before_clock_step)
        except Exception:
            # An unexpected error must not end the loop; the time stays as it was.
            log.exception("clock.check_failed")

    async def extend_leases_before_clock_step(self, now: datetime) -> None:
        """The time is about to become *now*: the leases of running tasks must neither look expired
        nor last for hours.
        """
        if self._running:
            with contextlib.suppress(StoreUnavailable):
                await self._queue.extend(tuple(self._running.values()), now + LEASE_LIFE)

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
