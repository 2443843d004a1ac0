"""The invitations' records, in Redis."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from bridge.core import ids
from bridge.core.invitation import CommitOutcome, Invitation, State, Transition
from bridge.core.queueing import Lease, LeaseOffer, ScheduleTask, TaskKind, format_task_id
from bridge.errors import RecordDamaged, RecordUnreadable, StoreUnavailable
from bridge.ports import Clock
from bridge.store import key_names, lua_scripts
from bridge.store.encryption import Cipher
from bridge.store.key_names import KeyNames, PartitionKeyNames
from bridge.store.leasing import check_owner_name
from bridge.store.lua_scripts import Command, Part
from bridge.store.quarantine import RedisQuarantine
from bridge.store.record_codec import dump_invitation, load_record
from bridge.store.redis_access import ChangeUnconfirmed, RedisAccess
from bridge.store.stored_times import MILLISECOND, to_ms

log = structlog.get_logger()


class RedisInvitations:
    """``InvitationStore`` over Redis.

    A record is kept for *retention* from its last change; while the provider still has to anonymise
    something of it, it does not expire. The id of a commit tells one that is sent twice, and one
    that a fail-over has forgotten.

    If commits are to be confirmed by replicas, an unconfirmed one leaves a mark, and the next read
    of that invitation has it confirmed first: a repeated order must not be answered from a record
    that only one Redis has.
    """

    def __init__(
        self,
        commands: RedisAccess,
        *,
        prefix: str,
        retention: timedelta,
        clock: Clock,
        cipher: Cipher | None = None,
    ) -> None:
        self._commands = commands
        self._partitions = PartitionKeyNames(prefix)
        self._prefix = prefix
        self._retention_ms = retention // MILLISECOND
        self._clock = clock
        self._cipher = cipher
        self._quarantine = RedisQuarantine(commands, prefix, clock)

    async def load(self, invitation_id: str) -> Invitation | None:
        """The record, or None; accepts any string."""
        names = self._partitions.of(invitation_id)
        if names is None:
            return None
        if not self._commands.requires_confirmation:
            value = await self._commands.run(("GET", names.invitation(invitation_id)))
        else:
            both = ("MGET", names.invitation(invitation_id), names.unconfirmed(invitation_id))
            value, unconfirmed = await self._commands.run(both)
            if unconfirmed is not None:
                await self._confirm(names, invitation_id)
        return None if value is None else await self._read_or_note(invitation_id, value)

    async def find_order(self, partition: int, order_key: str) -> Invitation | None:
        """The latest invitation of this order, or None; then the order is free."""
        names = self._partitions[partition]
        order = names.order(order_key)
        found = await self._commands.run(("GET", order))
        if found is None:
            return None
        invitation_id = found.decode("utf-8", "replace")
        invitation, damaged = None, ids.read_partition(invitation_id) != partition
        if not damaged:
            invitation = await self.load(invitation_id)
            # A record without one has just released it.
            damaged = invitation is not None and invitation.order_key not in ("", order_key)
        if damaged:
            what = f"key:order:{order_key}"
            await self._quarantine.add(names, what, "key", "it leads to no invitation of its order")
        if damaged or invitation is None:
            record = names.invitation(invitation_id)
            release = lua_scripts.RELEASE_ORDER.call([order, record], [found, int(damaged)])
            await self._commands.run(release)
            return None
        return invitation

    async def find_by_application(
        self, customer: str, application_id: str
    ) -> tuple[Invitation, ...]:
        """The customer's invitations for this application, oldest first.

        A record of a version without this index is found once the reconciliation has indexed it.
        """
        names = self._partitions[ids.compute_partition(customer, application_id)]
        key = names.application(ids.compute_application_key(customer, application_id))
        listed = await self._commands.run(("ZRANGE", key, 0, -1))
        found: list[Invitation | None]
        found = [await self.load(key_names.decode_name(invitation_id)) for invitation_id in listed]
        put_aside = names.quarantined_key(key.removeprefix(names.base))
        if await self._commands.run(("EXISTS", put_aside)):
            # Somebody damaged the list: until the reconciliation has made it anew, who is hired or
            # deleted would pass for somebody without a test.
            pattern = key_names.build_scan_pattern(self._prefix, partition=names.partition)
            found = [one async for one in self._scan(pattern, whole=True)]
        wanted = (customer, application_id)
        fitting = (one for one in found if one and (one.customer, one.application_id) == wanted)
        return tuple(sorted(fitting, key=lambda one: one.created_at))

    async def commit(
        self, step: Transition, *, offer: LeaseOffer | None = None, ending: Lease | None = None
    ) -> CommitOutcome:
        """Write record, tasks and the claim on its order together; LOST: another change came
        first.
        """
        invitation = step.invitation
        names = self._partitions.of(invitation.id)
        if names is None:
            raise ValueError("not an invitation id")
        order_key = step.order_key or invitation.order_key
        application_id = step.application_id or invitation.application_id
        found_by_it = invitation.application_id and invitation.state is not State.ERASED
        touched = [
            names.invitation(invitation.id),
            names.tasks,
            names.lanes,
            names.dead,
            names.quarantine,
            *([names.order(order_key)] if order_key else ()),
        ]
        if application_id:
            application = ids.compute_application_key(invitation.customer, application_id)
            touched.append(names.application(application))
        of_tasks, tasks = _arrange_tasks(names, step, ending)
        call = lua_scripts.COMMIT.call(
            [*touched, *of_tasks],
            [
                len(touched),
                invitation.id,
                to_ms(self._clock()),
                invitation.version,
                invitation.commit_id,
                invitation.version + 1,
                step.commit_id or secrets.token_hex(6),
                dump_invitation(invitation, self._cipher),
                self._life_ms(step),
                step.order if order_key else "none",
                step.replaces or "",
                int(invitation.state is State.ERASED),
                ("keep" if found_by_it else "forget") if application_id else "none",
                *_arrange_leases(offer, ending),
                *tasks,
            ],
        )
        try:
            return CommitOutcome(await self._commands.run_confirmed(call))
        except ChangeUnconfirmed:
            with contextlib.suppress(StoreUnavailable):
                await self._commands.run(self._load_unconfirmed(names, invitation.id))
            raise

    async def scan(self, *, whole: bool = False) -> AsyncIterator[Invitation]:
        """Every record that can be read, in no particular order; the others are logged."""
        async for invitation in self._scan(key_names.build_scan_pattern(self._prefix), whole=whole):
            yield invitation

    async def _scan(self, pattern: str, *, whole: bool) -> AsyncIterator[Invitation]:
        async for batch in self._commands.scan_in_batches(pattern, whole=whole):
            for invitation in await self._load_all(batch, whole=whole):
                yield invitation

    def _life_ms(self, step: Transition) -> int:
        if not step.renews:
            return -1
        return self._retention_ms if step.expires else 0

    def _load_unconfirmed(self, names: KeyNames, invitation_id: str) -> Command:
        return ("SET", names.unconfirmed(invitation_id), "1", "PX", self._retention_ms)

    async def _confirm(self, names: KeyNames, invitation_id: str) -> None:
        """Have the replicas confirm a new write: one that has it has all earlier changes, too."""
        await self._commands.run_confirmed(self._load_unconfirmed(names, invitation_id))
        await self._commands.run(("DEL", names.unconfirmed(invitation_id)))

    async def _load_all(self, names: list[str], *, whole: bool) -> list[Invitation]:
        values = await self._commands.run_each([("GET", name) for name in names])
        found = []
        for name, value in zip(names, values, strict=True):
            invitation_id = key_names.get_invitation_id(name)
            if isinstance(value, Exception):
                if whole:
                    raise value
                log.warning("record.unavailable", invitation_id=invitation_id, error=str(value))
                continue
            if value is None:  # deleted meanwhile
                continue
            try:
                found.append(load_record(invitation_id, value, self._cipher))
            except RecordUnreadable as error:
                # One unreadable record must not end an operator's listing.
                log.warning("record.unreadable", invitation_id=invitation_id, error=str(error))
        return found

    async def _read_or_note(self, invitation_id: str, value: bytes) -> Invitation:
        """Decode the record; a damaged one is noted in the quarantine, once."""
        try:
            return load_record(invitation_id, value, self._cipher)
        except RecordDamaged:
            await self._quarantine.add_record(invitation_id)
            raise


def _arrange_tasks(
    names: KeyNames, step: Transition, ending: Lease | None
) -> tuple[list[str], list[Part]]:
    """The keys and arguments of ``commit.lua`` for the changes to tasks, and for the lease that
    ends, where they do not change its task.
    """
    invitation, keys, arguments = step.invitation, list[str](), list[Part]()

    def add(kind: TaskKind, change: str, at_ms: int = 0, *, urgent: bool = False) -> None:
        lane = key_names.build_lane_name(invitation.customer, kind)
        keys.extend((*names.queues(lane), names.dead_letter(format_task_id(invitation.id, kind))))
        arguments.extend((change, kind, lane, at_ms, int(urgent)))

    for task in step.tasks:
        if isinstance(task, ScheduleTask):
            add(task.kind, "due", to_ms(task.at), urgent=task.urgent)
        else:
            add(task.kind, "cancel")
    if ending is not None and all(task.kind is not ending.kind for task in step.tasks):
        add(ending.kind, "end")
    return keys, arguments


def _arrange_leases(offer: LeaseOffer | None, ending: Lease | None) -> tuple[Part, ...]:
    granted: tuple[Part, ...] = ("", "", 0, 0)
    if offer is not None:
        check_owner_name(offer.owner)
        granted = (offer.lane.kind, offer.owner, offer.revision, to_ms(offer.until))
    ended = ("", "", 0) if ending is None else (ending.kind, ending.owner, ending.revision)
    return (*granted, *ended)
