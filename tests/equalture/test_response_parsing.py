from __future__ import annotations

import contextlib
import re
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
        response_parsing.loads(raw)


@given(st.binary(max_size=200))
def test_loads_never_raises_anything_else(raw: bytes) -> None:
    """No bytes make the parser raise anything but ValueError."""
    with contextlib.suppress(ValueError):
        response_parsing.loads(raw)


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


@pytest.mark.parametrize(
    "text",
    [
        "Ada Müster is taken",
        "ADA MÜSTER is taken",
        '{"name": "Ada M\\u00fcster"}',
        "name=Ada+M%C3%BCster",
        "name=Ada%20M%c3%bcster",
        "hello Ada",
    ],
)
def test_redact_masks_secrets_in_every_spelling(text: str) -> None:
    """A given secret is masked however an echo spells it."""
    shown = response_parsing.redact(text, ["Ada Müster", "Ada", "Müster"]).lower()
    assert "ada" not in shown
    assert "ster" not in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to eve.x@mail.example.org now", "write to *** now"),
        ("to=eve%40mail.example", "to=***"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer ***"),
        ("basic MTA6", "basic ***"),
        ("token SFMyNTY.g2gDaAJ3DGFwcGxpY2Fu here", "token *** here"),
        ("see https://a.example/t/Sq3tTs9xRrB8mZ0kLw2n", "see https://a.example/t/***"),
        (
            "dashboard.equalture.com applicant_details_email_invalid",
            "dashboard.equalture.com applicant_details_email_invalid",
        ),
        ("a\r\n\x1b[31mb\x00", "a [31mb"),
    ],
)
def test_redact_masks_what_looks_private(text: str, expected: str) -> None:
    """Mail addresses, credentials and random runs are masked, words are not, and all ends up in one
    line.
    """
    assert response_parsing.redact(text) == expected


def test_redact_leaves_letters_alone() -> None:
    """A one-letter name masks that word only."""
    assert response_parsing.redact("A is not a plan", ["A", ""]) == "*** is not *** plan"


def test_redact_cuts() -> None:
    """An excerpt has at most 2048 bytes, and no half secret stands at its end."""
    assert len(response_parsing.redact("ü " * 5000).encode()) <= 2048
    secret = "Zebrastreifen"
    assert "Zeb" not in response_parsing.redact("x " * 4093 + secret + " end", [secret])


@given(st.text(max_size=300), st.lists(st.text(max_size=10), max_size=3))
def test_redact_never_raises(text: str, secrets: list[str]) -> None:
    """Any text with any secrets gives a text of at most 2048 bytes."""
    assert len(response_parsing.redact(text, secrets).encode()) <= 2048


LONG = 2_000_000
"""So long that time growing with its square would take hours; the suite gives a test two minutes.
"""


@pytest.mark.parametrize("end", ["", " ", " y", "\n"])
def test_cutting_takes_time_as_the_text_is_long(end: str) -> None:
    """Where a text is cut costs time in proportion to its length, whatever it consists of."""
    text = "x" * LONG + end
    cut = response_parsing.whole_words(text + " more", len(text))
    assert cut == {" y": text[:-1], "": ""}.get(end, text)
    assert (response_parsing.whole_words(text, len(text)) == text) is True


@pytest.mark.parametrize(
    "name",
    [name for name, value in vars(response_parsing).items() if isinstance(value, re.Pattern)],
)
@pytest.mark.parametrize(
    "part", ["x", "x@", "@", "%40", "Bearer ", "Bearer", " ", "aB1.", "\x00", "\u00e4"]
)
def test_patterns_take_time_as_the_text_is_long(name: str, part: str) -> None:
    """No pattern that is laid on a vendor's words takes time that grows faster than they do."""
    pattern = getattr(response_parsing, name)
    pattern.sub("", part * (LONG // 4 // len(part)) + "!")
