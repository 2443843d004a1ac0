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
        """Have it stand still."""
        process = self.choose(incident)
        if process is None:
            return "(nobody was there)"
        process.freeze()
        await asyncio.sleep(incident.lasts_s)
        process.thaw()
        return process.host

    async def kill_all(self, incident: Incident) -> str:
        """Kill every process, and start them again."""
        killed = [one for one in self.simulation.processes.values() if one.lives]
        for process in killed:
            process.kill()
        await asyncio.sleep(incident.lasts_s)
        for process in killed:
            await self.simulation.start_process(process.name)
        return ""
