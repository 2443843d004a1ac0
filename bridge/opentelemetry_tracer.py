"""A ``Tracer`` by OpenTelemetry: spans are sent in batches by a thread, over OTLP/HTTP.

The SDK itself reads its standard environment variables (``OTEL_*``): endpoint, headers, time-out,
sampler, batches. Needs the extra [otel]; nothing else imports it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import requests
import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as LibrarySpan
from opentelemetry.trace import SpanKind as LibraryKind

from bridge import __version__
from bridge.tracing import Attributes, Span, SpanKind, SpanStart

FLUSH_S = 5.0
"""How long the last spans may take at an orderly end."""
LIBRARY = "opentelemetry"
_SERVICE = "assessment-bridge"
_KINDS = {
    SpanKind.REQUEST: LibraryKind.SERVER,
    SpanKind.CALL: LibraryKind.CLIENT,
    SpanKind.TASK: LibraryKind.CONSUMER,
}

log = structlog.get_logger()


class OpenTelemetryTracer:
    """Hands spans to *provider*."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("bridge", __version__)

    def start(self, start: SpanStart) -> Span:
        """See ``Tracer``."""
        parent = _context_of(start.parent)
        span = self._tracer.start_span(
            start.name,
            Context() if parent is None else set_span_in_context(NonRecordingSpan(parent)),
            _KINDS[start.kind],
            links=[Link(other) for one in start.links if (other := _context_of(one))],
            start_time=start.begun_ns,
        )
        return _OpenTelemetrySpan(span)


class _OpenTelemetrySpan:
    def __init__(self, span: LibrarySpan) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        if not context.is_valid:
            return ""
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def add_link(self, traceparent: str) -> None:
        other = _context_of(traceparent)
        if other is not None:
            self._span.add_link(other)

    def end(self, name: str, attributes: Attributes, failure: str) -> None:
        self._span.update_name(name)
        self._span.set_attributes(dict(attributes))
        if failure:
            self._span.set_attribute("error.type", failure)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _context_of(traceparent: str) -> SpanContext | None:
    if not traceparent:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


class _OutageReporter(SpanExporter):
    """Says once that spans cannot be delivered, and once that they can be again."""

    def __init__(self, exporter: SpanExporter, answers: _LastAnswer) -> None:
        self._exporter = exporter
        self._answers = answers
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._answers.status = None
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            log.warning(
                "tracing.export_failed",
                status=self._answers.status,
                spans=len(spans),
                text="the collector does not take spans, which are lost meanwhile; look at it and"
                " at the OTEL_EXPORTER_OTLP_ variables. Nothing else depends on it",
            )
        elif self._failing and not failed:
            log.info("tracing.export_resumed")
        self._failing = failed
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _LastAnswer:
    """The status of the collector's last answer; the library tells only its own log."""

    def __init__(self) -> None:
        self.status: int | None = None

    def note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self.status = response.status_code


class _LibraryLog(logging.Handler):
    """What the library complains of, each kind once, without the values: they may be secrets."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = str(record.msg)
        exporting = record.name.startswith(f"{LIBRARY}.exporter")  # told by _OutageReporter
        if not exporting and text not in self._said:
            self._said.add(text)
            log.warning("tracing.complained", text=text, library=record.name)


@contextlib.asynccontextmanager
async def open_exporting_tracer(
    exporters: Sequence[str], environ: Mapping[str, str]
) -> AsyncIterator[OpenTelemetryTracer]:
    """A tracer that sends to each of these exporters (``otlp``, ``console``); at the end the last
    spans are sent, within ``FLUSH_S``.

    Raises ``ValueError`` for a variable that the library cannot use.
    """
    library, complaints = logging.getLogger(LIBRARY), _LibraryLog()
    propagated = library.propagate
    library.addHandler(complaints)
    library.propagate = False
    try:
        provider = TracerProvider(resource=_resource(environ), shutdown_on_exit=False)
        for name in exporters:
            provider.add_span_processor(BatchSpanProcessor(_exporter(name)))
        try:
            yield OpenTelemetryTracer(provider)
        finally:
            await _shut_down(provider)
    finally:
        library.removeHandler(complaints)
        library.propagate = propagated


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter()
    session, answers = requests.Session(), _LastAnswer()
    session.hooks["response"].append(answers.note)
    return _OutageReporter(OTLPSpanExporter(session=session), answers)


def _resource(environ: Mapping[str, str]) -> Resource:
    """Who we are, unless the environment says otherwise."""
    named = {SERVICE_VERSION: __version__}
    given = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not environ.get("OTEL_SERVICE_NAME") and f"{SERVICE_NAME}=" not in given:
        named[SERVICE_NAME] = _SERVICE
    return Resource.create(named)


async def _shut_down(provider: TracerProvider) -> None:
    """Send what is left; a thread that takes longer is left to itself, and ends with us."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def work() -> None:
        try:
            provider.shutdown()
        finally:
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=work, name="tracing-shutdown", daemon=True).start()
    try:
        async with asyncio.timeout(FLUSH_S):
            await done.wait()
    except TimeoutError:
        log.warning("tracing.spans_lost", text="the collector did not take the last ones in time")
