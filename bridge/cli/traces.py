"""Looking for a person in everything that Redis holds, and in the log."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bridge.store.lua_scripts import Command
from bridge.store.redis_access import RedisAccess


async def in_redis(commands: RedisAccess, words: Iterable[str]) -> tuple[int, set[str]]:
    """Read every key of whatever type; gives how many there are, and which of *words* stand in a
    name or a value.
    """
    keys = {key async for key in commands.scan("*")}
    found: set[str] = set()
    for key in keys:
        kind = await commands.run(("TYPE", key))
        value = await commands.run(
            _read(kind.decode() if isinstance(kind, bytes) else str(kind), key)
        )
        found |= _in_text(f"{key} {value!r}", words)
    return len(keys), found


def in_file(path: Path, words: Iterable[str]) -> tuple[int, set[str]]:
    """How many lines *path* has, and which of *words* stand in it."""
    text = path.read_text("utf-8")
    return len(text.splitlines()), _in_text(text, words)


def _in_text(text: str, words: Iterable[str]) -> set[str]:
    low = text.lower()
    return {word for word in words if word.lower() in low}


def _read(kind: str, key: str) -> Command:
    match kind:
        case "hash":
            return ("HGETALL", key)
        case "zset":
            return ("ZRANGE", key, 0, -1)
        case "set":
            return ("SMEMBERS", key)
        case "list":
            return ("LRANGE", key, 0, -1)
        case "stream":
            return ("XRANGE", key, "-", "+")
    return ("GET", key)
