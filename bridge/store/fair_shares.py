"""How the places of one ``lease`` are allocated to lanes and partitions: in turn."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from bridge.core.queueing import Lane
from bridge.store.key_names import get_lane_name


class FairShares:
    """Allocates *count* places, at most *per_lane* to a lane, in turn.

    *due* says in which partitions a lane has due tasks, not how many; so places that a partition
    could not use are allocated again, to those that used all of theirs. Urgent lanes come first;
    *turn*, which differs from call to call, decides which of the others comes first.
    """

    def __init__(
        self, due: Mapping[Lane, Sequence[int]], *, count: int, per_lane: int, turn: int
    ) -> None:
        lanes = sorted(due, key=get_lane_name)
        first = turn % len(lanes) if lanes else 0
        self._places: dict[Lane, deque[int]] = {}
        for lane in sorted(lanes[first:] + lanes[:first], key=lambda lane: not lane.urgent):
            partitions = deque(sorted(due[lane]))
            partitions.rotate(-turn)
            self._places[lane] = partitions
        self._count = count
        self._left = dict.fromkeys(self._places, per_lane)
        self._asked: dict[int, Counter[Lane]] = {}

    def allocate(self) -> dict[int, dict[Lane, int]]:
        """For each partition, how many tasks of which lane to ask for; empty: nothing is left to
        ask.
        """
        asked: dict[int, Counter[Lane]] = {}
        left, count = dict(self._left), self._count
        lanes = deque(
            lane for lane, partitions in self._places.items() if partitions and left[lane] > 0
        )
        while lanes and count > 0:
            lane = lanes.popleft()
            partitions = self._places[lane]
            asked.setdefault(partitions[0], Counter())[lane] += 1
            partitions.rotate(-1)
            left[lane] -= 1
            count -= 1
            if left[lane] > 0:
                lanes.append(lane)
        self._asked = asked
        return {partition: dict(wanted) for partition, wanted in asked.items()}

    def record(self, partition: int, lanes: Sequence[Lane], *, more: bool = False) -> None:
        """Record the tasks that a partition gave; if these are fewer than asked for, it has no
        more, unless *more*.
        """
        got = Counter(lanes)
        for lane, wanted in self._asked[partition].items():
            self._left[lane] -= got[lane]
            self._count -= got[lane]
            if got[lane] < wanted and not more:
                self._places[lane].remove(partition)
