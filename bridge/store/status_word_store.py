"""``StatusWordStore`` over Redis: one small hash for each customer, outside of the partitions."""

from __future__ import annotations

from datetime import datetime, timedelta

from bridge.store import stored_times
from bridge.store.key_names import decode_name
from bridge.store.redis_access import RedisAccess
from bridge.store.stored_times import MILLISECOND


class RedisStatusWords:
    """``<prefix>:words:<customer>``, a hash: word -> ms at which it was first heard.

    *life*: from its last change.
    """

    def __init__(self, commands: RedisAccess, *, prefix: str, life: timedelta) -> None:
        self._commands = commands
        self._prefix = prefix
        self._life_ms = life // MILLISECOND

    async def keep(self, customer: str, word: str, at: datetime, *, limit: int) -> None:
        """Store *word* among at most *limit*, or a few more if several processes store new ones
        at once.
        """
        key = self._key(customer)
        if int(await self._commands.run(("HLEN", key))) < limit:
            await self._commands.run(("HSETNX", key, word, stored_times.to_ms(at)))
        await self._commands.run(("PEXPIRE", key, self._life_ms))

    async def words(self, customer: str) -> tuple[str, ...]:
        """The customer's words, in alphabetical order."""
        kept = await self._commands.run(("HKEYS", self._key(customer)))
        return tuple(sorted(decode_name(word) for word in kept))

    def _key(self, customer: str) -> str:
        return f"{self._prefix}:words:{customer}"
