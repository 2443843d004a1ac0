"""Whether a process grows while it works."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import perf_counter

from tests.bench.candidates import BRIDGE, Setting, run_candidate
from tests.bench.measurement import carry_out, work_for
from tests.bench.operations import JOURNEY
from tests.bench.processor_time import measure_rss_mb

WARM_UP = 2_000
PERIODS = 20


def compute_slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the line through them, by least squares."""
    count = len(points)
    x_mean = sum(x for x, _ in points) / count
    y_mean = sum(y for _, y in points) / count
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread


async def measure_endurance(minutes: float, folder: Path) -> AsyncIterator[str]:
    """The memory of the bridge while it carries out journeys, after it has warmed up."""
    async with run_candidate(BRIDGE, folder, Setting(connections=8)) as one:
        await carry_out((one,), JOURNEY, WARM_UP)
        points = []
        begun = perf_counter()
        for _ in range(PERIODS):
            await work_for((one,), JOURNEY, minutes * 60 / PERIODS)
            points.append(((perf_counter() - begun) / 60, measure_rss_mb(one.pid)))
            yield f"  {points[-1][0]:5.1f} min  {points[-1][1]:6.1f} MB  {one.load.done:,} journeys"
    yield f"  {compute_slope(points):+.2f} MB a minute"
