"""Traces of the real daemon, as a collector gets them: OTLP over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bridge.opentelemetry_tracer import FLUSH_S
from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.processes.conftest import GRACE_S, Daemon, Launch, acme, eventually

pytestmark = pytest.mark.redis


@dataclass(slots=True)
class Collector:
    """Takes spans, or does what it is told instead."""

    url: str = ""
    status: int = 200
    hangs: bool = False
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        body = await request.read()
        if self.hangs:
            await asyncio.sleep(3600)
        if self.status == 200:
            message = ExportTraceServiceRequest.FromString(body)
            for one in message.resource_spans:
                self.resources.append(
                    {each.key: each.value.string_value for each in one.resource.attributes}
                )
                self.spans += [span for scope in one.scope_spans for span in scope.spans]
        return web.Response(status=self.status, content_type="application/x-protobuf")

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", made.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}"
    yield made
    await runner.cleanup()


def tracing(collector_url: str, delay_ms: int = 100, **more: str) -> dict[str, str]:
    """What an operator sets."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector_url,
        "OTEL_BSP_SCHEDULE_DELAY": str(delay_ms),
        **more,
    }


async def journey(
    daemon: Daemon, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> str:
    """One candidate's, from the order to the notification."""
    client = acme(softgarden, daemon)
    invited = await client.invite("engineer")
    assert invited.status == 200
    an_id: str = invited.json["invitationId"]
    reference = list(equalture.applications)[-1]
    assert await equalture.complete(reference) == 200
    await softgarden.wait_calls("notify", status=204, invitation_id=an_id)
    return an_id


async def test_collector_gets_one_trace(
    launch: Launch, collector: Collector, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> None:
    """Of two workers' spans those of one journey are one trace, under the service's name and with
    the headers that the operator chose.
    """
    environment = tracing(collector.url, OTEL_EXPORTER_OTLP_HEADERS="x-team=hr")
    daemon = launch("--workers", "2", environment=environment)
    await daemon.ready()
    await journey(daemon, equalture, softgarden)
    await eventually(lambda: collector.named("task notify"))
    order, notified = (
        collector.named(name)[0] for name in ("POST /softgarden/invitations", "task notify")
    )
    assert order.trace_id == notified.trace_id
    assert order.kind == Span.SPAN_KIND_SERVER
    assert {one["service.name"] for one in collector.resources} == {"assessment-bridge"}
    assert {one["x-team"] for one in collector.headers} == {"hr"}

    async def both() -> bool:
        headers = {"Connection": "close"}  # each connection is whichever worker's takes it
        async with aiohttp.ClientSession(headers=headers) as session:
            for _ in range(8):
                async with session.get(f"{daemon.url}/softgarden/tests"):
                    pass
        return len({one["service.instance.id"] for one in collector.resources}) == 2

    await eventually(both)
    daemon.terminate()
    assert await daemon.ended() == 0


async def test_last_spans_are_sent_at_the_end(
    launch: Launch, collector: Collector, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> None:
    """What was not sent yet is sent when the daemon is told to stop; the service has the name that
    the operator gave it.
    """
    daemon = launch(environment=tracing(collector.url, 3_600_000, OTEL_SERVICE_NAME="bridge-2"))
    await daemon.ready()
    await journey(daemon, equalture, softgarden)
    assert collector.spans == []
    daemon.terminate()
    assert await daemon.ended() == 0
    assert {"POST /softgarden/invitations", "task check", "task notify"} <= {
        span.name for span in collector.spans
    }
    assert {one["service.name"] for one in collector.resources} == {"bridge-2"}
    assert daemon.entries("tracing.spans_lost") == []


async def test_collector_that_is_away(
    launch: Launch, collector: Collector, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> None:
    """A collector that refuses harms no journey and is said once, with its status; so is that it
    takes spans again. The library's own lines do not come through.
    """
    collector.status = 401
    daemon = launch(environment=tracing(collector.url))
    await daemon.ready()
    await journey(daemon, equalture, softgarden)
    await eventually(lambda: daemon.entries("tracing.export_failed"))
    refused = len(collector.headers)
    await journey(daemon, equalture, softgarden)
    await eventually(lambda: len(collector.headers) > refused)
    (said,) = daemon.entries("tracing.export_failed")
    assert (said["status"], said["level"]) == (401, "warning")
    assert "OTEL_EXPORTER_OTLP_" in said["text"]
    collector.status = 200
    await journey(daemon, equalture, softgarden)
    await eventually(lambda: daemon.entries("tracing.export_resumed"))
    assert len(daemon.entries("tracing.export_failed")) == 1
    assert collector.url not in daemon.log.read_text()
    assert daemon.entries("tracing.complained") == []


@pytest.mark.parametrize("hangs", [True, False])
async def test_end_is_not_held_up(
    launch: Launch,
    collector: Collector,
    equalture: EqualtureSandbox,
    softgarden: SoftgardenSandbox,
    hangs: bool,
) -> None:
    """A collector that never answers, or is not there, holds up neither a journey nor, for more
    than some seconds, the end.
    """
    collector.hangs = hangs
    url = collector.url if hangs else "http://127.0.0.1:1"
    daemon = launch(environment=tracing(url))
    await daemon.ready()
    await journey(daemon, equalture, softgarden)
    daemon.terminate()
    assert await daemon.ended(GRACE_S + FLUSH_S) == 0
    if hangs:
        assert len(daemon.entries("tracing.spans_lost")) == 1


async def test_what_cannot_be_had_is_said(launch: Launch) -> None:
    """A variable that asks for what is not there is an error in the log that says what to do; the
    daemon serves without traces.
    """
    daemon = launch(
        environment=tracing("http://127.0.0.1:4317", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    )
    await daemon.ready()
    (said,) = daemon.entries("tracing.unavailable")
    assert said["level"] == "error"
    assert "http/protobuf" in said["text"]


async def test_what_the_library_complains_of_is_said_without_values(
    launch: Launch, collector: Collector
) -> None:
    """A variable that the library reads otherwise than it was meant is a warning in our log, which
    names the mistake and repeats no value.
    """
    more = {"OTEL_TRACES_SAMPLER": "sometimes", "OTEL_EXPORTER_OTLP_HEADERS": "hunter2"}
    daemon = launch(environment=tracing(collector.url, **more))
    await daemon.ready()
    said = [one["text"] for one in daemon.entries("tracing.complained")]
    assert any("sampler" in text for text in said)
    assert len(daemon.entries("tracing.started")) == 1
    text = daemon.log.read_text()
    assert [word for word in ("sometimes", "hunter2", collector.url) if word in text] == []


async def test_what_the_library_refuses_is_said(launch: Launch, collector: Collector) -> None:
    """A variable that the library refuses costs the traces, and nothing else."""
    daemon = launch(environment=tracing(collector.url, OTEL_BSP_MAX_QUEUE_SIZE="-1"))
    await daemon.ready()
    (said,) = daemon.entries("tracing.unavailable")
    assert "max_queue_size" in said["text"]


def test_nobody_pays_who_did_not_ask() -> None:
    """Without the variables, or with the switch off, nothing of ours has the library imported."""
    code = """
import asyncio, sys
import bridge.cli, bridge.serve
from bridge import app
from bridge.tracing import NO_TRACER

async def look(environ):
    async with app.open_tracer(environ) as tracer:
        assert tracer is NO_TRACER

for environ in (
    {},
    {"OTEL_TRACES_EXPORTER": "none"},
    {"OTEL_SERVICE_NAME": "bridge"},
    {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
):
    asyncio.run(look(environ))
unwanted = ("bridge.opentelemetry", "opentelemetry.sdk.trace", "opentelemetry.exporter", "requests")
print(sorted(name for name in sys.modules if name.startswith(unwanted)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
