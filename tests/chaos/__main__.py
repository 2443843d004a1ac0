"""``python -m tests.chaos``: exit code 0 if nothing was lost, 1 otherwise."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path

import click
import uvloop
from rich.console import Console

from tests.chaos.plan import Options
from tests.chaos.report import Report, show
from tests.chaos.run import run


@click.command()
@click.option("--journeys", type=click.IntRange(1), default=2000, show_default=True)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of journeys, faults and kills."
)
@click.option(
    "--processes", type=click.IntRange(2, 8), default=2, show_default=True, help="Bridge processes."
)
@click.option(
    "--minutes", type=float, default=5.0, show_default=True, help="The run ends within this time."
)
@click.option(
    "--abreast",
    type=click.IntRange(1, 500),
    default=90,
    show_default=True,
    help="Journeys at a time.",
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
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(
                _bounded(options, lambda text: console.print(text, style="dim", soft_wrap=True))
            )
    except (TimeoutError, asyncio.CancelledError):
        console.print("[bold red]Time ran out, or it was told to end.")
        raise SystemExit(1) from None
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=2), "utf-8")
    show(report, console)
    raise SystemExit(0 if report.fine else 1)


async def _bounded(options: Options, say: Callable[[str], None]) -> Report:
    """The run, which ends what it started also when time is up or SIGTERM comes."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout(options.minutes * 60):
        return await run(options, say)


if __name__ == "__main__":
    main()
