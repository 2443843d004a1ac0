"""The bridge alone: where its time goes, and how many function calls a request takes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.bench.candidates import COUNTED, SAMPLED, SEEN, Candidate
from tests.bench.generator import Load
from tests.bench.measurement import carry_out, connect, measure_together, work_for
from tests.bench.operations import JOURNEY, PATHS
from tests.bench.profile_table import build_tables
from tests.bench.suite import run_all

WARM_UP = 100
BATCHES, BATCH = 5, 10


@contextlib.asynccontextmanager
async def watch(bridge: Candidate) -> AsyncIterator[dict[str, Any]]:
    """What its instrument sees while this is entered: there once this is left."""
    file = bridge.place.folder / SEEN
    file.unlink(missing_ok=True)
    os.kill(bridge.pid, signal.SIGUSR1)
    while not file.exists():  # noqa: ASYNC110 - the other process tells nobody
        await asyncio.sleep(0.005)
    seen: dict[str, Any] = {}
    yield seen
    os.kill(bridge.pid, signal.SIGUSR2)
    while not file.stat().st_size:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    seen.update(orjson.loads(file.read_bytes()))


async def profile(path: str, seconds: float, folder: Path) -> Iterator[str]:
    """The lines to print."""
    async with run_all((SAMPLED,), folder) as (bridge,):
        await carry_out((bridge,), JOURNEY, WARM_UP)
        if path == "callback":
            await work_for((bridge,), "invite", seconds)
        async with watch(bridge) as seen:
            cost = (await measure_together((bridge,), path, seconds))[bridge.name]
    title = f"{path}: {cost.requests} requests, {cost.ms:.3f} ms of CPU each, profiler included"
    return iter([title, *build_tables(seen)])


async def count_calls(folder: Path, paths: Sequence[str] = PATHS) -> dict[str, float]:
    """By path: the function calls that one request takes, with nothing else to do.

    The least of some batches: now and then the bridge looks at its queue, which is not the
    request's.
    """
    counts = {}
    async with run_all((COUNTED,), folder) as (bridge,):
        await carry_out((bridge,), JOURNEY, WARM_UP)
        await carry_out((bridge,), "invite", BATCHES * BATCH)
        async with connect(bridge.ledger, bridge.place.port) as alone:
            for path in paths:
                batches = [await _count_batch(bridge, alone, path) for _ in range(BATCHES)]
                counts[path] = min(batches)
    return counts


async def _count_batch(bridge: Candidate, alone: Load, path: str) -> float:
    async with watch(bridge) as seen:
        alone.start(bridge.caller.source(path, BATCH))
        await alone.dry.wait()
        await alone.stop()
    calls: int = seen["calls"]
    return calls / BATCH
