"""The saboteur: when what fails follows from the seed, in terms of journeys done, so that a slower
machine sees no less of it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from bridge.sandbox import Fault
from tests.chaos.stage import Bridge, Stage

KILL, KILL_ALL, RESTART = "bridge kill -9", "all bridges kill -9", "bridge SIGTERM and restart"
REDIS_KILL, REDIS_HANG = "Redis kill -9", "Redis hangs"
KILLS = (KILL, KILL_ALL)
_STEP_S = 0.02


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
    """Runs until ``end``; *incidents* and ``counts`` tell what it did."""

    def __init__(self, stage: Stage, progress: Callable[[], int]) -> None:
        self.incidents: list[Incident] = []
        self._stage = stage
        self._progress = progress
        self._random_fraction = random.Random(f"{stage.options.seed}/saboteur")
        self._faults: list[tuple[str, Fault]] = []
        self._ended = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._strike()), asyncio.create_task(self._burst())]
        for vendor, kinds in (("equalture", _EQUALTURE), ("softgarden", _SOFTGARDEN)):
            for kind, what in kinds:
                if "hang" not in what:  # a hanging call must end some time
                    self._fault(vendor, "*", kind, what, probability=0.003)
            for operation in _OWN[vendor]:
                for kind, what in _MADE:
                    self._fault(vendor, operation, kind, what, probability=0.01)

    async def end(self) -> None:
        """No more faults from now: what is down comes back, all is healed."""
        self._ended = True
        self._stage.equalture.heal()
        self._stage.softgarden.heal()
        await asyncio.gather(*self._tasks)
        self._stage.equalture.heal()
        self._stage.softgarden.heal()

    def check(self) -> None:
        """Raise what went wrong in the saboteur itself."""
        for task in self._tasks:
            if task.done() and (error := task.exception()) is not None:
                raise error

    def counts(self) -> Counter[str]:
        """How often which fault struck."""
        found = Counter(incident.kind for incident in self.incidents)
        for name, fault in self._faults:
            found[name] += fault.strikes
        return +found

    # Processes

    async def _strike(self) -> None:
        options = self._stage.options
        kinds = [KILL] * options.kills + [REDIS_KILL] * options.outages
        kinds += [kind for kind in (KILL_ALL, RESTART, REDIS_HANG) for _ in range(options.extras)]
        self._random_fraction.shuffle(kinds)
        points = sorted(self._random_fraction.uniform(0.03, 0.93) * options.journeys for _ in kinds)
        for kind, point in zip(kinds, points, strict=True):
            jitter, pause = (
                self._random_fraction.uniform(0, 0.4),
                self._random_fraction.uniform(0.1, 1.5),
            )
            victim = self._random_fraction.randrange(len(self._stage.bridges))
            while self._progress() < point and not self._ended:  # noqa: ASYNC110 - a look now and then is all it takes
                await asyncio.sleep(_STEP_S)
            if self._ended:
                return
            await asyncio.sleep(jitter)
            await self._act(kind, self._stage.bridges[victim], pause)

    async def _act(self, kind: str, victim: Bridge, pause: float) -> None:
        at = perf_counter()
        victims: list[Bridge] = []
        if kind in (REDIS_KILL, REDIS_HANG):
            redis = self._stage.redis
            await asyncio.to_thread(redis.kill if kind == REDIS_KILL else redis.freeze)
            await asyncio.sleep(pause)
            await asyncio.to_thread(redis.start if kind == REDIS_KILL else redis.thaw)
        else:
            victims = self._stage.bridges if kind == KILL_ALL else [victim]
            codes = await asyncio.gather(*(bridge.end(kill=kind in KILLS) for bridge in victims))
            if kind == RESTART and any(codes):
                raise RuntimeError(f"a bridge that was told to end gave {codes}; see {victim.log}")
            await asyncio.sleep(pause)
            for bridge in victims:
                bridge.start()
            await asyncio.gather(*(bridge.ready(self._stage.session) for bridge in victims))
        numbers = tuple(bridge.number for bridge in victims)
        self.incidents.append(Incident(kind, at, perf_counter(), numbers))

    # Vendors

    async def _burst(self) -> None:
        while not self._ended:
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
            if self._ended:
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
        while perf_counter() < end and not self._ended:  # noqa: ASYNC110
            await asyncio.sleep(_STEP_S)
