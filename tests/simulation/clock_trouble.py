"""What happens to clocks: a host's, those of all hosts, and Redis's own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.simulation.process_trouble import ProcessTrouble

if TYPE_CHECKING:
    from tests.simulation.incidents import Incident
    from tests.simulation.world import Simulation

CLOCK_STEPS_S: Final = (-3600.0, -7.0, 0.4, 7.0, 3600.0, 86_400.0)
LARGEST_ERROR_S: Final = 8.0
"""How wrong Redis's clock is at most."""


@dataclass(frozen=True, slots=True)
class ClockTrouble:
    """Carries out the incidents of clocks."""

    simulation: Simulation
    processes: ProcessTrouble

    async def jump(self, incident: Incident) -> str:
        """Set one host's clock."""
        process = self.processes.choose(incident)
        by_s = incident.extent or self.processes.draw(incident).choice(CLOCK_STEPS_S)
        if process is not None:
            process.ahead_s += by_s
            self.simulation.clocks[process.name] = process.ahead_s
        return f"({process.name if process else 'nobody'} by {by_s} s)"

    async def set_in_silence(self, incident: Incident) -> str:
        """All hosts', while softgarden does not answer one customer: breakers are open."""
        silent = self.simulation.softgarden.weather.dead_accounts
        by_s = self.processes.draw(incident).choice((-86_400.0, -3600.0, -600.0, 3600.0))
        silent.add(incident.customer)
        await asyncio.sleep(incident.lasts_s / 2)
        for process in self.simulation.processes.values():
            process.ahead_s += by_s
            self.simulation.clocks[process.name] = process.ahead_s
        await asyncio.sleep(incident.lasts_s / 2)
        silent.discard(incident.customer)
        return f"({incident.customer}, by {by_s} s)"

    async def jump_redis(self, incident: Incident) -> str:
        """Set the clock by which keys expire, and which all processes follow."""
        by_s = incident.extent or self.processes.draw(incident).choice((-4.0, -0.5, 0.5, 4.0))
        if abs(self.simulation.redis_ahead_s + by_s) > LARGEST_ERROR_S:
            by_s = -by_s
        self.simulation.redis_ahead_s += by_s
        return f"(by {by_s} s)"
