"""How ids, partitions, digests and signed links are made and compared.

An invitation id is ``iv_`` + one hexadecimal digit (its partition) + 24 random characters.
Everything that belongs to one application of one customer lives in one partition, so in one Redis
Cluster slot: it can change in one atomic write.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import re
import zlib
from collections.abc import Sequence

PARTITIONS = 16
_INVITATION_ID = re.compile(r"iv_([0-9a-f])[A-Za-z0-9]{24}", re.ASCII)
_MAC_BYTES = 16


def compute_partition(customer: str, application_id: str) -> int:
    """The partition, 0..15, of everything that belongs to one application of one customer."""
    return zlib.crc32(f"{customer}\0{application_id}".encode("utf-8", "surrogatepass")) % PARTITIONS


def compute_order_key(customer: str, application_id: str, test_id: str) -> str:
    """The idempotency key of an order: 40 hexadecimal characters that reveal nothing about its
    parts.
    """
    return hashlib.sha256(f"{customer}\0{application_id}\0{test_id}".encode()).hexdigest()[:40]


def compute_application_key(customer: str, application_id: str) -> str:
    """The key under which an application's invitations are found: 40 hexadecimal characters that
    reveal nothing about its parts.
    """
    return hash_secret(f"{customer}\0{application_id}")[:40]


def compose_invitation_id(partition: int, random: str) -> str:
    """Compose an id from a partition and at least 24 random characters, of which letters and digits
    are used.
    """
    tail = re.sub(r"[^A-Za-z0-9]", "", random)[:24]
    if len(tail) < 24:
        msg = "not enough randomness for an invitation id"
        raise ValueError(msg)
    return f"iv_{partition:x}{tail}"


def read_partition(invitation_id: str) -> int | None:
    """The partition that an invitation id names; None: this is not an invitation id."""
    match = _INVITATION_ID.fullmatch(invitation_id)
    return int(match[1], 16) if match else None


def hash_secret(secret: str) -> str:
    """Hex SHA-256 of a secret's UTF-8 text: what is stored and compared instead of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def compare_digests(one: str, other: str) -> bool:
    """Compare two digests in constant time."""
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


def sign_link(keys: Sequence[bytes], purpose: str, invitation_id: str) -> str:
    """The token of a link for one *purpose* and one invitation, signed with the newest key: the
    same on every call.
    """
    return f"{invitation_id}.{_mac(keys[0], purpose, invitation_id)}"


def verify_link(keys: Sequence[bytes], purpose: str, token: str) -> str | None:
    """The invitation id of a link token signed with any key that is still listed; None for
    everything else.
    """
    invitation_id, _, mac = token.partition(".")
    if read_partition(invitation_id) is None:
        return None
    return (
        invitation_id
        if any(compare_digests(mac, _mac(key, purpose, invitation_id)) for key in keys)
        else None
    )


def _mac(key: bytes, purpose: str, invitation_id: str) -> str:
    mac = _prepare_mac(key).copy()
    mac.update(f"{purpose}\0{invitation_id}".encode())
    return base64.urlsafe_b64encode(mac.digest()[:_MAC_BYTES]).rstrip(b"=").decode()


@functools.lru_cache(maxsize=16)
def _prepare_mac(key: bytes) -> hmac.HMAC:
    """What is the same for all texts that are signed with *key*."""
    return hmac.new(key, digestmod=hashlib.sha256)
