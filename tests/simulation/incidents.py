"""What goes wrong in a world: drawn from the seed, each with a beginning and an end."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final

from bridge.core.ids import read_partition
from tests.simulation.administrators import Administrators
from tests.simulation.clock_trouble import ClockTrouble
from tests.simulation.damaged_entries import DAMAGES, DamagedEntries
from tests.simulation.forgotten_writes import KINDS as FORGETS
from tests.simulation.forgotten_writes import ForgottenWrites
from tests.simulation.older_version import DEPLOY, ROLL_BACK, Deploys
from tests.simulation.partial_outages import OUTAGES, PartialOutages
from tests.simulation.process_trouble import ProcessTrouble
from tests.simulation.stage_settings import CUSTOMERS, LASTS, LASTS_AT_SOFTGARDEN

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

CALM = 0.15
"""How many worlds have no trouble at all."""
TOGETHER = 0.4
"""In how many of the others all trouble begins at almost the same time."""
STORM_S = 0.9
"""The slowest answer of a slow Redis; more than the client waits for one."""
SILENT = (
    "Equalture is away",
    "Equalture fails",
    "softgarden fails",
    "softgarden is broken",
    "softgarden is away",
    "a customer's account is dead",
    "clocks are set in a silence",
)
"""Incidents in which a vendor does not answer, so that breakers may open."""
ECHO_S = 12.0
"""How long after an incident's end its effects may still show in an answer."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that goes wrong."""

    kind: str
    at: float
    lasts_s: float
    customer: str = ""
    """Whom it concerns, where it concerns one only."""
    number: int = 0
    """What it draws while it happens follows from this, whatever else happens."""
    extent: float | None = None
    """How much of it there is: how often a call fails, by how many seconds a clock jumps. None: it
    is drawn.
    """

    @property
    def end(self) -> float:
        """When it is over."""
        return self.at + self.lasts_s

    @property
    def echo_s(self) -> float:
        """How long after the end work may still wait: a breaker's pause is as long as the vendor
        was silent, at most half a minute, and what it refuses waits up to twice as long.
        """
        return ECHO_S + (2 * min(self.lasts_s, 30.0) if self.kind in SILENT else 0.0)


WEIGHTS: Final = {
    "process killed": 5,
    "process stands still": 3,
    "process restarted": 2,
    "all processes killed": 1,
    "a start without Redis": 3,
    "Redis refuses connections": 3,
    "Redis restarts": 2,
    "Redis hangs": 2,
    "Redis loses replies": 4,
    "Redis loses requests": 2,
    "Redis is slow": 2,
    "Redis is full": 2,
    "Redis is read-only": 2,
    "Redis loses its unsynced tail": 2,
    "Redis fails over to a replica that was behind": 2,
    "Redis is restored from a backup": 1,
    "Equalture fails": 5,
    "Equalture is away": 2,
    "Equalture is slow": 2,
    "Equalture forgets its tokens": 2,
    "softgarden fails": 5,
    "softgarden is broken": 3,
    "softgarden is away": 2,
    "softgarden is slow": 1,
    "a customer's account is dead": 3,
    "a customer's account is slow": 2,
    "a customer is removed": 2,
    "a customer's file is broken": 2,
    "a clock jumps": 2,
    "clocks are set in a silence": 4,
    "Redis's clock jumps": 1,
    DEPLOY: 3,
    ROLL_BACK: 1,
    "a part of Redis refuses connections": 2,
    "a part of Redis hangs": 2,
    "a part of Redis has no primary": 1,
    "a record is damaged": 3,
    "a task's entry is damaged": 2,
    "a queue holds nonsense": 2,
    "a key holds a wrong type": 2,
    "an order's entry is damaged": 1,
    "a side note is damaged": 1,
}
ALONE: Final = (*DAMAGES, *OUTAGES)
"""Kinds that may disturb no more than ``DamagedEntries`` and ``PartialOutages`` say."""
LONGEST_S: Final = {
    "process killed": 8.0,
    "process stands still": 28.0,
    "Redis hangs": 4.0,
    **dict.fromkeys(OUTAGES, 20.0),
    DEPLOY: 20.0,
    ROLL_BACK: 20.0,
    "a customer is removed": 10.0,
    "a customer's file is broken": 12.0,
    "a customer's account is dead": 40.0,
    "a customer's account is slow": 40.0,
    "clocks are set in a silence": 60.0,
    "Equalture is away": 90.0,
    "softgarden is broken": 150.0,
    "softgarden is away": 60.0,
}
SHORTEST_S: Final = {
    "process stands still": 4.0,
    "clocks are set in a silence": 15.0,
    "softgarden is broken": 90.0,
    "Equalture is away": 20.0,
}
USUAL_S = 6.0
OF_ONE: Final = (
    "a customer's account is dead",
    "a customer's account is slow",
    "a customer is removed",
    "clocks are set in a silence",
)
"""What concerns one customer, and must not concern another."""
OF_NOBODY: Final = ("a clock jumps",)
"""What must delay nothing at all."""


