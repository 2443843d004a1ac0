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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPMethod
from typing import Protocol

from structlog.contextvars import get_contextvars

from bridge.core.answer_shape import Shape
from bridge.errors import UpstreamError
from bridge.ports import Clock, Monotonic
from bridge.tracing import (
    NO_TRACER,
    Activity,
    SpanKind,
    SpanStart,
    Tracer,
    enter_activity,
    get_current_activity,
    get_current_traceparent,
    read_traceparent,
)


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

    @property
    def proves_contact(self) -> bool:
        """Whether the other end is there: it answered, or called us with what we know it by."""
        if self.direction is Direction.OUT:
            return self.status is not None
        return self.status is not None and self.status < 400


@dataclass(slots=True)
class OutgoingCall:
    """A call that is under way; who makes it says here what came back."""

    status: int | None = None


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """A vendor that does not answer on behalf of this customer, so it is hardly asked."""

    vendor: str
    customer: str
    purpose: str
    since: datetime


WAITING_LIMIT = 1000
"""Calls that wait for one who watches."""
_NOT_SHOWN = frozenset({"health", "docs", "operators"})
"""Calls of machinery and of those who watch."""
_NOT_TRACED = _NOT_SHOWN | {"unknown"}
"""Also what asks for a path that there is not: nothing follows from it."""
_UNAUTHORIZED = 401
_FIRST_ERROR = 400
Contact = tuple[str, str]
"""A customer's key and a vendor's name."""


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

    What is kept grows with the customers only.
    """

    def __init__(
        self, clock: Clock = lambda: datetime.now(UTC), tracer: Tracer = NO_TRACER
    ) -> None:
        self._clock = clock
        self._tracer = tracer
        self._watch: ShapeWatch = NoShapeWatch()
        self._heard: dict[Contact, datetime] = {}
        self._unsaved: dict[Contact, datetime] = {}
        self._refused_at: dict[Contact, datetime] = {}
        self._accepted_at: dict[Contact, datetime] = {}
        self._watchers: set[WatchedCallQueue] = set()
        self._open: dict[tuple[str, str, str], OpenCircuit] = {}

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
            return contextlib.nullcontext()
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
        call = self._ended(
            Direction.IN,
            party,
            operation,
            method=method,
            status=status,
            ms=ms,
            code=code,
            reason=reason,
        )
        activity = get_current_activity()
        if activity is not None and party not in _NOT_TRACED:
            verb = method if method in HTTPMethod.__members__ else "HTTP"
            known = {"http.request.method": verb, "http.route": operation, **_attributes(call)}
            activity.end(f"{verb} {operation}", known, code or str(status) if status >= 500 else "")

    @contextlib.contextmanager
    def track_outgoing(
        self, vendor: str, customer: str, operation: str, monotonic: Monotonic
    ) -> Iterator[OutgoingCall]:
        """Around a call to a vendor."""
        call, begun, name = OutgoingCall(), monotonic(), f"{vendor} {operation}"
        span = self._tracer.start(
            SpanStart(
                kind=SpanKind.CALL,
                name=name,
                begun_ns=time.time_ns(),
                parent=get_current_traceparent(),
            )
        )
        code = reason = ""
        try:
            yield call
        except UpstreamError as error:
            code, reason = error.code, error.detail
            call.status = error.status if call.status is None else call.status
            raise
        except BaseException:
            code = "cancelled"
            raise
        finally:
            ended = self._ended(
                Direction.OUT,
                vendor,
                operation,
                customer=customer,
                status=call.status,
                ms=(monotonic() - begun) * 1000,
                code=code,
                reason=reason,
            )
            span.end(name, {**_attributes(ended), "peer.service": vendor}, code)

    def watch_shapes(self, watch: ShapeWatch) -> None:
        """From now on *watch* is told of the shape of everything that vendors send."""
        self._watch = watch

    def record_shape(self, vendor: str, operation: str, shape: Shape) -> None:
        """An answer of a vendor's, or a request of its own, had this shape."""
        self._watch.observe(vendor, operation, shape)

    def record_circuit_opened(self, vendor: str, customer: str, purpose: str) -> None:
        """A vendor is hardly asked any more, since it does not answer."""
        key = (vendor, customer, purpose)
        self._open[key] = OpenCircuit(*key, self._clock())

    def record_circuit_closed(self, vendor: str, customer: str, purpose: str) -> None:
        """It is asked again; also fine where it always was."""
        self._open.pop((vendor, customer, purpose), None)

    def list_open_circuits(self) -> list[OpenCircuit]:
        """Who does not answer, longest first."""
        return sorted(self._open.values(), key=lambda one: one.since)

    def get_last_contacts(self) -> dict[Contact, datetime]:
        """When each vendor was last heard of each customer's account."""
        return dict(self._heard)

    def get_refusal_times(self) -> dict[Contact, datetime]:
        """When a vendor last did not accept a customer's credentials."""
        return dict(self._refused_at)

    def get_acceptance_times(self) -> dict[Contact, datetime]:
        """When a vendor last did what it was asked with a customer's credentials."""
        return dict(self._accepted_at)

    def take_unsaved_contacts(self) -> dict[Contact, datetime]:
        """The same, of what is newer than when this was last asked."""
        taken, self._unsaved = self._unsaved, {}
        return taken

    def put_back_contacts(self, taken: Mapping[Contact, datetime]) -> None:
        """They could not be kept: ``take_unsaved_contacts`` returns them again."""
        self._unsaved = {**taken, **self._unsaved}

    def _ended(
        self,
        direction: Direction,
        party: str,
        operation: str,
        *,
        ms: float,
        status: int | None,
        customer: str = "",
        method: str = "",
        code: str = "",
        reason: str = "",
    ) -> ObservedCall:
        known = get_contextvars()
        call = ObservedCall(
            at=self._clock(),
            direction=direction,
            party=party,
            operation=operation,
            ms=round(ms, 1),
            method=method,
            status=status,
            code=code,
            reason=reason,
            customer=customer or known.get("customer", ""),
            invitation_id=known.get("invitation_id") or _invitation_in(known.get("task_id", "")),
            request_id=known.get("request_id", ""),
        )
        if call.proves_contact and call.customer:
            contact = (call.customer, party)
            self._heard[contact] = self._unsaved[contact] = call.at
        if call.direction is Direction.OUT and status is not None:
            if status == _UNAUTHORIZED:
                self._refused_at[call.customer, party] = call.at
            elif status < _FIRST_ERROR:
                self._accepted_at[call.customer, party] = call.at
        if party not in _NOT_SHOWN:
            for watcher in self._watchers:
                watcher.add(call)
        return call


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
