"""Single values of Equalture's JSON, read leniently: what is of another type, or cannot be used, is
None.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

TEXT_LIMIT = 500
"""Characters kept of a display text."""
LINK_LIMIT = 4096
"""Characters of the longest link that is believed."""

_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0]+")
_HOST = re.compile(r"[\w.:\[\]-]+")
_PLAIN_LINK = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,4})?([/?#][!-~]*)?")
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_UNIT_S = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
}


def read_text(value: object) -> str | None:
    """A display text in one line, without control characters, cut to the limit; None where there is
    none.
    """
    if not isinstance(value, str):
        return None
    if value.isprintable() and "  " not in value and len(value) <= TEXT_LIMIT:
        return value.strip() or None  # what follows would change nothing
    return _CONTROL.sub(" ", value).strip()[:TEXT_LIMIT].strip() or None


def read_id(value: object) -> str | None:
    """An id.

    The page says UUID and shows others, so anything that can be written down goes; numbers become
    text.
    """
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def read_link(value: object) -> str | None:
    """An absolute http(s) link without user, blanks or control characters; None for everything
    else.
    """
    if (
        not isinstance(value, str)
        or len(value) > LINK_LIMIT
        or not value.isprintable()
        or " " in value
        or "\\" in value
    ):
        return None
    if _PLAIN_LINK.fullmatch(value):
        return value  # what follows would not refuse it
    try:
        parts = urlsplit(value)
        # The host goes into a Content-Security-Policy, in which punctuation has a meaning.
        fine = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and _HOST.fullmatch(parts.netloc) is not None
        )
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return value if fine else None


def read_header_token(value: object) -> str | None:
    """A token of ASCII that is not longer than a header may be."""
    # It goes into a header; aiohttp refuses line ends there with a bare ValueError.
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def read_life_s(ttl: object, units: object) -> int | None:
    """Seconds of ``"ttl": "120", "ttl_units": "minutes"``: the number is drawn as a string, both
    are read leniently.
    """
    if isinstance(ttl, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", ttl):
        ttl = int(ttl)
    if type(ttl) is not int or ttl <= 0 or not isinstance(units, str):
        return None
    unit = _UNIT_S.get(units.strip().lower())
    return ttl * unit if unit else None


def read_time(value: object) -> datetime | None:
    """A moment in ISO 8601, in UTC; without a zone it is meant so."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
