"""Standard Webhooks 1.0.0, the sender's half, written from the specification (Standard Webhooks
1.0.0).
"""

from __future__ import annotations

import base64
import hashlib
import hmac

PREFIX = "whsec_"


def compute_webhook_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` entry: ``v1,`` + base64 HMAC-SHA256 over ``id.timestamp.body``;
    *secret* is ``whsec_...``.
    """
    if not secret.startswith(PREFIX):
        raise ValueError("a webhook secret begins with whsec_")
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    if not 24 <= len(key) <= 64:
        raise ValueError("a webhook secret has 24 to 64 bytes")
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def create_webhook_headers(
    secret: str, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The three headers of a delivery; *timestamp* in Unix seconds."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": compute_webhook_signature(secret, message_id, timestamp, body),
    }
