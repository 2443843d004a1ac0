"""What a second process adds: two workers beside one, on the same core and at the same time.

That counts CPU alone: Redis and the callers have the other core, as in the rest of the bench.
Where a request costs c1 with one worker and c2 with two, two busy ones do 2 c1 / c2 times as much.
Each of them has as many callers as the one. How the connections fell to the two is said as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from statistics import median

from tests.bench.candidates import Setting, create_bridge_kind, run_candidate
from tests.bench.measurement import carry_out, measure_throughput, measure_together
from tests.bench.operations import JOURNEY, PATHS
from tests.bench.processor_time import list_processes, measure_cpu_s

WARM_UP = 200
ROUNDS = 3


def compute_share(
    before: dict[int, float], after: dict[int, float], workers: Sequence[int]
) -> float:
    """The share of the busiest of *workers* in what all of them did."""
    used = [after[pid] - before[pid] for pid in workers]
    return max(used) / sum(used)


async def compare_workers(seconds: float, folder: Path) -> AsyncIterator[str]:
    """By path: the capacity of two workers, where one has 1."""
    kinds = [create_bridge_kind("one"), create_bridge_kind("two", workers=2)]
    async with (
        run_candidate(kinds[0], folder) as one,
        run_candidate(kinds[1], folder, Setting(connections=64)) as two,
    ):
        await carry_out((one, two), JOURNEY, WARM_UP)
        workers = [pid for pid in list_processes(two.pid) if pid != two.pid]
        capacities: dict[str, list[float]] = {path: [] for path in PATHS}
        shares = []
        for _ in range(ROUNDS):
            for path in PATHS:
                before = {pid: measure_cpu_s(pid) for pid in workers}
                costs = await measure_together((one, two), path, seconds)
                after = {pid: measure_cpu_s(pid) for pid in workers}
                shares.append(compute_share(before, after, workers))
                capacities[path].append(2 * costs["one"].ms / costs["two"].ms)
        yield f"  the busier of two did {median(shares):.0%} of the work"
        for path, values in capacities.items():
            yield (
                f"  {path:<10}{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
                " times as much as one worker"
            )
    yield "  all cores, shared with Redis and the callers:"
    for workers_wanted in (1, 2):
        kind = create_bridge_kind(f"free-{workers_wanted}", workers=workers_wanted)
        async with run_candidate(kind, folder, core=None) as one:
            await carry_out((one,), JOURNEY, WARM_UP)
            for path in PATHS:
                found = await measure_throughput(one, path, seconds)
                yield f"  {workers_wanted} x {path:<10}{found}"
