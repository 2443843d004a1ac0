"""Helpers of both vendors' adapters to read an answer, without any transport: JSON, Retry-After."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from bridge.core.answer_shape import NonJsonBody
from bridge.core.retry import RETRY_AFTER_CAP


def parse_json(raw: bytes) -> object:
    """Parse JSON.

    Raises ``ValueError`` for everything that is not plain, valid JSON: syntax, encoding, lone
    surrogates, NaN, nesting deeper than 1024, numbers beyond a double. (Integers beyond 64 bits
    become floats.)
    """
    parsed: object = orjson.loads(raw)
    return parsed


def parse_json_or_classify(raw: bytes) -> object:
    """The JSON of a body, or what the body is instead; never fails."""
    try:
        return orjson.loads(raw)
    except ValueError:
        return NonJsonBody.NOT_JSON if raw.strip() else NonJsonBody.EMPTY


def parse_retry_after(value: str | None, now: datetime, date: str | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, section 10.2.3: seconds or a date), 0
    to 24 h.

    None: no header, or an unreadable one. A date is counted from the answer's own *date* header, so
    that a wrong clock here does not matter; without that header, from *now* (aware).
    """
    if not value:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]+", text):
        return min(float(text), RETRY_AFTER_CAP.total_seconds())
    at = _http_date(text)
    if at is None:
        return None
    wait = at - (_http_date(date or "") or now)
    return min(max(wait.total_seconds(), 0.0), RETRY_AFTER_CAP.total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # "-0000" gives a time without zone, which means UTC by RFC 5322, too.
    return at if at.tzinfo else at.replace(tzinfo=UTC)
