"""What both vendors' adapters need to read an answer, free of any transport: JSON, Retry-After,
redaction.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, quote_plus

import orjson

EXCERPT_BYTES = 2048
RETRY_AFTER_CAP_S = 24 * 60 * 60.0
MASK = "***"

_LOOK_AT = (
    4 * EXCERPT_BYTES
)  # bounds the work on an answer of a megabyte; masks rarely shrink text by more than that
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")
_EMAIL = re.compile(
    r"[^\s@<>\"',;:()\[\]{}\\/=&?]{1,64}(?:@|%40)[^\s@<>\"',;:()\[\]{}\\/=&?]{1,255}"
)
_CREDENTIALS = re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9_.~+=%-]{20,}")


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
        return min(float(text), RETRY_AFTER_CAP_S)
    at = _http_date(text)
    if at is None:
        return None
    wait = at - (_http_date(date or "") or now)
    return min(max(wait.total_seconds(), 0.0), RETRY_AFTER_CAP_S)


def _http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # "-0000" gives a time without zone, which by RFC 5322 means UTC all the same.
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Make *text* fit for logs and pages: one line, at most 2048 bytes of UTF-8, nothing private in
    it.

    Masked are the given *secrets* in any case and in the spellings that an echo may use (JSON, HTML
    and percent escapes), e-mail addresses, credentials after Bearer, Basic or Token, and long runs
    that look like tokens rather than words.
    """
    head = whole_words(text, _LOOK_AT)
    head = _mask_secrets(head, secrets)
    head = _CONTROL.sub(" ", head).strip()
    head = _EMAIL.sub(MASK, head)
    head = _CREDENTIALS.sub(rf"\1 {MASK}", head)
    head = _TOKEN_LIKE.sub(_mask_token, head)
    return head.encode("utf-8", "replace")[:EXCERPT_BYTES].decode("utf-8", "ignore")


def whole_words(text: str, most: int) -> str:
    """*text*, or where it is longer its first *most* characters without the last word.

    That word may be half a secret, which no pattern would know.
    """
    head = text[:most]
    if len(text) <= most or head[-1:].isspace():
        return head
    return head[: len(head) - len(head.rsplit(None, 1)[-1])]


def _mask_secrets(text: str, secrets: Iterable[str]) -> str:
    spellings = {
        spelling for secret in secrets if secret.strip() for spelling in _spellings(secret.strip())
    }
    for spelling in sorted(spellings, key=lambda one: (-len(one), one)):
        pattern = re.escape(spelling)
        if len(spelling) < 3:
            # A one-letter name would eat every such letter.
            pattern = rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, MASK, text, flags=re.IGNORECASE)
    return text


def _spellings(secret: str) -> tuple[str, ...]:
    sound = secret.encode("utf-8", "replace").decode()
    return (
        secret,
        json.dumps(secret)[1:-1],
        secret.replace("/", "\\/"),
        html.escape(secret),
        quote(sound, safe=""),
        quote(sound),
        quote_plus(sound),
    )


def _mask_token(match: re.Match[str]) -> str:
    run = match[0]
    # Words joined by dots and underscores are all in one case and hold no digit; random runs of
    # this length never do.
    plain = not any(c.isdigit() for c in run) and (run.islower() or run.isupper())
    return run if plain else MASK
