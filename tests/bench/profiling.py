"""The bridge alone under load, and where its time goes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.bench.candidates import SAMPLED, SAMPLES
from tests.bench.measurement import carry_out, measure_together, work_for
from tests.bench.operations import JOURNEY
from tests.bench.profile_table import build_tables
from tests.bench.suite import run_all

WARM_UP = 200


async def profile(path: str, seconds: float, folder: Path) -> Iterator[str]:
    """The lines to print."""
    async with run_all((SAMPLED,), folder) as (bridge,):
        await carry_out((bridge,), JOURNEY, WARM_UP)
        if path == "callback":
            await work_for((bridge,), "invite", seconds)
        os.kill(bridge.pid, signal.SIGUSR1)
        cost = (await measure_together((bridge,), path, seconds))[bridge.name]
        os.kill(bridge.pid, signal.SIGUSR2)
        samples = bridge.place.folder / SAMPLES
        while not samples.exists():  # noqa: ASYNC110 - the other process tells nobody
            await asyncio.sleep(0.05)
    title = f"{path}: {cost.requests} requests, {cost.ms:.3f} ms of CPU each, profiler included"
    return iter([title, *build_tables(samples)])
