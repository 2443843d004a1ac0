"""``ContractStore`` over Redis: two hashes, outside of the partitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bridge.core.answer_shape import ObservedFact, Shape
from bridge.store import stored_times
from bridge.store.key_names import decode_name
from bridge.store.redis_access import RedisAccess
from bridge.store.stored_times import MILLISECOND

_FIELD = re.compile(r"(?P<vendor>[a-z_]+)/(?P<operation>[a-z_]+) (?P<text>.+)", re.ASCII)
_MS = re.compile(rb"[0-9]{1,15}")


class RedisContractStore:
    """``<prefix>:contract:first`` and ``<prefix>:contract:last``, hashes: ``<vendor>/<operation>
    <fact>`` -> ms at which it was seen.

    *life*: from the last change.
    """

    def __init__(self, commands: RedisAccess, *, prefix: str, life: timedelta) -> None:
        self._commands = commands
        self._first = f"{prefix}:contract:first"
        self._last = f"{prefix}:contract:last"
        self._life_ms = life // MILLISECOND

    async def facts(self) -> tuple[ObservedFact, ...]:
        """See ``ContractStore``; what cannot be read is left out."""
        first = _pairs(await self._commands.run(("HGETALL", self._first)))
        last = _pairs(await self._commands.run(("HGETALL", self._last)))
        return tuple(
            ObservedFact(
                match["vendor"],
                match["operation"],
                match["text"],
                stored_times.from_ms(at),
                stored_times.from_ms(max(at, last.get(name, at))),
            )
            for name, at in first.items()
            if (match := _FIELD.fullmatch(name))
        )

    async def add(self, vendor: str, operation: str, facts: Shape, at: datetime) -> Shape:
        """See ``ContractStore``."""
        names, ms = {f"{vendor}/{operation} {fact}": fact for fact in facts}, stored_times.to_ms(at)
        if not names:
            return frozenset()
        added = await self._commands.run_all([("HSETNX", self._first, name, ms) for name in names])
        pairs = [part for name in names for part in (name, ms)]
        await self._commands.run(("HSET", self._last, *pairs))
        for key in (self._first, self._last):
            await self._commands.run(("PEXPIRE", key, self._life_ms))
        return frozenset(fact for fact, new in zip(names.values(), added, strict=True) if int(new))


def _pairs(answer: Any) -> Mapping[str, int]:
    """A hash of times, as either protocol version gives it."""
    flat = [part for one in answer.items() for part in one] if isinstance(answer, dict) else answer
    items = zip(flat[::2], flat[1::2], strict=True)
    return {
        decode_name(name): int(value)
        for name, value in items
        if _MS.fullmatch(value if isinstance(value, bytes) else str(value).encode())
    }
