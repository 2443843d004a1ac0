"""Use case of operators: everything that happened to an invitation as one signed document.

The format, ``assessment-bridge/evidence/1``, is described in ``deploy/EVIDENCE.md``. It is signed
with Ed25519, so that whoever was given the public key can check it without being able to make one.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import bridge
from bridge.core.history import History, HistoryCounter, HistoryEntry
from bridge.core.history_chain import HistoryFault, derive_history_keys, find_history_faults
from bridge.core.invitation import Invitation, State

EVIDENCE_FORMAT: Final = "assessment-bridge/evidence/1"
_TIMES: Final = (
    *("created_at", "updated_at", "deadline", "started_at", "completed_at"),
    *("expired_at", "erased_at"),
)
_SIGNATURE: Final = "signature"

Document = dict[str, Any]


def build_evidence(
    invitation: Invitation, signing_keys: Sequence[bytes], now: datetime
) -> Document:
    """The document about *invitation*, signed with the newest of *signing_keys*."""
    history = invitation.history
    document: Document = {
        "format": EVIDENCE_FORMAT,
        "made_at": _text(now),
        "made_by": f"assessment-bridge {bridge.__version__}",
        "invitation": {
            "id": invitation.id,
            "customer": invitation.customer,
            "test": invitation.test_id,
            "state": str(invitation.state),
            "version": invitation.version,
            "issued": invitation.issued,
            "confirmed": invitation.confirmed,
            **{name: _text(getattr(invitation, name)) for name in _TIMES},
            "attempts": [
                {
                    "number": attempt.number,
                    "at": _text(attempt.started_at),
                    "outcome": str(attempt.outcome),
                    "anonymised": attempt.anonymised,
                }
                for attempt in invitation.attempts
            ],
        },
        "history": {
            "before": history.before,
            "entries": [_plain(entry) for entry in history.entries],
            "counts": [_plain(one) for one in history.counts],
            "seal": history.seal,
        },
        "faults": [
            asdict(fault)
            for fault in find_history_faults(invitation, derive_history_keys(signing_keys))
        ],
    }
    key = _signer(signing_keys[0])
    document[_SIGNATURE] = {
        "algorithm": "Ed25519",
        "public_key": _base64(key.public_key().public_bytes_raw()),
        "value": _base64(key.sign(_signed_bytes(document))),
    }
    return document


def find_evidence_faults(document: Document, signing_keys: Sequence[bytes]) -> list[str]:
    """All that does not hold of a document that ``build_evidence`` made: its signature, then the
    history in it. Raises ``ValueError`` for what is no such document.
    """
    try:
        if document["format"] != EVIDENCE_FORMAT:
            raise ValueError(f"its format is not {EVIDENCE_FORMAT}")
        value = base64.b64decode(document[_SIGNATURE]["value"], validate=True)
        invitation = _invitation(document)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, ValueError) and "format" in str(error):
            raise
        raise ValueError("it is no evidence file, or not a whole one") from None
    if not any(_is_signed(document, value, key) for key in signing_keys):
        return [
            "the signature does not fit: the file was changed, or signed with a key that is no"
            " longer listed"
        ]
    return [
        describe_fault(fault)
        for fault in find_history_faults(invitation, derive_history_keys(signing_keys))
    ]


def describe_fault(fault: HistoryFault) -> str:
    """A fault as a sentence, that says which entry it is."""
    if fault.entry:
        return f"entry {fault.entry} ({fault.kind}): {fault.what}"
    return f"seal: {fault.what}" if fault.kind else fault.what


def _signer(signing_key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(signing_key, b"evidence", "sha256"))


def _is_signed(document: Document, value: bytes, signing_key: bytes) -> bool:
    try:
        _signer(signing_key).public_key().verify(value, _signed_bytes(document))
    except InvalidSignature:
        return False
    return True


def _signed_bytes(document: Document) -> bytes:
    """The document without its signature as JSON: keys sorted, compact, UTF-8."""
    signed = {name: value for name, value in document.items() if name != _SIGNATURE}
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _invitation(document: Document) -> Invitation:
    """As much of the record as its history is signed with."""
    told, history = document["invitation"], document["history"]
    times: dict[str, Any] = {
        name: None if told[name] is None else datetime.fromisoformat(told[name]) for name in _TIMES
    }
    return Invitation(
        id=told["id"],
        customer=told["customer"],
        state=State(told["state"]),
        version=told["version"],
        **times,
        history=History(
            entries=tuple(HistoryEntry(**_timed(one, "at")) for one in history["entries"]),
            counts=tuple(
                HistoryCounter(**_timed(one, "first", "last")) for one in history["counts"]
            ),
            before=history["before"],
            seal=history["seal"],
        ),
    )


def _plain(one: HistoryEntry | HistoryCounter) -> Document:
    fields = one._asdict() if isinstance(one, HistoryEntry) else asdict(one)
    return {
        name: _text(value) if isinstance(value, datetime) else value
        for name, value in fields.items()
    }


def _timed(told: Mapping[str, Any], *times: str) -> Document:
    return {**told, **{name: datetime.fromisoformat(told[name]) for name in times}}


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
