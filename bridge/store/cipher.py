"""Encryption at rest: Fernet (AES-128-CBC and HMAC-SHA256) with several keys, so that keys can be changed."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_PACKED: Final = b"z"
_PLAIN: Final = b"-"
"""The first byte says whether the rest is compressed: results are words, and shrink to a third; a link alone does not."""


class KeyRing:
    """``records.Cipher`` over *keys* of 32 bytes each, newest first: that one seals, every one opens."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        rings = [Fernet(base64.urlsafe_b64encode(key)) for key in keys]
        self._newest = rings[0]
        self._all = MultiFernet(rings)

    def encrypt(self, plain: bytes) -> str:
        """Seal with the newest key."""
        packed = zlib.compress(plain)
        content = _PACKED + packed if len(packed) < len(plain) else _PLAIN + plain
        return self._newest.encrypt(content).decode("ascii")

    def decrypt(self, sealed: str) -> bytes:
        """Open with whichever key fits; raises ``ValueError`` if none does, or if somebody changed it."""
        try:
            content = self._all.decrypt(sealed)
        except (InvalidToken, ValueError):  # the latter for what is not even ASCII
            raise ValueError("no key fits") from None
        return zlib.decompress(content[1:]) if content[:1] == _PACKED else content[1:]

    def is_newest(self, sealed: str) -> bool:
        """Whether the newest key opens it: nothing is to be renewed then."""
        try:
            self._newest.decrypt(sealed)
        except (InvalidToken, ValueError):  # the latter for what is not even ASCII
            return False
        return True
