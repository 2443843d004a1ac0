"""Traces: what one invitation leads to belongs to one trace, whoever does it and whenever; and they
tell of nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode
from yarl import URL

from bridge.opentelemetry_tracer import OpenTelemetryTracer
from tests.flows.conftest import PRIVATE, TOKENS, Bridge, Config, Launch, eventually

FOREIGN = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{FOREIGN}-b7ad6b7169203331-01"
WEBHOOK_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class Spans:
    """Everything that was traced."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = OpenTelemetryTracer(provider)

    def all(self) -> Sequence[ReadableSpan]:
        """In the order in which they ended."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (found,) = self.named(name)
        return found

    def text(self) -> str:
        """As a collector gets them."""
        return "".join(span.to_json() for span in self.all())


@pytest.fixture
def spans() -> Spans:
    return Spans()


def trace_of(span: ReadableSpan) -> str:
    return f"{span.get_span_context().trace_id:032x}"


def name_of_parent(spans: Spans, span: ReadableSpan) -> str:
    parent = span.parent
    assert parent is not None
    (found,) = [one for one in spans.all() if one.get_span_context().span_id == parent.span_id]
    return found.name


async def finish(bridge: Bridge, invitation_id: str, number: int = -1) -> None:
    """The candidate completes, softgarden is notified, and reads."""
    assert await bridge.equalture.complete(bridge.created(number)) == 200
    await eventually(lambda: bridge.notified(invitation_id))
    await bridge.idle()
    await bridge.result(bridge.acme, invitation_id, "COMPLETED")


async def test_one_trace_from_invite_to_notification(launch: Launch, spans: Spans) -> None:
    """The order, the create, the callback, the check, the notification and the reading of the
    result are one trace, each caused by the one before; a restart in between changes nothing.
    """
    first = await launch(tracer=spans.tracer)
    assert (await first.acme.list_tests()).status == 200
    an_id = (await first.acme.invite("engineer")).json["invitationId"]
    await first.close()
    second = await launch(tracer=spans.tracer)
    await finish(second, an_id)
    await second.close()

    order = spans.one("POST /softgarden/invitations")
    journey = [span for span in spans.all() if trace_of(span) == trace_of(order)]
    assert order.parent is None
    caused = {(name_of_parent(spans, one), one.name) for one in journey if one.parent is not None}
    callback = "PUT /equalture/callbacks/{invitation_id}/{secret}"
    assert caused == {
        (order.name, "equalture create"),
        (order.name, callback),
        (callback, "task check"),
        ("task check", "equalture status"),
        ("task check", "equalture results"),
        ("task check", "task notify"),
        ("task notify", "softgarden notify"),
        ("task check", "GET /softgarden/results/{invitation_id}"),
    }
    kinds = {span.name: span.kind for span in journey}
    assert kinds[order.name] is kinds[callback] is SpanKind.SERVER
    assert kinds["equalture create"] is kinds["softgarden notify"] is SpanKind.CLIENT
    assert kinds["task check"] is SpanKind.CONSUMER
    for span in journey:
        assert span.attributes is not None
        assert span.status.status_code is StatusCode.UNSET
        if span.name != "equalture create":
            assert span.attributes["bridge.invitation_id"] == an_id
        assert span.attributes["bridge.customer"] == "acme"
    (listing,) = spans.named("GET /softgarden/tests")
    assert trace_of(listing) != trace_of(order)


async def test_an_invitation_keeps_its_trace_to_itself(launch: Launch, spans: Spans) -> None:
    """Two invitations have two traces."""
    bridge = await launch(tracer=spans.tracer)
    ids = [(await bridge.acme.invite("engineer")).json["invitationId"] for _ in range(2)]
    for number, an_id in enumerate(ids):
        await finish(bridge, an_id, number)
    traces = {
        an_id: {
            trace_of(span)
            for span in spans.all()
            if span.attributes and span.attributes.get("bridge.invitation_id") == an_id
        }
        for an_id in ids
    }
    assert [len(each) for each in traces.values()] == [1, 1]
    assert traces[ids[0]] != traces[ids[1]]


async def test_traces_tell_of_nobody(launch: Launch, spans: Spans) -> None:
    """No name, e-mail, token, secret, link or path with a secret is exported, also where things go
    wrong; names and attributes are known beforehand.
    """
    bridge = await launch(tracer=spans.tracer)
    bridge.equalture.fault("status", status=500, times=1)
    bridge.softgarden.fault("notify", status=400, times=1)
    an_id = (await bridge.acme.invite("engineer")).json["invitationId"]
    reference = bridge.created()
    assert await bridge.equalture.complete(reference) == 200
    await bridge.softgarden.wait_calls("notify")
    await bridge.idle()
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    links = [view["result"][name] for name in ("resultUrl", "reportUrl", "shareUrl")]
    for link in links:
        assert (await bridge.ask("GET", link)).status in (200, 302)
    assert (await bridge.acme.delete(an_id)).status == 204
    await bridge.ask("ADA", "/softgarden/tests/Muster")
    await bridge.ask("GET", "/softgarden/tests", headers={"Authorization": "Bearer Muster"})
    await bridge.close()

    text = spans.text()
    secret = bridge.callback_of(reference).rpartition("/")[2]
    tokens = [link.rpartition("/")[2].partition(".")[2] for link in links]
    hidden = [*PRIVATE, *TOKENS.values(), secret, *filter(None, tokens), reference, "http://"]
    assert [word for word in hidden if word in text] == []
    assert {key for span in spans.all() for key in span.attributes or ()} <= {
        *("http.request.method", "http.response.status_code", "http.route", "error.type"),
        *("bridge.customer", "bridge.invitation_id", "bridge.code", "peer.service"),
        *("bridge.attempt", "bridge.settlement", "bridge.outcome"),
    }
    assert [span.events for span in spans.all() if span.events] == []
    failed = {
        span.name: (span.attributes or {}).get("error.type")
        for span in spans.all()
        if span.status.status_code is StatusCode.ERROR
    }
    assert failed == {"equalture status": "upstream_unavailable", "task notify": "rejected"}


def order_of(bridge: Bridge, callback: str = "") -> dict[str, object]:
    """What softgarden sends, for a test that sends it by itself."""
    person = {"firstName": "Ada", "lastName": "Muster", "email": "ada.muster@example.org"}
    return {
        "testId": "engineer",
        "candidate": {"id": "application-1", **person},
        "callback": callback or bridge.softgarden.callback_url("acme"),
    }


async def ask_as_acme(
    bridge: Bridge, method: str, path: str, traceparent: str, **more: object
) -> Any:
    headers = {"Authorization": f"Bearer {TOKENS['acme']}", "traceparent": traceparent}
    return (await bridge.ask(method, path, headers=headers, **more)).json


async def test_the_callers_trace_is_gone_on_with(launch: Launch, spans: Spans) -> None:
    """An order that belongs to a trace of softgarden's is a part of that, and so is all that
    follows; a reading in another trace is a part of that one, with a link.
    """
    bridge = await launch(tracer=spans.tracer)
    order = order_of(bridge)
    invited = await ask_as_acme(bridge, "POST", "/softgarden/invitations", TRACEPARENT, json=order)
    an_id = invited["invitationId"]
    await finish(bridge, an_id)
    other = "1" * 32
    path = f"/softgarden/results/{an_id}"
    for sampled in ("00", "01"):
        theirs = f"01-{other}-b7ad6b7169203331-{sampled}-later-versions-say-more"
        await ask_as_acme(bridge, "GET", path, theirs)
    for name in ("POST /softgarden/invitations", "equalture create", "task notify"):
        assert trace_of(spans.one(name)) == FOREIGN
    *_, reading = spans.named("GET /softgarden/results/{invitation_id}")
    assert trace_of(reading) == other
    assert [f"{link.context.trace_id:032x}" for link in reading.links] == [FOREIGN]
    assert len(spans.named("GET /softgarden/results/{invitation_id}")) == 2  # 00: not sampled


@pytest.mark.parametrize(
    "header",
    [
        *("", "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{FOREIGN}-{'0' * 16}-01"),
        *(f"ff-{FOREIGN}-b7ad6b7169203331-01", f"00-{FOREIGN}-b7ad6b7169203331-01-more"),
        f"00-{FOREIGN.upper()}-b7ad6b7169203331-01",
    ],
)
async def test_what_names_no_trace_is_ignored(launch: Launch, spans: Spans, header: str) -> None:
    """A traceparent that is none begins no trace of that name, and harms nothing."""
    bridge = await launch(tracer=spans.tracer)
    assert await ask_as_acme(bridge, "GET", "/softgarden/tests", header)
    (listing,) = spans.named("GET /softgarden/tests")
    assert listing.parent is None
    assert (trace_of(listing) != FOREIGN, listing.links) == (True, ())


async def test_strangers_choose_no_trace(launch: Launch, spans: Spans) -> None:
    """A caller without a token gets a trace of our own choice, with a link to what it claims; who
    asks for nothing that there is, or whether we live, gets none.
    """
    bridge = await launch(tracer=spans.tracer)
    given = {"traceparent": TRACEPARENT}
    assert (await bridge.ask("GET", "/softgarden/tests", headers=given)).status == 401
    for path in ("/livez", "/readyz", "/docs", "/wp-login.php"):
        await bridge.ask("GET", path, headers=given)
    (refused,) = spans.all()
    assert refused.name == "GET /softgarden/tests"
    assert trace_of(refused) != FOREIGN
    assert [f"{link.context.trace_id:032x}" for link in refused.links] == [FOREIGN]


async def test_who_only_names_a_customer_chooses_no_trace(
    launch: Launch, spans: Spans, config: Config
) -> None:
    """A webhook without a signature, and who has no more than a link, are strangers, too."""
    config.customers["acme"]["equalture"]["webhook_secret"] = WEBHOOK_SECRET
    bridge = await launch(tracer=spans.tracer)
    an_id = (await bridge.acme.invite("engineer")).json["invitationId"]
    page = (await bridge.result(bridge.acme, an_id, "PENDING"))["result"]["resultUrl"]
    given = {"traceparent": TRACEPARENT}
    path = "/equalture/webhooks/acme"
    assert (await bridge.ask("POST", path, headers=given, data=b"{}")).status == 401
    assert (await bridge.ask("GET", page, headers=given)).status == 200
    for name in ("POST /equalture/webhooks/{customer}", "GET /results/{token}"):
        span = spans.one(name)
        assert trace_of(span) != FOREIGN
        assert FOREIGN in [f"{link.context.trace_id:032x}" for link in span.links]


async def test_looking_at_an_invitation_is_linked(launch: Launch, spans: Spans) -> None:
    """A reading of a pending result and a page have traces of their own, linked to the
    invitation's, which so stays bounded.
    """
    bridge = await launch(tracer=spans.tracer)
    an_id = (await bridge.acme.invite("engineer")).json["invitationId"]
    view = await bridge.result(bridge.acme, an_id, "PENDING")
    await bridge.ask("GET", view["result"]["resultUrl"])
    await bridge.idle()
    order = spans.one("POST /softgarden/invitations")
    for name in ("GET /softgarden/results/{invitation_id}", "GET /results/{token}"):
        looked = spans.one(name)
        assert trace_of(looked) != trace_of(order)
        assert [link.context.trace_id for link in looked.links] == [
            order.get_span_context().trace_id
        ]


async def test_what_is_not_sampled_stays_so(launch: Launch, spans: Spans) -> None:
    """Whether a journey is sampled is decided once, at the order: by softgarden, or by our
    sampler; no later piece of it is sampled alone.
    """
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    unsampled = await launch(tracer=OpenTelemetryTracer(provider))
    an_id = (await unsampled.acme.invite("engineer")).json["invitationId"]
    await unsampled.close()
    bridge = await launch(tracer=spans.tracer)
    await finish(bridge, an_id)
    assert [span.name for span in spans.all() if "task" in span.name] == []


async def test_invitations_from_before_are_traced_from_now_on(launch: Launch, spans: Spans) -> None:
    """A record without a trace gets that of the first thing that changes it, and without a tracer
    nothing of the kind is stored.
    """
    before = await launch()
    an_id = (await before.acme.invite("engineer")).json["invitationId"]
    assert (await before.record(an_id)).trace == ""
    assert '"trace"' not in await before.stored()
    await before.close()
    bridge = await launch(tracer=spans.tracer)
    await finish(bridge, an_id)
    callback = spans.one("PUT /equalture/callbacks/{invitation_id}/{secret}")
    assert trace_of(spans.one("task notify")) == trace_of(callback)
    assert trace_of(callback) in (await bridge.record(an_id)).trace


async def test_a_tombstone_has_no_trace(launch: Launch, spans: Spans) -> None:
    """What is kept of a deleted invitation does not say where it was traced; to have it anonymised
    later is a trace of its own.
    """
    bridge = await launch(tracer=spans.tracer)
    an_id = (await bridge.acme.invite("engineer")).json["invitationId"]
    order = spans.one("POST /softgarden/invitations")
    bridge.equalture.fault("anonymise", status=503)
    assert (await bridge.acme.delete(an_id)).status == 502
    assert (await bridge.record(an_id)).trace == ""
    assert trace_of(order) not in await bridge.stored()
    bridge.equalture.heal()
    await bridge.advance(timedelta(minutes=2))
    await bridge.idle()
    at_once, *_, later = spans.named("task anonymise")
    assert trace_of(at_once) == trace_of(order)
    assert trace_of(later) != trace_of(order)


class Forwarder:
    """Stands before a server, and notes the heads of the requests that it hands on."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.heads: list[str] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Its port."""
        async with await asyncio.start_server(self._talk, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._target)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                if source is reader:
                    self.heads.append(data.decode("utf-8", "replace"))
                target.write(data)
                await target.drain()
            target.close()

        with contextlib.suppress(ConnectionError):
            await asyncio.gather(pump(reader, requests), pump(answers, writer))


async def test_vendors_are_told_no_trace(launch: Launch, spans: Spans, config: Config) -> None:
    """No vendor is sent a traceparent, though the order came with one: neither ours nor the other
    vendor's.
    """
    base_url = URL(config.daemon["equalture"]["base_url"])
    assert base_url.port is not None
    to_equalture = Forwarder(base_url.port)
    async with to_equalture.open() as front:
        config.daemon["equalture"]["base_url"] = str(base_url.with_port(front))
        bridge = await launch(tracer=spans.tracer)
        url = URL(bridge.softgarden.callback_url("acme"))
        assert url.port is not None
        to_softgarden = Forwarder(url.port)
        async with to_softgarden.open() as gate:
            order = order_of(bridge, str(url.with_port(gate)))
            path = "/softgarden/invitations"
            invited = await ask_as_acme(bridge, "POST", path, TRACEPARENT, json=order)
            await finish(bridge, invited["invitationId"])
            await bridge.close()
    for told in (to_equalture, to_softgarden):
        assert any("POST /" in head for head in told.heads)
        text = "".join(told.heads).lower()
        found = [word for word in ("traceparent", "tracestate", "baggage", FOREIGN) if word in text]
        assert found == []
