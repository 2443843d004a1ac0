"""Standard Webhooks 1.0.0 over raw bytes, free of I/O: for what is received, and what is sent.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

Implemented here, since the reference library (standardwebhooks 1.1.0) raises on one odd entry
beside a good one, parses the body itself and accepts a wrong secret without an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.errors import BadSignature

TOLERANCE = timedelta(minutes=5)
_PREFIX = "whsec_"
_ID_LENGTH = 256
_SIGNATURE_LENGTH = 44  # of 32 bytes in base64


@dataclass(frozen=True, slots=True)
class SignatureHeaders:
    """The headers of a delivery; not trusted before ``verify_signature``."""

    message_id: str
    timestamp_text: str
    signatures: tuple[bytes, ...]


def read_signature_headers(headers: Mapping[str, str], now: datetime) -> SignatureHeaders:
    """Read the headers of a delivery, before its body is read.

    Raises ``BadSignature`` if one is missing, malformed or too far from *now*. Several
    signatures may be given; unknown versions and malformed entries are skipped.
    """
    message_id = headers.get("webhook-id", "")
    timestamp_text = headers.get("webhook-timestamp", "")
    if not message_id or len(message_id) > _ID_LENGTH or not message_id.isascii():
        raise BadSignature("webhook-id is missing or malformed")
    if not (timestamp_text.isascii() and timestamp_text.isdigit() and len(timestamp_text) <= 12):
        raise BadSignature("webhook-timestamp is missing or malformed")
    skew_s = now.timestamp() - int(timestamp_text)
    if abs(skew_s) > TOLERANCE.total_seconds():
        raise BadSignature(
            f"webhook-timestamp is {skew_s:+.0f} s off the bridge's time, which is Redis's;"
            f" {TOLERANCE.total_seconds():.0f} s are tolerated"
        )
    entries = headers.get("webhook-signature", "").split()
    given = [
        value
        for version, _, value in (entry.partition(",") for entry in entries)
        if version == "v1"
    ]
    signatures = tuple(
        value.encode() for value in given if len(value) == _SIGNATURE_LENGTH and value.isascii()
    )
    if not signatures:
        raise BadSignature("webhook-signature is missing or malformed")
    return SignatureHeaders(message_id, timestamp_text, signatures)


def verify_signature(raw: bytes, delivery: SignatureHeaders, secret: str) -> str:
    """The ``webhook-id`` of a genuine delivery of the body *raw*; raises ``BadSignature`` for
    anything else.
    """
    wanted = compute_signature(raw, delivery.message_id, delivery.timestamp_text, secret).encode()
    if not any(hmac.compare_digest(wanted, one) for one in delivery.signatures):
        raise BadSignature("webhook-signature fits no known secret")
    return delivery.message_id


def compute_signature(raw: bytes, message_id: str, timestamp_text: str, secret: str) -> str:
    """The base64 HMAC-SHA256 of ``id.timestamp.body``."""
    signed = f"{message_id}.{timestamp_text}.".encode() + raw
    return base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def build_signed_headers(raw: bytes, message_id: str, at: datetime, secret: str) -> dict[str, str]:
    """The headers of a delivery of the body *raw*; *message_id* stays the same when it is repeated,
    *at* does not.
    """
    timestamp_text = str(int(at.timestamp()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp_text,
        "webhook-signature": f"v1,{compute_signature(raw, message_id, timestamp_text, secret)}",
    }


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:  # settings refuse such a secret at start-up
        raise BadSignature("the configured secret is not base64") from error
