"""What happened in a world, in order: the story that a person reads, and a digest of all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TapeLine:
    """One thing that happened; *journey* is -1 where it belongs to none."""

    at: float
    who: str
    what: str
    journey: int = -1

    def __str__(self) -> str:
        return f"{self.at:10.3f}  {self.who:<12} {self.what}"


@dataclass(slots=True)
class Tape:
    """The lines of one world; *now* gives its time."""

    now: Callable[[], float]
    lines: list[TapeLine] = field(default_factory=list)
    _digest: Any = field(default_factory=hashlib.sha256)

    def write(self, who: str, what: str, journey: int = -1) -> None:
        """Add what happened now."""
        line = TapeLine(self.now(), who, what, journey)
        self.lines.append(line)
        self._digest.update(f"{line.at!r}|{who}|{what}|{journey}\n".encode())

    def mix(self, data: bytes) -> None:
        """Have the digest depend on what is worth no line."""
        self._digest.update(data)

    @property
    def digest(self) -> str:
        """The same for the same world only."""
        return self._digest.hexdigest()[:16]

    def tell(self, journeys: set[int] | None = None) -> str:
        """The story: of these journeys, with what belongs to none."""
        chosen = (
            line
            for line in self.lines
            if journeys is None or line.journey == -1 or line.journey in journeys
        )
        return "\n".join(map(str, chosen))
