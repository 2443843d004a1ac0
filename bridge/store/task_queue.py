"""The queue of tasks, in Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from bridge.core.queueing import (
    GiveUpTask,
    Lease,
    LeaseRequest,
    RetryTask,
    Settlement,
    TaskKind,
    format_task_id,
)
from bridge.ports import Clock
from bridge.store import key_names, lua_scripts
from bridge.store.dead_letters import RedisDeadLetters
from bridge.store.encryption import Cipher
from bridge.store.key_names import KeyNames
from bridge.store.leasing import TaskLeasing, check_owner_name
from bridge.store.lua_scripts import Command, Part
from bridge.store.partition_health import PartitionHealth
from bridge.store.record_codec import (
    dump_attempt_log,
    dump_dead_letter,
    load_attempt_log,
    read_customer,
    read_record_head,
)
from bridge.store.redis_access import RedisAccess
from bridge.store.stored_times import MILLISECOND, to_ms


class RedisTasks(RedisDeadLetters):
    """``TaskQueue`` over Redis. Its cost depends neither on the stored records nor on the tasks
    that are not due yet.

    *retention* is how long a dead letter that expires is kept; *cipher* encrypts vendors' answers;
    *stamp* returns a random number for each lease, at most 2**46 (Lua counts in doubles).
    """

    def __init__(
        self,
        commands: RedisAccess,
        *,
        prefix: str,
        retention: timedelta,
        cipher: Cipher | None = None,
        stamp: Callable[[], int] = lambda: secrets.randbits(46),
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(commands, prefix=prefix, cipher=cipher, clock=clock)
        self._retention_ms = retention // MILLISECOND
        self._stamp = stamp
        health = PartitionHealth(commands, self._partitions)
        self._leasing = TaskLeasing(
            self._partitions, health, self._quarantine, cipher=cipher, stamp=stamp
        )

    async def lease(self, request: LeaseRequest) -> tuple[Lease, ...]:
        """The due tasks that *request* asks for; perhaps fewer than there are, so ask again."""
        return await self._leasing.lease(request)

    async def next_due(self) -> datetime | None:
        """When the earliest queued task is due; a leased task is due at the end of its lease."""
        return await self._leasing.next_due()

    async def take(
        self, invitation_id: str, kind: TaskKind, now: datetime, *, owner: str, until: datetime
    ) -> Lease | None:
        """Lease one queued task whether due or not; None: not queued, or leased by another owner.

        The owner of a running lease gets it again, extended.
        """
        names = self._partitions.of(invitation_id)
        if names is None:
            return None
        value = await self._commands.run(("GET", names.invitation(invitation_id)))
        if value is None:
            return None
        customer = read_customer(read_record_head(value, invitation_id)[2], invitation_id)
        task, lane = format_task_id(invitation_id, kind), key_names.build_lane_name(customer, kind)
        answer = await self._commands.run(
            lua_scripts.TAKE.call(
                [*names.queues(lane), names.tasks, names.lanes],
                [
                    *(invitation_id, task, lane, to_ms(now), to_ms(until)),
                    *(check_owner_name(owner), self._stamp()),
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
            history=load_attempt_log(history, self._cipher, invitation_id),
            urgent=urgent == 1,
        )

    async def bring_forward(
        self, customer: str, invitation_id: str, kind: TaskKind, now: datetime, *, every: timedelta
    ) -> bool:
        """Make a queued task due now, at most once in *every*; False: there was nothing to do."""
        names = self._partitions.of(invitation_id)
        if names is None:
            return False
        task, lane = format_task_id(invitation_id, kind), key_names.build_lane_name(customer, kind)
        every_ms = every // MILLISECOND
        done: int = await self._commands.run(
            lua_scripts.BRING_FORWARD.call(
                [
                    *names.queues(lane),
                    names.tasks,
                    names.lanes,
                    names.check_brought_forward(invitation_id),
                ],
                [invitation_id, task, lane, to_ms(now), every_ms],
            )
        )
        return done == 1

    async def extend(self, leases: Sequence[Lease], until: datetime) -> None:
        """Heartbeat: extend the leases that are still ours to *until*; returns those.

        Leases of a partition that does not answer end.
        """
        await self._commands.run_each([self._extend_call(lease, until) for lease in leases])

    async def settle(self, lease: Lease, settlement: Settlement, now: datetime) -> bool:
        """End the lease; False: it was no longer ours.

        A task renewed meanwhile stays queued with its newer time.

        Also False: the settlement was done, but its answer was lost and it was sent again; nothing
        is left to settle.
        """
        settled: int = await self._commands.run(self._settle_call(lease, settlement, now))
        return settled == 1

    async def release(self, leases: Sequence[Lease], now: datetime) -> None:
        """Give leases back unperformed; the attempt does not count."""
        again = [(lease, RetryTask(now, counted=False, urgent=lease.urgent)) for lease in leases]
        await self._commands.run_each([self._settle_call(*one, now) for one in again])

    def _extend_call(self, lease: Lease, until: datetime) -> Command:
        names, lane = self._names(lease), key_names.get_lane_name(lease.lane)
        held = (lease.owner, lease.revision)
        return lua_scripts.EXTEND.call(
            [names.due(lane), names.tasks, names.lanes],
            [lease.invitation_id, lease.task_id, lane, *held, to_ms(until)],
        )

    def _settle_call(self, lease: Lease, settlement: Settlement, now: datetime) -> Command:
        names, lane = self._names(lease), key_names.build_lane_name(lease.customer, lease.kind)
        outcome: tuple[Part, ...] = ("done",)
        if isinstance(settlement, RetryTask):
            history = dump_attempt_log(
                lease.build_attempt_log(settlement), self._cipher, lease.invitation_id
            )
            calls = lease.count_calls(settlement)
            outcome = ("again", to_ms(settlement.at), calls, history, int(settlement.urgent))
        elif isinstance(settlement, GiveUpTask):
            letter = lease.build_dead_letter(settlement, now)
            life_ms = self._retention_ms if letter.expires else 0
            outcome = ("dead", to_ms(now), life_ms, dump_dead_letter(letter, self._cipher))
        dead = (names.dead, names.dead_letter(lease.task_id))
        record = names.invitation(lease.invitation_id)
        return lua_scripts.SETTLE.call(
            [*names.queues(lane), names.tasks, names.lanes, *dead, record],
            [lease.invitation_id, lease.kind, lane, lease.owner, lease.revision, *outcome],
        )

    def _names(self, lease: Lease) -> KeyNames:
        names = self._partitions.of(lease.invitation_id)
        if names is None:
            raise ValueError("not an invitation id")
        return names
