"""How many tasks a worker performs at once: few at first, more where that hurts nobody."""

from __future__ import annotations

from collections import Counter

from bridge.core.queueing import Lane

PER_LANE = 8
"""The tasks of one lane that are always allowed."""
MOST_PER_LANE = 48
"""At 80 ms a call this is 400 completions a second for one customer; the bulkhead of a vendor lets
128 calls through, two for each check.
"""
LEASE_BATCH = 4
"""The most tasks of one lane in one lease, only taken while there is room for as many."""
SLOTS = 64
MOST_SLOTS = 256
"""Of all lanes together."""
URGENT_PART = 4
"""One slot in so many is reserved for urgent tasks: a backlog of any size never delays a new
result.
"""
CALM_S = 0.002
BUSY_S = 0.005
"""What one turn of the event loop may take of the processor: up to the first there is room for more
tasks, above the second requests wait for them. Time is of no use for that: another process on the
same machine makes every loop late.
"""
_GROWTH = 1.25
_LEAST = 0.25


class AdaptiveConcurrency:
    """Counts what runs, and says whether one more task of a lane may begin.

    The limit of a lane grows by one for each of its tasks that goes well while it is full, and is
    halved when one does not: a vendor that struggles is asked less. All limits shrink while the
    event loop is busy: requests go before tasks.
    """

    def __init__(self) -> None:
        self._running: Counter[Lane] = Counter()
        self._total = 0
        self._not_urgent = 0
        self._limits: dict[Lane, float] = {}
        self._ease = 1.0
        self._was_full = False

    def begin(self, lane: Lane) -> None:
        """A task of this lane runs."""
        self._running[lane] += 1
        self._total += 1
        self._not_urgent += not lane.urgent
        self._was_full = self._was_full or not self._get_free(urgent=lane.urgent)

    def end(self, lane: Lane, *, well: bool) -> None:
        """It has ended; *well*: as well as it can."""
        limit = self._limits.get(lane, PER_LANE)
        if not well:
            self._limits[lane] = max(PER_LANE, limit / 2)
        elif self._running[lane] + LEASE_BATCH >= limit and limit < MOST_PER_LANE:
            self._limits[lane] = limit + 1
        self._running[lane] -= 1
        if not self._running[lane]:
            del self._running[lane]
            if self._limits.get(lane) == PER_LANE:
                del self._limits[lane]
        self._total -= 1
        self._not_urgent -= not lane.urgent

    def notice_turn(self, busy_s: float) -> None:
        """A turn of the event loop took this much of the processor."""
        if busy_s > BUSY_S:
            self._ease = max(_LEAST, self._ease / 2)
        elif busy_s < CALM_S and self._ease < 1:
            self._ease = min(1.0, self._ease * _GROWTH)
        elif busy_s < CALM_S and self._was_full:
            self._ease = min(MOST_SLOTS / SLOTS, self._ease * _GROWTH)
        self._was_full = False

    def may_begin(self, lane: Lane) -> bool:
        """Whether a task of this lane may begin that was not leased from the queue: those leave
        room for a batch of older ones.
        """
        room = self._get_own_room(lane) > LEASE_BATCH
        return room and self._get_free(urgent=lane.urgent) > 0

    def get_free_slots(self) -> tuple[int, int]:
        """How many more tasks may begin in all, and how many that are not urgent."""
        return self._get_free(urgent=True), self._get_free(urgent=False)

    def list_crowded(self) -> list[Lane]:
        """The lanes that have no room for another batch."""
        return [lane for lane in self._running if self._get_own_room(lane) < LEASE_BATCH]

    def _get_own_room(self, lane: Lane) -> int:
        own = self._limits.get(lane, PER_LANE) * min(1.0, self._ease)
        return max(0, max(PER_LANE, int(own)) - self._running[lane])

    def _get_free(self, *, urgent: bool) -> int:
        slots = int(SLOTS * self._ease)
        free = slots - self._total
        if not urgent:
            free = min(free, slots - slots // URGENT_PART - self._not_urgent)
        return max(0, free)
