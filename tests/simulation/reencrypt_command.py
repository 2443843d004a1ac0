"""``reencrypt`` as administrators run it: a process of its own, far from Redis, which may die."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

from bridge import app
from bridge.errors import BridgeError
from bridge.settings.daemon import DaemonSettings
from bridge.store.lua_scripts import Command
from bridge.store.redis_access import RedisAccess
from bridge.store.redis_client import RedisClient
from bridge.store.reencryption import ReencryptionCounts
from tests.simulation.event_loop import HOST

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

DIES: Final = 0.4
"""How often the command is killed."""
DISTANCE_S: Final = 0.2
"""How long a call to Redis is under way at most: what is read is old when it is written."""


@dataclass(slots=True)
class DistantClient:
    """``RedisClient`` of the command."""

    client: RedisClient
    draws: Random

    async def send(
        self, commands: Sequence[Command], *, wait_for_failover: bool = True
    ) -> list[Any]:
        """Send commands together, after a while."""
        await asyncio.sleep(DISTANCE_S * self.draws.random())
        return await self.client.send(commands, wait_for_failover=wait_for_failover)

    async def send_followed(self, command: Command, follower: Command) -> tuple[Any, Any]:
        """Send both together."""
        return await self.client.send_followed(command, follower)

    async def primaries(self) -> list[Any]:
        """The servers."""
        return await self.client.primaries()

    async def ping(self) -> None:
        """Return if one answers."""
        await self.client.ping()


class ReencryptCommand:
    """Runs it, as often as is asked for."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._begun: list[asyncio.Task[dict[str, ReencryptionCounts]]] = []
        """Also those that were killed: what nobody refers to would run its last blocks."""

    async def run(
        self, settings: DaemonSettings, draws: Random
    ) -> dict[str, ReencryptionCounts] | None:
        """Run it once; None: it was killed, or ended with an error."""
        simulation = self._simulation
        host = f"reencrypt.{len(self._begun)}"
        context = contextvars.copy_context()
        context.run(HOST.set, host)
        look: Callable[..., None] = partial(simulation.look, host)
        client = DistantClient(simulation.redis_servers.connect(draws, look), draws)
        work = _reencrypt(settings, client, simulation.loop.time)
        command = simulation.loop.create_task(work, context=context)
        self._begun.append(command)
        if draws.random() < DIES:
            await asyncio.wait([command], timeout=DISTANCE_S * draws.uniform(1.0, 4.0))
            if not command.done():
                simulation.loop.crash_host(host)
                simulation.tape.write(host, "is killed")
                return None
        await asyncio.wait([command])
        if isinstance(error := command.exception(), BridgeError):
            simulation.tape.write(host, f"{error}")
            return None
        counts = command.result()
        for name, count in counts.items():
            how = f"{count.renewed} renewed, {count.current} current, {len(count.left)} left"
            simulation.tape.write(host, f"{name}: {how}")
        return counts


async def _reencrypt(
    settings: DaemonSettings, client: RedisClient, monotonic: Callable[[], float]
) -> dict[str, ReencryptionCounts]:
    access = RedisAccess(client)
    async with app.open_runtime(settings, monotonic=monotonic, commands=access) as runtime:
        await runtime.synchronise_clock()
        return await runtime.reencrypt()
