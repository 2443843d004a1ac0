"""Time as it would have been on a quiet machine: what promises of "within two seconds" are measured
with.

A thread sleeps for a moment again and again. When it wakes up much too late, nothing of this
machine's was running as it should, and what is measured meanwhile says nothing of the bridge.
"""

from __future__ import annotations

import threading
import time
from collections import deque

_STEP_S = 0.01
_STALL_S = 0.05


class Stalls(threading.Thread):
    """Keeps the stalls of the last minutes."""

    def __init__(self) -> None:
        super().__init__(name="stalls", daemon=True)
        self._stalls: deque[tuple[float, float]] = deque(maxlen=10_000)

    def run(self) -> None:
        """Look for stalls until the process ends."""
        while True:
            before = time.monotonic()
            time.sleep(_STEP_S)
            late = time.monotonic() - before - _STEP_S
            if late > _STALL_S:
                self._stalls.append((before, late))

    def since(self, started: float) -> float:
        """Seconds of stalls after *started*."""
        return sum(late for before, late in tuple(self._stalls) if before >= started - _STEP_S)


_STALLS = Stalls()


def watch() -> None:
    """Begin to look; once, before the first test."""
    if not _STALLS.is_alive():
        _STALLS.start()


def net_since(started: float) -> float:
    """Seconds since *started* (``time.monotonic``), without those in which the machine stood
    still.
    """
    return time.monotonic() - started - _STALLS.since(started)
