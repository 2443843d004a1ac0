"""``References`` over Redis: single keys, each in a slot of its own, none of them needed for the truth."""

from __future__ import annotations

from datetime import timedelta

from bridge.core import ids
from bridge.store.commands import Commands

_WAITING = timedelta(minutes=10)
_SEEN = timedelta(days=4)
"""Longer than a sender's retry plan, which spans three days."""
_MARK = "?"


class RedisReferences:
    """Digests as keys: what Redis holds says nothing of the provider's ids. *retention* as for the invitations."""

    def __init__(self, commands: Commands, *, prefix: str, retention: timedelta) -> None:
        self._commands = commands
        self._prefix = prefix
        self._retention = retention

    async def remember(self, customer: str, reference_id: str, invitation_id: str) -> str | None:
        """Keep the way; gives the word of an event that came before, once."""
        before = await self._set(self._reference(customer, reference_id), invitation_id, self._retention)
        return before[len(_MARK) :] if before is not None and before.startswith(_MARK) else None

    async def find(self, customer: str, reference_id: str) -> str | None:
        """The invitation id, or None."""
        value = await self._commands.run(("GET", self._reference(customer, reference_id)))
        text = value.decode() if value is not None else None
        return None if text is None or text.startswith(_MARK) else text

    async def waiting(self, customer: str, reference_id: str, word: str) -> None:
        """Keep an event for an id that nobody knows (yet) for a short time."""
        await self._commands.run(
            ("SET", self._reference(customer, reference_id), f"{_MARK}{word}", "PX", _ms(_WAITING), "NX")
        )

    async def first_time(self, customer: str, event_id: str) -> bool:
        """Whether this event was not seen within the last days; marks it as seen."""
        key = f"{self._prefix}:seen:{ids.digest(f'{customer}/{event_id}')[:40]}"
        return await self._set(key, "1", _SEEN) is None

    async def _set(self, key: str, value: str, life: timedelta) -> str | None:
        """Set and give what was there before. SET with GET is there from Redis 6.2 on."""
        before = await self._commands.run(("SET", key, value, "PX", _ms(life), "GET"))
        return before.decode() if before is not None else None

    def _reference(self, customer: str, reference_id: str) -> str:
        return f"{self._prefix}:ref:{ids.digest(f'{customer}/{reference_id}')[:40]}"


def _ms(life: timedelta) -> int:
    return life // timedelta(milliseconds=1)
