"""How much is done where each call to a vendor takes 80 ms, and whether requests wait for tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.candidates import BRIDGE, FLOOR, Setting, run_candidate
from tests.bench.measurement import carry_out, connect, measure_throughput
from tests.bench.operations import JOURNEY

DELAY_S = 0.08
REPORTS = 200
"""Callbacks that are under way at the same time."""
CALLERS = 32
SEEDS_PER_S = 700


async def measure_slow_vendors(seconds: float, folder: Path) -> AsyncIterator[str]:
    """Completions of one customer, invites, and both at once; of FLOOR, which has no bounds, and of
    the bridge.
    """
    for kind in (FLOOR, BRIDGE):
        yield f"{kind.name}, vendors that take {DELAY_S * 1000:.0f} ms"
        setting = Setting(connections=REPORTS, vendor_delay_s=DELAY_S)
        async with (
            run_candidate(kind, folder, setting) as one,
            connect(one.ledger, one.place.port, CALLERS) as callers,
        ):
            await carry_out((one,), JOURNEY, REPORTS, callers)
            await carry_out((one,), "invite", round(2 * seconds * SEEDS_PER_S), callers)
            found = await measure_throughput(one, "callback", seconds)
            yield f"  completions                    {found}"
            found = await measure_throughput(one, "invite", seconds, callers)
            yield f"  invites, {CALLERS} callers            {found}"
            found, beside = await asyncio.gather(
                measure_throughput(one, "callback", seconds),
                measure_throughput(one, "invite", seconds, callers),
            )
            yield f"  completions, beside invites    {found}"
            yield f"  invites, beside completions    {beside}"
