"""One run: candidates are started, weighed, measured side by side, and checked by id."""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from tests.bench.candidates import (
    DURABILITY,
    REST_CORE,
    Candidate,
    Kind,
    Setting,
    on_core,
    run_candidate,
)
from tests.bench.generator import Operation
from tests.bench.http_messages import build_request
from tests.bench.ledger import Ledger
from tests.bench.measurement import (
    Percentiles,
    carry_out,
    connect,
    measure_latency,
    measure_together,
    work_for,
)
from tests.bench.operations import FIRST_READ, JOURNEY, PATHS
from tests.bench.processor_time import measure_rss_mb
from tests.bench.sample_calls import ORDER_AT_VENDOR
from tests.bench.simulator import run_vendors

RATES = {"invite": 60.0, "callback": 30.0, "results": 200.0, "tests": 300.0}
"""Requests a second, well below what one core can do."""
PAIRS = (("control", "floor"), ("bridge", "floor"), ("bridge", "fastapi"))
"""Who is under load at the same time as whom: more at once would cost the larger ones more, since
each finds the processor's caches filled by the others.
"""
PRIMER = 5
"""Journeys after which what a server keeps once for all is there."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and for how long."""

    paths: tuple[str, ...] = (*PATHS, JOURNEY)
    rounds: int = 5
    budget_s: float = 600.0
    """After this time no further round begins."""
    window_s: float = 2.0
    weighed: int = 600
    """Invitations by which Redis' memory is weighed."""
    alone: int = 200
    """Operations of each path, one at a time."""
    rate_s: float = 3.0
    """How long each path is loaded at a fixed rate; 0: not at all."""
    verified: int = 4000
    """The most results of each candidate that are read at the end."""
    encrypted: bool = False
    """Whether the bridge encrypts what it stores, which by default it does not."""

    durability: str = "memory"

    @property
    def setting(self) -> Setting:
        """What the candidates stand in."""
        keys = {"encryption_keys": ["B" * 43]} if self.encrypted else {}
        return Setting(daemon=keys, redis=DURABILITY[self.durability])


