"""The interface for traces, and who is chosen to take them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from bridge.app.tracer_choice import find_tracing_obstacle, read_wanted_exporters
from bridge.tracing import (
    NO_TRACER,
    Activity,
    Attributes,
    Span,
    SpanKind,
    SpanStart,
    continue_trace,
    enter_activity,
    get_current_traceparent,
    join,
    link,
)

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
OTHER = f"00-{'2' * 32}-{'3' * 16}-01"


class FakeSpan:
    def __init__(self, start: SpanStart, number: int) -> None:
        trace = start.parent[3:35] or f"{number:032x}"
        self.traceparent = f"00-{trace}-{number:016x}-01"
        self.start = start
        self.links = list(start.links)
        self.ended: list[tuple[str, str]] = []

    def add_link(self, traceparent: str) -> None:
        self.links.append(traceparent)

    def end(self, name: str, attributes: Attributes, failure: str) -> None:
        self.ended.append((name, failure))


class FakeTracer:
    """Keeps every span."""

    def __init__(self) -> None:
        self.spans: list[FakeSpan] = []

    def start(self, start: SpanStart) -> Span:
        span = FakeSpan(start, len(self.spans) + 1)
        self.spans.append(span)
        return span


@pytest.mark.parametrize(
    ("environ", "exporters"),
    [
        ({}, ()),
        ({"OTEL_SERVICE_NAME": "bridge", "OTEL_TRACES_SAMPLER": "always_on"}, ()),
        (ENDPOINT, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": " console , otlp,console"}, ("console", "otlp")),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, ()),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": ""}, ("otlp",)),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, ()),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "false"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, ("zipkin",)),
    ],
)
def test_the_standard_variables_switch_it_on(
    environ: Mapping[str, str], exporters: tuple[str, ...]
) -> None:
    """An exporter or an endpoint asks for traces, and only that; the switch for all of
    OpenTelemetry is stronger.
    """
    assert read_wanted_exporters(environ) == exporters


@pytest.mark.parametrize(
    ("exporters", "environ", "words"),
    [
        (("otlp",), ENDPOINT, ""),
        (("otlp",), {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ""),
        (("console",), {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ""),
        (("zipkin",), {}, "otlp and console"),
        (("otlp",), {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        (("otlp",), {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "http/protobuf"),
    ],
)
def test_what_cannot_be_had_is_said(
    exporters: tuple[str, ...], environ: Mapping[str, str], words: str
) -> None:
    """What the extra cannot do is named with what to write instead."""
    said = find_tracing_obstacle(exporters, environ)
    assert (words in said, bool(said)) == (True, bool(words))


def test_a_task_inside_of_a_request_is_a_part_of_it() -> None:
    """What is done for a request belongs to its trace, whatever else it joins."""
    tracer = FakeTracer()
    with enter_activity(Activity(tracer, SpanKind.REQUEST)) as request:
        task = Activity(tracer, SpanKind.TASK, get_current_traceparent(), trusted=True)
        with enter_activity(task):
            join(OTHER)
            task.end("task anonymise", {})
        request.end("DELETE /somewhere", {})
    outer, inner = tracer.spans
    assert inner.start.parent == outer.traceparent
    assert inner.links == [OTHER]
    assert (outer.ended, inner.ended) == (
        [("DELETE /somewhere", "")],
        [("task anonymise", "")],
    )


def test_what_is_broken_off_ends_as_such() -> None:
    """A piece that was seen and of which nothing more is heard ends, once; one that nobody saw is
    none.
    """
    tracer = FakeTracer()
    with enter_activity(Activity(tracer, SpanKind.TASK)):
        assert get_current_traceparent()
    with enter_activity(Activity(tracer, SpanKind.TASK)):
        link(OTHER)
    assert [span.ended for span in tracer.spans] == [[("task", "abandoned")]]


async def test_what_goes_on_after_its_request_does_no_harm() -> None:
    """What a request began and does not wait for stays in its trace; if it has none, so be it."""
    tracer = FakeTracer()
    seen: list[str] = []

    async def afterwards(done: asyncio.Event) -> None:
        await done.wait()
        join(OTHER)
        link(OTHER)
        seen.append(get_current_traceparent())

    for look in (True, False):
        done = asyncio.Event()
        with enter_activity(Activity(tracer, SpanKind.REQUEST)) as request:
            task = asyncio.create_task(afterwards(done))
            if look:
                request.end("GET /", {})
        done.set()
        await task
    assert seen == [tracer.spans[0].traceparent, ""]
    assert tracer.spans[0].links == []


@pytest.mark.parametrize("stored", ["", "nonsense", OTHER])
def test_where_nothing_is_traced_a_record_keeps_what_it_has(stored: str) -> None:
    """Neither a command nor a process without a tracer changes the trace of an invitation."""
    assert continue_trace(stored) == stored
    with enter_activity(Activity(NO_TRACER, SpanKind.REQUEST)):
        join(stored)
        assert continue_trace(stored) == stored


def test_a_damaged_trace_is_replaced() -> None:
    """What names no trace is replaced by the one of what is under way; another one is kept."""
    with enter_activity(Activity(FakeTracer(), SpanKind.REQUEST)):
        here = get_current_traceparent()
        assert continue_trace("nonsense") == continue_trace("") == here
        assert continue_trace(OTHER) == OTHER
        assert continue_trace(here[:36] + "f" * 16 + "-01") == here
