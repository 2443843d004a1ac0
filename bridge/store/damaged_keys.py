"""Keys that hold a wrong type, after manual changes in Redis or by another application.

Such a key would fail every call that touches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import orjson
from redis.exceptions import ResponseError

from bridge.store import key_names, lua_scripts
from bridge.store.lua_scripts import Command, Part
from bridge.store.stored_times import MILLISECOND

LIFE: Final = timedelta(days=30)
"""How long a damaged key is kept in the quarantine."""

_TYPES: Final[Mapping[Part, str]] = {
    "GET": "string",
    **dict.fromkeys(("HGET", "HGETALL", "HKEYS", "HLEN", "HSETNX", "HDEL"), "hash"),
    **dict.fromkeys(("SADD", "SMEMBERS", "SREM"), "set"),
    **dict.fromkeys(("ZREM", "ZRANGE", "ZSCORE"), "zset"),
}
"""The type that the keys of plain commands must have."""


def build_quarantine_note(at: datetime, what: str, reason: str, **more: str) -> bytes:
    """A note for the quarantine; *reason* contains nothing of the damaged content."""
    return orjson.dumps({"at": at.isoformat(), "what": what, "reason": reason, **more})


def find_damaged_key(command: Command, answer: object) -> tuple[str, str] | None:
    """The type that the key must have, and the key; None: the command failed for another reason."""
    if not isinstance(answer, ResponseError):
        return None
    words = str(answer).split(" ", 2)
    if words[0] == "DAMAGED" and words[-1] in command:
        return words[1], words[2]
    if words[0] == "WRONGTYPE" and command[0] in _TYPES:
        return _TYPES[command[0]], str(command[1])
    return None


def build_quarantine_command(key: str, kind: str, at: datetime) -> Command:
    """The command that quarantines a key that is not of type *kind*; its answer is 1 unless that
    was done before.

    A key outside of the partitions is deleted: nothing depends on it.
    """
    place = key_names.split_key(key)
    if place is None:
        return ("DEL", key)
    names, name = place
    return lua_scripts.QUARANTINE_KEY.call(
        [key, names.quarantined_key(name), names.quarantine],
        [
            kind,
            f"key:{name}",
            build_quarantine_note(at, "key", f"must hold a {kind}"),
            LIFE // MILLISECOND,
        ],
    )
