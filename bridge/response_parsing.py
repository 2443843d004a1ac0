"""What both vendors' adapters need to read an answer, free of any transport: JSON, Retry-After."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from bridge.core.retry import RETRY_AFTER_CAP


def loads(raw: bytes) -> object:
    """Parse JSON.

    Raises ``ValueError`` for everything that is not plain, sane JSON: syntax, encoding, lone
    surrogates, NaN, a nesting deeper than 1024, numbers beyond a double. (Integers beyond 64 bits
    become floats, so they are no integers to any reader.)
    """
    parsed: object = orjson.loads(raw)
    return parsed


def parse_retry_after(value: str | None, now: datetime, date: str | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, section 10.2.3: seconds or a date), 0
    to 24 h.

    None: no header, or one that says nothing. A date is counted from the answer's own *date*
    header: how long it is until then does not depend on whether our clock is right. *now* (aware)
    takes its place where there is none.
    """
    text = (value or "").strip()
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
    # "-0000" gives a time without zone, which by RFC 5322 means UTC all the same.
    return at if at.tzinfo else at.replace(tzinfo=UTC)
