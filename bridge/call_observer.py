"""Every call in either direction is told here once, when it has ended: for people who look at the
bridge while it works.

Nothing here says whom a call was about: no name, no path, no body, only the bridge's own words and
ids.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPMethod
from typing import Protocol

from bridge.core.answer_shape import Shape
from bridge.errors import UpstreamError
from bridge.log_context import get_log_fields
from bridge.ports import Clock, Monotonic
from bridge.tracing import (
    NO_TRACER,
    Activity,
    Span,
    SpanKind,
    SpanStart,
    Tracer,
    enter_activity,
    get_current_activity,
    get_current_traceparent,
    read_traceparent,
)
from bridge.vendor_contacts import VendorContacts


class Direction(StrEnum):
    """Who called."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCall:
    """One call that has ended."""

    at: datetime
    direction: Direction
    party: str
    """Who is at the other end: a vendor, or for calls of others what they asked for (``pages``)."""
    operation: str
    """The template of the path, or the vendor's operation."""
    ms: float
    method: str = ""
    status: int | None = None
    """None: there was no answer."""
    code: str = ""
    """The error's stable code; empty: it went well."""
    reason: str = ""
    customer: str = ""
    invitation_id: str = ""
    request_id: str = ""


WAITING_LIMIT = 1000
"""Calls that wait for one who watches."""
_NOT_SHOWN = frozenset({"health", "docs", "operators"})
"""Calls of machinery and of those who watch."""
_NOT_TRACED = _NOT_SHOWN | {"unknown"}
"""Also what asks for a path that there is not: nothing follows from it."""
_UNTRACED = contextlib.nullcontext()
_FIRST_ERROR = 400


class OutgoingCall:
    """A call to a vendor that is under way; who makes it says here what came back, and its end."""

    __slots__ = (
        "_begun",
        "_monotonic",
        "_on_end",
        "customer",
        "operation",
        "span",
        "status",
        "vendor",
    )

    def __init__(
        self,
        vendor: str,
        customer: str,
        operation: str,
        *,
        span: Span | None,
        monotonic: Monotonic,
        on_end: Callable[[OutgoingCall, float, BaseException | None], None],
    ) -> None:
        self.vendor, self.customer, self.operation = vendor, customer, operation
        self.span = span
        self.status: int | None = None
        self._monotonic, self._on_end = monotonic, on_end
        self._begun = monotonic()

    def end(self, error: BaseException | None = None) -> None:
        """It has ended, with *error* or well."""
        self._on_end(self, self._monotonic() - self._begun, error)


class WatchedCallQueue:
    """Calls that wait to be shown to a watcher, at most *limit*: a slower watcher loses the rest,
    and no call waits for it.
    """

    def __init__(self, limit: int = WAITING_LIMIT) -> None:
        self._waiting: deque[ObservedCall] = deque()
        self._limit = limit
        self._ready = asyncio.Event()
        self.overflown = False

    def add(self, call: ObservedCall) -> None:
        """One more."""
        if len(self._waiting) >= self._limit:
            self.overflown = True
            return
        self._waiting.append(call)
        self._ready.set()

    def take(self) -> list[ObservedCall]:
        """What waits, in the order in which it ended."""
        self._ready.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    async def wait(self, at_most_s: float) -> None:
        """Return as soon as something waits, or after this time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._ready.wait()


class ShapeWatch(Protocol):
    """Told of the shape of everything that vendors send; must neither fail nor wait."""

    def observe(self, vendor: str, operation: str, shape: Shape) -> None:
        """An answer, or a request of a vendor's own, had this shape."""


class NoShapeWatch:
    """For who keeps nothing."""

    def observe(self, vendor: str, operation: str, shape: Shape) -> None:
        """Not kept."""


