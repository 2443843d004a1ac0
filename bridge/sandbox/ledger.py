"""The record of the calls between a sandbox and a bridge; bounded, as a sandbox runs for days."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from time import perf_counter
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode, urlsplit

T = TypeVar("T")

BODY_LIMIT = 64 * 1024
"""Bytes: a longer JSON body is not kept."""
BRIDGE = "bridge"
"""The party that every vendor talks to."""


@dataclass(slots=True)
class LedgerEntry:
    """One call, received by the sandbox or made by it.

    It is in the ledger once the call has ended.
    """

    number: int
    """Counts calls as they begin; the ledger is in the order in which they ended."""
    operation: str
    direction: Literal["received", "made"]
    method: str
    path: str
    """As on the wire, without the query; of a call made: the URL without the query."""
    started: datetime
    """By the sandbox's clock."""
    began: float
    """Seconds of ``time.perf_counter``: for order and overlap, as the sandbox's clock may jump."""
    caller: str = ""
    receiver: str = ""
    query: dict[str, str] = field(default_factory=dict)
    host: str = ""
    """The ``Host`` header of a call received."""
    status: int = 0
    """The HTTP status answered; 0: none (connection cut, caller gone, peer not reachable)."""
    duration_ms: float = 0.0
    request_json: Any = None
    response_json: Any = None
    """What was answered in the end; None where it is not JSON."""
    account: str | None = None
    """Equalture: the client id. softgarden: the customer."""
    invitation_id: str | None = None
    reference_id: str | None = None
    fault: str | None = None
    """The fault that was applied, in words."""
    violation: str | None = None
    """The contract rule that the caller broke."""
    error: str | None = None
    """Of a call made: why there was no answer."""
    location: str | None = None
    """Of a call made: where the answer redirects to."""

    @property
    def ended(self) -> float:
        """On the clock of *began*."""
        return self.began + self.duration_ms / 1000

    @property
    def target(self) -> str:
        """Path and query."""
        path = urlsplit(self.path).path
        return f"{path}?{urlencode(self.query)}" if self.query else path


Observer = Callable[[LedgerEntry], None]
"""Is called with every entry when its call has ended, e.g. to print it."""


class Ledger:
    """The last *limit* calls; *clock* gives the time of their beginning."""

    def __init__(
        self, clock: Callable[[], datetime], limit: int = 100_000, on_call: Observer | None = None
    ) -> None:
        self.entries: deque[LedgerEntry] = deque(maxlen=limit)
        self.violations: list[str] = []
        self._clock = clock
        self._limit = limit
        self._on_call = on_call
        self._numbers = count(1)
        self._recorded = asyncio.Condition()

    def begin(
        self,
        operation: str,
        direction: Literal["received", "made"],
        method: str,
        path: str,
        **known: Any,
    ) -> LedgerEntry:
        """The entry of a call that begins now; *known*: further fields of it."""
        number, now = next(self._numbers), self._clock()
        return LedgerEntry(number, operation, direction, method, path, now, perf_counter(), **known)

    async def end(self, entry: LedgerEntry) -> None:
        """Keep the entry of a call that has ended."""
        entry.duration_ms = round((perf_counter() - entry.began) * 1000, 3)
        self.entries.append(entry)
        if self._on_call is not None:
            self._on_call(entry)
        async with self._recorded:
            self._recorded.notify_all()

    def violate(self, entry: LedgerEntry, rule: str) -> None:
        """Note the contract rule that this call broke."""
        entry.violation = rule
        self.violations.append(rule)
        del self.violations[: -self._limit]

    def calls(self, operation: str | None = None, **match: Any) -> list[LedgerEntry]:
        """Ended calls of an operation (None: all) whose entries have the given values."""
        wanted = match if operation is None else {"operation": operation, **match}
        return [
            entry
            for entry in self.entries
            if all(getattr(entry, name) == value for name, value in wanted.items())
        ]

    async def wait_calls(
        self, operation: str | None = None, count: int = 1, *, timeout: float = 20.0, **match: Any
    ) -> list[LedgerEntry]:
        """As ``calls``, once there are *count*; raises ``TimeoutError`` after *timeout* seconds."""
        async with asyncio.timeout(timeout), self._recorded:
            await self._recorded.wait_for(lambda: len(self.calls(operation, **match)) >= count)
        return self.calls(operation, **match)


class BoundedDict(dict[str, T]):
    """Loses its oldest items when it has more than *limit*."""

    def __init__(self, limit: int = 100_000) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: str, item: T) -> None:
        """Set an item."""
        super().__setitem__(key, item)
        while len(self) > self._limit:
            del self[next(iter(self))]


def parse_json_leniently(body: bytes) -> Any:
    """Parsed JSON, or None if it is none or too long to keep."""
    if not body or len(body) > BODY_LIMIT:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