def _get_longest_s(kind: str) -> float:
    lasts = LASTS_AT_SOFTGARDEN if kind.startswith("softgarden") else LASTS
    return lasts * LONGEST_S.get(kind, USUAL_S)


def draw_incidents(draws: Random, until: float, kinds: tuple[str, ...]) -> list[Incident]:
    """The trouble of a world, in order: often of a few kinds only, which then meet more often."""
    if not kinds or draws.random() < CALM:
        return []
    kinds = tuple(draws.sample(kinds, min(len(kinds), draws.choice((1, 2, 3, 5, len(kinds))))))
    until *= draws.choice((1, 1, 3))  # expiries and what comes after them are later than all orders
    chosen = draws.choices(kinds, [WEIGHTS[kind] for kind in kinds], k=draws.randint(1, 10))
    meets = draws.uniform(5.0, until) if draws.random() < TOGETHER else None
    incidents = [
        Incident(
            kind,
            draws.uniform(0.5, until) if meets is None else meets - draws.uniform(0.0, 5.0),
            draws.uniform(SHORTEST_S.get(kind, 0.2), _get_longest_s(kind)),
            draws.choice(CUSTOMERS),
            number,
        )
        for number, kind in enumerate(chosen)
    ]
    return sorted(incidents, key=lambda one: one.at)


def _concerns(incident: Incident, customer: str) -> bool:
    if incident.kind in OF_ONE:
        return incident.customer == customer
    return incident.kind not in OF_NOBODY and incident.kind not in ALONE


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
        self.damaged = DamagedEntries(simulation)
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
            "a customer's account is dead": self._kill_account,
            "a customer's account is slow": self._slow_account,
            "a customer is removed": self._with_draws(self.administrators.remove),
            "a customer's file is broken": self._with_draws(self.administrators.break_file),
            "Equalture forgets its tokens": self._forget_tokens,
            "a clock jumps": self._clocks.jump,
            "clocks are set in a silence": self._clocks.set_in_silence,
            "Redis's clock jumps": self._clocks.jump_redis,
            DEPLOY: self._with_draws(self.deploys.deploy),
            ROLL_BACK: self._with_draws(self.deploys.roll_back),
            **dict.fromkeys(DAMAGES, self._with_draws(self.damaged.perform)),
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
            one.at <= until and begun <= one.end + one.echo_s and _concerns(one, customer)
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
            if one.at <= until and _concerns(one, customer) and one.kind not in beside
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

    async def _kill_account(self, incident: Incident) -> str:
        customer = incident.customer
        machines = (self._simulation.equalture, self._simulation.softgarden)
        weather = self._draw(incident).choice(machines).weather
        weather.dead_accounts.add(customer)
        await asyncio.sleep(incident.lasts_s)
        weather.dead_accounts.discard(customer)
        return f"({customer})"

    async def _slow_account(self, incident: Incident) -> str:
        customer = incident.customer
        machines = (self._simulation.equalture, self._simulation.softgarden)
        weather = self._draw(incident).choice(machines).weather
        weather.slow_accounts.add(customer)
        await asyncio.sleep(incident.lasts_s)
        weather.slow_accounts.discard(customer)
        return f"({customer})"

    async def _forget_tokens(self, incident: Incident) -> str:
        self._simulation.equalture.tokens.clear()
        return ""
