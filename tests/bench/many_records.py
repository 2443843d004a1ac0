"""What it costs to have much stored, and much to do at the start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from bridge.core import ids
from bridge.core.invitation import Transition
from bridge.core.queueing import ScheduleTask, TaskKind
from bridge.store.connect import open_client
from tests.bench.candidates import BRIDGE, Candidate, Setting, create_bridge_kind, run_candidate
from tests.bench.growth import Bench, is_open
from tests.bench.measurement import (
    carry_out,
    connect,
    measure_latency,
    measure_throughput,
    measure_together,
)
from tests.bench.operations import JOURNEY, PATHS
from tests.bench.suite import RATES
from tests.redis_servers import RedisServer

WARM_UP = 200
ROUNDS = 5
FEW = 1_000
CUSTOMER = "acme"


def fill(number: int, due_in: timedelta) -> Callable[[RedisServer], Awaitable[None]]:
    """Store that many open invitations of the one customer, each with a CHECK that is due in a
    while.
    """
    now = datetime.now(UTC)

    def make(one: int) -> Transition:
        template = is_open(one).invitation
        invitation = replace(
            template,
            customer=CUSTOMER,
            order_key=ids.compute_order_key(CUSTOMER, str(one), "engineer"),
            live_attempt=1,
            created_at=now,
            updated_at=now,
            deadline=now + timedelta(days=7),
            issued=True,
        )
        at = now + due_in + timedelta(milliseconds=one / 100)
        return replace(
            is_open(one), invitation=invitation, tasks=(ScheduleTask(TaskKind.CHECK, at),)
        )

    async def prepare(server: RedisServer) -> None:
        async with open_client(server.url, deadline_s=30) as commands:
            await Bench(commands, server).fill(make, 0, number)

    return prepare


async def compare_stored(many: int, seconds: float, folder: Path) -> AsyncIterator[str]:
    """Cost and latency with *many* invitations stored, where those with a thousand are 1."""
    later = timedelta(days=3)
    begun = perf_counter()
    async with (
        run_candidate(create_bridge_kind("few"), folder, Setting(prepare=fill(FEW, later))) as few,
        run_candidate(
            create_bridge_kind("many"), folder, Setting(prepare=fill(many, later))
        ) as lot,
    ):
        yield f"  {many:,} stored within {perf_counter() - begun:.0f} s"
        await carry_out((few, lot), JOURNEY, WARM_UP)
        for path in (*PATHS, JOURNEY):
            costs, times = [], []
            for number in range(ROUNDS):
                order = (few, lot) if number % 2 else (lot, few)
                both = await measure_together(order, path, seconds)
                costs.append(both["many"].ms / both["few"].ms)
                if path in ("invite", "results", "tests"):
                    found = [
                        await measure_latency(one, path, RATES[path], 1.0) for one in (lot, few)
                    ]
                    times.append(found[0].p50 / found[1].p50)
            shown = (
                f", p50 {median(times):.2f} ({min(times):.2f}-{max(times):.2f})" if times else ""
            )
            yield f"  {path:<10}CPU {median(costs):.2f} ({min(costs):.2f}-{max(costs):.2f}){shown}"


async def measure_backlog(many: int, seconds: float, folder: Path) -> AsyncIterator[str]:
    """A start with *many* tasks due: how fast they are done, alone and beside invites, and how fast
    invites are, beside them and without them.
    """
    setting = Setting(prepare=fill(many, timedelta(days=-1)))
    async with (
        run_candidate(BRIDGE, folder, setting) as one,
        connect(one.ledger, one.place.port, 32) as callers,
    ):
        done, _ = await asyncio.gather(_count_looks(one, seconds), asyncio.sleep(0))
        yield f"  checks, at the start             {done:7.0f}/s of {many:,}"
        done, invites = await asyncio.gather(
            _count_looks(one, seconds), measure_throughput(one, "invite", seconds, callers)
        )
        yield f"  checks, beside invites           {done:7.0f}/s"
        yield f"  invites, beside checks           {invites}"
    async with run_candidate(create_bridge_kind("idle"), folder) as one:
        await carry_out((one,), JOURNEY, WARM_UP)
        invites = await measure_throughput(one, "invite", seconds)
        yield f"  invites, with nothing to check   {invites}"


async def _count_looks(one: Candidate, seconds: float) -> float:
    before, begun = one.ledger.looks, perf_counter()
    await asyncio.sleep(seconds)
    return (one.ledger.looks - before) / (perf_counter() - begun)
