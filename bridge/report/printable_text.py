"""Text that the report's fonts can show: what the provider sends may hold anything."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import resources

MISSING = "\N{REPLACEMENT CHARACTER}"
"""Stands for characters that no font of the report has, one for each run of them."""
LONGEST_WORD = 40
"""Characters of the longest word; what is longer may be broken anywhere."""
_BREAK_EVERY = re.compile(r".{16}(?=.)")
_BREAK = "\N{ZERO WIDTH SPACE}"


def make_printable(text: str) -> str:
    """*text* as one line of characters that the report's fonts have, without controls and without
    characters that turn the direction; words without end may be broken.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(one for one in line if unicodedata.category(one) not in ("Cc", "Cf"))
    known = _unknown().sub(MISSING, line)
    if len(known) <= LONGEST_WORD:
        return known
    return " ".join(
        _BREAK_EVERY.sub(rf"\g<0>{_BREAK}", word) if len(word) > LONGEST_WORD else word
        for word in known.split(" ")
    )


@cache
def _unknown() -> re.Pattern[str]:
    """Runs of characters that the fonts lack."""
    listed = resources.files("bridge.report").joinpath("fonts", "characters.txt")
    ranges = (line.split("-") for line in listed.read_text("ascii").split())
    known = "".join(f"\\U{int(first, 16):08x}-\\U{int(last, 16):08x}" for first, last in ranges)
    return re.compile(f"[^{known}]+")
