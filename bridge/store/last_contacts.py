"""When each vendor was last heard of each customer's account: one small hash for all processes,
outside of the partitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bridge.store.key_names import decode_name
from bridge.store.redis_access import RedisAccess
from bridge.store.stored_times import MILLISECOND, to_ms

_LIMIT = 20_000
"""Contacts that are read: more than anybody has."""


class RedisLastContacts:
    """``<prefix>:contacts``, a hash: ``<vendor>/<customer>`` -> ms.

    *life*: from its last change.
    """

    def __init__(self, commands: RedisAccess, *, prefix: str, life: timedelta) -> None:
        self._commands = commands
        self._key = f"{prefix}:contacts"
        self._life_ms = life // MILLISECOND

    async def keep(self, heard: Mapping[tuple[str, str], datetime]) -> None:
        """Keep when customers' vendors (both by name) were last heard of."""
        if heard:
            parts = [
                part
                for (customer, vendor), at in heard.items()
                for part in (f"{vendor}/{customer}", to_ms(at))
            ]
            await self._commands.run_all(
                [("HSET", self._key, *parts), ("PEXPIRE", self._key, self._life_ms)]
            )

    async def all(self) -> dict[tuple[str, str], datetime]:
        """What is kept, by customer and vendor; what cannot be read is left out."""
        found = {}
        if int(await self._commands.run(("HLEN", self._key))) > _LIMIT:
            return {}
        for name, value in (await self._commands.run(("HGETALL", self._key))).items():
            vendor, _, customer = decode_name(name).partition("/")
            if value.isdigit():
                found[customer, vendor] = datetime.fromtimestamp(int(value) / 1000, UTC)
        return found
