"""Stand-ins for the outside world that keep its promises: they pass the same conformance suites as
the real ones.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bridge.core.invitation import CommitOutcome, Invitation, OrderClaimChange, Transition
from bridge.core.queueing import (
    AttemptNote,
    CancelTask,
    DeadLetter,
    GiveUpTask,
    Lane,
    Lease,
    LeaseOffer,
    LeaseRequest,
    RetryTask,
    ScheduleTask,
    Settlement,
    TaskDone,
    TaskKind,
)
from bridge.errors import StoreUnavailable
from bridge.store import record_codec, stored_times


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Task:
    """A queued task; *owner* is empty while nobody holds it, *renewed* is set when it is put on the
    queue meanwhile.
    """

    customer: str
    due: datetime
    attempts: int = 0
    history: tuple[AttemptNote, ...] = ()
    owner: str = ""
    revision: int = 0
    renewed: datetime | None = None
    urgent: bool = False
    renewed_urgent: bool = False

    def held(self, now: datetime) -> bool:
        return bool(self.owner) and now < self.due <= now + timedelta(minutes=10)

    def hand_over(self, owner: str, revision: int, until: datetime) -> None:
        if self.renewed is not None:
            self.attempts, self.history, self.renewed = 0, (), None
        self.owner, self.revision, self.due = owner, revision, until


class MemoryStore:
    """``InvitationStore`` and ``TaskQueue`` in a few dictionaries.

    *down* makes every method raise ``StoreUnavailable``.

    Records pass through the real codec, so what cannot be stored, or is cut by storing, shows here
    too.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = _now,
        *,
        retention: timedelta = timedelta(days=365),
    ) -> None:
        self.down = False
        self._clock = clock
        self._retention = retention
        self._records: dict[str, tuple[int, str, bytes, datetime | None]] = {}
        self._orders: dict[tuple[str, str], str] = {}
        self._tasks: dict[tuple[str, TaskKind], _Task] = {}
        self._looked: dict[tuple[str, TaskKind], datetime] = {}
        self._dead: dict[tuple[str, TaskKind], tuple[DeadLetter, datetime | None]] = {}
        self._revisions = itertools.count(1_000_000)

    # InvitationStore

    async def load(self, invitation_id: str) -> Invitation | None:
        self._check()
        version, commit_id, data, expires = self._records.get(invitation_id, (0, "", b"", None))
        if not data or (expires is not None and expires <= self._clock()):
            return None
        stored = record_codec.load_invitation(invitation_id, version, data)
        return replace(stored, commit_id=commit_id)

    async def find_order(self, partition: int, order_key: str) -> Invitation | None:
        return await self.load(self._orders.get((f"{partition:x}", order_key), ""))

    async def find_by_application(
        self, customer: str, application_id: str
    ) -> tuple[Invitation, ...]:
        wanted = (customer, application_id)
        found = [one async for one in self.scan() if (one.customer, one.application_id) == wanted]
        return tuple(sorted(found, key=lambda one: one.created_at))

    async def commit(
        self, step: Transition, *, offer: LeaseOffer | None = None, ending: Lease | None = None
    ) -> CommitOutcome:
        one = step.invitation
        stored = await self.load(one.id)
        if one.version != (stored.version if stored else 0):
            return CommitOutcome.LOST
        if stored and one.commit_id not in ("", stored.commit_id):
            return CommitOutcome.LOST
        place = (one.id[3], step.order_key or one.order_key)
        holder = await self.load(self._orders.get(place, ""))
        if (
            step.order is OrderClaimChange.CLAIM
            and holder
            and holder.id not in (one.id, step.replaces)
        ):
            return CommitOutcome.LOST
        if step.order is OrderClaimChange.CLAIM and not holder and step.replaces:
            return CommitOutcome.LOST
        data = record_codec.dump_invitation(one)
        end = self._end(step.expires) if step.renews else self._records[one.id][3]
        self._records[one.id] = (one.version + 1, step.commit_id, data, end)
        if step.order is OrderClaimChange.CLAIM:
            self._orders[place] = one.id
        elif step.order is OrderClaimChange.RELEASE and self._orders.get(place) == one.id:
            del self._orders[place]
        if ending is not None:
            await self.settle(ending, TaskDone(), self._clock())
        for change in step.tasks:
            self._change(one, change)
        task = self._tasks.get((one.id, offer.lane.kind)) if offer is not None else None
        if offer is None or task is None or task.held(self._clock()):
            return CommitOutcome.WRITTEN
        task.hand_over(offer.owner, offer.revision, _cut(offer.until))
        return CommitOutcome.LEASED

    async def scan(self, *, whole: bool = False) -> AsyncIterator[Invitation]:
        self._check()
        for invitation_id in list(self._records):
            if invitation := await self.load(invitation_id):
                yield invitation

    # TaskQueue

    async def lease(self, request: LeaseRequest) -> tuple[Lease, ...]:
        self._check()
        now = _cut(request.now)
        given: Counter[Lane] = Counter()
        leases: list[Lease] = []
        due = [
            item
            for item in self._tasks.items()
            if item[1].due <= now
            and item[1].urgent >= request.urgent_only
            and request.serves(item[1].customer)
        ]
        place: Counter[Lane] = Counter()  # one of each lane, then the second of each, and so on
        turns = []
        for (invitation_id, kind), task in sorted(due, key=lambda item: item[1].due):
            lane = Lane(task.customer, kind, task.urgent)
            turns.append(((place[lane], not task.urgent), invitation_id, kind, task))
            place[lane] += 1
        for _, invitation_id, kind, task in sorted(turns, key=lambda turn: turn[0]):
            lane = Lane(task.customer, kind, task.urgent)
            if (
                len(leases) >= request.count
                or given[lane] >= request.per_lane
                or lane in request.avoid
            ):
                continue
            if task.renewed is not None and task.renewed > now:
                self._tasks[invitation_id, kind] = _Task(
                    task.customer, task.renewed, urgent=task.renewed_urgent
                )
                continue
            task.hand_over(request.owner, next(self._revisions), _cut(request.until))
            given[lane] += 1
            leases.append(_lease(invitation_id, kind, task))
        return tuple(leases)

    async def take(
        self, invitation_id: str, kind: TaskKind, now: datetime, *, owner: str, until: datetime
    ) -> Lease | None:
        self._check()
        task = self._tasks.get((invitation_id, kind))
        if task is None or (task.held(now) and task.owner != owner):
            return None
        if task.held(now):
            task.due = _cut(until)
        else:
            task.hand_over(owner, next(self._revisions), _cut(until))
        return _lease(invitation_id, kind, task)

    async def bring_forward(
        self, customer: str, invitation_id: str, kind: TaskKind, now: datetime, *, every: timedelta
    ) -> bool:
        self._check()
        task, before = (
            self._tasks.get((invitation_id, kind)),
            self._looked.get((invitation_id, kind)),
        )
        if before is not None and before <= now < before + every:
            return False
        if (
            task is None
            or task.customer != customer
            or task.held(now)
            or task.due <= now
            or task.urgent
        ):
            return False
        self._looked[invitation_id, kind] = task.due = _cut(now)
        return True

    async def extend(self, leases: Sequence[Lease], until: datetime) -> None:
        self._check()
        for lease in leases:
            if task := self._held_by(lease):
                task.due = _cut(until)

    async def settle(self, lease: Lease, settlement: Settlement, now: datetime) -> bool:
        self._check()
        task = self._held_by(lease)
        if task is None:
            return False
        key = (lease.invitation_id, lease.kind)
        del self._tasks[key]
        if task.renewed is not None:
            self._tasks[key] = _Task(task.customer, task.renewed, urgent=task.renewed_urgent)
        elif isinstance(settlement, RetryTask):
            self._tasks[key] = _Task(
                task.customer,
                _cut(settlement.at),
                lease.count_calls(settlement),
                record_codec.load_attempt_log(
                    record_codec.dump_attempt_log(lease.build_attempt_log(settlement))
                ),
                urgent=settlement.urgent,
            )
        elif isinstance(settlement, GiveUpTask):
            letter = lease.build_dead_letter(settlement, now)
            data = record_codec.dump_dead_letter(letter)
            self._dead[key] = record_codec.load_dead_letter(*key, data), self._end(letter.expires)
        return True

    async def release(self, leases: Sequence[Lease], now: datetime) -> None:
        for lease in leases:
            await self.settle(lease, RetryTask(now, counted=False, urgent=lease.urgent), now)

    async def next_due(self) -> datetime | None:
        self._check()
        return min((task.due for task in self._tasks.values()), default=None)

    async def dead_letters(self) -> AsyncIterator[DeadLetter]:
        self._check()
        for key in list(self._dead):
            if letter := self._dead_letter(key):
                yield letter

    async def replay(self, invitation_id: str, kind: TaskKind, now: datetime) -> bool:
        self._check()
        letter = self._dead_letter((invitation_id, kind))
        if letter is not None:
            self._tasks[invitation_id, kind] = _Task(letter.customer, _cut(now))
            del self._dead[invitation_id, kind]
        return letter is not None

    async def drop(self, invitation_id: str, kind: TaskKind) -> bool:
        self._check()
        found = self._dead_letter((invitation_id, kind)) is not None
        self._dead.pop((invitation_id, kind), None)
        return found

    def forget(self, *invitation_ids: str) -> None:
        """For tests: these records are gone, as if Redis had lost them; without ids all."""
        for invitation_id in invitation_ids or tuple(self._records):
            self._records.pop(invitation_id, None)

    def forget_everything(self) -> None:
        """For tests: records, orders and tasks are gone, as after FLUSHALL."""
        for kept in (self._records, self._orders, self._tasks):
            kept.clear()

    def remember(self) -> Callable[[], None]:
        """For tests: gives what goes back to this moment, as Redis does from a backup."""
        kept = [dict(one) for one in (self._records, self._orders, self._tasks)]

        def go_back() -> None:
            self._records, self._orders, self._tasks = kept

        return go_back

    def overwrite(self, invitation_id: str, data: bytes) -> bytes:
        """For tests: put *data* in place of what is stored of this invitation; gives what was
        there.
        """
        version, commit_id, stored, expires = self._records[invitation_id]
        self._records[invitation_id] = (version, commit_id, data, expires)
        return stored

    def enqueue(self, invitation_id: str, kind: TaskKind, customer: str) -> None:
        """For tests: a task that no record asks for is due now."""
        self._tasks[invitation_id, kind] = _Task(customer, _cut(self._clock()))

    def queued(self) -> set[tuple[str, TaskKind]]:
        """For tests: what is in the queue, whether due or not."""
        return set(self._tasks)

    def expires_at(self, name: str) -> datetime | None:
        """For tests: when the record, or the dead letter, of this id goes; None: never."""
        if name in self._records:
            return self._records[name][3]
        (end,) = (end for letter, end in self._dead.values() if letter.task_id == name)
        return end

    def _end(self, expires: bool) -> datetime | None:
        return self._clock() + self._retention if expires else None

    def _dead_letter(self, key: tuple[str, TaskKind]) -> DeadLetter | None:
        letter, end = self._dead.get(key, (None, None))
        return None if end is not None and end <= self._clock() else letter

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("the memory store was told to be down")

    def _change(self, one: Invitation, change: ScheduleTask | CancelTask) -> None:
        key = (one.id, change.kind)
        self._dead.pop(key, None)
        if isinstance(change, CancelTask):
            self._tasks.pop(key, None)
            return
        now, task = self._clock(), self._tasks.get(key)
        if task is not None and task.held(now):
            task.renewed, task.renewed_urgent = _cut(change.at), change.urgent
            return
        self._tasks[key] = _Task(one.customer, _cut(change.at), urgent=change.urgent)

    def _held_by(self, lease: Lease) -> _Task | None:
        task = self._tasks.get((lease.invitation_id, lease.kind))
        ours = task is not None and (task.owner, task.revision) == (lease.owner, lease.revision)
        return task if ours else None


def _cut(moment: datetime) -> datetime:
    return stored_times.from_ms(stored_times.to_ms(moment))


def _lease(invitation_id: str, kind: TaskKind, task: _Task) -> Lease:
    return Lease(
        invitation_id=invitation_id,
        kind=kind,
        customer=task.customer,
        attempt=task.attempts + 1,
        urgent=task.urgent,
        owner=task.owner,
        revision=task.revision,
        history=task.history,
    )
