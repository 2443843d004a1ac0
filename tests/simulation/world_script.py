"""What a world consists of: drawn from a seed, or written down, which outlives changes of draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from tests.simulation.incidents import WEIGHTS, Incident, draw_incidents
from tests.simulation.journey_plan import JourneyPlan, draw_habits, draw_plan
from tests.simulation.partial_outages import OUTAGES, SERVERS
from tests.simulation.stage_settings import ARRIVALS_S, QUICK, SAME_AGAIN
from tests.simulation.vendor_quirks import NO_QUIRKS
from tests.simulation.webhooks import NO_WEBHOOKS, draw_webhooks

WRONG_CLOCK = 0.3
"""In how many worlds the clock of one host is wrong from the start."""
CLUSTER = 0.1
"""How many worlds have a Redis of several servers, besides those in which one of them fails."""
ENCRYPTED = 0.2
"""How many worlds seal from the start what is private."""
RUSH = 0.08
"""How many worlds have a rush."""
CROWD = 90
RUSH_AT_S = 5.0
WRONG_BY_S = (-30 * 86_400.0, -86_400.0, -3600.0, -60.0, -12.0, 12.0, 60.0, 3600.0, 86_400.0)


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """How large a world is."""

    journeys: int = 100
    processes: int = 3
    arrivals_s: float = ARRIVALS_S
    """Within what time all journeys begin."""
    troubles: tuple[str, ...] = tuple(WEIGHTS)
    """The kinds of incidents that may happen."""


@dataclass(frozen=True, slots=True)
class WorldScript:
    """All that happens in a world because somebody wants it to; what is left to chance (who answers
    first, what a vendor says) follows from *seed*.
    """

    seed: int
    options: WorldOptions
    plans: tuple[JourneyPlan, ...]
    incidents: tuple[Incident, ...]
    clocks: tuple[float, ...] = ()
    """By how many seconds the clock of each process's host is ahead, from its start."""
    servers: int = 1
    """Of Redis; more than one are a cluster."""
    encrypted: bool = False
    """What is private is sealed from the start."""


def draw_script(seed: int, options: WorldOptions) -> WorldScript:
    """The world of this seed."""
    incidents = draw_incidents(Random(f"{seed}/incidents"), options.arrivals_s, options.troubles)
    arrivals, draws = Random(f"{seed}/arrivals"), Random(f"{seed}/plans")
    plans = [
        draw_plan(draws, number, options.arrivals_s * arrivals.random())
        for number in range(options.journeys)
    ]
    webhooks = Random(f"{seed}/webhooks")
    plans = [draw_webhooks(webhooks, one) for one in plans]
    candidates = Random(f"{seed}/candidates")
    plans = [draw_habits(candidates, one) for one in plans]
    if not incidents:
        plans = [_spare_processes(one) for one in plans]
    clocks = draw_clocks(Random(f"{seed}/clocks"), options.processes)
    parted = Random(f"{seed}/servers").random() < CLUSTER
    servers = SERVERS if parted or any(one.kind in OUTAGES for one in incidents) else 1
    script = WorldScript(
        seed=seed,
        options=options,
        plans=tuple(plans),
        incidents=tuple(incidents),
        clocks=clocks,
        servers=servers,
        encrypted=Random(f"{seed}/encrypted").random() < ENCRYPTED,
    )
    rush = Random(f"{seed}/rush")
    return add_rush(script, rush) if options.troubles and rush.random() < RUSH else script


def _spare_processes(plan: JourneyPlan) -> JourneyPlan:
    """The same without what happens to the processes that take part."""
    return replace(plan, killed_at=0, quirks=replace(plan.quirks, stalls_s=0.0))


def draw_clocks(draws: Random, processes: int) -> tuple[float, ...]:
    """Sometimes one clock is wrong by minutes, hours or days."""
    clocks = [0.0] * processes
    if draws.random() < WRONG_CLOCK:
        clocks[draws.randrange(processes)] = draws.choice(WRONG_BY_S)
    return tuple(clocks)


def add_rush(script: WorldScript, draws: Random) -> WorldScript:
    """The same with a crowd of one customer's candidates who are done at the same time, while a
    vendor is slow with that customer; the others, at the same process, must not notice.
    """
    crowded, other = draws.sample(QUICK, 2)
    plans = [_spare_processes(one) for one in script.plans]
    plans = [
        replace(one, customer=other, early=one.early and other == SAME_AGAIN)
        if one.customer == crowded
        else one
        for one in plans
    ]
    usual = replace(
        plans[0], customer=crowded, deletion="never", parallel=1, repeats=False, ending="callback"
    )
    usual = replace(usual, reports=1, early=False, wordless=False, quirks=NO_QUIRKS, crowded=True)
    usual = replace(usual, webhooks=NO_WEBHOOKS)
    first = max(one.number for one in plans) + 1
    plans += [
        replace(
            usual,
            number=number,
            begins_at=RUSH_AT_S + draws.uniform(0.0, 0.3),
            thinks_s=RUSH_AT_S + draws.uniform(0.0, 0.3),
        )
        for number in range(first, first + CROWD)
    ]
    slow = Incident("a customer's account is slow", 0.5, 60.0, crowded)
    options = replace(script.options, processes=1)
    return WorldScript(script.seed, options, tuple(plans), (slow,))
