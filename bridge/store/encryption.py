"""Encryption at rest: Fernet (AES-128-CBC and HMAC-SHA256) with several keys, so that keys can be
changed.

An encrypted part names its owner, so that it cannot be opened after it was copied to another
record.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence
from typing import Final, Protocol

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_PACKED: Final = b"Z"
_PLAIN: Final = b"="
"""Marks whether the rest is compressed: results shrink to a third, a link alone does not."""
_LEGACY_MARKS: Final = {b"z": _PACKED, b"-": _PLAIN}
"""The marks of older versions, which did not name the owner; still opened, and renewed by
``reencrypt``.
"""
_OWNER_BYTES: Final = 16


class WrongOwner(ValueError):
    """Encrypted for another owner: it was copied here."""


class Cipher(Protocol):
    """Encryption at rest of candidates' results and links."""

    def encrypt(self, plain: bytes, owner: str) -> str:
        """Seal *plain* for *owner*."""

    def decrypt(self, sealed: str, owner: str) -> bytes:
        """Open what ``encrypt`` sealed, perhaps with an older key.

        Raises ``ValueError`` if no key fits, ``WrongOwner`` if it was sealed for another owner.
        """

    def is_newest(self, sealed: str) -> bool:
        """Whether ``encrypt`` would use the same key and form for it today."""


class EncryptionKeyRing:
    """``Cipher`` over *keys* of 32 bytes each, newest first: that one seals, every one opens."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        rings = [Fernet(base64.urlsafe_b64encode(key)) for key in keys]
        self._newest = rings[0]
        self._all = MultiFernet(rings)

    def encrypt(self, plain: bytes, owner: str) -> str:
        """Seal with the newest key, to be opened for the same *owner* only."""
        packed = zlib.compress(plain)
        kind, content = (_PACKED, packed) if len(packed) < len(plain) else (_PLAIN, plain)
        return self._newest.encrypt(kind + _mark(owner) + content).decode("ascii")

    def decrypt(self, sealed: str, owner: str) -> bytes:
        """Open with whichever key fits.

        Raises ``ValueError`` if none fits or the value was changed, ``WrongOwner`` if it was
        encrypted for another owner.
        """
        try:
            opened = self._all.decrypt(sealed)
        except (InvalidToken, ValueError):  # ValueError: it is not even ASCII
            raise ValueError("no key fits") from None
        kind, content = opened[:1], opened[1:]
        if kind in _LEGACY_MARKS:
            kind = _LEGACY_MARKS[kind]
        elif content[:_OWNER_BYTES] == _mark(owner):
            content = content[_OWNER_BYTES:]
        else:
            raise WrongOwner("sealed for another owner")
        return zlib.decompress(content) if kind == _PACKED else content

    def is_newest(self, sealed: str) -> bool:
        """Whether ``encrypt`` would use the same key and form, so that nothing is to be renewed."""
        try:
            return self._newest.decrypt(sealed)[:1] not in _LEGACY_MARKS
        except (InvalidToken, ValueError):  # ValueError: it is not even ASCII
            return False


def _mark(owner: str) -> bytes:
    """The owner as a prefix of the encrypted text: Fernet has no associated data."""
    return hashlib.sha256(owner.encode()).digest()[:_OWNER_BYTES]
