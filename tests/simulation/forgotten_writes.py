"""Redis forgets what it acknowledged: a crash loses its unsynced tail, a late replica takes over,
a backup is restored. What was not written meanwhile must not notice.

All three leave the state of an earlier moment. So the world can say precisely whom it concerns: the
invitations of which anything in Redis differs between the two moments.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

from bridge.core import ids
from bridge.core.invitation import OPEN, HireState, Invitation, State
from bridge.store.key_names import PartitionKeyNames
from tests.simulation.stage_settings import POLL_S, SECRETS, load_settings

if TYPE_CHECKING:
    from tests.simulation.incidents import Incident
    from tests.simulation.journey import Journey
    from tests.simulation.order_round import OrderRound
    from tests.simulation.world import Simulation

KINDS: Final = {
    "Redis loses its unsynced tail": 1.0,
    "Redis fails over to a replica that was behind": 2.0,
    "Redis is restored from a backup": 60.0,
}
"""What makes Redis forget, and the most that it forgets, in seconds; a backup is older, but a world
is short. The first cannot be where Redis appends with ``always``.
"""
FOUND_S: Final = POLL_S + 12.0
"""Within what time after it what can be found again by polling is."""
_ID: Final = re.compile(rb"iv_[0-9a-f][A-Za-z0-9]{24}")
_MAKING: Final = (State.CREATING, State.UNCERTAIN, State.FAILED)


@dataclass(frozen=True, slots=True)
class ForgottenTime:
    """What Redis wrote from *at* to *until* is gone."""

    at: float
    until: float
    invitations: frozenset[str]
    """Of which anything had changed."""
    orders: frozenset[bytes]
    """The keys of orders that had another claim, or none."""
    is_all: bool = True
    """All of Redis went back, not one record that vanished."""


@dataclass(slots=True)
class ForgottenWrites:
    """Carries out the incidents, and says what they explain."""

    simulation: Simulation
    draw: Callable[[Incident], Random]
    done: list[ForgottenTime] = field(default_factory=list)
    being_made: set[str] = field(default_factory=set)
    """Whose record vanished while the application was made: the process that makes it knows."""
    _kept: dict[int, tuple[float, set[bytes], Any]] = field(default_factory=dict)
    """The moment that the incident with this number goes back to: when, what Redis held, and a copy
    of it. Only one at a time is waited for.
    """

    async def wait(self, incident: Incident) -> None:
        """Until it begins; what is forgotten was written before that."""
        written_s = KINDS[incident.kind] * self.draw(incident).uniform(0.05, 1.0)
        await asyncio.sleep(max(0.0, incident.at - written_s))
        if not self._kept:
            redis = self.simulation.redis
            self._kept[incident.number] = self._now(), _list_lines(redis.dump()), redis.snapshot()
        await asyncio.sleep(max(0.0, incident.at - self._now()))

    async def forget(self, incident: Incident) -> str:
        """Go on from an earlier moment, after an outage; deletions that are undone are repeated, as
        the page on backups asks for.
        """
        simulation, kept = self.simulation, self._kept.get(incident.number)
        if kept is None or simulation.trouble.damaged.done:
            self._kept.pop(incident.number, None)
            return "(not now: Redis goes back already, or is being mended)"
        at, before, copy = kept
        changed = before ^ _list_lines(simulation.redis.dump())
        simulation.redis.restore(copy)
        simulation.redis.forget_scripts()
        undone = self._note(at, changed)
        simulation.redis_servers.change_all("down", True)
        await asyncio.sleep(incident.lasts_s)
        simulation.redis_servers.change_all("down", False)
        self._kept.clear()
        await asyncio.gather(*(journey.delete_again(known) for journey, known in undone))
        invitations, latest = self.done[-1].invitations, simulation.watch.latest
        gone = sum(one not in latest for one in invitations)
        return (
            f"({incident.at - at:.2f} s: {len(invitations)} invitations, {gone} of them are gone,"
            f" {len(undone)} are deleted once more)"
        )

    def concerns(self, invitation_id: str, begun: float, until: float) -> bool:
        """Whether it explains that this invitation's work waited then, or is done again."""
        return any(
            invitation_id in one.invitations and one.at <= until and begun <= one.until + FOUND_S
            for one in self.done
        )

    def forgot(self, invitation_id: str, at: float) -> bool:
        """Whether what was written of it then is gone."""
        return any(
            invitation_id in one.invitations and one.at <= at <= one.until for one in self.done
        )

    def is_gone(self, invitation_id: str, secret: str) -> bool:
        """Whether nothing is left of this invitation, or of its attempt with this secret."""
        record = self.simulation.watch.latest.get(invitation_id)
        attempts = record.attempts if record is not None else ()
        forgotten = any(invitation_id in one.invitations for one in self.done)
        digest = ids.hash_secret(secret)
        return forgotten and all(one.secret_digest != digest for one in attempts)

    def went_back(self, since: float) -> bool:
        """Whether Redis has gone back to an earlier moment since then."""
        return any(one.until >= since and one.is_all for one in self.done)

    def is_lost(self, invitation_id: str) -> bool:
        """Whether its record alone vanished, with all that the bridge knew of its applications."""
        return any(not one.is_all and invitation_id in one.invitations for one in self.done)

    def lose_claim(self, order: bytes) -> None:
        """The entry that says which invitation an order has got has vanished."""
        now = self._now()
        self.done.append(ForgottenTime(now, now, frozenset(), frozenset((order,)), is_all=False))

    def lose_record(self, invitation_id: str, order: bytes) -> None:
        """A record has vanished, and nothing else with it."""
        now, simulation = self._now(), self.simulation
        lost = frozenset((invitation_id,))
        self.done.append(ForgottenTime(now, now, lost, frozenset((order,)), is_all=False))
        simulation.watch.forget(lost)
        for journey in simulation.journeys:
            for known in journey.rounds:
                if known.invitation_id == invitation_id:
                    _forget(known, None, now, again=False)
                    known.set_back_at = now

    def lost_claim(self, journey: int) -> bool:
        """Whether it cannot be known any more that this journey's order was answered."""
        orders = {order for one in self.done for order in one.orders}
        return bool(orders) and self._order_of(self.simulation.find_journey(journey)) in orders

    def _note(self, at: float, changed: set[bytes]) -> list[tuple[Journey, OrderRound]]:
        """Tell everybody who remembers what Redis does not; the deletions that are undone."""
        simulation = self.simulation
        invitations = frozenset(one.decode() for line in changed for one in _ID.findall(line))
        orders = frozenset(line.partition(b" ")[0] for line in changed if b":order:" in line)
        self.done.append(ForgottenTime(at, self._now(), invitations, orders))
        simulation.watch.forget(invitations)
        simulation.queue_watch.forget(invitations)
        undone = []
        for journey in simulation.journeys:
            for known in journey.rounds:
                if not invitations.isdisjoint(str(one["invitationId"]) for one in known.answers):
                    record = simulation.watch.latest.get(known.invitation_id)
                    _forget(known, record, at, again=journey.plan.deletion == "again")
                    known.set_back_at = self._now()
                    if known.deleted and record is not None and record.state is not State.ERASED:
                        known.deleted = False
                        if not known.is_unknown:
                            undone.append((journey, known))
        return undone

    def _now(self) -> float:
        return self.simulation.time.seconds

    def _order_of(self, journey: Journey) -> bytes:
        plan = journey.plan
        names = PartitionKeyNames(load_settings().redis.key_prefix)[
            ids.compute_partition(plan.customer, plan.candidate)
        ]
        job = SECRETS[plan.customer].job
        return names.order(ids.compute_order_key(plan.customer, plan.candidate, job)).encode()


def _list_lines(dump: bytes) -> set[bytes]:
    return set(dump.split(b"\n"))


def _forget(known: OrderRound, record: Invitation | None, at: float, *, again: bool) -> None:
    """What the bridge cannot know any more is not asked of it. Of two orders of one candidate it
    takes the second for the first, whose deletion it does not know.
    """
    known.read.clear()
    known.is_gone = record is None
    hire = record.hire if record is not None else None
    if known.hire_began and (hire is None or hire.state is HireState.REQUESTED):
        known.forgotten_hires += 1
    application, reported = known.application, [known.acknowledged_at, known.refused_at]
    if application is not None:
        reported += application.heard.values()
        for word in [word for word, heard in application.heard.items() if heard >= at]:
            del application.heard[word]
    unheard = any(one is not None and one >= at for one in reported)
    if unheard:
        known.acknowledged_at = known.refused_at = None
    wordless = application is not None and application.wordless
    known.is_unknown = (
        again
        or record is None
        or record.state in _MAKING
        or (not record.issued and record.state is not State.ERASED)
        or (unheard and wordless and record.state in OPEN)
        or (unheard and record.state is State.EXPIRED)
    )
    if known.is_unknown:
        known.wants = ""
