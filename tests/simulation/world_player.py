"""Plays one world, apart from everything that is outside of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import structlog

from bridge import logs
from tests.simulation.closed_world import WorldTime, close_world
from tests.simulation.event_loop import WorldStuck
from tests.simulation.promises import BrokenPromise
from tests.simulation.tape import Tape
from tests.simulation.world import NO_LIMITS, Simulation, WorldLimits
from tests.simulation.world_script import WorldOptions, WorldScript, draw_script


@dataclass(frozen=True, slots=True)
class WorldOutcome:
    """What came of a world."""

    seed: int
    digest: str
    journeys: int
    steps: int
    seconds: float
    """Of virtual time."""
    troubles: Mapping[str, int]
    """How often each kind happened."""
    met: Mapping[str, int]
    """What met what: the cells of the coverage."""
    broken: tuple[BrokenPromise, ...]
    tape: Tape
    log: str


@contextlib.contextmanager
def _logged() -> Iterator[io.StringIO]:
    """The log of all processes."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logs.configure_logging("info", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """A world is short: what it leaves behind is collected when it is over."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        gc.enable()


@cache
def _warm_up() -> None:
    """What a Python process does once only (importing, reading files) also draws randomness: it is
    done before the first world, which is then like all others.
    """
    script = draw_script(0, WorldOptions(journeys=3, processes=1, arrivals_s=10.0))
    plans = tuple(replace(one, ending="callback", thinks_s=1.0) for one in script.plans)
    _play_closed(replace(script, plans=plans))


def play_world(script: WorldScript, limits: WorldLimits = NO_LIMITS) -> WorldOutcome:
    """Play one world."""
    _warm_up()
    return _play_closed(script, limits)


def _play_closed(script: WorldScript, limits: WorldLimits = NO_LIMITS) -> WorldOutcome:
    with close_world(f"{script.seed}") as world_time, _logged() as log, _uncollected():
        # Nothing here refers to the simulation: it is collected before the next one.
        return _play(Simulation(script, limits, world_time, log), world_time, log)


def _play(simulation: Simulation, world_time: WorldTime, log: io.StringIO) -> WorldOutcome:
    loop = simulation.loop
    try:
        playing = loop.create_task(simulation.play())
        playing.add_done_callback(lambda _: loop.stop())
        simulation.watch_limits()
        with simulation.coverage.watch_rules():
            loop.run_forever()
        if playing.done():
            playing.result()
    except WorldStuck:
        simulation.broken.note("quiescence", "everybody waits for ever", world_time.seconds)
    finally:
        steps = loop.steps
        loop.set_exception_handler(lambda *_: None)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        with contextlib.suppress(Exception):
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    simulation.note_calls()
    # Not the log itself: the order of keys in its lines depends on addresses in memory.
    text = log.getvalue()
    simulation.tape.mix(f"{steps} {len(text)} {text.count(chr(10))}".encode())
    simulation.tape.mix(simulation.redis.dump())
    return WorldOutcome(
        simulation.script.seed,
        simulation.tape.digest,
        len(simulation.journeys),
        steps,
        world_time.seconds,
        simulation.trouble.counts,
        simulation.coverage.met,
        tuple(simulation.broken.found),
        simulation.tape,
        text,
    )
