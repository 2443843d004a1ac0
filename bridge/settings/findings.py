"""The values of a configuration file with their positions, and the mistakes about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bridge.errors import ConfigError, ConfigMistake


@dataclass(frozen=True, slots=True)
class FilePosition:
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


NOWHERE = FilePosition(0, 0)
START = FilePosition(1, 1)


@dataclass(frozen=True, slots=True)
class PositionedValue:
    """A value (None, bool, int, float, str, or a list or dict of items), with its position and its
    key's.

    *broken*: a mistake about it, or about something in it, was made while it was read; more would
    be noise. *note* is added to mistakes about it.
    """

    value: Any
    position: FilePosition = START
    key: FilePosition = START
    broken: bool = False
    note: str = ""

    def find(self, *path: str) -> PositionedValue | None:
        """The item below these keys; None if there is none."""
        found: PositionedValue | None = self
        for step in path:
            found = found.value.get(step) if found and isinstance(found.value, dict) else None
        return found

    def find_list(self, *path: str) -> list[PositionedValue]:
        """The entries of the list below these keys; none if there is no list."""
        found = self.find(*path)
        return found.value if found is not None and isinstance(found.value, list) else []


@dataclass(slots=True)
class MistakeCollector:
    """What is wrong with a *file*, and what works but should be changed."""

    file: str
    mistakes: list[ConfigMistake] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add_mistake(
        self, position: FilePosition, message: str, kind: MistakeKind, path: str = ""
    ) -> None:
        """Note what is wrong at a position, and with which key."""
        line, column = position.line, position.column
        self.mistakes.append(ConfigMistake(self.file, line, column, message, kind, path))

    def as_config_error(self) -> ConfigError:
        """Everything that is wrong, in the order of the file."""
        return ConfigError(sorted(self.mistakes, key=lambda one: (one.line, one.column)))
