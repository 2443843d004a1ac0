"""Which partitions of the store answer, so that one that does not delays no other.

In a cluster some partitions may be away while others work. Those that are away are left out and
looked at again after a pause that grows from one to eight seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from bridge.core.ids import PARTITIONS

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 8.0

log = structlog.get_logger()


@dataclass(slots=True)
class _Away:
    reason: str
    pause_s: float
    look_at: float


class PartitionHealth:
    """What one process has seen of the partitions; *monotonic* gives seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._away: dict[int, _Away] = {}

    def working(self) -> list[int]:
        """Those that are not known to be away."""
        return [partition for partition in range(PARTITIONS) if partition not in self._away]

    def to_look_at(self) -> list[int]:
        """Those whose pause is over. Each is given once; the next pause begins with this call."""
        now = self._monotonic()
        found = [partition for partition, away in self._away.items() if now >= away.look_at]
        for partition in found:
            away = self._away[partition]
            away.pause_s = min(2 * away.pause_s, LONGEST_PAUSE_S)
            away.look_at = now + away.pause_s
        return found

    def failed(self, partition: int, reason: str) -> None:
        """It did not answer."""
        if partition not in self._away:
            log.error("partition.away", partition=partition, reason=reason)
            self._away[partition] = _Away(reason, FIRST_PAUSE_S, self._monotonic() + FIRST_PAUSE_S)

    def answered(self, partition: int) -> None:
        """It did."""
        if self._away.pop(partition, None) is not None:
            log.info("partition.back", partition=partition)
