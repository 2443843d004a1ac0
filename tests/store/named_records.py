"""Records as versions before format 3 wrote them: JSON in which each value has a name."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any

import orjson

from bridge.core.assessment import Result, Trait
from bridge.core.history import History, HistoryCounter, HistoryEntry
from bridge.core.invitation import CreateAttempt, HireRecord, Invitation, UnconfirmedResult
from bridge.store.stored_times import to_ms

_NAMES: dict[type, dict[str, str]] = {
    CreateAttempt: {
        "number": "n",
        "secret_digest": "digest",
        "started_at": "at",
        "outcome": "outcome",
        "reference_id": "ref",
        "anonymised": "anonymised",
    },
    HireRecord: {
        "reference_id": "ref",
        "requested_at": "at",
        "add_to_team": "team",
        "start_date": "start",
        "state": "state",
        "sent_by": "by",
        "hired_at": "hired",
    },
    Trait: {
        "code": "code",
        "name": "name",
        "score": "score",
        "description": "text",
        "wanted": "wanted",
        "weight": "weight",
    },
    Result: {"fit": "fit", "dashboard_url": "url", "summary": "summary", "traits": "traits"},
    UnconfirmedResult: {"attempt": "attempt", "seen_at": "at", "report": "report"},
    HistoryEntry: {
        "kind": "k",
        "at": "t",
        "number": "n",
        "text": "x",
        "status": "s",
        "latency_ms": "d",
        "mac": "m",
    },
    HistoryCounter: {
        "kind": "k",
        "first": "a",
        "last": "z",
        "count": "c",
        "text": "x",
        "status": "s",
    },
    History: {"entries": "e", "counts": "c", "before": "b", "seal": "s"},
    Invitation: {
        "customer": "customer",
        "state": "state",
        "created_at": "created",
        "updated_at": "updated",
        "attempts": "attempts",
        "deadline": "deadline",
        "started_at": "started",
        "completed_at": "completed",
        "expired_at": "expired",
        "erased_at": "erased",
        "order_key": "order",
        "application_id": "application",
        "test_id": "test",
        "test_name": "name",
        "duration": "duration",
        "callback": "callback",
        "assessment_url": "url",
        "unconfirmed_result": "hint",
        "result": "result",
        "corrected_at": "corrected",
        "confirmed": "confirmed",
        "live_attempt": "live",
        "issued": "issued",
        "replaces": "replaces",
        "hire": "hire",
        "failure": "failure",
        "history": "history",
        "trace": "trace",
    },
}


def build_named_document(one: Invitation) -> dict[str, Any]:
    """The document of format 1: what has its default is left out."""
    document = {"f": 1, **_plain(one)}
    document["issued"] = int(one.issued)
    return document


def dump_named(one: Invitation) -> bytes:
    """The record of format 1."""
    return orjson.dumps(build_named_document(one))


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return to_ms(value)
    names = _NAMES.get(type(value))
    if names is None:
        return [_plain(one) for one in value] if isinstance(value, tuple) else value
    kept = {name: getattr(value, name) for name in names}
    return {names[name]: _plain(one) for name, one in kept.items() if one != _default(value, name)}


def _default(value: object, name: str) -> object:
    if isinstance(value, tuple):
        return type(value)._field_defaults.get(name, MISSING)  # type: ignore[attr-defined]
    defaults = {field.name: field.default for field in fields(value)}  # type: ignore[arg-type]
    return defaults[name]
