"""A small chaos run on every change; ``make chaos`` is the large one."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.chaos.faults import KILL, REDIS_KILL
from tests.chaos.stage import ROOT

JOURNEYS = 60
SEED = 11
LIMIT_S = 100


@pytest.mark.redis
async def test_nothing_is_lost(tmp_path: Path) -> None:
    """Sixty journeys arrive although a bridge and Redis are killed and both vendors fail: nothing
    is lost, nothing doubled.
    """
    json_file = tmp_path / "chaos.json"
    command = [
        "-m",
        "tests.chaos",
        "--journeys",
        str(JOURNEYS),
        "--seed",
        str(SEED),
        "--minutes",
        "2.5",
    ]
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *("--kills", "1", "--redis-kills", "1", "--abreast", "30", "--json", str(json_file)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            shown, _ = await run.communicate()
    except TimeoutError:
        run.terminate()
        await run.wait()
        raise
    assert run.returncode == 0, shown.decode()
    report = json.loads(json_file.read_text("utf-8"))
    assert (report["fine"], report["journeys"]) == (True, JOURNEYS)
    assert report["faults"][KILL] == report["faults"][REDIS_KILL] == 1
    assert sum(report["faults"].values()) > 10
