"""A configuration file after reading: plain data, where each piece of it stands, and what is wrong
with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bridge.errors import Complaint, ConfigError

Path = tuple[str | int, ...]
"""The way to a piece of data: keys of mappings and indexes of lists, ``("tests", "items", 0,
"id")``.
"""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; both count from 1, 0 means unknown."""

    line: int
    column: int


START = Position(1, 1)


@dataclass(slots=True)
class Document:
    """One file: *data* is made of dict (text keys), list, str, int, float, bool and None.

    *keys* and *values* hold the positions by path. *broken* holds paths that were complained about
    while reading: what else may be wrong there would only be noise. *notes* are added to the
    messages of a path. *warnings* are about what works, but should be seen to.
    """

    file: str
    data: Any = None
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)
    notes: dict[Path, str] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def position(self, path: Path, *, key: bool = False) -> Position:
        """Where the value (or the *key*) of this path stands, or else the nearest thing around it."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, START)

    def complain(self, path: Path, message: str, *, key: bool = False) -> None:
        """Note that something is wrong with the value (or the *key*) of this path."""
        self.complain_at(self.position(path, key=key), message + self.notes.get(path, ""))

    def complain_at(self, position: Position, message: str) -> None:
        """Note that something is wrong at a position."""
        self.complaints.append(Complaint(self.file, position.line, position.column, message))

    def is_broken(self, path: Path) -> bool:
        """Whether something at, above or below this path was complained about while reading."""
        return any(path[: len(one)] == one or one[: len(path)] == path for one in self.broken)

    def at(self, *path: str | int) -> Any:
        """The raw data of this path; None where there is nothing."""
        found = self.data
        for step in path:
            match found, step:
                case dict(), str():
                    found = found.get(step)
                case list(), int() if step < len(found):
                    found = found[step]
                case _:
                    return None
        return found

    def listed(self, *path: str | int) -> list[Any]:
        """The raw list at this path; empty where there is none."""
        found = self.at(*path)
        return found if isinstance(found, list) else []

    def require_valid(self) -> None:
        """Raise ConfigError, with every complaint in the order of the file, if there is any."""
        if self.complaints:
            raise ConfigError(sorted(self.complaints, key=lambda one: (one.line, one.column)))
