"""Small chaos runs on every change; ``make chaos`` is the large one."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.faults import BACKUP_RESTORED
from tests.chaos.plan import Options
from tests.chaos.scenarios import STANDARD, list_strikes
from tests.chaos.stage import ROOT

JOURNEYS = 60
LIMIT_S = 400


async def play(folder: Path, *arguments: str) -> dict[str, Any]:
    """The report of a run that broke no promise."""
    json_file = folder / "chaos.json"
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.chaos", "--minutes", "6", "--json", str(json_file), *arguments),
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
    report: dict[str, Any] = json.loads(json_file.read_text("utf-8"))
    assert report["fine"]
    return report


@pytest.mark.redis
async def test_nothing_is_lost(tmp_path: Path) -> None:
    """Sixty journeys arrive although whatever a run can have fail fails once: nothing is lost,
    nothing doubled.
    """
    kills = ("--kills", "1", "--redis-kills", "1")
    report = await play(
        tmp_path, "--journeys", str(JOURNEYS), "--abreast", "30", "--seed", "11", *kills
    )
    assert report["journeys"] == JOURNEYS
    strikes = list_strikes(Options(JOURNEYS, bridge_kills=1, redis_kills=1, scenario=STANDARD))
    assert {kind: report["faults"].get(kind) for kind in strikes} == dict.fromkeys(strikes, 1)
    assert sum(report["faults"].values()) > len(strikes) + 10


@pytest.mark.redis
async def test_an_older_backup(tmp_path: Path) -> None:
    """After an older backup of Redis was restored, what is older than it is complete, and nothing
    else is unknown.
    """
    report = await play(
        tmp_path, "--scenario", "backup", "--journeys", "40", "--abreast", "15", "--seed", "3"
    )
    assert report["faults"][BACKUP_RESTORED] == 1
    assert report["findings"]["forgotten"]
