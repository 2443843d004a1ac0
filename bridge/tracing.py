"""The interface for traces: which requests, calls and tasks belong together. Nothing here knows
where they go.

A trace is named as in W3C's header ``traceparent``. That of an invitation begins with its order and
is kept in its record: hours later, in any process, callbacks and tasks go on with it. Whoever only
looks at an invitation has a trace of its own with a link to it, so that an invitation's stays
bounded. Names and attributes are words of the bridge and what log lines have too; never a person, a
URL or a body.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

Attributes = Mapping[str, str | int]

_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?",
    re.ASCII,
)


class SpanKind(StrEnum):
    """What a span is about."""

    REQUEST = "request"
    """Somebody called the bridge."""
    CALL = "call"
    """The bridge calls a vendor."""
    TASK = "task"
    """The worker performs a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanStart:
    """What is known of a span when it begins; *begun_ns* counts from 1970, and may be past."""

    kind: SpanKind
    name: str
    begun_ns: int
    parent: str = ""
    """The ``traceparent`` that it goes on with; empty: it begins a trace."""
    links: tuple[str, ...] = ()
    """Other traces that it has to do with."""


class Span(Protocol):
    """One piece of a trace."""

    @property
    def traceparent(self) -> str:
        """Its name, for what follows from it; empty: it is not traced."""

    def add_link(self, traceparent: str) -> None:
        """It has to do with this other trace, too."""

    def end(self, name: str, attributes: Attributes, failure: str) -> None:
        """It ends now under this name, with this stable code if it failed; must not wait."""


class Tracer(Protocol):
    """Takes spans; must neither fail nor wait."""

    def start(self, start: SpanStart) -> Span:
        """A span, which is exported once it has ended."""


class NoSpan:
    """Not traced."""

    traceparent = ""

    def add_link(self, traceparent: str) -> None:
        """Not traced."""

    def end(self, name: str, attributes: Attributes, failure: str) -> None:
        """Not traced."""


class NoTracer:
    """Traces nothing: for commands, and where no traces are wanted."""

    def start(self, start: SpanStart) -> Span:
        """Nothing."""
        return _NO_SPAN


_NO_SPAN = NoSpan()
NO_TRACER = NoTracer()


def read_traceparent(text: str) -> str:
    """*text* as this version of the bridge writes it; empty if it names no trace."""
    match = _TRACEPARENT.fullmatch(text)
    if match is None or (match[1] == "00" and match[3]):
        return ""
    return f"00-{match[2]}"


def get_trace_id(traceparent: str) -> str:
    """The id of the trace alone."""
    return traceparent[3:35]


class Activity:
    """A request or a task that is under way.

    Its span begins late, though with the right time: to which trace it belongs stands in a record
    that has to be read first. *given* is the ``traceparent`` that it came with. It is obeyed where
    it is *trusted*, or its caller has proved who it is (``trust``), else linked: strangers decide
    neither what is sampled nor in which trace they are seen.
    """

    def __init__(
        self, tracer: Tracer, kind: SpanKind, given: str = "", *, trusted: bool = False
    ) -> None:
        self._tracer = tracer
        self._kind = kind
        self._given = given
        self._trusted = trusted
        self._begun_ns = time.time_ns()
        self._span: Span | None = None
        self._ended = False
        self._links: dict[str, str] = {}  # one for each other trace

    def trust(self) -> None:
        """Its caller has proved who it is."""
        self._trusted = True

    def join(self, trace: str) -> None:
        """It belongs to the trace of this invitation, unless it belongs to another already."""
        trace = read_traceparent(trace)
        if trace and self._span is None and not self._ended:
            self._begin(trace)
        else:
            self.link(trace)

    def link(self, trace: str) -> None:
        """It has to do with the trace of this invitation."""
        trace = read_traceparent(trace)
        trace_id = get_trace_id(trace)
        if not trace or self._ended or trace_id in (*self._links, self.begun_trace_id):
            return
        self._links[trace_id] = trace
        if self._span is not None:
            self._span.add_link(trace)

    @property
    def begun_trace_id(self) -> str:
        """The id of the trace that it belongs to; empty as long as that is open."""
        return get_trace_id(self._span.traceparent) if self._span is not None else ""

    @property
    def traceparent(self) -> str:
        """For what follows from it: now it belongs to a trace, if only to one of its own."""
        if self._span is None and self._ended:
            return ""
        return self._begin().traceparent

    def end(self, name: str, attributes: Attributes, failure: str = "") -> None:
        """It has ended; see ``Span.end``."""
        if not self._ended:
            self._begin().end(name, attributes, failure)
            self._ended = True

    def abandon(self) -> None:
        """Nothing more is heard of it: what was seen of it ends as abandoned."""
        if self._span is not None:
            self.end(str(self._kind), {}, "abandoned")
        self._ended = True

    def _begin(self, joined: str = "") -> Span:
        if self._span is None:
            parent = self._given if self._trusted and self._given else joined
            for other in filter(None, (self._given, joined)):
                self._links.setdefault(get_trace_id(other), other)
            self._links.pop(get_trace_id(parent), None)
            self._span = self._tracer.start(
                SpanStart(
                    kind=self._kind,
                    name=str(self._kind),
                    begun_ns=self._begun_ns,
                    parent=parent,
                    links=tuple(self._links.values()),
                )
            )
        return self._span


_CURRENT: ContextVar[Activity | None] = ContextVar("activity", default=None)


@contextlib.contextmanager
def enter_activity(activity: Activity) -> Iterator[Activity]:
    """Until the end *activity* is what this code, and all that it starts, does."""
    token = _CURRENT.set(activity)
    try:
        yield activity
    finally:
        _CURRENT.reset(token)
        activity.abandon()


def get_current_activity() -> Activity | None:
    """What is under way here."""
    return _CURRENT.get()


def get_current_traceparent() -> str:
    """For what follows from what is under way here; empty: nothing is, or nothing is traced."""
    activity = _CURRENT.get()
    return activity.traceparent if activity is not None else ""


def trust_caller() -> None:
    """The caller of what is under way here has proved who it is."""
    activity = _CURRENT.get()
    if activity is not None:
        activity.trust()


def join(trace: str) -> None:
    """What is under way here belongs to this invitation's trace."""
    activity = _CURRENT.get()
    if activity is not None:
        activity.join(trace)


def link(trace: str) -> None:
    """What is under way here looks at the invitation of this trace."""
    activity = _CURRENT.get()
    if activity is not None:
        activity.link(trace)


def continue_trace(trace: str) -> str:
    """The trace of an invitation after what is under way here has changed it: the same one, from
    here on; where it had none, the one of what is under way.
    """
    latest, known = get_current_traceparent(), read_traceparent(trace)
    same = not known or get_trace_id(known) == get_trace_id(latest)
    return latest if latest and same else trace
