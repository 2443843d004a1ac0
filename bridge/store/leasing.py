"""Handing out due tasks, fairly among customers and partitions."""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from bridge.core import ids
from bridge.core.queueing import Lane, Lease, LeaseRequest, TaskKind
from bridge.errors import RecordUnreadable, StoreUnavailable
from bridge.store import key_names, lua_scripts
from bridge.store.encryption import Cipher
from bridge.store.fair_shares import FairShares
from bridge.store.key_names import PartitionKeyNames, decode_name
from bridge.store.partition_health import PartitionHealth
from bridge.store.quarantine import RedisQuarantine
from bridge.store.record_codec import load_attempt_log
from bridge.store.redis_access import StoreFull
from bridge.store.stored_times import from_ms, to_ms

_LANES: Final = 4096
"""Due lanes of a partition that one call reads, the longest overdue first: more than exist."""
_ROUNDS: Final = 3
"""The most round trips of one ``lease``; those after the first ask partitions that may have
more.
"""
_MAX_QUARANTINED: Final = 500
"""How many damaged entries one ``lease`` quarantines: many, but bounded."""
_LATEST_MS: Final = to_ms(datetime(9999, 1, 1, tzinfo=UTC))

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Found:
    """A task as the queue holds it; *attempts* is empty if its entry is damaged."""

    lane: Lane
    member: bytes
    attempts: bytes
    history: bytes


