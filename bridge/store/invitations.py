"""The truth about invitations, in Redis."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from bridge.core import ids
from bridge.core.lifecycle import to_anonymise
from bridge.core.models import Due, Invitation, OrderChange, Step
from bridge.errors import RecordUnreadable, StoreUnavailable
from bridge.ports import Clock, Mint
from bridge.store import keys, records, scripts
from bridge.store.commands import Commands, Unconfirmed

_TOGETHER = 100

log = structlog.get_logger()


class RedisInvitations:
    """``InvitationStore`` over Redis.

    A record lives for *retention* from its last change, unless somebody is still owed an anonymisation: a debt does not
    expire. *lease_life* is how long a task belongs to the one for whom a commit leased it; *nonce* marks every commit, so
    that one which is sent twice is recognised.

    Where commits are to be confirmed by replicas, one that was not leaves a mark, and whoever reads that invitation next has
    it confirmed first: a caller that repeats itself must not be told "known already" of what one Redis alone has.
    """

    def __init__(
        self,
        commands: Commands,
        *,
        prefix: str,
        retention: timedelta,
        clock: Clock,
        lease_life: timedelta = timedelta(seconds=10),
        cipher: records.Cipher | None = None,
        nonce: Mint = lambda: secrets.token_hex(6),
    ) -> None:
        self._commands = commands
        self._keys = keys.all_keys(prefix)
        self._pattern = keys.invitation_pattern(prefix)
        self._retention_ms = retention // timedelta(milliseconds=1)
        self._clock = clock
        self._lease_life = lease_life
        self._cipher = cipher
        self._nonce = nonce

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
        return None if value is None else self._read(invitation_id, value)

    async def find_order(self, partition: int, order_key: str) -> Invitation | None:
        """The latest invitation of this order, or None."""
        names = self._keys[partition]
        found = await self._commands.run(scripts.FIND.call([names.order(order_key)], [names.base]))
        if not found:
            return None
        invitation_id = found[0].decode()
        if self._commands.confirms and await self._commands.run(("GET", names.doubt(invitation_id))) is not None:
            await self._confirm(names, invitation_id)
        return self._read(invitation_id, found[1])

    async def commit(self, step: Step) -> bool:
        """Write the record, its tasks and the claim on its order together; False: somebody was faster."""
        invitation = step.invitation
        partition = ids.partition_in(invitation.id)
        if partition is None:
            raise ValueError("not an invitation id")
        now = self._clock()
        names = self._keys[partition]
        order_key = step.order_key or invitation.order_key
        lease_end = records.to_ms(now + self._lease_life)
        tasks: list[scripts.Part] = []
        for task in step.tasks:
            if isinstance(task, Due):
                tasks += ("due", task.kind, records.to_ms(task.at), checked(task.owner or ""))
            else:
                tasks += ("cancel", task.kind, 0, "")
        call = scripts.COMMIT.call(
            [
                names.invitation(invitation.id),
                names.tasks,
                names.lanes,
                names.dead,
                *([names.order(order_key)] if order_key else ()),
            ],
            [
                names.base,
                invitation.id,
                invitation.customer,
                records.to_ms(now),
                invitation.version,
                invitation.version + 1,
                self._nonce(),
                records.dump_invitation(invitation, self._cipher),
                0 if owes(invitation) else self._retention_ms,
                step.order if order_key else OrderChange.KEEP,
                step.replaces or "",
                lease_end,
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
        """Every record, in no order."""
        seen: set[str] = set()
        batch: list[str] = []
        async for key in self._commands.scan(self._pattern):
            if key not in seen:
                seen.add(key)
                batch.append(key)
            if len(batch) >= _TOGETHER:
                for invitation in await self._load_all(batch):
                    yield invitation
                batch.clear()
        for invitation in await self._load_all(batch):
            yield invitation

    def _doubting(self, names: keys.Keys, invitation_id: str) -> scripts.Command:
        return ("SET", names.doubt(invitation_id), "1", "PX", self._retention_ms)

    async def _confirm(self, names: keys.Keys, invitation_id: str) -> None:
        """Whoever has this newer change has all before it, too."""
        await self._commands.run_confirmed(self._doubting(names, invitation_id))
        await self._commands.run(("DEL", names.doubt(invitation_id)))

    async def _load_all(self, names: list[str]) -> list[Invitation]:
        values = await self._commands.run_all([("GET", name) for name in names])
        found = []
        for name, value in zip(names, values, strict=True):
            invitation_id = keys.invitation_in(name)
            try:
                found += [self._read(invitation_id, value)] if value is not None else []
            except RecordUnreadable as error:
                # An operator who looks through everything must not be stopped by one record.
                log.warning("record.unreadable", invitation_id=invitation_id, error=str(error))
        return found

    def _read(self, invitation_id: str, value: bytes) -> Invitation:
        version, _, data = value.split(b"|", 2)
        return records.load_invitation(invitation_id, int(version), data, self._cipher)


def owes(invitation: Invitation) -> bool:
    """Is something of this invitation still to be anonymised?"""
    return bool(to_anonymise(invitation))


def checked(owner: str) -> str:
    """The name of a lease's owner, which must not hold what parts the fields of an entry."""
    if "|" in owner:
        raise ValueError("an owner's name must not hold '|'")
    return owner
