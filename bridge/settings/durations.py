"""Durations as people write them: ``500ms``, ``30s``, ``15m``, ``2h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
"""Each unit in milliseconds."""

LONGEST = timedelta(days=36_500)
"""A hundred years: more would overflow when added to a date."""

_PATTERN = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")


def parse_duration(text: str) -> timedelta:
    """Read one whole number with one unit; there is no hidden minimum.

    Raises ValueError, with a message for the administrator, for anything else, for zero and for
    more than a hundred years.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(
            "expected a duration: a whole number and one of ms, s, m, h, d, such as 30s or 7d"
        )
    milliseconds = int(match[1]) * UNITS[match[2]]
    if milliseconds == 0:
        raise ValueError("expected a duration longer than zero")
    if milliseconds > LONGEST / timedelta(milliseconds=1):
        raise ValueError("expected a duration of at most 36500d, which is a hundred years")
    return timedelta(milliseconds=milliseconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration in the largest unit that needs no fraction: the inverse of *parse_duration*.

    Parts of a millisecond, which no setting can have, are cut off.
    """
    milliseconds = duration // timedelta(milliseconds=1)
    unit = max((name for name in UNITS if milliseconds % UNITS[name] == 0), key=UNITS.__getitem__)
    return f"{milliseconds // UNITS[unit]}{unit}"