@dataclass
class Found:
    """All figures of a run, by candidate and path."""

    cpu_ms: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    ratios: dict[tuple[str, str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By whose capacity, compared with whose, and path: one of each round."""
    alone: dict[tuple[str, str], Percentiles] = field(default_factory=dict)
    at_rate: dict[tuple[str, str], Percentiles] = field(default_factory=dict)
    redis: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    under_load: dict[tuple[str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """How often Redis found something to read, for each request, while there were many."""
    redis_bytes: dict[str, dict[str, float]] = field(default_factory=dict)
    rss_mb: dict[str, float] = field(default_factory=dict)
    direct: Percentiles | None = None
    ledgers: dict[str, Ledger] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def run_all(
    kinds: Sequence[Kind], folder: Path, setting: Setting | None = None
) -> AsyncIterator[list[Candidate]]:
    """All of these."""
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(on_core(REST_CORE))
        yield [
            await stack.enter_async_context(run_candidate(kind, folder, setting)) for kind in kinds
        ]


async def measure(kinds: Sequence[Kind], options: Options, folder: Path) -> Found:
    """All figures; raises ``WrongAnswer`` where a candidate does not do its work."""
    found, begun = Found(), perf_counter()
    async with run_all(kinds, folder, options.setting) as candidates:
        by_name = {one.name: one for one in candidates}
        found.ledgers = {one.name: one.ledger for one in candidates}
        await _weigh(candidates, options.weighed, found)
        for one in candidates:
            await _measure_alone(one, options, found)
        found.direct = await _measure_vendor(options.alone)
        for number in range(options.rounds):
            if number and perf_counter() - begun > options.budget_s:
                break
            # Whoever begins is served first for a moment: each in turn.
            turn = -1 if number % 2 else 1
            pairs = [
                [by_name[name] for name in pair[::turn]]
                for pair in PAIRS
                if by_name.keys() >= set(pair)
            ]
            for path in options.paths:
                for pair in pairs:
                    await _measure_pair(pair, path, options, found)
        for one in candidates if options.rate_s else ():
            await _measure_at_rate(one, options, found)
        found.rss_mb = {one.name: round(measure_rss_mb(one.pid), 1) for one in candidates}
        for one in candidates:
            await _verify(one, options.verified)
    return found


async def _weigh(candidates: Sequence[Candidate], number: int, found: Found) -> None:
    """Warm up, and see what invitations cost in Redis."""
    await carry_out(candidates, JOURNEY, PRIMER)
    before = [one.redis.weigh_keys() for one in candidates]
    await carry_out(candidates, "invite", number)
    opened = [one.redis.weigh_keys() for one in candidates]
    await carry_out(candidates, "callback", number)
    await carry_out(candidates, FIRST_READ, number)
    for one, nothing, some in zip(candidates, before, opened, strict=True):
        completed = one.redis.weigh_keys()
        found.redis_bytes[one.name] = {
            "open": round((some - nothing) / number),
            "completed": round((completed - nothing) / number),
        }


async def _measure_alone(one: Candidate, options: Options, found: Found) -> None:
    """One request at a time, with nothing else to do."""
    async with connect(one.ledger, one.place.port) as alone:
        for path in PATHS:
            if path not in options.paths and path != "invite":
                continue
            before = one.redis.read()
            alone.start(one.caller.source(path, options.alone))
            await alone.dry.wait()
            await alone.stop()
            found.redis[one.name, path] = one.redis.read().since(before, options.alone)
            found.alone[one.name, path] = Percentiles.of(alone.times)


async def _measure_pair(
    pair: Sequence[Candidate], path: str, options: Options, found: Found
) -> None:
    """A window of two candidates."""
    if path == "callback" and "invite" not in options.paths:
        await work_for(pair, "invite", options.window_s)
    before = [one.redis.read() for one in pair]
    costs = await measure_together(pair, path, options.window_s)
    for one, earlier in zip(pair, before, strict=True):
        cost = costs[one.name]
        found.cpu_ms[one.name, path].append(cost.ms)
        use = one.redis.read().since(earlier, cost.requests)
        found.under_load[one.name, path].append(use["round_trips"])
    for of, to in PAIRS:
        if costs.keys() == {of, to}:
            found.ratios[of, to, path].append(costs[to].ms / costs[of].ms)


async def _measure_vendor(number: int) -> Percentiles:
    """How long a call to the simulated vendor takes by itself."""
    ledger = Ledger("direct")
    left = iter(range(number))
    async with run_vendors(ledger) as port, connect(ledger, port) as alone:
        alone.start(lambda: _create() if next(left, None) is not None else None)
        await alone.dry.wait()
        await alone.stop()
        return Percentiles.of(alone.times)


def _create() -> Operation:
    yield build_request("POST", "/connect_ats/applications", body=ORDER_AT_VENDOR)


async def _measure_at_rate(one: Candidate, options: Options, found: Found) -> None:
    for path in PATHS:
        if path not in options.paths:
            continue
        rate = RATES[path]
        if path == "callback":
            missing = round(rate * options.rate_s) - len(one.ledger.open)
            await carry_out([one], "invite", max(0, missing))
        found.at_rate[one.name, path] = await measure_latency(one, path, rate, options.rate_s)


async def _verify(one: Candidate, most: int) -> None:
    """Read the results of what was completed, or of *most* of it by lot."""
    reported = one.ledger.reported
    chosen = iter(random.sample(reported, min(most, len(reported))))

    def source() -> Operation | None:
        invitation_id = next(chosen, None)
        return None if invitation_id is None else one.caller.verify(invitation_id)

    one.load.start(source)
    await one.load.dry.wait()
    await one.load.stop()
