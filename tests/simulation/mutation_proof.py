"""``python -m tests.simulation.mutation_proof``: plants each bug and plays until a promise breaks.

Writes the table ``tests/simulation/planted_bugs.md``; exit code 1 if a bug was not found.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from tests.simulation.planted_bugs import BUGS
from tests.simulation.planting import PlantedBug

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("planted_bugs.md")
_BROKEN = re.compile(r"^  (?P<promise>[a-z ]+?)(?: \(journey -?\d+\))? at [\d.]+ s: ", re.MULTILINE)
_PLAYED = re.compile(r"(\d+) worlds?, (\d+) of them with broken promises; (\d+) journeys")


NO_BUG = PlantedBug("(none)", ())


@dataclass(frozen=True, slots=True)
class Finding:
    """By which promises a bug was found, and after how many journeys."""

    bug: str
    promises: tuple[str, ...]
    journeys: int
    troubles: tuple[str, ...] = ()
    """With what alone, where worlds of all troubles had not found it."""

    def __str__(self) -> str:
        found = ", ".join(self.promises) or "**not found**"
        alone = f" of {' and '.join(self.troubles)} alone" if self.troubles else ""
        return f"| {self.bug} | {found} | {self.journeys}{alone} |"


def find_bug(bug: PlantedBug, worlds: int, journeys: int) -> Finding:
    """Play worlds of all troubles, then of those that it takes."""
    mixed = try_bug(bug, worlds, journeys)
    if mixed.promises or not bug.troubles:
        return mixed
    return try_bug(bug, 2 * worlds, journeys, bug.troubles)


def try_bug(bug: PlantedBug, worlds: int, journeys: int, troubles: tuple[str, ...] = ()) -> Finding:
    """Plant it in a copy, and play; nothing is planted by ``NO_BUG``."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "bridge", copy / "bridge", symlinks=False)
        (copy / "tests").symlink_to(ROOT / "tests")
        bug.plant(copy / "bridge")
        command = ["-m", "tests.simulation", "--seed", "1", "--seeds", str(worlds)]
        done = subprocess.run(
            [
                *(sys.executable, *command, "--journeys", str(journeys), "--until-broken"),
                *(word for kind in troubles for word in ("--trouble", kind)),
            ],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
    played = _PLAYED.search(done.stdout)
    if played is None:
        return Finding(bug.name, ("it does not start",), 0)
    promises = dict.fromkeys(found["promise"] for found in _BROKEN.finditer(done.stdout))
    return Finding(bug.name, tuple(promises), int(played[3]), troubles)


def build_table(sound: Finding, findings: Sequence[Finding], journeys: int) -> str:
    """What was found, for people."""
    found = sorted(one.journeys for one in findings if one.promises)
    half = found[len(found) // 2] if found else 0
    alone = sum(bool(one.troubles) for one in findings)
    alarms = ", ".join(sound.promises) or "no promise broke"
    lines = [
        "# Planted bugs",
        "",
        "Written by `python -m tests.simulation.mutation_proof`: each bug of `planted_bugs.py`",
        f"planted in a copy of the bridge, and worlds of {journeys} journeys played from seed 1"
        " until a promise broke.",
        "One world of twelve has a rush, with 90 more journeys: the first has.",
        "",
        f"{len(found)} of {len(findings)} are found, half of them within {half} journeys;"
        f" {alone} only by worlds that have",
        "nothing but the trouble which it takes.",
        f"With nothing planted, in {sound.journeys:,} journeys of the same seeds, {alarms}.",
        "",
        "| bug | found by | journeys |",
        "|---|---|---|",
        *map(str, findings),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--only", multiple=True, help="Bugs with this in their name.")
@click.option("--worlds", type=click.IntRange(1), default=120, show_default=True, help="At most.")
@click.option("--journeys", type=click.IntRange(1), default=40, show_default=True, help="A world.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="At once.")
def main(only: Sequence[str], worlds: int, journeys: int, workers: int) -> None:
    """Plant each bug and play until it is found."""

    def play(bug: PlantedBug) -> Finding:
        finding = find_bug(bug, worlds, journeys)
        click.echo(str(finding))
        return finding

    chosen = [bug for bug in BUGS if not only or any(words in bug.name for words in only)]
    with ThreadPoolExecutor(workers) as pool:
        sound, *findings = pool.map(play, (NO_BUG, *chosen))
    if not only:
        TABLE.write_text(build_table(sound, findings, journeys), "utf-8")
    raise SystemExit(bool(sound.promises) or any(not one.promises for one in findings))


if __name__ == "__main__":
    main()
