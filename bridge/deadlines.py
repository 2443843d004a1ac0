"""Bounds the time of many waits with one timer.

``asyncio.timeout_at`` makes a timer for each wait, and with uvloop a timer costs more than most
waits that it bounds and never has to end. Here a wait is an entry in a list, and the loop has one
timer: for the first of them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools

_TIDY_FROM = 256
"""Entries of waits that have ended are removed only where there are more than this many."""


class Deadlines:
    """The deadlines of one event loop; needs it running.

    ``with deadlines.until(when):`` does what ``async with asyncio.timeout_at(when):`` does: from
    *when* on, by the loop's clock, whatever is awaited inside is cancelled, and ``TimeoutError`` is
    raised in its place. A cancellation from elsewhere stays one.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waits: list[tuple[float, int, Deadline]] = []  # a heap, also of those that have ended
        self._numbers = itertools.count()
        self._under_way = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    def until(self, when: float) -> Deadline:
        """A bound for what is done within it; *when* may be past."""
        return Deadline(self, when)

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    def add(self, wait: Deadline) -> None:
        """A wait has begun."""
        heapq.heappush(self._waits, (wait.when, next(self._numbers), wait))
        self._under_way += 1
        if wait.when < self._timer_at:
            self._set_timer(wait.when)

    def remove(self) -> None:
        """A wait has ended; its entry is passed over when its time comes."""
        self._under_way -= 1
        if len(self._waits) > _TIDY_FROM + 4 * self._under_way:
            self._waits = [entry for entry in self._waits if entry[2].under_way]
            heapq.heapify(self._waits)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._expire)

    def _expire(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        now = self._loop.time()
        while self._waits and (self._waits[0][0] <= now or not self._waits[0][2].under_way):
            heapq.heappop(self._waits)[2].expire()
        if self._waits:
            self._set_timer(self._waits[0][0])


class Deadline:
    """One wait, within ``with``; see ``Deadlines``."""

    __slots__ = ("_before", "_expired", "_owner", "_task", "when")

    def __init__(self, owner: Deadlines, when: float) -> None:
        self._owner = owner
        self._task: asyncio.Task[object] | None = None
        self._before = 0
        self._expired = False
        self.when = when

    @property
    def under_way(self) -> bool:
        """Whether it has begun and not ended."""
        return self._task is not None

    def expire(self) -> None:
        """Its time has come; nothing happens if it has ended."""
        if self._task is not None:
            self._expired = True
            self._task.cancel()

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be given a deadline")
        self._task, self._before = task, task.cancelling()
        self._owner.add(self)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        task, self._task = self._task, None
        self._owner.remove()
        # The same count as in asyncio.Timeout: were there a cancellation from elsewhere as well, it
        # goes first.
        if (
            self._expired
            and task is not None
            and task.uncancel() <= self._before
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError
