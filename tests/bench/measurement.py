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


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one candidate did in a while, as fast as it could."""

    per_s: float
    latency: Percentiles
    cpu_ms: float

    def __str__(self) -> str:
        return (
            f"{self.per_s:7.0f}/s, p50 {self.latency.p50:7.1f} ms, p99 {self.latency.p99:7.1f} ms,"
            f" CPU {self.cpu_ms:.2f} ms"
        )


async def measure_throughput(
    one: Candidate, path: str, seconds: float, load: Load | None = None
) -> Throughput:
    """How much of *path* it does over the connections of *load* (None: its own)."""
    load = load or one.load
    cpu_s, begun = measure_cpu_s(one.pid), perf_counter()
    load.start(one.caller.source(path))
    await _wait_for_the_first([load], seconds)
    took_s, times = perf_counter() - begun, list(load.times)
    used_s = measure_cpu_s(one.pid) - cpu_s
    await load.stop()
    if not times:
        raise TooShort(f"{path}: {one.name} finished nothing within {took_s:.2f} s")
    number = len(times)
    return Throughput(number / took_s, Percentiles.of(times), used_s / number * 1000)


async def carry_out(
    candidates: Sequence[Candidate], path: str, number: int, load: Load | None = None
) -> None:
    """That many operations for each, all of them at the same time, unmeasured; over *load*, or over
    the connections of each.
    """
    loads = [load or one.load for one in candidates]
    goals = [one.done + number for one in loads]
    for one, its in zip(candidates, loads, strict=True):
        its.start(one.caller.source(path, number))
    for its in loads:
        await its.dry.wait()
        await its.stop()
    for its, goal in zip(loads, goals, strict=True):
        if its.done != goal:
            raise TooShort(f"{path}: {its.ledger.name} had no work for {number}")


@contextlib.asynccontextmanager
async def connect(ledger: Ledger, port: int, connections: int = 1) -> AsyncIterator[Load]:
    """Connections of their own."""
    load = Load(ledger, port)
    await load.open(connections)
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
