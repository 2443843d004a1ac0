"""``python -m tests.simulation``: exit code 0 if no world broke a promise, 1 otherwise."""

from __future__ import annotations

import sys
from collections import Counter
from time import perf_counter, process_time

import click

from tests.simulation import closed_world  # noqa: F401 - before anything of the bridge
from tests.simulation.coverage import Cell, add_coverage, describe_coverage
from tests.simulation.incidents import WEIGHTS
from tests.simulation.shrinking import Shrinking, describe_size
from tests.simulation.story import tell_story
from tests.simulation.world import WorldLimits, WorldOutcome, play_world
from tests.simulation.world_script import WorldOptions, WorldScript, draw_script

SHOWN = 3
"""Broken promises of a world that are shown."""


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first world.")
@click.option("--seeds", type=click.IntRange(1), default=10, show_default=True, help="Worlds.")
@click.option("--journeys", type=click.IntRange(1), default=100, show_default=True, help="A world.")
@click.option("--processes", type=click.IntRange(1, 8), default=3, show_default=True)
@click.option("--minutes", type=float, default=10.0, show_default=True, help="No world after that.")
@click.option("--trouble", type=click.Choice(list(WEIGHTS)), multiple=True, help="Only this kind.")
@click.option("--until-broken", is_flag=True, help="End with the first world that breaks one.")
@click.option(
    "--shrink", is_flag=True, help="Tell the story of a small world that still breaks it."
)
@click.option("--shrink-seconds", type=float, default=60.0, show_default=True, help="At most.")
@click.option("--coverage", is_flag=True, help="Tell which changes met which trouble, and holes.")
@click.option(
    "--story", is_flag=True, help="Tell what happened: in what broke a promise, or in all of it."
)
@click.option("--journey", type=int, multiple=True, help="Tell the story of this one.")
@click.option("--log", is_flag=True, help="Show the bridge's own log.")
def main(
    seed: int,
    seeds: int,
    journeys: int,
    processes: int,
    minutes: float,
    trouble: tuple[str, ...],
    until_broken: bool,
    shrink: bool,
    shrink_seconds: float,
    coverage: bool,
    story: bool,
    journey: tuple[int, ...],
    log: bool,
) -> None:
    """Play worlds, each with the next seed."""
    began, busy = perf_counter(), process_time()
    # What killed processes had begun ends when it is collected, with complaints that mean nothing.
    sys.unraisablehook = lambda _: None
    options = WorldOptions(journeys, processes, troubles=trouble or tuple(WEIGHTS))
    seen: Counter[Cell] = Counter()
    worlds = played = broken = 0
    for number in range(seed, seed + seeds):
        if perf_counter() - began > 60 * minutes:
            break
        script = draw_script(number, options)
        outcome = play_world(script)
        worlds += 1
        played += outcome.journeys
        broken += bool(outcome.broken)
        click.echo(
            f"seed {number}: {outcome.journeys} journeys, {outcome.seconds:.0f} s, {outcome.steps}"
            f" steps, {outcome.digest}, {len(outcome.broken)} broken promises"
        )
        for one in outcome.broken[:SHOWN]:
            click.echo(f"  {one}")
        if story or journey:
            click.echo(tell_story(outcome.tape, journey or _list_concerned(outcome)))
        if log:
            click.echo(outcome.log)
        add_coverage(seen, outcome.steps_seen)
        if outcome.broken and shrink:
            _tell_small_world(script, outcome, shrink_seconds)
        if until_broken and broken:
            break
    busy = process_time() - busy
    click.echo(
        f"{worlds} world{'s' * (worlds > 1)}, {broken} of them with broken promises; {played}"
        f" journeys in {busy:.1f} s of one core: {played / busy:.0f} a second"
    )
    if coverage:
        click.echo(describe_coverage(seen))
    raise SystemExit(1 if broken else 0)


def _tell_small_world(script: WorldScript, outcome: WorldOutcome, budget_s: float) -> None:
    promise = outcome.broken[0].promise
    shrinking = Shrinking(promise, budget_s, click.echo)
    small = shrinking.run(script, outcome)
    click.echo(
        f"  {promise!r} is broken by {describe_size(small)}, instead of {describe_size(script)};"
        f" found in {shrinking.took_s:.0f} s by {shrinking.tries} tries:"
    )
    click.echo(tell_story(play_world(small, WorldLimits(promise)).tape, _list_numbers(small)))


def _list_concerned(outcome: WorldOutcome) -> set[int]:
    return {one.journey for one in outcome.broken if one.journey >= 0}


def _list_numbers(script: WorldScript) -> set[int]:
    return {one.number for one in script.plans}


if __name__ == "__main__":
    main()
