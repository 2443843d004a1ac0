"""Carries out what goes wrong in a world, and says what it explains."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from bridge.core.ids import read_partition
from tests.simulation.administrators import Administrators
from tests.simulation.clock_trouble import ClockTrouble
from tests.simulation.customer_changes import CHANGES, CustomerChanges
from tests.simulation.damaged_entries import DAMAGES, EVICTS, DamagedEntries
from tests.simulation.evictions import Evictions
from tests.simulation.forgotten_writes import KINDS as FORGETS
from tests.simulation.forgotten_writes import ForgottenWrites
from tests.simulation.incidents import ECHO_S, Incident
from tests.simulation.key_changes import KEY_CHANGES, KeyChanges
from tests.simulation.older_version import DEPLOY, ROLL_BACK, Deploys
from tests.simulation.partial_outages import OUTAGES, PartialOutages
from tests.simulation.process_trouble import ProcessTrouble

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

STORM_S = 0.9
"""The slowest answer of a slow Redis; more than the client waits for one."""


class Trouble:
    """Carries out the incidents of a world."""

    def __init__(
        self,
        simulation: Simulation,
        incidents: Sequence[Incident],
        draws_of: Callable[[str], Random],
    ) -> None:
        self.incidents = list(incidents)
        self.counts: Counter[str] = Counter()
        self._simulation = simulation
        self._draws_of = draws_of
        self._draws: dict[int, Random] = {}
        """Of each incident, by its number."""
        self.administrators = Administrators(simulation)
        self.customers = CustomerChanges(simulation)
        self.damaged = DamagedEntries(simulation)
        self.evictions = Evictions(simulation)
        self.keys = KeyChanges(simulation, simulation.script.encrypted, draws_of("keys"))
        self.partial = PartialOutages(simulation)
        self.deploys = Deploys(simulation, any(one.kind == DEPLOY for one in incidents))
        self.forgotten = ForgottenWrites(simulation, self._draw)
        self._processes = ProcessTrouble(simulation, self._draw)
        self._clocks = ClockTrouble(simulation, self._processes)
        self._doers: dict[str, Callable[[Incident], Awaitable[str]]] = {
            "process killed": self._processes.kill,
            "process stands still": self._processes.freeze,
            "process restarted": self._processes.restart,
            "all processes killed": self._processes.kill_all,
            "a start without Redis": self._processes.start_without_redis,
            "Redis restarts": self._restart_redis,
            "a customer's account is dead": self._trouble_account,
            "a customer's account is slow": self._trouble_account,
            "a customer is removed": self._with_draws(self.administrators.remove),
            "a customer's file is broken": self._with_draws(self.administrators.break_file),
            "Equalture forgets its tokens": self._forget_tokens,
            "a clock jumps": self._clocks.jump,
            "clocks are set in a silence": self._clocks.set_in_silence,
            "Redis's clock jumps": self._clocks.jump_redis,
            DEPLOY: self._with_draws(self.deploys.deploy),
            ROLL_BACK: self._with_draws(self.deploys.roll_back),
            **dict.fromkeys(CHANGES, self._with_draws(self.customers.perform)),
            **dict.fromkeys(KEY_CHANGES, self._with_draws(self.keys.perform)),
            **dict.fromkeys(DAMAGES, self._with_draws(self.damaged.perform)),
            EVICTS: self._with_draws(self.evictions.perform),
            **dict.fromkeys(FORGETS, self.forgotten.forget),
            **dict.fromkeys(OUTAGES, self._with_draws(self.partial.perform)),
        }

    async def run(self) -> None:
        """All of them, until the last one is over."""
        await asyncio.gather(*(self._perform(one) for one in self.incidents))

    def is_near(self, at: float, *kinds: str) -> bool:
        """Whether one of these kinds is going on then, or was a short time ago."""
        return any(
            one.kind in kinds and one.at - 0.1 <= at <= one.end + ECHO_S for one in self.incidents
        )

    def may_be_news(self, at: float, kind: str) -> bool:
        """Whether a process may notice only then what happened: it was near, or near the moment at
        which a process began to stand still that has just gone on.
        """
        return self.is_near(at, kind) or any(
            self.is_near(one.at, kind)
            for one in self.incidents
            if one.kind == "process stands still" and one.at <= at <= one.end + ECHO_S
        )

    def is_any_near(self, begun: float, until: float, other_than: Sequence[str]) -> bool:
        """Whether there was any trouble then, or a short time ago, but of these kinds."""
        return any(
            one.at <= until and begun <= one.end + ECHO_S and one.kind not in other_than
            for one in self.incidents
        )

    def list_active(self) -> list[str]:
        """What goes wrong now."""
        now = self._simulation.time.seconds
        return sorted({one.kind for one in self.incidents if one.at <= now <= one.end})

    def explains_delay(self, begun: float, until: float, customer: str, invitation_id: str) -> bool:
        """Whether anything may have kept this invitation's work waiting: not what concerns another
        customer or other invitations alone.
        """
        partition = read_partition(invitation_id)
        lost = self.lost_entry(invitation_id, begun, until)
        return (lost or self.partial.concerns(partition, begun, until)) or any(
            one.at <= until and begun <= one.end + one.echo_s and one.concerns(customer)
            for one in self.incidents
        )

    def may_wait(self, partition: int, at: float) -> bool:
        """Whether all work of this partition may wait, and no other's."""
        damaged = self.damaged.holds_nonsense(partition, at)
        return damaged or self.partial.concerns(partition, at, at)

    def lost_entry(self, invitation_id: str, begun: float, until: float) -> bool:
        """Whether Redis does not hold, of this invitation, what the bridge wrote."""
        damaged = self.damaged.concerns(invitation_id, begun, until)
        return damaged or self.forgotten.concerns(invitation_id, begun, until)

    def lost_claim(self, journey: int) -> bool:
        """Whether it cannot be known any more that this journey's order was answered."""
        return self.damaged.lost_claim(journey) or self.forgotten.lost_claim(journey)

    def find_end(
        self, until: float, customer: str, invitation_id: str, beside: Sequence[str] = ()
    ) -> float:
        """When the last of what began before *until* and concerns this invitation was over, beside
        that of some kinds.
        """
        ends = [
            min(one.end, until)
            for one in self.incidents
            if one.at <= until and one.concerns(customer) and one.kind not in beside
        ]
        others = (self.damaged, self.partial)
        return max((*ends, *(one.find_end(until, invitation_id) for one in others)))

    async def _perform(self, incident: Incident) -> None:
        if incident.kind in FORGETS:
            await self.forgotten.wait(incident)
        else:
            await asyncio.sleep(incident.at)
        self.counts[incident.kind] += 1
        self._tell(f"{incident.kind}, for {incident.lasts_s:.1f} s")
        place = self.incidents.index(incident)
        self.incidents[place] = replace(incident, lasts_s=math.inf)  # until it is really over
        detail = await self._doers.get(incident.kind, self._change_weather)(incident)
        lasted_s = self._simulation.time.seconds - incident.at
        self.incidents[place] = replace(incident, lasts_s=max(incident.lasts_s, lasted_s))
        self._tell(f"over: {incident.kind} {detail}".rstrip())

    def _tell(self, what: str) -> None:
        self._simulation.tape.write("TROUBLE", what)

    def _draw(self, incident: Incident) -> Random:
        if incident.number not in self._draws:
            self._draws[incident.number] = self._draws_of(f"trouble/{incident.number}")
        return self._draws[incident.number]

    def _with_draws(
        self, perform: Callable[[Incident, Random], Awaitable[str]]
    ) -> Callable[[Incident], Awaitable[str]]:
        return lambda incident: perform(incident, self._draw(incident))

    async def stop_at_once(self, kind: str, host: str, lasts_s: float) -> None:
        """Kill the process that has just said something, and start it again; or have the one that
        has just heard something stand still.
        """
        for process in list(self._simulation.processes.values()):
            if process.host == host and process.lives:
                self.incidents.append(Incident(kind, self._simulation.time.seconds, lasts_s))
                self.counts[f"{kind} at once"] += 1
                self._tell(f"{kind} at once: {host}, for {lasts_s:.1f} s")
                killed = kind == "process killed"
                process.kill() if killed else process.freeze()
                await asyncio.sleep(lasts_s)
                await self._simulation.start_process(process.name) if killed else process.thaw()

    # Redis and vendors

    async def _restart_redis(self, incident: Incident) -> str:
        self._simulation.redis.forget_scripts()
        self._simulation.redis_servers.change_all("down", True)
        await asyncio.sleep(incident.lasts_s)
        self._simulation.redis_servers.change_all("down", False)
        return ""

    async def _change_weather(self, incident: Incident) -> str:
        simulation = self._simulation
        rate = incident.extent or self._draw(incident).uniform(0.1, 0.6)
        store = simulation.redis
        of_redis: dict[str, tuple[str, object, object]] = {
            "Redis refuses connections": ("down", True, False),
            "Redis hangs": ("hangs", True, False),
            "Redis loses replies": ("reply_lost", rate / 2, 0.0),
            "Redis loses requests": ("request_lost", rate / 2, 0.0),
            "Redis is slow": ("latest_answer_s", STORM_S * rate, 0.002),
        }
        if incident.kind in of_redis:
            name, during, after = of_redis[incident.kind]
            simulation.redis_servers.change_all(name, during)
            await asyncio.sleep(incident.lasts_s)
            simulation.redis_servers.change_all(name, after)
            return ""
        settings: dict[str, tuple[object, str, object, object]] = {
            "Redis is full": (store, "full", True, False),
            "Redis is read-only": (store, "read_only", True, False),
            "Equalture fails": (simulation.equalture.weather, "faulty", rate, 0.0),
            "Equalture is away": (simulation.equalture.weather, "away", True, False),
            "Equalture is slow": (simulation.equalture.weather, "latest_answer_s", 2.5, 0.05),
            "softgarden fails": (simulation.softgarden.weather, "faulty", rate, 0.0),
            "softgarden is broken": (simulation.softgarden.weather, "faulty", 1.0, 0.0),
            "softgarden is away": (simulation.softgarden.weather, "away", True, False),
            "softgarden is slow": (simulation.softgarden.weather, "latest_answer_s", 2.5, 0.05),
        }
        place, name, during, after = settings[incident.kind]
        setattr(place, name, during)
        await asyncio.sleep(incident.lasts_s)
        setattr(place, name, after)
        return ""

    async def _trouble_account(self, incident: Incident) -> str:
        customer = incident.customer
        machines = (self._simulation.equalture, self._simulation.softgarden)
        weather = self._draw(incident).choice(machines).weather
        dead = incident.kind == "a customer's account is dead"
        accounts = weather.dead_accounts if dead else weather.slow_accounts
        accounts.add(customer)
        await asyncio.sleep(incident.lasts_s)
        accounts.discard(customer)
        return f"({customer})"

    async def _forget_tokens(self, incident: Incident) -> str:
        self._simulation.equalture.tokens.clear()
        return ""
