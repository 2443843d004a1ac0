from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import response_parsing

NOW = datetime(2026, 1, 15, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nul",
        b"NaN",
        b"\xff",
        b'"\\ud800"',
        b"9" * 5000,
        b"[" * 100_000,
        b"[" * 2000 + b"]" * 2000,
        b"[1,]",
    ],
)
def test_loads_refuses(raw: bytes) -> None:
    """Whatever is no sane JSON is a ValueError and nothing else."""
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's words are not ours
        response_parsing.parse_json(raw)


@given(st.binary(max_size=200))
def test_loads_never_raises_anything_else(raw: bytes) -> None:
    """No bytes make the parser raise anything but ValueError."""
    with contextlib.suppress(ValueError):
        response_parsing.parse_json(raw)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("9" * 500, 86400.0),
        ("Thu, 15 Jan 2026 10:01:30 GMT", 90.0),
        ("Thu, 15 Jan 2026 10:01:30 -0000", 90.0),
        ("Thu, 15 Jan 2026 09:00:00 GMT", 0.0),
        ("Thu, 15 Jan 2099 10:00:00 GMT", 86400.0),
        ("Thu, 99 Jan 2026 10:00:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, expected: float | None) -> None:
    """Seconds and dates are understood, capped at a day, and nonsense is no wish at all."""
    assert response_parsing.parse_retry_after(value, NOW) == expected


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_retry_after_does_not_depend_on_our_clock(hours: int) -> None:
    """A date is counted from the vendor's own, so that a clock of ours that is an hour off changes
    nothing.
    """
    ours = NOW + timedelta(hours=hours)
    until, sent = (format_datetime(at, usegmt=True) for at in (NOW + timedelta(seconds=90), NOW))
    assert response_parsing.parse_retry_after(until, ours, sent) == 90
    assert response_parsing.parse_retry_after("90", ours, sent) == 90
    assert response_parsing.parse_retry_after(until, NOW, "yesterday") == 90


@given(st.text(max_size=40), st.none() | st.text(max_size=40))
def test_retry_after_never_raises(value: str, date: str | None) -> None:
    """No header value breaks the reader or leaves the range."""
    assert 0 <= (response_parsing.parse_retry_after(value, NOW, date) or 0) <= 86400
