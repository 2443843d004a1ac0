"""One run: candidates are started, measured in pairs, and checked by id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.candidates import (
    BRIDGE,
    CONTROL,
    FLOOR,
    REST_CORE,
    SAMPLED,
    SAMPLES,
    Candidate,
    Kind,
    on_core,
    run_candidate,
)
from tests.bench.measurement import Spread, carry_out, measure_together
from tests.bench.operations import PATHS
from tests.bench.profile_table import build_tables

WARM_UP = 300
"""Operations of each path before anything is measured."""
SEEDS_PER_S = 2_000
"""Callbacks that the fastest candidate may carry out in a second of a window."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and for how long."""

    paths: tuple[str, ...] = PATHS
    rounds: int = 3
    window_s: float = 2.0


def say(text: str = "") -> None:
    """A line of the report, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextlib.asynccontextmanager
async def run_all(kinds: Sequence[Kind], folder: Path) -> AsyncIterator[list[Candidate]]:
    """All of these, warm."""
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(on_core(REST_CORE))
        candidates = [
            await stack.enter_async_context(run_candidate(kind, folder)) for kind in kinds
        ]
        for path in PATHS:
            await carry_out(candidates, path, WARM_UP)
        yield candidates


async def compare(options: Options, folder: Path) -> int:
    """Measure the bridge beside FLOOR, and FLOOR beside itself; print it. The exit code says
    whether all was well.
    """
    async with run_all((FLOOR, CONTROL, BRIDGE), folder) as candidates:
        base, *others = candidates
        ratios: dict[tuple[str, str], Spread] = defaultdict(Spread)
        cpu: dict[tuple[str, str], Spread] = defaultdict(Spread)
        for _ in range(options.rounds):
            for path in options.paths:
                for one in others:
                    if path == "callback":
                        await seed((base, one), options.window_s)
                    costs = await measure_together((base, one), path, options.window_s)
                    ratios[one.name, path].values.append(costs[base.name].ms / costs[one.name].ms)
                    for name, cost in costs.items():
                        cpu[name, path].values.append(cost.ms)
        say("capacity relative to FLOOR: median (min-max); CPU in ms")
        for (name, path), spread in ratios.items():
            found = spread.as_dict()
            extremes = f"({found['min']:.3f}-{found['max']:.3f})"
            say(
                f"  {path:<10}{name:<10}{found['median']:6.3f} {extremes}"
                f"{cpu[name, path].as_dict()['median']:9.3f} ms,"
                f" floor {cpu[base.name, path].as_dict()['median']:.3f} ms"
            )
        wrong = [
            f"{one.name}: {what}"
            for one in candidates
            for what in (
                *one.ledger.find_losses(),
                *one.ledger.find_duplicates(),
                *one.ledger.find_strangers(),
            )
        ]
    for line in wrong[:20]:
        say(line)
    return int(bool(wrong))


async def profile(path: str, seconds: float, folder: Path) -> int:
    """Print where the bridge spends its time on one path."""
    async with run_all((SAMPLED,), folder) as (bridge,):
        if path == "callback":
            await seed((bridge,), seconds)
        os.kill(bridge.pid, signal.SIGUSR1)
        costs = await measure_together((bridge,), path, seconds)
        os.kill(bridge.pid, signal.SIGUSR2)
        samples = bridge.folder / SAMPLES
        while not samples.exists():  # noqa: ASYNC110 - the other process tells nobody
            await asyncio.sleep(0.05)
        for line in build_tables(samples):
            say(line)
        cost = costs[bridge.name]
        say(f"{path}: {cost.requests} requests, {cost.ms:.3f} ms of CPU each, profiler included")
    return 0


async def seed(candidates: Sequence[Candidate], seconds: float) -> None:
    """Have invitations without a callback, enough for a window of *seconds*."""
    for one in candidates:
        missing = round(SEEDS_PER_S * seconds) - len(one.ledger.open)
        if missing > 0:
            await carry_out((one,), "invite", missing)
