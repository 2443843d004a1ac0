"""The values of a configuration file with their positions, and the complaints about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bridge.errors import Complaint, ConfigError


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; both count from 1, 0 means unknown."""

    line: int
    column: int


class MistakeKind(StrEnum):
    """What sort of mistake it is: a name that stays, for those who sort or count them."""

    UNREADABLE = "unreadable-file"
    FILE_NAME = "file-name"
    NOT_YAML = "not-yaml"
    INDENTATION = "indentation"
    TAB = "tab"
    COLON = "colon-in-text"
    BRACKET = "unclosed-bracket"
    QUOTE = "unclosed-quote"
    QUOTES_NEEDED = "quotes-needed"
    NO_COLON = "missing-colon"
    DUPLICATE_KEY = "duplicate-key"
    UNKNOWN_KEY = "unknown-key"
    MISSING_KEY = "missing-key"
    VALUE = "wrong-value"
    VARIABLE = "variable"
    SECRET_FILE = "secret-file"  # noqa: S105 - a name
    CONFLICT = "conflict"
    """Fine by itself, but not beside what stands elsewhere."""


NOWHERE = Position(0, 0)
START = Position(1, 1)


@dataclass(frozen=True, slots=True)
class Item:
    """A value (None, bool, int, float, str, or a list or dict of items), with its position and its
    key's.

    *broken*: a complaint about it, or about something in it, was made while it was read; more would
    be noise. *note* is added to complaints about it.
    """

    value: Any
    position: Position = START
    key: Position = START
    broken: bool = False
    note: str = ""

    def at(self, *path: str) -> Item | None:
        """The item below these keys; None if there is none."""
        found: Item | None = self
        for step in path:
            found = found.value.get(step) if found and isinstance(found.value, dict) else None
        return found

    def listed(self, *path: str) -> list[Item]:
        """The entries of the list below these keys; none if there is no list."""
        found = self.at(*path)
        return found.value if found is not None and isinstance(found.value, list) else []


@dataclass(slots=True)
class Findings:
    """What is wrong with a *file*, and what works but should be changed."""

    file: str
    complaints: list[Complaint] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def complain(self, position: Position, message: str, kind: MistakeKind, path: str = "") -> None:
        """Note what is wrong at a position, and with which key."""
        line, column = position.line, position.column
        self.complaints.append(Complaint(self.file, line, column, message, kind, path))

    def error(self) -> ConfigError:
        """Everything that is wrong, in the order of the file."""
        return ConfigError(sorted(self.complaints, key=lambda one: (one.line, one.column)))