class CallObserver:
    """What this process has seen of its calls; *clock* is the time that they are shown with, and
    *tracer* gets a span of each.
    """

    def __init__(
        self, clock: Clock = lambda: datetime.now(UTC), tracer: Tracer = NO_TRACER
    ) -> None:
        self._clock = clock
        self._tracer = tracer
        self._watch: ShapeWatch = NoShapeWatch()
        self._watchers: set[WatchedCallQueue] = set()
        self.contacts = VendorContacts(clock)
        """What is remembered of them."""

    @contextlib.contextmanager
    def watch_calls(self) -> Iterator[WatchedCallQueue]:
        """The calls that end meanwhile."""
        watcher = WatchedCallQueue()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def trace_request(self, traceparents: Sequence[str]) -> AbstractContextManager[object]:
        """Around a request with these headers, whose answer ``record_incoming`` is then told."""
        if self._tracer is NO_TRACER:
            return _UNTRACED
        given = read_traceparent(traceparents[0]) if len(traceparents) == 1 else ""
        return enter_activity(Activity(self._tracer, SpanKind.REQUEST, given))

    def record_incoming(
        self,
        party: str,
        operation: str,
        *,
        method: str,
        status: int,
        ms: float,
        code: str = "",
        reason: str = "",
    ) -> None:
        """A request was answered."""
        known = get_log_fields()
        if status < _FIRST_ERROR and "customer" in known:
            self.contacts.record_request(party, known["customer"])
        activity = get_current_activity()
        if not self._watchers and activity is None:
            return  # nobody looks
        call = ObservedCall(
            at=self._clock(),
            direction=Direction.IN,
            party=party,
            operation=operation,
            ms=round(ms, 1),
            method=method,
            status=status,
            code=code,
            reason=reason,
            **_name_subject(known),
        )
        self._show(call)
        if activity is not None and party not in _NOT_TRACED:
            verb = method if method in HTTPMethod.__members__ else "HTTP"
            told = {"http.request.method": verb, "http.route": operation, **_attributes(call)}
            activity.end(f"{verb} {operation}", told, code or str(status) if status >= 500 else "")

    def track_outgoing(
        self, vendor: str, customer: str, operation: str, monotonic: Monotonic
    ) -> OutgoingCall:
        """A call to a vendor, which begins now."""
        span = None
        if self._tracer is not NO_TRACER:
            span = self._tracer.start(
                SpanStart(
                    kind=SpanKind.CALL,
                    name=f"{vendor} {operation}",
                    begun_ns=time.time_ns(),
                    parent=get_current_traceparent(),
                )
            )
        return OutgoingCall(
            vendor,
            customer,
            operation,
            span=span,
            monotonic=monotonic,
            on_end=self._record_outgoing,
        )

    def _record_outgoing(
        self, ended: OutgoingCall, seconds: float, error: BaseException | None
    ) -> None:
        code = reason = ""
        if isinstance(error, UpstreamError):
            code, reason = error.code, error.detail
            ended.status = error.status if ended.status is None else ended.status
        elif error is not None:
            code = "cancelled"
        if ended.status is not None:
            self.contacts.record_answer(ended.vendor, ended.customer, ended.status)
        if not self._watchers and ended.span is None:
            return  # nobody looks
        call = ObservedCall(
            at=self._clock(),
            direction=Direction.OUT,
            party=ended.vendor,
            operation=ended.operation,
            ms=round(seconds * 1000, 1),
            status=ended.status,
            code=code,
            reason=reason,
            **{**_name_subject(get_log_fields()), "customer": ended.customer},
        )
        self._show(call)
        if ended.span is not None:
            told = {**_attributes(call), "peer.service": ended.vendor}
            ended.span.end(f"{ended.vendor} {ended.operation}", told, code)

    def watch_shapes(self, watch: ShapeWatch) -> None:
        """From now on *watch* is told of the shape of everything that vendors send."""
        self._watch = watch

    def record_shape(self, vendor: str, operation: str, shape: Shape) -> None:
        """An answer of a vendor's, or a request of its own, had this shape."""
        self._watch.observe(vendor, operation, shape)

    def _show(self, call: ObservedCall) -> None:
        if call.party not in _NOT_SHOWN:
            for watcher in self._watchers:
                watcher.add(call)


def _name_subject(known: Mapping[str, str]) -> dict[str, str]:
    """Whom the call is about, and in which request it was made, as far as the log knows."""
    return {
        "customer": known.get("customer", ""),
        "invitation_id": known.get("invitation_id") or _invitation_in(known.get("task_id", "")),
        "request_id": known.get("request_id", ""),
    }


def _attributes(call: ObservedCall) -> dict[str, str | int]:
    """What traces are told of it: no reason, which is free text, and no id that a caller chose."""
    named = {
        "http.response.status_code": call.status,
        "bridge.code": call.code,
        "bridge.customer": call.customer,
        "bridge.invitation_id": call.invitation_id,
    }
    return {name: value for name, value in named.items() if value is not None and value != ""}


def _invitation_in(task_id: str) -> str:
    return task_id.rpartition(":")[0]
