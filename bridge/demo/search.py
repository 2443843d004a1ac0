"""Looking for a person in everything that Redis holds, and in the log."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

_ARGUMENTS: dict[bytes, tuple[str, ...]] = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"zset": ("ZRANGE", "0", "-1"),
    b"set": ("SMEMBERS",),
    b"list": ("LRANGE", "0", "-1"),
    b"stream": ("XRANGE", "-", "+"),
}
"""How a key of this type is read."""


async def search_redis(url: str, words: Iterable[str]) -> tuple[int, set[str]]:
    """Read every key of whatever type; gives how many there are, and which of *words* stand in a
    name or a value.
    """
    text = []
    client: Any
    async with Redis.from_url(url) as client:
        async for key in client.scan_iter():
            command, *rest = _ARGUMENTS[await client.type(key)]
            text.append(f"{key!r} {await client.execute_command(command, key, *rest)!r}")
    return len(text), _in_text("\n".join(text), words)


def search_file(path: Path, words: Iterable[str]) -> tuple[int, set[str]]:
    """How many lines *path* has, and which of *words* stand in it."""
    text = path.read_text("utf-8")
    return len(text.splitlines()), _in_text(text, words)


def _in_text(text: str, words: Iterable[str]) -> set[str]:
    low = text.lower()
    return {word for word in words if word.lower() in low}
