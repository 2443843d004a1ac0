"""Looking for a person in everything that Redis holds, and in the log."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bridge import app


async def search_redis(url: str, words: Iterable[str]) -> tuple[int, set[str]]:
    """Read every key of whatever type; gives how many there are, and which of *words* stand in a
    name or a value.
    """
    texts = [text async for text in app.read_stored_texts(url)]
    return len(texts), _in_text("\n".join(texts), words)


def search_file(path: Path, words: Iterable[str]) -> tuple[int, set[str]]:
    """How many lines *path* has, and which of *words* stand in it."""
    text = path.read_text("utf-8")
    return len(text.splitlines()), _in_text(text, words)


def _in_text(text: str, words: Iterable[str]) -> set[str]:
    low = text.lower()
    return {word for word in words if word.lower() in low}
