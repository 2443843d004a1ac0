"""``ReferenceIndex`` over Redis: keys outside of the partitions; no record depends on them."""

from __future__ import annotations

from datetime import timedelta

from bridge.core import ids
from bridge.core.invitation import AddedReference
from bridge.store import lua_scripts
from bridge.store.redis_access import RedisAccess
from bridge.store.stored_times import MILLISECOND

_MARK = "?"
_HOLDERS = 100
"""The most invitations kept for one application: the newest."""


class RedisReferenceIndex:
    """Digests as keys: Redis holds none of the provider's ids.

    *retention* as for the invitations.
    """

    def __init__(self, commands: RedisAccess, *, prefix: str, retention: timedelta) -> None:
        self._commands = commands
        self._prefix = prefix
        self._retention = retention

    async def add(self, customer: str, reference_id: str, invitation_id: str) -> AddedReference:
        """Store which invitation has this application."""
        args = (invitation_id, self._retention // MILLISECOND, _MARK, _HOLDERS)
        word, *others = await self._commands.run(
            lua_scripts.ADD_REFERENCE.call([self._reference(customer, reference_id)], args)
        )
        return AddedReference(_text(word) or None, tuple(map(_text, others)))

    async def find(self, customer: str, reference_id: str) -> tuple[str, ...]:
        """The invitation ids, oldest first."""
        value = await self._commands.run(("GET", self._reference(customer, reference_id)))
        return tuple(one for one in _text(value or b"").split() if not one.startswith(_MARK))

    async def hold_event(
        self, customer: str, reference_id: str, word: str, *, life: timedelta, replaces: str = ""
    ) -> None:
        """Keep an event for an application that is not known (yet), for this time."""
        replaced = f"{_MARK}{replaces}" if replaces else ""
        args = (f"{_MARK}{word}", life // MILLISECOND, replaced)
        await self._commands.run(
            lua_scripts.HOLD_EVENT.call([self._reference(customer, reference_id)], args)
        )

    async def remove(self, customer: str, reference_id: str, invitation_id: str) -> None:
        """Remove this invitation from the application: its candidate was deleted."""
        await self._commands.run(
            lua_scripts.REMOVE_REFERENCE.call(
                [self._reference(customer, reference_id)], [invitation_id, _MARK]
            )
        )

    async def is_event_seen(self, customer: str, event_id: str) -> bool:
        """Whether this event was marked as seen."""
        return await self._commands.run(("GET", self._event(customer, event_id))) is not None

    async def mark_event_seen(self, customer: str, event_id: str, *, life: timedelta) -> None:
        """Mark this event as seen, for this time."""
        await self._commands.run(
            ("SET", self._event(customer, event_id), "1", "PX", life // MILLISECOND)
        )

    def _event(self, customer: str, event_id: str) -> str:
        return f"{self._prefix}:seen:{ids.hash_secret(f'{customer}/{event_id}')[:40]}"

    def _reference(self, customer: str, reference_id: str) -> str:
        return build_reference_key(self._prefix, customer, reference_id)


def build_reference_key(prefix: str, customer: str, reference_id: str) -> str:
    """Where it is kept which invitations use an application; the key tells neither."""
    return f"{prefix}:ref:{ids.hash_secret(f'{customer}/{reference_id}')[:40]}"


def _text(raw: bytes) -> str:
    """Text of a value; the bridge writes only UTF-8, anything else is ignored."""
    return raw.decode("utf-8", "replace")
