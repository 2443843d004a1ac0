"""The queue of tasks, in Redis."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from bridge.core import ids
from bridge.core.queueing import (
    DeadLetter,
    GiveUp,
    Lane,
    Lease,
    Retry,
    Settlement,
    TaskKind,
)
from bridge.errors import RecordDamaged, RecordUnreadable, StoreUnavailable
from bridge.ports import Clock
from bridge.store import fair_shares, key_names, lua_scripts, quarantine, record_codec
from bridge.store.encryption import Cipher
from bridge.store.partition_health import PartitionHealth
from bridge.store.quarantine import RedisQuarantine
from bridge.store.redis_access import RedisAccess, StoreFull

_LANES: Final = 4096
"""Due lanes of one partition that are looked at in one call, the longest overdue first: more than
all customers have, the removed ones included.
"""
_ROUNDS: Final = 3
"""Round trips of one ``lease`` at most: further ones only ask those partitions that may have more.
"""
_PUT_ASIDE: Final = 500
"""Entries that make no sense which one ``lease`` puts aside: many, but it has to come to an end."""
_TOGETHER: Final = 100
_PROBE_MS: Final = 60_000
_LATEST_MS: Final = record_codec.to_ms(datetime(9999, 1, 1, tzinfo=UTC))

log = structlog.get_logger()


class RedisTasks:
    """``TaskQueue`` over Redis.

    Its cost depends neither on the stored records nor on the tasks that are not due yet.

    *retention* is how long a dead letter is kept; *cipher* seals what vendors answered; *stamp*
    numbers the leases, unguessably often different, at most 2**46 (Lua counts in doubles);
    *partitions* remembers which of them do not answer.
    """

    def __init__(
        self,
        commands: RedisAccess,
        *,
        prefix: str,
        retention: timedelta,
        cipher: Cipher | None = None,
        stamp: Callable[[], int] = lambda: secrets.randbits(46),
        partitions: PartitionHealth | None = None,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._commands = commands
        self._clock = clock
        self._keys = key_names.all_keys(prefix)
        self._retention_ms = retention // timedelta(milliseconds=1)
        self._cipher = cipher
        self._stamp = stamp
        self._turns = itertools.count()
        self._partitions = partitions or PartitionHealth()
        self._quarantine = RedisQuarantine(commands, prefix)
        self._looking: set[asyncio.Task[None]] = set()
        self._strange_lanes = 0

    async def lease(
        self,
        now: datetime,
        *,
        owner: str,
        until: datetime,
        count: int,
        per_lane: int,
        avoid: Collection[Lane] = (),
        urgent_only: bool = False,
        serves: Callable[[str], bool] = lambda _: True,
    ) -> tuple[Lease, ...]:
        """Up to *count* due tasks, at most *per_lane* of one lane, none of the lanes in *avoid*.

        Tasks of a customer that this process does not serve (*serves*, by key) stay as they are,
        for later or for others. One round trip if nothing is due. May give fewer than there are:
        whoever got any asks again.
        """
        due = await self._due_lanes(
            now, {key_names.lane_name(lane) for lane in avoid}, serves, urgent_only=urgent_only
        )
        if not due or count <= 0 or per_lane <= 0:
            return ()
        stamp = self._stamp()
        shares = fair_shares.FairShares(due, count=count, per_lane=per_lane, turn=next(self._turns))
        leases: list[Lease] = []
        rounds = put_aside = 0
        while rounds < _ROUNDS and put_aside < _PUT_ASIDE:
            asked = shares.deal()
            if not asked:
                break
            try:
                given = await self._lease_from(asked, now, owner, until, stamp)
            except StoreUnavailable:
                if leases:
                    break  # what was leased before is performed all the same
                raise
            spoilt = 0
            for partition, found in given.items():
                taken: list[str] = []
                for lane, *parts in found:
                    made = await self._read_or_put_aside(
                        partition, lane, *parts, owner=owner, stamp=stamp, now=now
                    )
                    leases += made
                    taken += [lane] * len(made)
                spoilt += len(found) - len(taken)
                shares.take(partition, taken, more=len(taken) < len(found))
            put_aside += spoilt
            rounds += not spoilt  # what makes no sense takes nobody's place
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
        customer = record_codec.customer_of(
            record_codec.read_head(value, invitation_id)[2], invitation_id
        )
        lane, task = key_names.lane(customer, kind), key_names.task(invitation_id, kind)
        answer = await self._commands.run(
            lua_scripts.TAKE.call(
                [*names.queues(lane), names.tasks, names.lanes],
                [
                    invitation_id,
                    task,
                    lane,
                    record_codec.to_ms(now),
                    record_codec.to_ms(until),
                    checked(owner),
                    self._stamp(),
                ],
            )
        )
        if not answer:
            return None
        stamp, attempts, history, urgent = answer
        return Lease(
            invitation_id=invitation_id,
            kind=kind,
            customer=customer,
            attempt=int(attempts) + 1,
            owner=owner,
            revision=int(stamp),
            history=record_codec.load_notes(history, self._cipher, invitation_id),
            urgent=urgent == 1,
        )

    async def bring_forward(
        self, customer: str, invitation_id: str, kind: TaskKind, now: datetime, *, every: timedelta
    ) -> bool:
        """Make a queued task due now, at most once in *every*; False: there was nothing to do."""
        partition = ids.partition_in(invitation_id)
        if partition is None:
            return False
        names, lane = self._keys[partition], key_names.lane(customer, kind)
        done: int = await self._commands.run(
            lua_scripts.BRING_FORWARD.call(
                [*names.queues(lane), names.tasks, names.lanes, names.looked(invitation_id)],
                [
                    invitation_id,
                    key_names.task(invitation_id, kind),
                    lane,
                    record_codec.to_ms(now),
                    every // timedelta(milliseconds=1),
                ],
            )
        )
        return done == 1

    async def extend(self, leases: Sequence[Lease], until: datetime) -> None:
        """Heartbeat: keep those that are still ours until *until*; those whose partition is away
        run out.
        """
        calls: list[lua_scripts.Command] = []
        for lease in leases:
            names = self._names(lease)
            lane = key_names.lane_name(lease.lane)
            calls.append(
                lua_scripts.EXTEND.call(
                    [names.due(lane), names.tasks, names.lanes],
                    [
                        lease.invitation_id,
                        lease.task_id,
                        lane,
                        lease.owner,
                        lease.revision,
                        record_codec.to_ms(until),
                    ],
                )
            )
        await self._commands.run_each(calls)

    async def settle(self, lease: Lease, settlement: Settlement, now: datetime) -> bool:
        """End the lease; False: it was no longer ours.

        A task renewed meanwhile stays queued with its newer time.

        False is also what a settlement gets that was done, lost its answer and was sent again:
        nothing is left to settle.
        """
        settled: int = await self._commands.run(self._settle_call(lease, settlement, now))
        return settled == 1

    async def release(self, leases: Sequence[Lease], now: datetime) -> None:
        """Give leases back unperformed; the attempt does not count."""
        await self._commands.run_each(
            [
                self._settle_call(lease, Retry(now, counted=False, urgent=lease.urgent), now)
                for lease in leases
            ]
        )

    async def next_due(self) -> datetime | None:
        """When the earliest queued task is due; a leased one counts as due at the end of its lease."""
        working = self._partitions.working()
        answers = await self._ask_each(
            working, [self._peek_call(partition, "+inf", 1) for partition in working]
        )
        times = [
            min(max(float(answer[2]), 0.0), _LATEST_MS)
            for answer in answers.values()
            if len(answer) > 1
        ]
        return min((record_codec.from_ms(int(time)) for time in times), default=None)

    async def depth(self, now: datetime) -> dict[tuple[str, TaskKind], int]:
        """Due tasks by customer and kind; leased ones are not due."""
        due = await self._due_lanes(now, ())
        asked = [(lane, partition) for lane, partitions in due.items() for partition in partitions]
        calls: list[lua_scripts.Command] = [
            ("ZCOUNT", self._keys[partition].due(lane), "-inf", record_codec.to_ms(now))
            for lane, partition in asked
        ]
        depth: defaultdict[tuple[str, TaskKind], int] = defaultdict(int)
        for (name, _), number in zip(asked, await self._commands.run_each(calls), strict=True):
            if isinstance(number, int):
                lane = key_names.read_lane(name)
                depth[lane.customer, lane.kind] += number
        return dict(depth)

    async def dead_letters(self) -> AsyncIterator[DeadLetter]:
        """Every dead letter that can be read, in no order; the log names the others."""
        for names in self._keys:
            (listed,) = await self._commands.run_each([("ZRANGE", names.dead, 0, -1)])
            if isinstance(listed, Exception):
                log.warning(
                    "dead_letters.incomplete",
                    partition=key_names.partition_of(names.base),
                    error=str(listed),
                )
                continue
            tasks = [task.decode("utf-8", "backslashreplace") for task in listed]
            for start in range(0, len(tasks), _TOGETHER):
                batch = tasks[start : start + _TOGETHER]
                values = await self._commands.run_each(
                    [("GET", names.dead_letter(task)) for task in batch]
                )
                for task, value in zip(batch, values, strict=True):
                    if not isinstance(value, bytes):
                        continue
                    try:
                        letter = record_codec.load_dead_letter(
                            *key_names.read_task(task), value, self._cipher
                        )
                    except (RecordDamaged, ValueError):
                        partition, at = key_names.partition_of(names.base) or 0, self._clock()
                        with contextlib.suppress(
                            StoreUnavailable
                        ):  # one that refuses is read all the same
                            await self._quarantine.add(
                                partition, task, "dead letter", "it is no dead letter", at
                            )
                        continue
                    except RecordUnreadable as error:
                        log.warning("dead_letter.unreadable", task_id=task, error=str(error))
                        continue
                    yield letter

    async def replay(self, invitation_id: str, kind: TaskKind, now: datetime) -> bool:
        """Queue a dead letter's task again, from attempt 1, due now; False: no such dead letter."""
        return await self._revive(invitation_id, kind, record_codec.to_ms(now))

    async def drop(self, invitation_id: str, kind: TaskKind) -> bool:
        """Forget a dead letter; False: no such dead letter."""
        return await self._revive(invitation_id, kind, "")

    async def _revive(self, invitation_id: str, kind: TaskKind, at: int | str) -> bool:
        partition = ids.partition_in(invitation_id)
        if partition is None:
            return False
        names, task = self._keys[partition], key_names.task(invitation_id, kind)
        value = await self._commands.run(("GET", names.dead_letter(task)))
        if value is None:
            return False
        lane = key_names.lane(
            record_codec.load_dead_letter(invitation_id, kind, value, self._cipher).customer, kind
        )
        done: int = await self._commands.run(
            lua_scripts.REVIVE.call(
                [
                    *names.queues(lane),
                    names.tasks,
                    names.lanes,
                    names.dead,
                    names.dead_letter(task),
                    names.invitation(invitation_id),
                ],
                [invitation_id, kind, lane, at],
            )
        )
        return done == 1

    async def _due_lanes(
        self,
        now: datetime,
        avoid: Collection[str],
        serves: Callable[[str], bool] = lambda _: True,
        *,
        urgent_only: bool = False,
    ) -> Mapping[str, list[int]]:
        """The lanes in which something is due, each with the partitions where it is."""
        self._look_at_the_absent()
        working = self._partitions.working()
        limit = _LANES + len(avoid)
        at = record_codec.to_ms(now)
        answers = await self._ask_each(
            working, [self._peek_call(partition, at, limit) for partition in working]
        )
        due: defaultdict[str, list[int]] = defaultdict(list)
        for partition, answer in answers.items():
            await self._put_lanes_aside(
                partition, [lane for lane in answer[1::2] if not key_names.is_lane(lane)]
            )
            for lane in filter(key_names.is_lane, answer[1::2]):
                name = lane.decode()
                wanted = name.endswith(key_names.URGENT) or not urgent_only
                if wanted and name not in avoid and serves(key_names.read_lane(name).customer):
                    due[name].append(partition)
        self._say_strange_lanes(sum(int(answer[0]) for answer in answers.values()))
        return due

    async def _lease_from(
        self,
        asked: Mapping[int, Mapping[str, int]],
        now: datetime,
        owner: str,
        until: datetime,
        stamp: int,
    ) -> dict[int, list[tuple[Any, ...]]]:
        """What each partition gives: the lane, the member of its queue, attempts and history.

        Where Redis has no room left, deletions are leased all the same: they make room.
        """

        async def ask(wanted: Mapping[int, Mapping[str, int]], *, force: bool) -> dict[int, Any]:
            calls = [
                self._lease_call(one, lanes, now, owner, until, stamp, force=force)
                for one, lanes in wanted.items()
            ]
            return await self._ask_each(list(wanted), calls)

        answers = await ask(asked, force=False)
        full = [one for one, answer in answers.items() if isinstance(answer, StoreFull)]
        deletions = {one: lanes for one in full if (lanes := _deletions(asked[one]))}
        forced = await ask(deletions, force=True) if deletions else {}
        found: dict[int, list[tuple[Any, ...]]] = {}
        for one, wanted in asked.items():
            names = list(deletions.get(one, wanted))
            answer = forced.get(one, answers.get(one, ()))
            parts = [] if isinstance(answer, StoreFull) else zip(*[iter(answer)] * 4, strict=True)
            found[one] = [(names[int(number)], *rest) for number, *rest in parts]
        return found

    async def _ask_each(
        self, partitions: Sequence[int], calls: Sequence[lua_scripts.Command]
    ) -> dict[int, Any]:
        """The answers of those partitions that give one; raises ``StoreUnavailable`` where none
        does.

        ``StoreFull`` is an answer: the partition is there.
        """
        answers = dict(zip(partitions, await self._commands.run_each(calls), strict=True))
        failures = {
            one: answer
            for one, answer in answers.items()
            if isinstance(answer, StoreUnavailable) and not isinstance(answer, StoreFull)
        }
        if failures and len(failures) == len(answers):
            raise next(iter(failures.values()))
        for partition, error in failures.items():
            self._partitions.failed(partition, str(error))
        return {one: answer for one, answer in answers.items() if one not in failures}

    def _look_at_the_absent(self) -> None:
        """Beside everything else: whoever waited for a partition that is away would keep the others
        waiting.
        """
        for partition in self._partitions.to_look_at():
            task = asyncio.create_task(self._look_at(partition))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _look_at(self, partition: int) -> None:
        """It is back when it takes a write: to read the queue of one that does not would only have
        it away again.
        """
        probe = ("SET", self._keys[partition].probe, "1", "PX", _PROBE_MS)
        with contextlib.suppress(StoreUnavailable):  # then nobody answers at all
            (answer,) = await self._commands.run_each([probe])
            if isinstance(answer, StoreFull) or not isinstance(answer, StoreUnavailable):
                self._partitions.answered(partition)

    def _peek_call(self, partition: int, at: lua_scripts.Part, limit: int) -> lua_scripts.Command:
        return lua_scripts.PEEK.call([self._keys[partition].lanes], [at, limit, *key_names.KINDS])

    def _say_strange_lanes(self, number: int) -> None:
        """A newer version's tasks are left to it; a mistake of ours would show here, too."""
        if number and not self._strange_lanes:
            log.warning(
                "lanes.unknown",
                count=number,
                text="their tasks are of kinds that only another version knows",
            )
        self._strange_lanes = number

    async def _put_lanes_aside(self, partition: int, lanes: Sequence[bytes]) -> None:
        """Where Redis refuses that, they stay and are passed over until it does not: nobody waits
        for it.
        """
        with contextlib.suppress(StoreUnavailable):
            for lane in lanes:
                shown = lane[: key_names.LONGEST_LANE].decode("utf-8", "backslashreplace")
                await self._quarantine.add(
                    partition, f"lane:{shown}", "lane", "it is no lane", self._clock()
                )
                await self._commands.run(("ZREM", self._keys[partition].lanes, lane))

    def _lease_call(
        self,
        partition: int,
        wanted: Mapping[str, int],
        now: datetime,
        owner: str,
        until: datetime,
        stamp: int,
        *,
        force: bool,
    ) -> lua_scripts.Command:
        names = self._keys[partition]
        queues: list[str] = []
        lanes: list[lua_scripts.Part] = []
        for name, number in wanted.items():
            lane = key_names.read_lane(name)
            normal = key_names.lane(lane.customer, lane.kind)
            queue, other = names.queues(normal)
            queues += (other, queue) if lane.urgent else (queue, other)
            lanes += (normal, int(lane.urgent), number)
        return lua_scripts.LEASE.call(
            [names.tasks, names.lanes, *queues],
            [
                record_codec.to_ms(now),
                record_codec.to_ms(until),
                checked(owner),
                stamp,
                int(force),
                *lanes,
            ],
        )

    def _settle_call(
        self, lease: Lease, settlement: Settlement, now: datetime
    ) -> lua_scripts.Command:
        names, lane = self._names(lease), key_names.lane(lease.customer, lease.kind)
        outcome: tuple[lua_scripts.Part, ...] = ("done",)
        if isinstance(settlement, Retry):
            outcome = (
                "again",
                record_codec.to_ms(settlement.at),
                lease.calls(settlement),
                record_codec.dump_notes(lease.log(settlement), self._cipher, lease.invitation_id),
                int(settlement.urgent),
            )
        elif isinstance(settlement, GiveUp):
            letter = lease.dead_letter(settlement, now)
            outcome = (
                "dead",
                record_codec.to_ms(now),
                self._retention_ms if letter.expires else 0,
                record_codec.dump_dead_letter(letter, self._cipher),
            )
        return lua_scripts.SETTLE.call(
            [
                *names.queues(lane),
                names.tasks,
                names.lanes,
                names.dead,
                names.dead_letter(lease.task_id),
                names.invitation(lease.invitation_id),
            ],
            [lease.invitation_id, lease.kind, lane, lease.owner, lease.revision, *outcome],
        )

    def _names(self, lease: Lease) -> key_names.KeyNames:
        partition = ids.partition_in(lease.invitation_id)
        if partition is None:
            raise ValueError("not an invitation id")
        return self._keys[partition]

    async def _read_or_put_aside(
        self,
        partition: int,
        lane_name: str,
        member: bytes,
        attempts: bytes,
        history: bytes,
        *,
        owner: str,
        stamp: int,
        now: datetime,
    ) -> tuple[Lease, ...]:
        """The lease; none where the task's entry makes no sense: that is put aside first."""
        lane = key_names.read_lane(lane_name)
        invitation_id = member.decode("utf-8", "backslashreplace")
        if ids.partition_in(invitation_id) != partition:
            await self._put_task_aside(partition, lane, member, "")
            return ()
        try:
            lease = Lease(
                invitation_id=invitation_id,
                kind=lane.kind,
                customer=lane.customer,
                attempt=int(attempts) + 1,
                owner=owner,
                revision=stamp,
                history=record_codec.load_notes(history, self._cipher, invitation_id),
                urgent=lane.urgent,
            )
        except (ValueError, RecordUnreadable):
            await self._put_task_aside(partition, lane, member, record_codec.to_ms(now))
            return ()
        return (lease,)

    async def _put_task_aside(
        self, partition: int, lane: Lane, member: bytes, at: int | str
    ) -> None:
        """Where Redis refuses that, its lease runs out, and the next one tries again: no other task
        waits for it.
        """
        names, name = self._keys[partition], key_names.lane_name(lane)
        shown = f"{member.decode('utf-8', 'backslashreplace')[:200]}:{lane.kind}"
        reason = "its entry cannot be read" if at else "it belongs to no invitation"
        note = quarantine.note(self._clock(), "task", reason, customer=lane.customer)
        call = lua_scripts.PUT_TASK_ASIDE.call(
            [names.due(name), names.tasks, names.lanes, names.quarantine],
            [member, member + f":{lane.kind}".encode(), name, shown, note, at],
        )
        with contextlib.suppress(StoreUnavailable):
            if await self._commands.run(call) == 1:
                log.error(
                    "quarantine.added",
                    what="task",
                    task_id=shown,
                    customer=lane.customer,
                    reason=reason,
                )


def _deletions(wanted: Mapping[str, int]) -> dict[str, int]:
    return {
        lane: number
        for lane, number in wanted.items()
        if key_names.read_lane(lane).kind is TaskKind.ANONYMISE
    }


def checked(owner: str) -> str:
    """The name of a lease's owner, which must not hold what parts the fields of an entry."""
    if "|" in owner:
        raise ValueError("an owner's name must not hold '|'")
    return owner
