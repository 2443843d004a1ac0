"""What the bridge owes the world, in Redis."""

from __future__ import annotations

import itertools
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from bridge.core import ids
from bridge.core.models import Again, AttemptNote, Dead, DeadLetter, Lease, Settlement, TaskKind
from bridge.errors import RecordUnreadable
from bridge.store import keys, plan, records, scripts
from bridge.store.commands import Commands
from bridge.store.invitations import checked

_HISTORY: Final = 20
"""Lines of an attempt log that are kept."""
_LANES: Final = 256
"""Due lanes of one partition that are looked at in one call, the longest overdue first."""
_ROUNDS: Final = 3
"""Journeys of one ``lease`` at most: further ones only ask those partitions that may have more."""
_TOGETHER: Final = 100

log = structlog.get_logger()


class RedisTasks:
    """``TaskQueue`` over Redis. Its cost depends neither on the stored records nor on the tasks that are not due yet.

    *retention* is how long a dead letter is kept; *cipher* seals what vendors answered; *stamp* numbers the leases, unguessably
    often different, at most 2**46 (Lua counts in doubles).
    """

    def __init__(
        self,
        commands: Commands,
        *,
        prefix: str,
        retention: timedelta,
        cipher: records.Cipher | None = None,
        stamp: Callable[[], int] = lambda: secrets.randbits(46),
    ) -> None:
        self._commands = commands
        self._keys = keys.all_keys(prefix)
        self._retention_ms = retention // timedelta(milliseconds=1)
        self._cipher = cipher
        self._stamp = stamp
        self._turns = itertools.count()

    async def lease(
        self,
        now: datetime,
        *,
        owner: str,
        until: datetime,
        count: int,
        per_lane: int,
        avoid: Collection[tuple[str, TaskKind]] = (),
        serves: Callable[[str], bool] = lambda _: True,
    ) -> tuple[Lease, ...]:
        """Up to *count* due tasks, at most *per_lane* of one customer and kind, none of the lanes in *avoid*.

        Tasks of a customer that this process does not serve (*serves*, by key) stay as they are, for later or for others.
        One journey if nothing is due. May give fewer than there are: whoever got any asks again.
        """
        due = await self._due_lanes(now, {keys.lane(*lane) for lane in avoid}, serves)
        if not due or count <= 0 or per_lane <= 0:
            return ()
        stamp = self._stamp()
        shares = plan.Shares(due, count=count, per_lane=per_lane, turn=next(self._turns))
        leases: list[Lease] = []
        for _ in range(_ROUNDS):
            asked = shares.deal()
            if not asked:
                break
            answers = await self._commands.run_all(
                [self._lease_call(partition, wanted, now, owner, until, stamp) for partition, wanted in asked.items()]
            )
            for partition, answer in zip(asked, answers, strict=True):
                got = [self._read(*parts, owner=owner, stamp=stamp) for parts in zip(*[iter(answer)] * 4, strict=True)]
                leases += got
                shares.take(partition, [keys.lane(lease.customer, lease.kind) for lease in got])
        return tuple(leases)

    async def take(
        self, invitation_id: str, kind: TaskKind, now: datetime, *, owner: str, until: datetime
    ) -> Lease | None:
        """Lease one queued task whether due or not; None: not queued, or leased by somebody else.

        The owner of a running lease gets it again, prolonged.
        """
        partition = ids.partition_in(invitation_id)
        if partition is None:
            return None
        names = self._keys[partition]
        value = await self._commands.run(("GET", names.invitation(invitation_id)))
        if value is None:
            return None
        customer = records.customer_of(value.split(b"|", 2)[2])
        lane, task = keys.lane(customer, kind), keys.task(invitation_id, kind)
        answer = await self._commands.run(
            scripts.TAKE.call(
                [names.due(lane), names.tasks, names.lanes],
                [
                    invitation_id,
                    task,
                    lane,
                    records.to_ms(now),
                    records.to_ms(until),
                    checked(owner),
                    self._stamp(),
                ],
            )
        )
        if not answer:
            return None
        stamp, attempt, history = answer
        return self._read(lane.encode(), invitation_id.encode(), attempt, history, owner=owner, stamp=int(stamp))

    async def extend(self, leases: Sequence[Lease], until: datetime) -> None:
        """Heartbeat: keep those that are still ours until *until*."""
        calls: list[scripts.Command] = []
        for lease in leases:
            names, lane = self._place(lease)
            calls.append(
                scripts.EXTEND.call(
                    [names.due(lane), names.tasks, names.lanes],
                    [lease.invitation_id, lease.task_id, lane, lease.owner, lease.revision, records.to_ms(until)],
                )
            )
        await self._commands.run_all(calls)

    async def settle(self, lease: Lease, settlement: Settlement, now: datetime) -> bool:
        """End the lease; False: it was no longer ours. A task renewed meanwhile stays queued with its newer time.

        False is also what a settlement gets that was done, lost its answer and was sent again: nothing is left to settle.
        """
        settled: int = await self._commands.run(self._settle_call(lease, settlement, now))
        return settled == 1

    async def release(self, leases: Sequence[Lease], now: datetime) -> None:
        """Give leases back unperformed; the attempt does not count."""
        await self._commands.run_all([self._settle_call(lease, Again(now, counted=False), now) for lease in leases])

    async def next_due(self) -> datetime | None:
        """When the earliest queued task is due; a leased one counts as due at the end of its lease."""
        answers = await self._commands.run_all([scripts.PEEK.call([names.lanes], ["+inf", 1]) for names in self._keys])
        return min((records.from_ms(int(float(answer[1]))) for answer in answers if answer), default=None)

    async def depth(self, now: datetime) -> dict[tuple[str, TaskKind], int]:
        """Due tasks by customer and kind; leased ones are not due."""
        calls = [scripts.DEPTH.call([names.lanes], [names.base, records.to_ms(now)]) for names in self._keys]
        depth: defaultdict[tuple[str, TaskKind], int] = defaultdict(int)
        for answer in await self._commands.run_all(calls):
            for lane, number in zip(answer[::2], answer[1::2], strict=True):
                depth[keys.read_lane(lane.decode())] += number
        return dict(depth)

    async def dead_letters(self) -> AsyncIterator[DeadLetter]:
        """Every dead letter, in no order."""
        for names in self._keys:
            tasks = [task.decode() for task in await self._commands.run(("ZRANGE", names.dead, 0, -1))]
            for start in range(0, len(tasks), _TOGETHER):
                batch = tasks[start : start + _TOGETHER]
                values = await self._commands.run_all([("GET", names.dead_letter(task)) for task in batch])
                for task, value in zip(batch, values, strict=True):
                    if value is None:
                        continue
                    try:
                        letter = records.load_dead_letter(*keys.read_task(task), value, self._cipher)
                    except RecordUnreadable as error:
                        log.warning("dead_letter.unreadable", task_id=task, error=str(error))
                        continue
                    yield letter

    async def replay(self, invitation_id: str, kind: TaskKind, now: datetime) -> bool:
        """Queue a dead letter's task again, from attempt 1, due now; False: no such dead letter."""
        return await self._revive(invitation_id, kind, records.to_ms(now))

    async def drop(self, invitation_id: str, kind: TaskKind) -> bool:
        """Forget a dead letter; False: no such dead letter."""
        return await self._revive(invitation_id, kind, "")

    async def _revive(self, invitation_id: str, kind: TaskKind, at: int | str) -> bool:
        partition = ids.partition_in(invitation_id)
        if partition is None:
            return False
        names, task = self._keys[partition], keys.task(invitation_id, kind)
        value = await self._commands.run(("GET", names.dead_letter(task)))
        if value is None:
            return False
        lane = keys.lane(records.load_dead_letter(invitation_id, kind, value, self._cipher).customer, kind)
        done: int = await self._commands.run(
            scripts.REVIVE.call(
                [names.due(lane), names.tasks, names.lanes, names.dead], [names.base, invitation_id, task, lane, at]
            )
        )
        return done == 1

    async def _due_lanes(
        self, now: datetime, avoid: Collection[str], serves: Callable[[str], bool]
    ) -> Mapping[str, list[int]]:
        """The lanes in which something is due, each with the partitions where it is."""
        limit = _LANES + len(avoid)
        calls = [scripts.PEEK.call([names.lanes], [records.to_ms(now), limit]) for names in self._keys]
        due: defaultdict[str, list[int]] = defaultdict(list)
        for partition, answer in enumerate(await self._commands.run_all(calls)):
            for lane in answer[::2]:
                name = lane.decode()
                if name not in avoid and keys.knows_lane(name) and serves(keys.read_lane(name)[0]):
                    due[name].append(partition)
        return due

    def _lease_call(
        self, partition: int, wanted: Mapping[str, int], now: datetime, owner: str, until: datetime, stamp: int
    ) -> scripts.Command:
        names = self._keys[partition]
        pairs: list[scripts.Part] = []
        for lane, number in wanted.items():
            pairs += (lane, number)
        return scripts.LEASE.call(
            [names.tasks, names.lanes],
            [
                names.base,
                records.to_ms(now),
                records.to_ms(until),
                checked(owner),
                stamp,
                *pairs,
            ],
        )

    def _settle_call(self, lease: Lease, settlement: Settlement, now: datetime) -> scripts.Command:
        names, lane = self._place(lease)
        outcome: tuple[scripts.Part, ...] = ("done",)
        if isinstance(settlement, Again):
            outcome = (
                "again",
                records.to_ms(settlement.at),
                lease.attempt if settlement.counted else lease.attempt - 1,
                records.dump_notes(_log(lease, settlement.note), self._cipher),
            )
        elif isinstance(settlement, Dead):
            letter = DeadLetter(
                invitation_id=lease.invitation_id,
                kind=lease.kind,
                customer=lease.customer,
                attempts=lease.attempt if settlement.counted else lease.attempt - 1,
                reason=settlement.reason,
                since=now,
                history=_log(lease, settlement.note),
            )
            # A debt to a deleted person does not expire, as her tombstone does not, however long nobody looks at it.
            ttl = 0 if lease.kind is TaskKind.ANONYMISE else self._retention_ms
            outcome = ("dead", records.to_ms(now), ttl, records.dump_dead_letter(letter, self._cipher))
        return scripts.SETTLE.call(
            [names.due(lane), names.tasks, names.lanes, names.dead, names.dead_letter(lease.task_id)],
            [lease.invitation_id, lease.task_id, lane, lease.owner, lease.revision, *outcome],
        )

    def _place(self, lease: Lease) -> tuple[keys.Keys, str]:
        partition = ids.partition_in(lease.invitation_id)
        if partition is None:
            raise ValueError("not an invitation id")
        return self._keys[partition], keys.lane(lease.customer, lease.kind)

    def _read(
        self, lane: bytes, invitation_id: bytes, attempt: bytes, history: bytes, *, owner: str, stamp: int
    ) -> Lease:
        customer, kind = keys.read_lane(lane.decode())
        return Lease(
            invitation_id=invitation_id.decode(),
            kind=kind,
            customer=customer,
            attempt=int(attempt),
            owner=owner,
            revision=stamp,
            history=records.load_notes(history, self._cipher),
        )


def _log(lease: Lease, note: AttemptNote | None) -> tuple[AttemptNote, ...]:
    return (*lease.history, *(() if note is None else (note,)))[-_HISTORY:]
