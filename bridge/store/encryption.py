"""Encryption at rest: Fernet (AES-128-CBC and HMAC-SHA256) with several keys, so that keys can be
changed.

What is sealed names its owner, so that a part that somebody copied to another record does not open
there.
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
"""Says whether the rest is compressed: results shrink to a third, a link alone does not."""
_UNBOUND: Final = {b"z": _PACKED, b"-": _PLAIN}
"""What older versions sealed, without saying for whom; still opened, and renewed by ``reencrypt``.
"""
_OWNER_BYTES: Final = 16


class Misplaced(ValueError):
    """Sealed for another owner: somebody copied it here."""


class Cipher(Protocol):
    """Encryption at rest of what a candidate achieved."""

    def encrypt(self, plain: bytes, owner: str) -> str:
        """Seal *plain* for *owner*."""

    def decrypt(self, sealed: str, owner: str) -> bytes:
        """Open what ``encrypt`` sealed, perhaps with an older key.

        Raises ``ValueError`` if no key fits, ``Misplaced`` if it was sealed for another owner.
        """

    def is_newest(self, sealed: str) -> bool:
        """Whether ``encrypt`` would use the same key and form for it today."""


class KeyRing:
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

        Raises ``ValueError`` if none does or somebody changed it, ``Misplaced`` if it was sealed
        for somebody else.
        """
        try:
            opened = self._all.decrypt(sealed)
        except (InvalidToken, ValueError):  # the latter for what is not even ASCII
            raise ValueError("no key fits") from None
        kind, content = opened[:1], opened[1:]
        if kind in _UNBOUND:
            kind = _UNBOUND[kind]
        elif content[:_OWNER_BYTES] == _mark(owner):
            content = content[_OWNER_BYTES:]
        else:
            raise Misplaced("sealed for another owner")
        return zlib.decompress(content) if kind == _PACKED else content

    def is_newest(self, sealed: str) -> bool:
        """Whether ``encrypt`` would use the same key and form: nothing is to be renewed then."""
        try:
            return self._newest.decrypt(sealed)[:1] not in _UNBOUND
        except (InvalidToken, ValueError):  # the latter for what is not even ASCII
            return False


def _mark(owner: str) -> bytes:
    """Inside of what is encrypted and authenticated: Fernet takes nothing else along."""
    return hashlib.sha256(owner.encode()).digest()[:_OWNER_BYTES]
