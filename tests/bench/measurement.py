"""Several candidates under load at the same time, and what each paid for a request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from tests.bench.candidates import Candidate
from tests.bench.generator import Load
from tests.bench.ledger import Ledger
from tests.bench.processor_time import measure_cpu_s

AFTERWARDS_S = 0.05
"""What a request leaves to be done after its answer is done within this time."""
SHORTEST_WINDOW_S = 0.25


class TooShort(Exception):
    """The work was used up before there was enough to count."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one candidate paid in one window."""

    requests: int
    cpu_s: float

    @property
    def ms(self) -> float:
        """CPU for one request."""
        return self.cpu_s / self.requests * 1000


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How long operations took, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Percentiles:
        """The nearest rank of each."""
        ordered = sorted(seconds)
        last = len(ordered) - 1
        return cls(*(ordered[round(last * part)] * 1000 for part in (0.5, 0.99)))


async def measure_together(
    candidates: Sequence[Candidate], path: str, seconds: float
) -> dict[str, Cost]:
    """The cost of a request on *path*, with all of them under load; by name.

    What is begun within *seconds*, or until one of them has no work left, is also waited for, so
    that each request is paid in full.
    """
    before = [(one.load.done, measure_cpu_s(one.pid)) for one in candidates]
    begun = perf_counter()
    await work_for(candidates, path, seconds)
    window_s = perf_counter() - begun
    if window_s < min(SHORTEST_WINDOW_S, seconds):
        raise TooShort(f"{path}: the work was used up after {window_s:.2f} s")
    return {
        one.name: Cost(one.load.done - done, measure_cpu_s(one.pid) - cpu_s)
        for one, (done, cpu_s) in zip(candidates, before, strict=True)
    }


async def _wait_for_the_first(loads: Sequence[Load], seconds: float) -> None:
    """Return when one of them has nothing left to do, or after *seconds*."""
    waiting = [asyncio.create_task(load.dry.wait()) for load in loads]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


async def work_for(candidates: Sequence[Candidate], path: str, seconds: float) -> None:
    """All of them under load for a while, and until what was begun is done."""
    for one in candidates:
        one.load.start(one.caller.source(path))
    await _wait_for_the_first([one.load for one in candidates], seconds)
    await asyncio.gather(*(one.load.stop() for one in candidates))
    await asyncio.sleep(AFTERWARDS_S)


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


@contextlib.asynccontextmanager
async def connect(ledger: Ledger, port: int) -> AsyncIterator[Load]:
    """One connection."""
    load = Load(ledger, port)
    await load.open(1)
    try:
        yield load
    finally:
        load.close()


async def measure_latency(one: Candidate, path: str, rate: float, seconds: float) -> Percentiles:
    """How long operations take that begin at fixed times, *rate* of them a second, whether or not
    the ones before have ended.
    """
    begun = perf_counter()
    one.load.times.clear()
    for number in range(round(rate * seconds)):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - perf_counter()))
        operation = one.caller.source(path)()
        if operation is None:
            raise TooShort(f"{path}: {one.name} has no work left")
        one.load.offer(operation, due)
    await one.load.stop()
    return Percentiles.of(one.load.times)
