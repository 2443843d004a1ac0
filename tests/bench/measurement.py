"""Several candidates under load at the same time, and what each paid for a request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from tests.bench.candidates import Candidate
from tests.bench.processor_time import measure_cpu_s

SETTLE_S = 0.2
"""How long the load runs before the window opens."""
SHORTEST_WINDOW_S = 0.25
MARGIN = 64
"""Callbacks that must be left over when a window closes, so that no connection is without work."""


class TooShort(Exception):
    """The work was used up before the window was long enough to count."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one candidate paid in one window."""

    requests: int
    cpu_s: float
    window_s: float

    @property
    def ms(self) -> float:
        """CPU for one request."""
        return self.cpu_s / self.requests * 1000


@dataclass
class Spread:
    """Values of several rounds."""

    values: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Median, smallest, greatest."""
        return {
            "median": round(median(self.values), 4),
            "min": round(min(self.values), 4),
            "max": round(max(self.values), 4),
        }


async def measure_together(
    candidates: Sequence[Candidate], path: str, seconds: float
) -> dict[str, Cost]:
    """The cost of a request on *path*, with all of them under load; by name.

    The window ends early where one has no work left.
    """
    for one in candidates:
        one.load.start(one.caller.source(path))
    try:
        await asyncio.sleep(SETTLE_S)
        begun = perf_counter()
        before = {one.name: (one.load.done, measure_cpu_s(one.pid)) for one in candidates}
        dry = [asyncio.create_task(one.load.dry.wait()) for one in candidates]
        await asyncio.wait(dry, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        after = {one.name: (one.load.done, measure_cpu_s(one.pid)) for one in candidates}
        window_s = perf_counter() - begun
        for task in dry:
            task.cancel()
    finally:
        for one in candidates:
            await one.load.stop()
    if window_s < min(SHORTEST_WINDOW_S, seconds):
        raise TooShort(f"{path}: {window_s:.2f} s")
    costs = {}
    for one in candidates:
        (done_before, cpu_before), (done, cpu) = before[one.name], after[one.name]
        if done == done_before:
            raise TooShort(f"{path}: {one.name} answered nothing within {window_s:.2f} s")
        costs[one.name] = Cost(done - done_before, cpu - cpu_before, window_s)
    return costs


async def carry_out(candidates: Sequence[Candidate], path: str, number: int) -> None:
    """That many operations for each, all of them at the same time, unmeasured."""
    goals = [one.load.done + number for one in candidates]
    for one in candidates:
        one.load.start(one.caller.source(path, number))
    for one in candidates:
        await one.load.dry.wait()
        await one.load.stop()
    for one, goal in zip(candidates, goals, strict=True):
        if one.load.done != goal:
            raise TooShort(f"{path}: {one.name} had no work for {number}")
