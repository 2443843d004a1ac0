"""One server of several is away: that concerns its own partitions, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from bridge.core.ids import compute_partition, hash_secret, read_partition
from tests.simulation.redis_cluster import find_server
from tests.simulation.stage_settings import load_settings

if TYPE_CHECKING:
    from tests.simulation.incidents import Incident
    from tests.simulation.journey import Journey
    from tests.simulation.world import Simulation

OUTAGES: Final = {
    "a part of Redis refuses connections": "down",
    "a part of Redis hangs": "hangs",
    "a part of Redis has no primary": "without_primary",
}
"""What of a server's weather each kind of incident changes."""
SERVERS: Final = 3
LASTS_ON_S: Final = 12.0
"""Until a partition that is back is asked again, at the latest."""
MOST_S: Final = 1.0
"""How long a call that needs Redis alone may take, whatever other parts do."""
READY_S: Final = 2.0


@dataclass(slots=True)
class PartialOutage:
    """These partitions have no server."""

    at: float
    end: float
    partitions: Sequence[int]

    def concerns(self, partition: int | None, begun: float, until: float) -> bool:
        """Whether work of this partition may have waited for it then."""
        return partition in self.partitions and self.at <= until and begun <= self.end + LASTS_ON_S


class PartialOutages:
    """Has servers fail, and judges what others' callers get meanwhile."""

    def __init__(self, simulation: Simulation) -> None:
        self.done: list[PartialOutage] = []
        self._simulation = simulation

    async def perform(self, incident: Incident, draws: Random) -> str:
        """Take one server away for a while; says which partitions it has."""
        if any(one.end > self._now() for one in self.done):
            return "(one is away already)"
        servers = self._simulation.redis_servers
        number = draws.randrange(servers.count)
        partitions, weather = servers.find_partitions(number), servers.weathers[number]
        outage = PartialOutage(self._now(), float("inf"), partitions)
        self.done.append(outage)
        setattr(weather, OUTAGES[incident.kind], True)
        await asyncio.sleep(incident.lasts_s)
        await self._check_readiness(outage, incident.kind)
        setattr(weather, OUTAGES[incident.kind], False)
        outage.end = self._now()
        return f"(of {', '.join(f'p{one:x}' for one in partitions)})"

    def concerns(self, partition: int | None, begun: float, until: float) -> bool:
        """Whether this partition's work may have waited."""
        return any(one.concerns(partition, begun, until) for one in self.done)

    def find_end(self, until: float, invitation_id: str) -> float:
        """When the last of what concerns this invitation, and began before, was over."""
        partition = read_partition(invitation_id)
        ends = [
            min(one.end + LASTS_ON_S, until)
            for one in self.done
            if one.concerns(partition, one.at, until)
        ]
        return max(ends, default=0.0)

    def judge(self, number: int, method: str, took_s: float, code: str) -> None:
        """What a journey got for a call that took so long; *code* is that of an error, or empty."""
        now = self._now()
        begun = now - took_s
        journey = self._simulation.find_journey(number)
        partition = compute_partition(journey.plan.customer, journey.plan.candidate)
        needed = [partition]
        if method == "DELETE":
            needed.append(self._find_neighbour(journey))
        if any(self.concerns(one, begun, now) for one in needed) or self._is_explained(begun, now):
            return
        if code == "store_unavailable":
            how = f"{method}: Redis was said to be away, and had p{partition:x}"
            self._simulation.complain("partition", how, number)
        away = any(one.at <= now and begun <= one.end for one in self.done)
        if method in ("GET", "PUT") and away and took_s > MOST_S:
            how = (
                f"{method} took {took_s:.1f} s while other partitions than p{partition:x} were away"
            )
            self._simulation.complain("partition", how, number)

    def _find_neighbour(self, journey: Journey) -> int:
        """A partition of the server that knows who else has the application that is anonymised: it
        must not be anonymised before that is known.
        """
        application = journey.rounds[-1].application
        servers = self._simulation.redis_servers
        if application is None:
            return -1
        digest = hash_secret(f"{journey.plan.customer}/{application.reference_id}")[:40]
        prefix = load_settings().redis.key_prefix
        return servers.find_partitions(
            find_server(f"{prefix}:ref:{digest}".encode(), servers.count)
        )[0]

    async def _check_readiness(self, outage: PartialOutage, kind: str) -> None:
        """Processes are ready while a part works, and say which part does not."""
        for process in list(self._simulation.processes.values()):
            begun = self._now()
            if begun - max(outage.at, process.serves_since) < READY_S or not process.lives:
                continue
            assert process.runtime is not None
            found = await process.runtime.readiness.check()
            if self._is_explained(begun, self._now()):
                continue
            missing = found.details.get("missing_partitions", {})
            said = [*missing] if isinstance(missing, dict) else []
            away = [f"p{one:x}" for one in outage.partitions]
            if found.reasons or not all(one in said for one in away):
                how = f"{kind}: {process.host} misses {said}, not {away}: {found.reasons}"
                self._simulation.complain("readiness", how)

    def _is_explained(self, begun: float, until: float) -> bool:
        """Whether there was other trouble: this is about what a part of Redis does to the rest."""
        return self._simulation.trouble.is_any_near(begun, until, tuple(OUTAGES))

    def _now(self) -> float:
        return self._simulation.time.seconds
