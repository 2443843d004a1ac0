"""What happened in a world, in order, and a digest of all of it; ``story`` tells it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.memory_network import HttpMessage


@dataclass(frozen=True, slots=True)
class TapedCall:
    """A call from one party to another; *answer* None: it got none."""

    began: float
    caller: str
    receiver: str
    request: HttpMessage
    answer: HttpMessage | None
    fault: str = ""
    """What the world had go wrong with it."""

    def __str__(self) -> str:
        status = self.answer.status if self.answer is not None else "no answer"
        what = f"{self.caller} {self.request.method} {self.request.path} -> {status}"
        return f"{what} ({self.fault})" if self.fault else what


@dataclass(frozen=True, slots=True)
class TapeLine:
    """One thing that happened; *journey* is -1 where it belongs to none."""

    at: float
    who: str
    what: str
    journey: int = -1
    call: TapedCall | None = None
    """Where it was a call."""


@dataclass(slots=True)
class Tape:
    """The lines of one world; *now* gives its time."""

    now: Callable[[], float]
    lines: list[TapeLine] = field(default_factory=list)
    _digest: Any = field(default_factory=hashlib.sha256)

    def write_call(self, call: TapedCall, journey: int = -1) -> None:
        """Add a call that has ended now."""
        self.write(call.receiver, f"{call}", journey, call)

    def write(self, who: str, what: str, journey: int = -1, call: TapedCall | None = None) -> None:
        """Add what happened now."""
        line = TapeLine(self.now(), who, what, journey, call)
        self.lines.append(line)
        self._digest.update(f"{line.at!r}|{who}|{what}|{journey}\n".encode())

    def mix(self, data: bytes) -> None:
        """Have the digest depend on what is worth no line."""
        self._digest.update(data)

    @property
    def digest(self) -> str:
        """The same for the same world only."""
        return self._digest.hexdigest()[:16]
