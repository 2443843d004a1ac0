"""The truth about invitations, in Redis."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from bridge.core import ids
from bridge.core.invitation import Invitation, OrderChange, State, Transition
from bridge.core.queueing import ScheduleTask
from bridge.errors import RecordDamaged, RecordUnreadable, StoreUnavailable
from bridge.ports import Clock, NewSecret
from bridge.store import key_names, lua_scripts, record_codec
from bridge.store.encryption import Cipher
from bridge.store.quarantine import RedisQuarantine
from bridge.store.redis_access import RedisAccess, Unconfirmed

_TOGETHER = 100

log = structlog.get_logger()


class RedisInvitations:
    """``InvitationStore`` over Redis.

    A record lives for *retention* from its last change, unless the provider still has to anonymise
    something of it: such a record does not expire. *nonce* marks every commit, so that one which is
    sent twice is recognised.

    Where commits are to be confirmed by replicas, one that was not leaves a mark, and whoever reads
    that invitation next has it confirmed first: a caller that repeats itself must not be told
    "known already" of what one Redis alone has.
    """

    def __init__(
        self,
        commands: RedisAccess,
        *,
        prefix: str,
        retention: timedelta,
        clock: Clock,
        cipher: Cipher | None = None,
        nonce: NewSecret = lambda: secrets.token_hex(6),
    ) -> None:
        self._commands = commands
        self._keys = key_names.all_keys(prefix)
        self._pattern = key_names.invitation_pattern(prefix)
        self._retention_ms = retention // timedelta(milliseconds=1)
        self._clock = clock
        self._cipher = cipher
        self._nonce = nonce
        self._quarantine = RedisQuarantine(commands, prefix)

    async def load(self, invitation_id: str) -> Invitation | None:
        """The record, or None; any string may be asked for."""
        partition = ids.partition_in(invitation_id)
        if partition is None:
            return None
        names = self._keys[partition]
        if not self._commands.confirms:
            value = await self._commands.run(("GET", names.invitation(invitation_id)))
        else:
            both = ("MGET", names.invitation(invitation_id), names.doubt(invitation_id))
            value, doubt = await self._commands.run(both)
            if doubt is not None:
                await self._confirm(names, invitation_id)
        return None if value is None else await self._read_or_note(invitation_id, value)

    async def find_order(self, partition: int, order_key: str) -> Invitation | None:
        """The latest invitation of this order, or None; then the order is free."""
        names = self._keys[partition]
        order = names.order(order_key)
        found = await self._commands.run(("GET", order))
        invitation_id = found.decode("utf-8", "replace") if found is not None else ""
        if ids.partition_in(invitation_id) != partition:
            if found is not None:
                await self._commands.run(
                    ("DEL", order)
                )  # it points to what can never be a record here
            return None
        invitation = await self.load(invitation_id)
        if invitation is None:
            await self._commands.run(
                lua_scripts.UNCLAIM.call([order, names.invitation(invitation_id)], [invitation_id])
            )
        return invitation

    async def commit(self, step: Transition) -> bool:
        """Write the record, its tasks and the claim on its order together; False: somebody was
        faster.
        """
        invitation = step.invitation
        partition = ids.partition_in(invitation.id)
        if partition is None:
            raise ValueError("not an invitation id")
        names = self._keys[partition]
        order_key = step.order_key or invitation.order_key
        touched = [
            names.invitation(invitation.id),
            names.tasks,
            names.lanes,
            names.dead,
            names.quarantine,
            *([names.order(order_key)] if order_key else ()),
        ]
        of_tasks: list[str] = []
        tasks: list[lua_scripts.Part] = []
        for task in step.tasks:
            lane = key_names.lane(invitation.customer, task.kind)
            of_tasks += (
                *names.queues(lane),
                names.dead_letter(key_names.task(invitation.id, task.kind)),
            )
            if isinstance(task, ScheduleTask):
                tasks += ("due", task.kind, lane, record_codec.to_ms(task.at), int(task.urgent))
            else:
                tasks += ("cancel", task.kind, lane, 0, 0)
        call = lua_scripts.COMMIT.call(
            [*touched, *of_tasks],
            [
                len(touched),
                invitation.id,
                record_codec.to_ms(self._clock()),
                invitation.version,
                invitation.version + 1,
                self._nonce(),
                record_codec.dump_invitation(invitation, self._cipher),
                self._retention_ms if step.expires else 0,
                step.order if order_key else OrderChange.KEEP,
                step.replaces or "",
                int(invitation.state is State.ERASED),
                *tasks,
            ],
        )
        try:
            written: int = await self._commands.run_confirmed(call)
        except Unconfirmed:
            with contextlib.suppress(StoreUnavailable):
                await self._commands.run(self._doubting(names, invitation.id))
            raise
        return written == 1

    async def scan(self) -> AsyncIterator[Invitation]:
        """Every record that can be read, in no order; the log names the others."""
        seen: set[str] = set()
        async for batch in self._commands.scan_in_batches(self._pattern, _TOGETHER):
            fresh = [key for key in dict.fromkeys(batch) if key not in seen]
            seen.update(fresh)
            for invitation in await self._load_all(fresh):
                yield invitation

    def _doubting(self, names: key_names.KeyNames, invitation_id: str) -> lua_scripts.Command:
        return ("SET", names.doubt(invitation_id), "1", "PX", self._retention_ms)

    async def _confirm(self, names: key_names.KeyNames, invitation_id: str) -> None:
        """Whoever has this newer change has all before it, too."""
        await self._commands.run_confirmed(self._doubting(names, invitation_id))
        await self._commands.run(("DEL", names.doubt(invitation_id)))

    async def _load_all(self, names: list[str]) -> list[Invitation]:
        values = await self._commands.run_each([("GET", name) for name in names])
        found = []
        for name, value in zip(names, values, strict=True):
            invitation_id = key_names.invitation_in(name)
            if isinstance(value, Exception):
                log.warning("record.unavailable", invitation_id=invitation_id, error=str(value))
                continue
            try:
                found += [self._read(invitation_id, value)] if value is not None else []
            except RecordUnreadable as error:
                # An operator who looks through everything must not be stopped by one record.
                log.warning("record.unreadable", invitation_id=invitation_id, error=str(error))
        return found

    async def _read_or_note(self, invitation_id: str, value: bytes) -> Invitation:
        """The record; a damaged one is noted in the quarantine, once, and stays where it is: it may
        be repaired.
        """
        try:
            return self._read(invitation_id, value)
        except RecordDamaged:
            partition = ids.partition_in(invitation_id) or 0
            await self._quarantine.add(
                partition, invitation_id, "record", "it is no record", self._clock()
            )
            raise

    def _read(self, invitation_id: str, value: bytes) -> Invitation:
        version, _, data = record_codec.read_head(value, invitation_id)
        return record_codec.load_invitation(invitation_id, version, data, self._cipher)
