"""A few worlds on every change; ``make simulate`` plays more."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.planted_bugs import BUGS, PlantedBug

ROOT = Path(__file__).parents[2]
LIMIT_S = 100
FIXED = 7
"""The first of the seeds that are always played."""
DIGEST = re.compile(r"seed (\d+): .* ([0-9a-f]{16}),")


def play(*arguments: str, hash_seed: str = "random") -> str:
    """What the command says, in a process of its own: it takes time away from Python."""
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


def test_no_promise_is_broken() -> None:
    """No promise is broken in two worlds that are always the same."""
    assert "2 worlds" in play("--seed", str(FIXED), "--seeds", "2", "--journeys", "40")


def test_fresh_world() -> None:
    """No promise is broken in a world that nobody has seen before; a failure says its seed."""
    seed = secrets.randbelow(1 << 31)
    print(f"the fresh world has seed {seed}")  # noqa: T201 - shown with a failure
    assert "1 world" in play("--seed", str(seed), "--seeds", "1", "--journeys", "40")


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