class TaskLeasing:
    """Implements ``RedisTasks.lease``. *stamp* gives each lease an unguessable number."""

    def __init__(
        self,
        partitions: PartitionKeyNames,
        health: PartitionHealth,
        quarantine: RedisQuarantine,
        *,
        cipher: Cipher | None,
        stamp: Callable[[], int],
    ) -> None:
        self._partitions = partitions
        self._health = health
        self._quarantine = quarantine
        self._cipher = cipher
        self._stamp = stamp
        self._turns = itertools.count()
        self._strange_lanes = 0

    async def lease(self, request: LeaseRequest) -> tuple[Lease, ...]:
        """See ``TaskQueue.lease``. One round trip if nothing is due."""
        due = await self._due_lanes(request)
        if not due or request.count <= 0 or request.per_lane <= 0:
            return ()
        stamp = self._stamp()
        shares = FairShares(
            due, count=request.count, per_lane=request.per_lane, turn=next(self._turns)
        )
        leases: list[Lease] = []
        rounds = quarantined = 0
        while rounds < _ROUNDS and quarantined < _MAX_QUARANTINED and (asked := shares.allocate()):
            try:
                given = await self._lease_from(asked, request, stamp)
            except StoreUnavailable:
                if leases:
                    break  # the tasks leased so far are still performed
                raise
            spoilt = 0
            for partition, found in given.items():
                read = [
                    await self._read_or_quarantine(partition, one, request, stamp) for one in found
                ]
                taken = [lease for lease in read if lease is not None]
                leases += taken
                spoilt += len(found) - len(taken)
                more = len(taken) < len(found)
                shares.record(partition, [lease.lane for lease in taken], more=more)
            quarantined += spoilt
            rounds += not spoilt  # damaged entries do not count
        return tuple(leases)

    async def next_due(self) -> datetime | None:
        """See ``TaskQueue.next_due``."""
        answers = await self._health.ask_all(lambda partition: self._peek(partition, "+inf", 1))
        times = [float(answer[2]) for answer in answers.values() if len(answer) > 1]
        return from_ms(int(min(max(min(times), 0.0), _LATEST_MS))) if times else None

    def _peek(self, partition: int, at: lua_scripts.Part, limit: int) -> lua_scripts.Command:
        return lua_scripts.PEEK.call(
            [self._partitions[partition].lanes], [at, limit, *key_names.KINDS]
        )

    async def _due_lanes(self, request: LeaseRequest) -> Mapping[Lane, list[int]]:
        """The lanes with due tasks, each with the partitions of these tasks."""
        at, limit = to_ms(request.now), _LANES + len(request.avoid)
        answers = await self._health.ask_all(lambda partition: self._peek(partition, at, limit))
        due: defaultdict[Lane, list[int]] = defaultdict(list)
        for partition, answer in answers.items():
            for name in answer[1::2]:
                if not key_names.is_lane_name(name):
                    await self._quarantine.quarantine_lane(self._partitions[partition], name)
                    continue
                lane = key_names.parse_lane_name(name.decode())
                wanted = lane.urgent or not request.urgent_only
                if wanted and lane not in request.avoid and request.serves(lane.customer):
                    due[lane].append(partition)
        self._say_strange_lanes(sum(int(answer[0]) for answer in answers.values()))
        return due

    def _say_strange_lanes(self, number: int) -> None:
        """Log lanes of unknown kinds: normally a newer version's, which performs them itself."""
        if number and not self._strange_lanes:
            log.warning(
                "lanes.unknown",
                count=number,
                text="their tasks are of kinds that only another version knows",
            )
        self._strange_lanes = number

    async def _lease_from(
        self, asked: Mapping[int, Mapping[Lane, int]], request: LeaseRequest, stamp: int
    ) -> dict[int, list[_Found]]:
        """The tasks that each partition gives.

        If Redis has no memory left, deletions are leased nevertheless: they free memory.
        """

        head = (to_ms(request.now), to_ms(request.until), check_owner_name(request.owner), stamp)

        def call(partition: int, wanted: Mapping[Lane, int], *, force: bool) -> lua_scripts.Command:
            names = self._partitions[partition]
            queues: list[str] = []
            lanes: list[lua_scripts.Part] = []
            for lane, number in wanted.items():
                normal = key_names.build_lane_name(lane.customer, lane.kind)
                queue, other = names.queues(normal)
                queues += (other, queue) if lane.urgent else (queue, other)
                lanes += (normal, int(lane.urgent), number)
            return lua_scripts.LEASE.call(
                [names.tasks, names.lanes, *queues],
                [*head, int(force), *lanes],
            )

        asked = dict(asked)
        first = {one: call(one, wanted, force=False) for one, wanted in asked.items()}
        answers = await self._health.ask(first)
        full = [one for one, answer in answers.items() if isinstance(answer, StoreFull)]
        asked |= {one: _deletions(asked[one]) for one in full}
        if forced := {one: call(one, asked[one], force=True) for one in full if asked[one]}:
            answers |= await self._health.ask(forced)
        return {one: _found(list(wanted), answers.get(one)) for one, wanted in asked.items()}

    async def _read_or_quarantine(
        self, partition: int, found: _Found, request: LeaseRequest, stamp: int
    ) -> Lease | None:
        """The lease; None if the task's entry is damaged: that is quarantined first."""
        names, lane = self._partitions[partition], found.lane
        invitation_id = decode_name(found.member)
        of_ours = ids.read_partition(invitation_id) == partition
        if of_ours:
            with contextlib.suppress(ValueError, RecordUnreadable):
                return Lease(
                    invitation_id=invitation_id,
                    kind=lane.kind,
                    customer=lane.customer,
                    attempt=int(found.attempts) + 1,
                    owner=request.owner,
                    revision=stamp,
                    history=load_attempt_log(found.history, self._cipher, invitation_id),
                    urgent=lane.urgent,
                )
        await self._quarantine.quarantine_task(
            names, lane, found.member, request.now if of_ours else None
        )
        return None


def _found(lanes: list[Lane], answer: Any) -> list[_Found]:
    """The tasks in an answer of ``lease.lua``: lane's number, member, attempts, history, ..."""
    if answer is None or isinstance(answer, StoreFull):
        return []
    parts = zip(*[iter(answer)] * 4, strict=True)
    return [_Found(lanes[int(number)], *rest) for number, *rest in parts]


def _deletions(wanted: Mapping[Lane, int]) -> dict[Lane, int]:
    return {lane: number for lane, number in wanted.items() if lane.kind is TaskKind.ANONYMISE}


def check_owner_name(owner: str) -> str:
    """Check the name of a lease's owner: it must not contain the separator of an entry's fields."""
    if "|" in owner:
        raise ValueError("an owner's name must not contain '|'")
    return owner
