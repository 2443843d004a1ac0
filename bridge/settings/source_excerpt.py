"""The lines of a configuration file around a mistake, without what may be a secret.

A line is shown as far as it is sure to hold none: its key where that is one that we know, and its
value where that key's is none. What we do not know may be a piece of a secret that was not quoted,
or was put in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.core.customers import Secret, TokenDigest
from bridge.core.declaration import declared_settings, suggest_similar_word
from bridge.core.redaction import MASK
from bridge.errors import ConfigError
from bridge.settings.yaml_mistakes import LINE_END
from bridge.settings.yaml_source import read_text

WIDTH = 100
"""Characters of a line that are shown."""
_SECRET = (Secret, bytes, TokenDigest)
_KEYED = re.compile(r"(?P<before>\s*(?:- +)*)(?P<key>[A-Za-z_][\w-]*)(?P<colon> *:(?=\s|$))")
_ENTRY = re.compile(r"\s*(?:- +)+")
_REFERENCE = re.compile(r"""\s*(["']?)\$\{[A-Za-z_][A-Za-z0-9_]*\}\1(?=\s|$)""")
_UNSURE = re.compile(r"\s#|[{]|://\S*@")
"""Behind it may stand what does not belong to the key of the line."""


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line as it may be shown; *caret* counts the signs before the place of the mistake."""

    number: int
    text: str
    caret: int | None = None


class KnownKeys:
    """The keys that files of these *types* may have, and which of them hold no secret."""

    def __init__(self, types: Iterable[type]) -> None:
        keys: set[str] = set()
        plain: set[str] = set()
        lists: set[str] = set()
        secret: set[str] = set()
        todo = list(types)
        while todo:
            for name, one in declared_settings(todo.pop()).items():
                keys.add(name)
                if one.is_section:
                    todo.append(one.item_type)
                elif one.item_type in _SECRET:
                    secret.add(name)
                else:
                    plain.add(name)
                    lists |= {name} if one.is_list else set()
        self.keys: Collection[str] = sorted(keys | {f"{name}_file" for name in secret})
        self.plain: Collection[str] = plain - secret
        self.lists: Collection[str] = lists - secret


def read_excerpt(file: Path, line: int, column: int, known: KnownKeys) -> tuple[SourceLine, ...]:
    """The line of a mistake and the one before it; none where there is nothing to show."""
    try:
        lines = LINE_END.split(read_text(file))
    except ConfigError:
        return ()
    if not 0 < line <= len(lines):
        return ()
    before = (SourceLine(line - 1, _shown(lines, line - 1, known)),) if line > 1 else ()
    safe = _safe(lines, line, known)
    shown = _shown(lines, line, known)
    caret = min(column - 1, safe, WIDTH)
    return (*before, SourceLine(line, shown, caret))


def _shown(lines: Sequence[str], number: int, known: KnownKeys) -> str:
    line, safe = lines[number - 1], _safe(lines, number, known)
    rest = line[safe:]
    between = rest[: len(rest) - len(rest.lstrip())]
    text = line[:safe] + (between + MASK if rest.strip() else "")
    text = "".join(one if one.isprintable() else " " for one in text)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _safe(lines: Sequence[str], number: int, known: KnownKeys) -> int:
    """How many signs of a line may be shown."""
    line = lines[number - 1]
    found = _KEYED.match(line)
    if found is not None:
        key = found["key"]
        if key not in known.keys and not suggest_similar_word(key, tuple(known.keys)):
            return found.start("key")
        if key in known.plain:
            return _sure(line, found.end())
        named = _REFERENCE.match(line, found.end())
        return named.end() if named else found.end()
    entry = _ENTRY.match(line)
    if entry is not None and _parent(lines, number, entry.end()) in known.lists:
        return _sure(line, entry.end())
    return entry.end() if entry is not None else len(line) - len(line.lstrip())


def _sure(line: str, start: int) -> int:
    unsure = _UNSURE.search(line, start)
    return unsure.start() if unsure else len(line)


def _parent(lines: Sequence[str], number: int, inside: int) -> str:
    """The key under which an entry of a list stands, which begins with its dash."""
    indent = lines[number - 1].index("-", 0, inside)
    for line in reversed(lines[: number - 1]):
        found = _KEYED.match(line)
        if found is not None and found.end("before") <= indent:
            return found["key"] if not line[found.end() :].strip() else ""
    return ""
