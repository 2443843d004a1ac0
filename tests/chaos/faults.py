"""The saboteur: when what fails follows from the seed, in terms of journeys done, so that a slower
machine sees no less of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final

from bridge.sandbox import Fault
from tests.chaos import backlog, damage, older_backup, outages, partial_outage, refusals, reloads
from tests.chaos.scene import STEP_S, Scene, Strike

KILL, KILL_ALL, RESTART = "bridge kill -9", "all bridges kill -9", "bridge SIGTERM and restart"
REDIS_KILL, REDIS_HANG = "Redis kill -9", "Redis hangs"
LOST_REPLIES = "Redis's replies get lost"
REFUSED_MEMORY, REFUSED_DISK = "Redis refuses: OOM", "Redis refuses: MISCONF"
REFUSED_REPLICA = "Redis refuses: READONLY"
DAMAGE, CLOCK_SET = "damaged entries in Redis", "a clock is set"
RELOAD, REMOVAL = "files changed, broken, mended", "a customer removed and brought back"
PRIMARY_FROZEN, PRIMARY_KILLED = "a primary hangs", "a primary kill -9"
BACKUP_RESTORED, BACKLOG = "an older backup is restored", "much is due at a start"
STRIKES: Final = MappingProxyType[str, Strike](
    {
        KILL: outages.kill_one,
        KILL_ALL: outages.kill_all,
        RESTART: outages.restart,
        REDIS_KILL: outages.kill_redis,
        REDIS_HANG: outages.hang_redis,
        LOST_REPLIES: outages.lose_replies,
        CLOCK_SET: outages.set_clock,
        REFUSED_MEMORY: refusals.fill_memory,
        REFUSED_DISK: refusals.spoil_disk,
        REFUSED_REPLICA: refusals.demote,
        DAMAGE: damage.spoil_entries,
        RELOAD: reloads.reload_files,
        REMOVAL: reloads.remove_customer,
        PRIMARY_FROZEN: partial_outage.freeze_primary,
        PRIMARY_KILLED: partial_outage.kill_primary,
        BACKUP_RESTORED: older_backup.restore_backup,
        BACKLOG: backlog.pile_up,
    }
)
KILLS = (KILL, KILL_ALL)
STORE_AWAY = (
    *(REDIS_KILL, REDIS_HANG, REFUSED_MEMORY, REFUSED_DISK, REFUSED_REPLICA),
    *(PRIMARY_FROZEN, PRIMARY_KILLED),
)
"""While these last, nothing can be written down, or not everything."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that failed, from *at* to *until* (``perf_counter``)."""

    kind: str
    at: float
    until: float
    bridges: tuple[int, ...] = ()
    """Numbers of the processes that it struck."""


_ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("500", {"status": 500}),
    ("503", {"status": 503}),
    ("429 with Retry-After", {"status": 429, "headers": {"Retry-After": "1"}}),
    ("500 after the work", {"status_after": 500}),
    ("hang before the work", {"hang": "before"}),
    ("hang after the work", {"hang": "after"}),
    ("drop before the work", {"drop": "before"}),
    ("drop after the work", {"drop": "after"}),
]
_EQUALTURE = [*_ANSWERS, ("HTML", {"body": "html"}), ("broken JSON", {"body": "bad_json"})]
_SOFTGARDEN = [*_ANSWERS, ("HTML", {"status": 502, "body": "html"})]
_MADE: list[tuple[str, dict[str, Any]]] = [
    ("call never sent", {"drop": "before"}),
    ("answer lost on the way", {"drop": "after"}),
]
_ASKED = ("token", "jobs", "create", "status", "results", "anonymise")
_OWN = {"equalture": ("callback", "webhook"), "softgarden": ("invite", "results", "delete")}


