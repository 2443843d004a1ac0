"""What happens to processes of the bridge: they are killed, restarted, or stand still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.bridge_process import BridgeProcess

if TYPE_CHECKING:
    from tests.simulation.incidents import Incident
    from tests.simulation.world import Simulation

AT_A_CALL = 0.6
"""How often a process stands still just after a call."""
WAITS_S = 5.0


@dataclass(frozen=True, slots=True)
class ProcessTrouble:
    """Carries out the incidents of processes; *draw* gives the chance of one incident."""

    simulation: Simulation
    draw: Callable[[Incident], Random]

    def choose(self, incident: Incident) -> BridgeProcess | None:
        """A process that serves; None: there is none."""
        living = [one for one in self.simulation.processes.values() if one.lives]
        return self.draw(incident).choice(living) if living else None

    async def kill(self, incident: Incident) -> str:
        """Kill it, and start it again."""
        process = self.choose(incident)
        if process is None:
            return "(nobody was there)"
        process.kill()
        await asyncio.sleep(incident.lasts_s)
        await self.simulation.start_process(process.name)
        return process.name

    async def restart(self, incident: Incident) -> str:
        """End it in good order, and start it again."""
        process = self.choose(incident)
        if process is None:
            return "(nobody was there)"
        await process.stop()
        await asyncio.sleep(incident.lasts_s)
        await self.simulation.start_process(process.name)
        return process.name

    async def freeze(self, incident: Incident) -> str:
        """Have it stand still, often just when it has notified softgarden."""
        process, left_s = self.choose(incident), incident.lasts_s
        if self.draw(incident).random() < AT_A_CALL:
            begun = self.simulation.time.seconds
            process = await self._wait_for_call(min(WAITS_S, incident.lasts_s / 4))
            left_s -= self.simulation.time.seconds - begun
        if process is None:
            return "(nobody was there)"
        process.freeze()
        await asyncio.sleep(left_s)
        process.thaw()
        return process.host

    async def _wait_for_call(self, longest_s: float) -> BridgeProcess | None:
        softgarden = self.simulation.softgarden
        called: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def note(host: str) -> None:
            if not called.done():
                called.set_result(host)

        softgarden.heard = note
        try:
            async with asyncio.timeout(longest_s):
                host = await called
        except TimeoutError:
            return None
        return next(
            (one for one in self.simulation.processes.values() if one.host == host and one.lives),
            None,
        )

    async def start_without_redis(self, incident: Incident) -> str:
        """Kill it, set its host's clock, and start it again while Redis is away."""
        process = self.choose(incident)
        if process is None:
            return "(nobody was there)"
        simulation = self.simulation
        process.kill()
        by_s = self.draw(incident).choice((-3600.0, 60.0, 3600.0, 86_400.0))
        simulation.clocks[process.name] += by_s
        simulation.redis_servers.change_all("down", True)
        start = asyncio.create_task(simulation.start_process(process.name))
        await asyncio.sleep(incident.lasts_s)
        simulation.redis_servers.change_all("down", False)
        await start
        return f"({process.name} by {by_s} s)"

    async def kill_all(self, incident: Incident) -> str:
        """Kill every process, and start them again."""
        killed = [one for one in self.simulation.processes.values() if one.lives]
        for process in killed:
            process.kill()
        await asyncio.sleep(incident.lasts_s)
        for process in killed:
            await self.simulation.start_process(process.name)
        return ""
