"""Whether this process is traced, and by what: the standard variables of OpenTelemetry say so."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import AsyncIterator, Mapping

import structlog

from bridge.tracing import NO_TRACER, Tracer

EXPORTERS = ("otlp", "console")
PROTOCOL = "http/protobuf"
INSTALL = "install deploy/requirements/otel.txt, or say: pip install '.[otel]'"

log = structlog.get_logger()


def read_wanted_exporters(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the exporters that are asked for; none: no traces.

    ``OTEL_TRACES_EXPORTER`` names them; without it, to name an endpoint is to ask for ``otlp``.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if not named:
        endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        return ("otlp",) if any(environ.get(name) for name in endpoints) else ()
    names = dict.fromkeys(name.strip() for name in named.split(","))
    return tuple(name for name in names if name not in ("", "none"))


def find_tracing_obstacle(exporters: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """Why what is asked for cannot be had, and what to do; empty: it can."""
    unknown = [name for name in exporters if name not in EXPORTERS]
    if unknown:
        return f"OTEL_TRACES_EXPORTER may name {' and '.join(EXPORTERS)}, or be none"
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if "otlp" in exporters and protocol not in (None, "", PROTOCOL):
        return (
            f"OTEL_EXPORTER_OTLP_PROTOCOL has to be {PROTOCOL}; collectors take it at port 4318,"
            " not 4317"
        )
    if importlib.util.find_spec("opentelemetry") is None:
        return f"the extra [otel] is not installed; {INSTALL}"
    return ""


@contextlib.asynccontextmanager
async def open_tracer(environ: Mapping[str, str]) -> AsyncIterator[Tracer]:
    """The tracer that *environ* asks for. What hinders it is said once; the bridge then serves
    without traces.
    """
    exporters = read_wanted_exporters(environ)
    if not exporters:
        yield NO_TRACER
        return
    async with contextlib.AsyncExitStack() as stack:
        tracer: Tracer = NO_TRACER
        text = find_tracing_obstacle(exporters, environ)
        if not text:
            try:
                from bridge.opentelemetry_tracer import open_exporting_tracer

                opened = open_exporting_tracer(exporters, environ)
                tracer = await stack.enter_async_context(opened)
            except ImportError as error:
                text = f"the extra [otel] is not complete ({error.name}); {INSTALL}"
            except ValueError as error:
                text = f"a variable OTEL_... cannot be used: {error}"
        if text:
            log.error("tracing.unavailable", text=f"no traces are sent: {text}")
        else:
            log.info("tracing.started", exporters=list(exporters))
        yield tracer
