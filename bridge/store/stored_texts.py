"""Everything that Redis holds, as it can be read by anybody who gets at it but has no key."""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Final

import orjson

from bridge.errors import RecordKeyMissing, RecordUnreadable
from bridge.store import key_names, record_codec
from bridge.store.packing import unpack
from bridge.store.redis_access import RedisAccess

_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("GET",),
    "hash": ("HGETALL",),
    "zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
    "set": ("SMEMBERS",),
    "list": ("LRANGE", "0", "-1"),
    "stream": ("XRANGE", "-", "+"),
}
"""How a key of this type is read."""


async def read_stored_texts(commands: RedisAccess) -> AsyncIterator[str]:
    """Each key with its value, a record also unpacked.

    For looking for words that must not be there. Raises ``KeyError`` for a type of value that is
    not known, so that nothing is overlooked.
    """
    async for key in commands.scan("*"):
        answer = await commands.run(("TYPE", key))
        kind = answer.decode() if isinstance(answer, bytes) else str(answer)
        if kind == "none":
            continue  # gone meanwhile
        command, *rest = _COMMANDS[kind]
        value = await commands.run((command, key, *rest))
        text = f"{key} {value!r}"
        if isinstance(value, bytes) and ":iv:" in key:
            text += f" {show_record(key_names.get_invitation_id(key), value)}"
        yield text


def show_record(invitation_id: str, value: bytes) -> str:
    """What stands in a record's *value*, as far as that needs no key; nothing if it is damaged."""
    try:
        return repr(asdict(record_codec.load_record(invitation_id, value, None)))
    except RecordKeyMissing:
        packed = orjson.loads(value.split(b"|", 2)[2]).get("r")
        if not isinstance(packed, str):
            return ""  # not packed: the value is readable as it is
        return repr(unpack(binascii.a2b_base64(packed))[0])
    except RecordUnreadable:
        return ""
