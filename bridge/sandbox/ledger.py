"""What happened between a sandbox and the world, kept in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, SupportsIndex, TypeVar

T = TypeVar("T")

BODY_LIMIT = 64 * 1024
"""Bytes: a longer JSON body is not kept in the ledger (a sandbox runs for days)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One call, received by the sandbox or made by it. Entries are appended when a call has ended."""

    number: int
    """Counts calls in the order in which they began (the ledger itself is in the order in which they ended)."""
    operation: str
    direction: Literal["received", "made"]
    method: str
    path: str
    """As on the wire, percent-encoded, without the query; for a call made: the whole URL without the query."""
    query: dict[str, str]
    status: int
    """The HTTP status answered; 0: none (connection cut, caller gone, peer not reachable)."""
    started: datetime
    """By the sandbox's clock."""
    began: float
    """Seconds of ``time.perf_counter``: for order and overlap, as the sandbox's clock may jump."""
    duration_ms: float
    request_json: Any = None
    response_json: Any = None
    """What was answered in the end; None where a fault replaced it by something that is not JSON."""
    account: str | None = None
    """Equalture: the client id. softgarden: the customer."""
    invitation_id: str | None = None
    reference_id: str | None = None
    fault: str | None = None
    """The fault that struck, in words."""
    violation: str | None = None
    """The contract rule that the caller broke."""
    error: str | None = None
    """For a call made: why there was no answer."""

    def as_json(self) -> dict[str, Any]:
        """The entry for ``/_sandbox/ledger``."""
        return asdict(self) | {"started": self.started.isoformat(), "duration_ms": round(self.duration_ms, 3)}

    def matches(self, match: dict[str, Any]) -> bool:
        """Whether every named attribute has the given value; an unknown name raises ``AttributeError``."""
        return all(getattr(self, name) == value for name, value in match.items())


class Bounded(list[T]):
    """A list that forgets its oldest tenth when it outgrows *limit*; ``forgotten`` counts what is gone."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        if limit < 1:
            raise ValueError("a bounded list needs room for one item")
        self.limit = limit
        self.forgotten = 0

    def append(self, item: T, /) -> None:
        """Add an item, at the price of the oldest ones when full."""
        super().append(item)
        if len(self) > self.limit:
            # A tenth at once: cutting one item at a time off a long list would move all the others for every call.
            surplus = max(1, self.limit // 10)
            del self[:surplus]
            self.forgotten += surplus

    def extend(self, items: Iterable[T], /) -> None:
        """Add items one by one, within the limit."""
        for item in items:
            self.append(item)

    def insert(self, index: SupportsIndex, item: T, /) -> None:
        """Refused: a record of events only grows at its end."""
        raise TypeError("a bounded list grows at its end only")


Observer = Callable[[Entry], None]
"""Told about every call when it has ended, e.g. to print it."""

__all__ = ["BODY_LIMIT", "Bounded", "Entry", "Observer"]
