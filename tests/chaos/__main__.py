"""``python -m tests.chaos``: exit code 0 if nothing was lost, 1 otherwise."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
import uvloop
from rich.console import Console

from tests.chaos.plan import Options
from tests.chaos.report import show
from tests.chaos.run import run


@click.command()
@click.option("--journeys", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of journeys, faults and kills.")
@click.option("--processes", type=click.IntRange(2, 8), default=2, show_default=True, help="Bridge processes.")
@click.option("--minutes", type=float, default=5.0, show_default=True, help="The run ends within this time.")
@click.option("--abreast", type=click.IntRange(1, 500), default=90, show_default=True, help="Journeys at a time.")
@click.option("--kills", type=click.IntRange(0), default=None, help="Bridge kills; default: by the journeys.")
@click.option("--redis-kills", type=click.IntRange(0), default=None, help="Redis kills; default: by the journeys.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the report there.")
def main(
    journeys: int,
    seed: int,
    processes: int,
    minutes: float,
    abreast: int,
    kills: int | None,
    redis_kills: int | None,
    json_file: Path | None,
) -> None:
    """Prove that nothing is lost: many journeys while processes, Redis and both vendors fail."""
    console = Console()
    options = Options(journeys, seed, processes, minutes, abreast, kills, redis_kills)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run(options, lambda text: console.print(text, style="dim", soft_wrap=True)))
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=2), "utf-8")
    show(report, console)
    raise SystemExit(0 if report.fine else 1)


if __name__ == "__main__":
    main()