class Saboteur:
    """Runs until ``end``; *incidents* and ``counts`` tell what it did.

    *until*: the part of the journeys by whose end the last strike has begun.
    """

    def __init__(
        self, scene: Scene, strikes: list[str], *, until: float, vendors_fail: bool
    ) -> None:
        self.incidents: list[Incident] = []
        self._scene = scene
        self._stage = scene.stage
        self._random_fraction = scene.random_fraction
        self._vendors_fail = vendors_fail
        self._faults: list[tuple[str, Fault]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._random_fraction.shuffle(strikes)
        options = self._stage.options
        # None of the last ones, or nobody would be left to meet it.
        journeys = max(options.journeys - options.abreast, options.journeys // 3)
        points = sorted(self._random_fraction.uniform(0.03, until) * journeys for _ in strikes)
        self._to_come = list(zip(strikes, points, strict=True))

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._strike())]
        if not self._vendors_fail:
            return
        self._tasks.append(asyncio.create_task(self._burst()))
        for vendor, kinds in (("equalture", _EQUALTURE), ("softgarden", _SOFTGARDEN)):
            for kind, what in kinds:
                if "hang" not in what:  # a hanging call must end some time
                    self._fault(vendor, "*", kind, what, probability=0.003)
            for operation in _OWN[vendor]:
                for kind, what in _MADE:
                    self._fault(vendor, operation, kind, what, probability=0.01)

    async def end(self) -> None:
        """No more faults from now: what is down comes back, all is healed."""
        self._scene.is_over = True
        self._stage.equalture.heal()
        self._stage.softgarden.heal()
        # A mistake of the saboteur's own is raised here.
        await asyncio.gather(*self._tasks)
        self._stage.equalture.heal()
        self._stage.softgarden.heal()

    def counts(self) -> Counter[str]:
        """How often which fault struck."""
        found = Counter(incident.kind for incident in self.incidents)
        for name, fault in self._faults:
            found[name] += fault.strikes
        found["answers of Redis that got lost"] = sum(link.lost for link in self._stage.links)
        return +found

    async def await_turn(self, number: int) -> None:
        """Return when the journey of this number may begin: none runs ahead of what it should
        meet.
        """
        abreast = self._stage.options.abreast
        while any(point + abreast <= number for _, point in self._to_come):
            if self._stage.holds or self._tasks[0].done():
                return
            await asyncio.sleep(STEP_S)

    async def _strike(self) -> None:
        while self._to_come:
            kind, point = self._to_come[0]
            jitter = self._random_fraction.uniform(0, 0.4)
            pause = self._random_fraction.uniform(0.1, 1.5)
            victim = self._random_fraction.choice(self._stage.bridges)
            while self._scene.progress() < point and not self._scene.is_over:  # noqa: ASYNC110
                await asyncio.sleep(STEP_S)
            if self._scene.is_over:
                return
            await asyncio.sleep(jitter)
            at = perf_counter()
            del self._to_come[0]
            struck = await STRIKES[kind](self._scene, victim, pause)
            self.incidents.append(Incident(kind, at, perf_counter(), struck))

    # Vendors

    async def _burst(self) -> None:
        while not self._scene.is_over:
            await self._sleep(self._random_fraction.uniform(0.1, 1.2))
            vendor = self._random_fraction.choice(("equalture", "equalture", "softgarden"))
            own = self._random_fraction.random() < 0.25
            if own:
                operation, (kind, what) = (
                    self._random_fraction.choice(_OWN[vendor]),
                    self._random_fraction.choice(_MADE),
                )
            elif vendor == "equalture":
                operation, (kind, what) = (
                    self._random_fraction.choice((*_ASKED, "create", "*")),
                    self._random_fraction.choice(_EQUALTURE),
                )
            else:
                operation, (kind, what) = "notify", self._random_fraction.choice(_SOFTGARDEN)
            probability, length = (
                self._random_fraction.choice((0.3, 0.6, 1.0)),
                self._random_fraction.uniform(0.3, 3.5),
            )
            if self._scene.is_over:
                return
            at = perf_counter()
            fault = self._fault(vendor, operation, kind, what, probability=probability)
            await self._sleep(length)
            fault.heal()
            if probability == 1.0:
                self.incidents.append(Incident("outage of a vendor", at, perf_counter()))

    def _fault(
        self, vendor: str, operation: str, kind: str, what: dict[str, Any], probability: float
    ) -> Fault:
        sandbox = self._stage.equalture if vendor == "equalture" else self._stage.softgarden
        fault = sandbox.fault(operation, **what, probability=probability)
        self._faults.append((f"{vendor}: {kind}", fault))
        return fault

    async def _sleep(self, seconds: float) -> None:
        end = perf_counter() + seconds
        while perf_counter() < end and not self._scene.is_over:  # noqa: ASYNC110
            await asyncio.sleep(STEP_S)
