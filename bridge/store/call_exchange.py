"""How processes show each other their calls while they are watched: nothing is written otherwise.

::

    <prefix>:watched  string  calls are watched; for some seconds
    <prefix>:calls    stream  the calls of all processes meanwhile; for a minute

Both lie outside of the partitions; what is in them names no candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.store.key_names import decode_name
from bridge.store.redis_access import RedisAccess

WATCHED_MS: Final = 5_000
_KEPT_MS: Final = 60_000
_LONGEST: Final = 2_000
"""Calls that the stream holds, about."""
BATCH: Final = 200


class RedisCallExchange:
    """The calls of *process*, and those of the others."""

    def __init__(self, commands: RedisAccess, *, prefix: str, process: str) -> None:
        self._commands = commands
        self._watched = f"{prefix}:watched"
        self._calls = f"{prefix}:calls"
        self._process = process

    async def announce(self) -> None:
        """Announce that calls are watched, for some seconds."""
        await self._commands.run(("SET", self._watched, "1", "PX", WATCHED_MS))

    async def is_watched(self) -> bool:
        """Whether calls are watched, at any process."""
        return await self._commands.run(("GET", self._watched)) is not None

    async def publish(self, lines: Sequence[bytes]) -> None:
        """Show calls of this process, of many the newest."""
        if lines:
            await self._commands.run_all(
                [
                    ("XADD", self._calls, "MAXLEN", "~", _LONGEST, "*", self._process, line)
                    for line in lines[-BATCH:]
                ]
                + [("PEXPIRE", self._calls, _KEPT_MS)]
            )

    async def newest(self) -> str:
        """Where the calls that are to come begin."""
        found = await self._commands.run(("XREVRANGE", self._calls, "+", "-", "COUNT", 1))
        return decode_name(found[0][0]) if found else "0"

    async def since(self, place: str) -> tuple[str, list[bytes]]:
        """The calls of other processes behind *place*, and where the next ones begin."""
        found = await self._commands.run(("XRANGE", self._calls, f"({place}", "+", "COUNT", BATCH))
        own, lines = self._process.encode(), []
        for name, pairs in found:
            place = decode_name(name)
            fields = (
                pairs
                if isinstance(pairs, dict)
                else dict(zip(pairs[::2], pairs[1::2], strict=True))
            )
            lines += [line for process, line in fields.items() if process != own]
        return place, lines
