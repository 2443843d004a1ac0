"""How a commit hands a task to the worker of its own process."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from bridge.core.invitation import Invitation
from bridge.core.queueing import Lane, Lease, LeaseOffer
from bridge.ports import TaskTaker

MOST_OF_A_LANE = 64
MOST_IN_ALL = 512
"""Tasks that are leased and wait for a slot; more are left to the queue, where any process finds
them.
"""


class TaskHandover:
    """A ``TaskTaker`` that passes on to *worker* while there is one."""

    def __init__(self) -> None:
        self.worker: TaskTaker | None = None

    def offer_lease(self, lane: Lane) -> LeaseOffer | None:
        """See ``TaskTaker``."""
        return None if self.worker is None else self.worker.offer_lease(lane)

    def start(self, offer: LeaseOffer, invitation: Invitation) -> None:
        """See ``TaskTaker``; a worker that ended meanwhile leaves the lease to run out."""
        if self.worker is not None:
            self.worker.start(offer, invitation)

    def withdraw(self, offer: LeaseOffer) -> None:
        """See ``TaskTaker``."""
        if self.worker is not None:
            self.worker.withdraw(offer)


class HandedTasks:
    """Tasks that were handed over and wait for a slot, those of each lane in their order."""

    def __init__(self) -> None:
        self._promised: Counter[Lane] = Counter()
        self._waiting: dict[Lane, deque[tuple[Lease, Invitation]]] = {}

    def promise(self, lane: Lane) -> bool:
        """Keep a place for one more; False: there is none."""
        waiting = self._waiting.get(lane)
        of_lane = self._promised[lane] + (len(waiting) if waiting else 0)
        if of_lane >= MOST_OF_A_LANE or self._promised.total() + len(self) >= MOST_IN_ALL:
            return False
        self._promised[lane] += 1
        return True

    def withdraw(self, lane: Lane) -> None:
        """The place is not needed."""
        self._promised[lane] -= 1
        if not self._promised[lane]:
            del self._promised[lane]

    def add(self, lease: Lease, invitation: Invitation) -> None:
        """A task for the place that was kept."""
        self.withdraw(lease.lane)
        self._waiting.setdefault(lease.lane, deque()).append((lease, invitation))

    def take(self, may_begin: Callable[[Lane], bool]) -> tuple[Lease, Invitation] | None:
        """The next one that may begin; the lanes take turns."""
        for lane in self._waiting:
            if may_begin(lane):
                queue = self._waiting.pop(lane)
                found = queue.popleft()
                if queue:
                    self._waiting[lane] = queue  # behind the others
                return found
        return None

    def drain(self) -> list[Lease]:
        """Give away all that wait."""
        leases = self.list_leases()
        self._waiting.clear()
        return leases

    def list_leases(self) -> list[Lease]:
        """All that wait."""
        return [lease for queue in self._waiting.values() for lease, _ in queue]

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))
