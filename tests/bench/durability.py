"""What it costs that Redis keeps what it confirms: on its disk, or on another server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench.candidates import BRIDGE, DURABILITY, FLOOR, Kind, Setting, run_candidate
from tests.bench.measurement import carry_out, connect, measure_throughput
from tests.bench.operations import JOURNEY
from tests.redis_servers import RedisServer, await_true, binaries, free_port

WARM_UP = 150
WAITS: Mapping[str, Mapping[str, Any]] = {
    "always, and a replica has it": {"replicas": 1, "timeout": "1200ms"},
}
"""What the bridge waits for on top; a daemon without such a setting takes no part."""


async def compare_modes(seconds: float, folder: Path) -> AsyncIterator[str]:
    """The bridge and FLOOR with each of Redis' settings, and the bridge that waits for a replica:
    with 32 callers, and with one.
    """
    for number, (mode, redis) in enumerate(DURABILITY.items()):
        for kind in (FLOOR, BRIDGE):
            yield f"{mode}: {kind.name}"
            async for line in _measure(kind, Setting(redis=redis), seconds, folder / str(number)):
                yield line
    for number, (title, wait) in enumerate(WAITS.items(), start=len(DURABILITY)):
        with contextlib.ExitStack() as stack:

            async def add_replica(primary: RedisServer, stack: Any = stack) -> None:
                stack.callback(_start_replica(primary).close)

            yield f"{title}: bridge"
            setting = Setting(
                redis=DURABILITY["always"], daemon={"redis": {"wait": wait}}, prepare=add_replica
            )
            async for line in _measure(BRIDGE, setting, seconds, folder / str(number)):
                yield line


def _start_replica(primary: RedisServer) -> RedisServer:
    """A second server that has what the first one has."""
    follow = {
        "replicaof": f"127.0.0.1 {primary.port or primary.settings['port']}",
        "port": str(free_port()),
        "repl-diskless-sync-delay": "0",
    }
    settings = {**DURABILITY["always"], **follow}
    replica = RedisServer(next(iter(binaries().values())), settings=settings).start()
    with primary.client() as client:
        await_true(lambda: client.set("written", "") and client.wait(1, 500) == 1)
    return replica


async def _measure(
    kind: Kind, setting: Setting, seconds: float, folder: Path
) -> AsyncIterator[str]:
    async with run_candidate(kind, folder, setting) as one:
        await carry_out((one,), JOURNEY, WARM_UP)
        yield f"  invite, 32 at a time    {await measure_throughput(one, 'invite', seconds)}"
        yield f"  callback, 32 at a time  {await measure_throughput(one, 'callback', seconds)}"
        async with connect(one.ledger, one.place.port) as alone:
            yield f"  invite, one at a time   {await measure_throughput(one, 'invite', 1, alone)}"
