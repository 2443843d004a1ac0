"""Plays worlds one after the other, and says what came of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import click

from tests.simulation.promises import BrokenPromise
from tests.simulation.scenario import format_scenario, read_scenario
from tests.simulation.shrinking import Shrinking, describe_size
from tests.simulation.story import tell_story
from tests.simulation.summary import Summary
from tests.simulation.world import WorldLimits
from tests.simulation.world_player import WorldOutcome, play_world
from tests.simulation.world_script import WorldOptions, WorldScript, draw_script

SHOWN = 3
"""Broken promises of a world that are shown."""
READABLE = 8
"""Of a small world with more journeys no story is told by itself."""

NOTHING = BrokenPromise("quiescence", "nothing broke", 0.0)
"""What is written of a world that kept all promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What to play, and what to say of it; the options of the command."""

    seed: int
    seeds: int
    journeys: int
    processes: int
    minutes: float
    trouble: tuple[str, ...]
    scenario: tuple[Path, ...]
    until_broken: bool
    shrink: bool
    shrink_seconds: float
    save: Path | None
    story: bool
    journey: tuple[int, ...]
    log: bool
    summary: Path | None
    """Is kept up to date after every world."""

    def list_scripts(self) -> Iterator[tuple[str, WorldScript]]:
        """What is to be played, with the name of its scenario."""
        for path in self.scenario:
            for script in read_scenario(path).scripts:
                yield f"{path.stem}, ", script
        if not self.scenario:
            options = WorldOptions(self.journeys, self.processes)
            if self.trouble:
                options = WorldOptions(self.journeys, self.processes, troubles=self.trouble)
            for seed in range(self.seed, self.seed + self.seeds):
                yield "", draw_script(seed, options)


def play_all(wishes: Wishes) -> Summary:
    """Play until nothing is left, or time is over."""
    summary = Summary.read(wishes.summary) if wishes.summary is not None else Summary()
    ends_at = perf_counter() + 60 * wishes.minutes
    broken = False
    for name, script in wishes.list_scripts():
        if perf_counter() >= ends_at:
            break
        began = process_time()
        outcome = play_world(script)
        summary.add_world(outcome, process_time() - began)
        if wishes.summary is not None:
            summary.write(wishes.summary)
        _tell(wishes, name, outcome)
        small = _shrink(wishes, script, outcome) if wishes.shrink and outcome.broken else script
        if wishes.save is not None and not broken:
            first = outcome.broken[0] if outcome.broken else NOTHING
            wishes.save.write_text(format_scenario(small, first.how, first.promise), "utf-8")
        broken = broken or bool(outcome.broken)
        if broken and wishes.until_broken:
            break
    return summary


def _tell(wishes: Wishes, name: str, outcome: WorldOutcome) -> None:
    click.echo(
        f"{name}seed {outcome.seed}: {outcome.journeys} journeys, {outcome.seconds:.0f} s,"
        f" {outcome.steps} steps, {outcome.digest}, {len(outcome.broken)} broken promises"
    )
    for one in outcome.broken[:SHOWN]:
        click.echo(f"  {one}")
    if wishes.story or wishes.journey:
        concerned = {one.journey for one in outcome.broken if one.journey >= 0}
        click.echo(tell_story(outcome.tape, wishes.journey or concerned))
    if wishes.log:
        click.echo(outcome.log)


def _shrink(wishes: Wishes, script: WorldScript, outcome: WorldOutcome) -> WorldScript:
    promise = outcome.broken[0].promise
    shrinking = Shrinking(promise, wishes.shrink_seconds, click.echo)
    small = shrinking.run(script, outcome)
    click.echo(
        f"  {promise!r} is broken by {describe_size(small)}, instead of {describe_size(script)};"
        f" found in {shrinking.took_s:.0f} s by {shrinking.tries} tries"
    )
    if len(small.plans) <= READABLE:
        tape = play_world(small, WorldLimits(promise)).tape
        click.echo(tell_story(tape, {one.number for one in small.plans}))
    return small
