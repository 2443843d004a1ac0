"""Lists of values as few bytes, and back.

What repeats from record to record (words, links, the form of the list) is deflated with a
dictionary, so that it costs next to nothing even the first time. What is random (digests, MACs,
UUIDs) cannot be made smaller than it is: it is taken out of the list, and stands behind the
deflated rest as bytes, half as long as in hexadecimal.

``packing_words.txt`` is the dictionary. It is part of the stored form: what was packed with one
cannot be unpacked with another. So it stays as it is to the byte; a better one would be a second
file, for a format of its own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import string
import zlib
from importlib import resources
from typing import Any, Final

import orjson

Document = dict[str, Any]

_WORDS: Final = resources.files("bridge.store").joinpath("packing_words.txt").read_bytes()
_WINDOW: Final = -12
"""Raw deflate over 4 KiB: enough for a record, and much faster to begin than the usual 32 KiB."""
_LEVEL: Final = 1
"""A higher one makes a record a twentieth smaller, and takes a quarter longer."""
_MEMORY: Final = 5

_SQUEEZER: Final = zlib.compressobj(
    _LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _WORDS
)
"""Has read the dictionary; a copy of it is made sooner than another one."""

UUID: Final = 1
"""Stands for 36 characters ``xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx``, kept as 16 bytes."""
DIGEST: Final = 2
"""Stands for 64 hexadecimal digits, kept as 32 bytes."""
ABSENT: Final = 0
PRESENT: Final = 1
"""Stand for the MACs of a history that nobody has signed, and of one that was signed as a whole."""
_MAC_LENGTH: Final = 16
_UUID_LENGTH: Final = 36
_DIGEST_LENGTH: Final = 64
_SHORTEST_TOKEN: Final = 16
_URL_SAFE: Final = string.ascii_letters + string.digits + "-_"


def dump_json(document: object) -> bytes:
    """*document* as compact JSON."""
    try:
        return orjson.dumps(document)
    except TypeError:
        # A lone surrogate is not valid Unicode. It is replaced by "?": one odd letter must not
        # lose a result.
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def pack(values: list[Any], taken: bytearray) -> bytes:
    """A list whose random parts have been *taken* out."""
    squeezer = _SQUEEZER.copy()
    return squeezer.compress(dump_json(values)) + squeezer.flush() + taken


def unpack(packed: bytes) -> tuple[list[Any], TakenParts]:
    """The inverse of ``pack``; raises ``ValueError`` or ``zlib.error`` for what was not packed."""
    opener = zlib.decompressobj(_WINDOW, _WORDS)
    values = orjson.loads(opener.decompress(packed))
    if not opener.eof or not isinstance(values, list):
        raise ValueError("not packed")
    return values, TakenParts(opener.unused_data)


class TakenParts:
    """The random parts of a list, to be put back in the order in which they were taken out."""

    __slots__ = ("_data", "_place")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def next(self, length: int) -> bytes:
        """The next *length* bytes; raises ``ValueError`` if there are fewer."""
        place = self._place + length
        part = self._data[self._place : place]
        if len(part) != length or length < 0:
            raise ValueError("a part is missing")
        self._place = place
        return part


def take_out(text: str, taken: bytearray) -> str | int:
    """What stands in the list for this *text*: itself, or a mark, if it is of a random form."""
    length = len(text)
    if length == _UUID_LENGTH:
        mark, written = UUID, text.replace("-", "")
    elif length == _DIGEST_LENGTH:
        mark, written = DIGEST, text
    else:
        return text
    try:
        raw = bytes.fromhex(written)
    except ValueError:
        return text
    if (_format_uuid(raw) if mark == UUID else raw.hex()) != text:
        return text
    taken += raw
    return mark


def put_back(value: str | int, taken: TakenParts) -> str:
    """The inverse of ``take_out``."""
    if isinstance(value, str):
        return value
    if value == UUID:
        return _format_uuid(taken.next(16))
    if value == DIGEST:
        return taken.next(32).hex()
    raise ValueError("no such mark")


def take_out_token(link: str, taken: bytearray) -> list[Any]:
    """A link without the random token at its end, and how many bytes that is."""
    token = len(link) - len(link.rstrip(_URL_SAFE))
    length = token // 4 * 4
    if length < _SHORTEST_TOKEN:
        return [link, 0]
    raw = base64.urlsafe_b64decode(link[-length:])
    taken += raw
    return [link[:-length], len(raw)]


def put_back_token(value: list[Any], taken: TakenParts) -> str:
    """The inverse of ``take_out_token``."""
    link, length = value
    if not isinstance(link, str) or not isinstance(length, int):
        raise ValueError("not a link")
    return link + base64.urlsafe_b64encode(taken.next(length)).decode() if length else link


def take_out_macs(macs: list[str], taken: bytearray) -> list[str] | int:
    """What stands for the *macs* of a history: as a rule, a mark."""
    text = "".join(macs)
    if not text:
        return ABSENT
    if set(map(len, macs)) == {_MAC_LENGTH}:
        with contextlib.suppress(ValueError):
            raw = base64.urlsafe_b64decode(text)
            if base64.urlsafe_b64encode(raw) == text.encode():
                taken += raw
                return PRESENT
    return macs


def put_back_macs(value: list[str] | int, number: int, taken: TakenParts) -> list[str]:
    """The inverse of ``take_out_macs`` for this *number* of them."""
    if isinstance(value, list):
        if len(value) != number or set(map(type, value)) != {str}:
            raise ValueError("not that many MACs")
        return value
    if value == ABSENT:
        return [""] * number
    if value != PRESENT:
        raise ValueError("no such mark")
    raw = taken.next(number * _MAC_LENGTH // 4 * 3)
    text = base64.urlsafe_b64encode(raw).decode()
    return [text[place : place + _MAC_LENGTH] for place in range(0, len(text), _MAC_LENGTH)]


def _format_uuid(raw: bytes) -> str:
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
