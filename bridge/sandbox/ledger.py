"""The record of a call between a sandbox and a bridge, and the bounds of a sandbox's memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

T = TypeVar("T")

BODY_LIMIT = 64 * 1024
"""Bytes: a longer JSON body is not kept (a sandbox runs for days)."""


@dataclass(slots=True)
class Entry:
    """One call, received by the sandbox or made by it; it gets into the ledger when the call has
    ended.
    """

    number: int
    """Counts calls in the order in which they began (the ledger is in the order in which they
    ended).
    """
    operation: str
    direction: Literal["received", "made"]
    method: str
    path: str
    """As on the wire, percent-encoded, without the query; of a call made: the URL without the
    query.
    """
    query: dict[str, str]
    started: datetime
    """By the sandbox's clock."""
    began: float
    """Seconds of ``time.perf_counter``: for order and overlap, as the sandbox's clock may jump."""
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

    def as_json(self) -> dict[str, Any]:
        """The entry for ``/_sandbox/ledger``."""
        return asdict(self) | {
            "started": self.started.isoformat(),
            "duration_ms": round(self.duration_ms, 3),
        }


Observer = Callable[[Entry], None]
"""Is called with every entry when its call has ended, e.g. to print it."""


def append_bounded(items: list[T], item: T, limit: int) -> None:
    """Append *item*; a list longer than *limit* loses its oldest tenth."""
    items.append(item)
    if len(items) > limit:
        # A tenth at once: taking one item at a time off a long list would move all others for every
        # call.
        del items[: max(1, limit // 10)]


def put_bounded(items: dict[str, T], key: str, item: T, limit: int = 100_000) -> None:
    """Set an item; a dict of more than *limit* items loses its oldest ones."""
    items[key] = item
    while len(items) > limit:
        del items[next(iter(items))]


def lenient_json(body: bytes) -> Any:
    """Parsed JSON, or None if it is none or too long to keep."""
    if not body or len(body) > BODY_LIMIT:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
