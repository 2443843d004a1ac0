"""Administrators change customers' files while the bridge serves."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

from bridge import app
from bridge.errors import ConfigError
from bridge.settings.daemon import DaemonSettings
from tests.simulation.bridge_process import BridgeProcess
from tests.simulation.stage_settings import CUSTOMERS, USUAL_FILES, format_customer, load_settings

if TYPE_CHECKING:
    from tests.simulation.incidents import Incident
    from tests.simulation.world import Simulation

BREAKS: Final = ("colour: blue\n", "\tx: 1\n", "}{\n", "softgarden: {}\n")
"""What stands at the end of a broken file. Who the customer's callers are can still be read."""
LOOK_S: Final = 0.5
ANSWERED_S: Final = 2.0
"""How long after a process knows a customer again the answer to an earlier call may come."""


class Administrators:
    """What they have written, and have the processes read, by the bridge's own reload."""

    def __init__(self, simulation: Simulation) -> None:
        self.files = dict(USUAL_FILES)
        """What each customer's file says, when it is there and not broken."""
        self._simulation = simulation
        self._absent: Counter[str] = Counter()
        self._broken: dict[str, list[str]] = {name: [] for name in CUSTOMERS}
        self._writings = 0
        self._read: dict[str, int] = {}
        """Which writing each process has read, by host."""
        self._taken: dict[str, int] = {}
        """The last one that each has not refused."""
        self._without: dict[str, set[str]] = {name: set() for name in CUSTOMERS}
        """The processes that do not have a customer, since its file was gone when they last took
        the files: they keep that while any file is broken.
        """
        self._known_at: dict[str, float] = {}
        """When a process had a customer again."""
        self._folder = load_settings().config_dir / "customers"
        for name in CUSTOMERS:
            self._write(name)

    def may_be_unknown(self, customer: str) -> bool:
        """Whether a process does not have this customer, or had not a moment ago."""
        known_at = self._known_at.get(customer, -ANSWERED_S)
        since_s = self._simulation.time.seconds - known_at
        return bool(self._without[customer]) or since_s < ANSWERED_S

    def load_settings(self, process: BridgeProcess) -> DaemonSettings:
        """What a process reads that starts now: customers whose files are broken are set aside."""
        self._read[process.host] = self._taken[process.host] = self._writings
        absent = {name for name in CUSTOMERS if self._absent[name]}
        self._note_absent(process, absent)
        self._note_present(process, absent)
        is_usual = self.files == USUAL_FILES and not any(self._absent.values())
        if is_usual and not any(self._broken.values()):
            return load_settings()
        return app.CONFIGURATION.load(self._folder.parent, {}, strict=False)

    async def configure(self, process: BridgeProcess) -> None:
        """Have a process read what was written while it started."""
        if process.lives and self._read[process.host] != self._writings:
            await self._reload_one(process)

    async def remove(self, incident: Incident, draws: Random) -> str:
        """Delete a customer's file, and write it again later."""
        customer = incident.customer
        self._absent[customer] += 1
        await self._reload(customer, draws)
        await asyncio.sleep(incident.lasts_s)
        self._absent[customer] -= 1
        await self._reload(customer, draws)
        return f"({customer})"

    async def break_file(self, incident: Incident, draws: Random) -> str:
        """Spoil a customer's file: no process takes it, one that starts sets that customer aside;
        mend it later.
        """
        customer, text = incident.customer, draws.choice(BREAKS)
        self._broken[customer].append(text)
        await self._reload(customer, draws)
        living = [one for one in self._simulation.processes.values() if one.lives]
        if living:
            process = draws.choice(living)
            await process.stop()
            await self._simulation.start_process(process.name)
        await asyncio.sleep(incident.lasts_s)
        self._broken[customer].remove(text)
        await self._reload(customer, draws)
        return f"({customer}, {text!r})"

    async def change_file(self, customer: str, draws: Random, **changes: Any) -> None:
        """Write something else into a customer's file, and wait until every process that serves
        goes by it.
        """
        self.files[customer] = replace(self.files[customer], **changes)
        writing = await self._reload(customer, draws)
        while not self._is_taken(writing):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)

    def _is_taken(self, writing: int) -> bool:
        trouble = self._simulation.trouble
        return "process stands still" not in trouble.list_active() and all(
            one.is_killed or self._taken[one.host] >= writing
            for one in self._simulation.processes.values()
        )

    def _write(self, customer: str) -> None:
        path = self._folder / f"{customer}.yaml"
        if self._absent[customer]:
            path.unlink(missing_ok=True)
            return
        text = format_customer(self.files[customer])
        text += "".join(self._broken[customer])
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")

    async def _reload(self, customer: str, draws: Random) -> int:
        """Write a customer's file, and have one process after the other read all of them; says
        which writing this is.
        """
        self._write(customer)
        self._writings += 1
        writing = self._writings
        for process in list(self._simulation.processes.values()):
            await asyncio.sleep(0.3 * draws.random())
            if process.lives:
                await self._reload_one(process)
        return writing

    async def _reload_one(self, process: BridgeProcess) -> None:
        assert process.runtime is not None
        self._read[process.host] = writing = self._writings
        before = process.runtime.customers()
        usable = not any(
            self._broken[name] for name in CUSTOMERS if not self._absent[name]
        ) and not all(self._absent[name] for name in CUSTOMERS)
        absent = {name for name in CUSTOMERS if self._absent[name]}
        if usable:
            self._note_absent(process, absent)
        try:
            await process.runtime.reload.reload("request")
            is_taken = True
            self._taken[process.host] = writing
        except ConfigError:
            is_taken = False
        if is_taken:
            self._note_present(process, absent)
        if is_taken != usable or (not is_taken and process.runtime.customers() is not before):
            how = f"{process.host}: usable: {usable}, taken: {is_taken}"
            self._simulation.complain("reload", how)

    def _note_absent(self, process: BridgeProcess, absent: set[str]) -> None:
        for customer in absent:
            self._without[customer].add(process.name)

    def _note_present(self, process: BridgeProcess, absent: set[str]) -> None:
        for customer, without in self._without.items():
            if process.name in without and customer not in absent:
                without.remove(process.name)
                self._known_at[customer] = self._simulation.time.seconds
