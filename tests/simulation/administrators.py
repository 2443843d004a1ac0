"""Administrators change customers' files while the bridge serves."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from bridge.core.customers import CustomerDirectory
from tests.simulation.bridge_process import BridgeProcess
from tests.simulation.stage_settings import load_settings

if TYPE_CHECKING:
    from tests.simulation.incidents import Incident
    from tests.simulation.world import Simulation


class Administrators:
    """What they have written, and have the processes read."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._absent: Counter[str] = Counter()

    async def remove(self, incident: Incident, draws: Random) -> str:
        """Delete a customer's file, and write it again later."""
        customer = incident.customer
        self._absent[customer] += 1
        await self._reload(draws)
        await asyncio.sleep(incident.lasts_s)
        self._absent[customer] -= 1
        await self._reload(draws)
        return f"({customer})"

    async def _reload(self, draws: Random) -> None:
        """One process after the other reads its files."""
        for process in list(self._simulation.processes.values()):
            await asyncio.sleep(0.3 * draws.random())
            self.configure(process)

    def configure(self, process: BridgeProcess) -> None:
        """Have a process serve those customers that are there now."""
        if process.lives and process.runtime is not None:
            served = [one for one in load_settings().customers if not self._absent[one.key]]
            process.runtime.customers.replace(CustomerDirectory(served))
