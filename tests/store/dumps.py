"""Dumps of what earlier versions left in Redis, and how a test puts one under a prefix of its own.

A dump lists keys under the prefix ``bridge``. Values of strings and hashes are Base64 of the raw
bytes; members of sets and sorted sets are text.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from bridge.store.redis_access import RedisAccess

SAMPLES = Path(__file__).parents[1] / "samples" / "store"


def read(name: str) -> dict[str, Any]:
    """The dump in this file of ``tests/samples/store``."""
    dump: dict[str, Any] = json.loads((SAMPLES / name).read_text("utf-8"))
    return dump


async def restore(commands: RedisAccess, dump: dict[str, Any], prefix: str) -> None:
    """Put the dump's keys under another prefix."""
    for entry in dump["keys"]:
        key, value = entry["key"].replace("bridge:", f"{prefix}:", 1), entry["value"]
        parts: list[Any] = []
        match entry["type"]:
            case "string":
                await commands.run(("SET", key, base64.b64decode(value)))
            case "set":
                await commands.run(("SADD", key, *value))
            case "hash":
                for name, text in value.items():
                    parts += [name, base64.b64decode(text)]
                await commands.run(("HSET", key, *parts))
            case _:
                for member, score in value.items():
                    parts += [str(score), member]
                await commands.run(("ZADD", key, *parts))
