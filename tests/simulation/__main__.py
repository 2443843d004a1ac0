"""``python -m tests.simulation``: exit code 0 if no world broke a promise, 1 otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import click
import structlog

from tests.simulation import closed_world  # noqa: F401 - before anything of the bridge
from tests.simulation.coverage import describe_coverage
from tests.simulation.incidents import WEIGHTS
from tests.simulation.playing import Wishes, play_all
from tests.simulation.stage_settings import PACE
from tests.simulation.summary import Summary
from tests.simulation.worker_processes import WorkerProcesses

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first world.")
@click.option("--seeds", type=click.IntRange(1), default=10, show_default=True, help="Worlds.")
@click.option("--journeys", type=click.IntRange(1), default=100, show_default=True, help="A world.")
@click.option("--processes", type=click.IntRange(1, 8), default=3, show_default=True)
@click.option(
    "--pace",
    type=click.Choice(["seconds", "days"]),
    default=PACE,
    show_default=True,
    help="Time as short as it can be, or as in earnest: links live for a week.",
)
@click.option("--minutes", type=float, default=10.0, show_default=True, help="No world after that.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="At once.")
@click.option("--trouble", type=click.Choice(list(WEIGHTS)), multiple=True, help="Only this kind.")
@click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Play this file instead of what seeds draw.",
)
@click.option("--until-broken", is_flag=True, help="End with the first world that breaks one.")
@click.option("--shrink", is_flag=True, help="Tell of a small world that still breaks it.")
@click.option("--shrink-seconds", type=float, default=60.0, show_default=True, help="At most.")
@click.option("--save", type=FILE, help="Write the first that breaks one (else the last) here.")
@click.option(
    "--story", is_flag=True, help="Tell what happened: in what broke a promise, or in all of it."
)
@click.option("--journey", type=int, multiple=True, help="Tell the story of this one.")
@click.option("--log", is_flag=True, help="Show the bridge's own log.")
@click.option("--summary", type=FILE, help="Add what this run came to, to this file.")
@click.option("--coverage", is_flag=True, help="Tell what met what, and the holes.")
@click.option("--coverage-file", type=FILE, help="Write that here.")
def main(
    workers: int, pace: str, coverage: bool, coverage_file: Path | None, **chosen: Any
) -> None:
    """Play worlds, each with the next seed."""
    # What killed processes had begun ends when it is collected, with complaints that mean nothing.
    sys.unraisablehook = lambda _: None
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    if pace != PACE:  # it is settled when modules are imported
        again = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        environment = {**os.environ, "SIMULATION_PACE": pace}
        raise SystemExit(subprocess.run(again, env=environment, check=False).returncode)
    wishes = Wishes(**chosen)
    summary = _share(workers, wishes) if workers > 1 else play_all(wishes)
    click.echo(summary.describe())
    if coverage:
        click.echo(describe_coverage(summary))
    if coverage_file is not None:
        coverage_file.write_text(describe_coverage(summary), "utf-8")
    # What killed processes had begun ends when Python does: what it says of it means nothing.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    warnings.simplefilter("ignore")
    raise SystemExit(1 if summary.broken or summary.crashed else 0)


def _share(workers: int, wishes: Wishes) -> Summary:
    if wishes.scenario or wishes.story or wishes.journey or wishes.log or wishes.save:
        raise click.UsageError("--workers plays seeds, and tells no stories")
    options = ["--journeys", f"{wishes.journeys}", "--processes", f"{wishes.processes}"]
    options += [word for kind in wishes.trouble for word in ("--trouble", kind)]
    before = Summary() if wishes.summary is None else Summary.read(wishes.summary)
    shared = WorkerProcesses(
        *(workers, wishes.seed, wishes.seeds, wishes.minutes, options, before, wishes.summary)
    )
    return shared.run()


if __name__ == "__main__":
    main()
