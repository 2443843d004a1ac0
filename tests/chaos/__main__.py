"""``python -m tests.chaos``: exit code 0 if nothing was lost, 1 otherwise."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Callable
from pathlib import Path

import click
import structlog
import uvloop
from rich.console import Console

from tests.chaos.plan import Options
from tests.chaos.report import Report, show
from tests.chaos.run import run
from tests.chaos.scenarios import SCENARIOS, STANDARD

ALL = "all"


@click.command()
@click.option(
    "--scenario",
    "named",
    type=click.Choice([*SCENARIOS, ALL]),
    default=STANDARD,
    show_default=True,
    help=f"What fails; {ALL}: each of them, one after the other.",
)
@click.option(
    "--journeys",
    type=click.IntRange(1),
    default=None,
    help="Default: as many as the scenario needs, 2000 of the standard one.",
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of journeys, faults and kills."
)
@click.option(
    "--processes", type=click.IntRange(2, 8), default=2, show_default=True, help="Bridge processes."
)
@click.option(
    "--minutes", type=float, default=10.0, show_default=True, help="A run ends within this time."
)
@click.option(
    "--abreast",
    type=click.IntRange(1, 500),
    default=None,
    help="Journeys at a time; default: by the scenario, 90 of the standard one.",
)
@click.option(
    "--kills", type=click.IntRange(0), default=None, help="Bridge kills; default: by the journeys."
)
@click.option(
    "--redis-kills",
    type=click.IntRange(0),
    default=None,
    help="Redis kills; default: by the journeys.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report there.",
)
def main(
    named: str,
    journeys: int | None,
    seed: int,
    processes: int,
    minutes: float,
    abreast: int | None,
    kills: int | None,
    redis_kills: int | None,
    json_file: Path | None,
) -> None:
    """Prove that nothing is lost: many journeys while processes, Redis and both vendors fail."""
    console = Console()
    # What the store says here, of records that are meant to be damaged, is in the bridges' logs.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    reports = []
    for name in SCENARIOS if named == ALL else (named,):
        scenario = SCENARIOS[name]
        options = Options(
            journeys=journeys or scenario.journeys,
            seed=seed,
            processes=processes,
            minutes=minutes,
            abreast=abreast or scenario.abreast,
            bridge_kills=kills,
            redis_kills=redis_kills,
            scenario=name,
        )
        console.print(f"[bold]{name}[/]: {scenario.promise}", soft_wrap=True)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                report = runner.run(
                    _bounded(options, lambda text: console.print(text, style="dim", soft_wrap=True))
                )
        except (TimeoutError, asyncio.CancelledError):
            console.print("[bold red]Time ran out, or it was told to end.")
            raise SystemExit(1) from None
        show(report, console)
        reports.append(report)
    if json_file is not None:
        told = [report.as_json() for report in reports]
        json_file.write_text(json.dumps(told if named == ALL else told[0], indent=2), "utf-8")
    if named == ALL:
        for report in reports:
            word = "[green]kept" if report.fine else "[red]broken"
            console.print(f"{report.scenario:14} {report.wall_s:4.0f} s  {word}")
    raise SystemExit(0 if all(report.fine for report in reports) else 1)


async def _bounded(options: Options, say: Callable[[str], None]) -> Report:
    """The run, which ends what it started also when time is up or SIGTERM comes."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout(options.minutes * 60):
        return await run(options, say)


if __name__ == "__main__":
    main()
