"""FLOOR, with which the bridge is compared, does the same work; and nothing outlives a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.candidates import FLOOR, Setting, run_candidate
from tests.bench.measurement import carry_out, measure_together
from tests.bench.operations import FIRST_READ, JOURNEY, PATHS
from tests.bench.processor_time import list_processes, measure_cpu_s, measure_rss_mb


@pytest.mark.redis
async def test_floor_does_the_same_work(tmp_path: Path) -> None:
    """Every path is answered, by id nothing is lost or doubled, each has its cost, and the server
    ends with the run.
    """
    async with run_candidate(FLOOR, tmp_path, Setting(connections=4)) as floor:
        for path in (JOURNEY, "invite", "callback", FIRST_READ, "results", "tests"):
            await carry_out((floor,), path, 20)
        costs = await measure_together((floor,), PATHS[0], 0.1)
        assert costs["floor"].requests > 0
        assert costs["floor"].ms > 0
        use = floor.redis.read()
        assert use.commands > use.reads > 0
        assert floor.redis.weigh_keys() > 0
    ledger = floor.ledger
    assert (len(ledger.reported), len(ledger.read)) == (40, 40)
    assert (ledger.find_losses(), ledger.find_duplicates(), ledger.find_strangers()) == ([], [], [])
    with pytest.raises(ProcessLookupError):
        os.kill(floor.pid, 0)


def test_children_are_counted_too() -> None:
    """The CPU and the memory of a process are those of its children as well."""
    child = "import sys; sum(range(10**6)); print(end='.', flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"."
        _, one = list_processes(process.pid)
        assert 0 < measure_rss_mb(one) < measure_rss_mb(process.pid)
        assert 0 < measure_cpu_s(one) < measure_cpu_s(process.pid)
