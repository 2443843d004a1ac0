"""What a world consists of: drawn from a seed, or written down, which outlives changes of draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from tests.simulation.incidents import WEIGHTS, Incident, draw_incidents
from tests.simulation.journey_plan import JourneyPlan, draw_plan


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """How large a world is."""

    journeys: int = 100
    processes: int = 3
    arrivals_s: float = 30.0
    """Within what time all journeys begin."""
    troubles: tuple[str, ...] = tuple(WEIGHTS)
    """The kinds of incidents that may happen."""
    keeps_wrong_clocks: bool = False
    """Whether a host whose clock is wrong still has a wrong one when its process starts again. A
    process that finds Redis away at its start goes by that clock until it is back, and a moment
    longer: it may then take work that is not due.
    """


@dataclass(frozen=True, slots=True)
class WorldScript:
    """All that happens in a world because somebody wants it to; what is left to chance (who answers
    first, what a vendor says) follows from *seed*.
    """

    seed: int
    options: WorldOptions
    plans: tuple[JourneyPlan, ...]
    incidents: tuple[Incident, ...]


def draw_script(seed: int, options: WorldOptions) -> WorldScript:
    """The world of this seed."""
    incidents = draw_incidents(Random(f"{seed}/incidents"), options.arrivals_s, options.troubles)
    arrivals, draws = Random(f"{seed}/arrivals"), Random(f"{seed}/plans")
    plans = [
        draw_plan(draws, number, options.arrivals_s * arrivals.random())
        for number in range(options.journeys)
    ]
    if not incidents:
        plans = [replace(one, killed_at=0) for one in plans]
    return WorldScript(seed, options, tuple(plans), tuple(incidents))
