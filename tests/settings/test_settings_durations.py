from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.settings.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1ms", timedelta(milliseconds=1)),
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("36500d", timedelta(days=36500)),
    ],
)
def test_parse(text: str, duration: timedelta) -> None:
    """Each unit is read, with no hidden minimum, and written the same way."""
    assert parse_duration(text) == duration
    assert format_duration(duration) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0s",
        "0ms",
        "-1s",
        "1",
        "s",
        "1.5s",
        "1h30m",
        " 1s",
        "1s\n",
        "1S",
        "1w",
        "36501d",
        "9" * 15 + "d",
        "\u0661s",
    ],
)
def test_refused(text: str) -> None:
    """Anything that is not one positive whole number with one unit, or above a hundred years, is
    refused.
    """
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(st.integers(1, 36_500 * 86_400_000))
def test_round_trip(milliseconds: int) -> None:
    """Writing and reading again gives every whole number of milliseconds back."""
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration
