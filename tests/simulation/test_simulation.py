"""A few worlds on every change; ``make simulate`` plays more."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.conftest import FRESH
from tests.simulation.planted_bugs import BUGS
from tests.simulation.planting import PlantedBug

ROOT = Path(__file__).parents[2]
SCENARIOS = Path(__file__).with_name("scenarios")
LIMIT_S = 200
FIXED = 7
"""The first of the seeds that are always played."""
DIGEST = re.compile(r"seed (\d+): .* ([0-9a-f]{16}),")


def play(*arguments: str, hash_seed: str = "random") -> str:
    """What the command says, in a process of its own: it takes time away from Python."""
    if "--journeys" not in arguments:
        arguments = ("--journeys", "40", *arguments)
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(LIMIT_S + 20)
def test_no_promise_is_broken() -> None:
    """No promise is broken in worlds that are always the same, as many as fit into a minute."""
    assert re.search(r"[1-9]\d* worlds?, 0 of them", play("--seeds", "1000", "--minutes", "1"))


def test_fresh_world(record_property: Callable[[str, object], None]) -> None:
    """No promise is broken in a world that nobody has seen before; the run says its seed."""
    seed = secrets.randbelow(1 << 31)
    record_property(FRESH, seed)
    assert "1 world" in play("--seed", str(seed), "--seeds", "1")


def test_found_bugs() -> None:
    """What broke a promise once does not break it again."""
    scenarios = [
        word for path in sorted(SCENARIOS.glob("*.yaml")) for word in ("--scenario", f"{path}")
    ]
    assert "0 of them with broken promises" in play(*scenarios)


def test_what_is_saved_is_played(tmp_path: Path) -> None:
    """A world that was written down is the same world."""
    path = f"{tmp_path / 'saved.yaml'}"
    said = play("--seed", str(FIXED), "--seeds", "1", "--journeys", "15", "--save", path)
    assert DIGEST.findall(play("--scenario", path)) == DIGEST.findall(said)


def test_runs_add_up(tmp_path: Path) -> None:
    """Worlds that several processes play are summed up, and added to those of an earlier run."""
    path = tmp_path / "summary.json"
    arguments = ("--journeys", "5", "--summary", f"{path}")
    play("--seed", "1", "--seeds", "1", *arguments)
    said = play("--seed", "2", "--seeds", "2", "--workers", "2", *arguments)
    assert "3 worlds, 0 of them with broken promises; " in said
    assert json.loads(path.read_text("utf-8"))["seeds"] == [[1, 3]]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bug_can_be_planted(bug: PlantedBug, tmp_path: Path) -> None:
    """The list of planted bugs follows the code."""
    for edit in bug.edits:
        (tmp_path / edit.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "bridge" / edit.file, tmp_path / edit.file)
    bug.plant(tmp_path)


def test_replay_is_exact() -> None:
    """A world with the same seed is the same, in another process with other hashes too, and
    whatever was played before it.
    """
    alone = play("--seed", str(FIXED), "--seeds", "1", "--journeys", "15", hash_seed="1")
    second = play("--seed", str(FIXED - 1), "--seeds", "2", "--journeys", "15", hash_seed="2")
    digests = dict(DIGEST.findall(alone))
    assert dict(DIGEST.findall(second))[str(FIXED)] == digests[str(FIXED)]
