"""What strangers can do to the public listener: slow, large, deep, broken, many."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from bridge.call_observer import CallObserver
from bridge.errors import TooManyRequests
from bridge.meter import NO_METER
from bridge.process_state import ProcessState
from bridge.softgarden.auth import require_customer_token
from bridge.web import request_body
from bridge.web.app_keys import CUSTOMERS, FAIR_SCHEDULER, METER, OBSERVER, SEEN_CONNECTIONS, STATE
from bridge.web.idle_connections import FIRST_REQUEST_S, IdleConnectionReaper
from bridge.web.listener import ListenerRunner
from bridge.web.middlewares import error_middleware
from bridge.web.rate_limits import FairScheduler, RateLimit
from tests.flows.conftest import CALLBACK_TOKEN, TOKENS, Bridge, Config, Journal, Launch, eventually
from tests.security.conftest import spoken, status_of
from tests.stalls import net_since

INVITE = "/softgarden/invitations"
KIB = 1024


def order(bridge: Bridge, **more: Any) -> dict[str, Any]:
    """An order that is fine, with further fields."""
    person = {
        "id": "a-1",
        "firstName": "Ada",
        "lastName": "Muster",
        "email": "ada.muster@example.org",
    }
    return {
        "testId": "engineer",
        "candidate": person,
        "callback": bridge.softgarden.callback_url("acme"),
        **more,
    }


def bearer(bridge: Bridge) -> dict[str, str]:
    """acme's headers."""
    return {"Authorization": f"Bearer {bridge.acme.token}", "Content-Type": "application/json"}


@contextlib.asynccontextmanager
async def served(
    application: web.Application, connections: int | None = None
) -> AsyncIterator[tuple[web.AppRunner, str]]:
    """An application on a port of its own."""
    application[SEEN_CONNECTIONS] = set()
    application[STATE] = ProcessState()
    application[FAIR_SCHEDULER] = FairScheduler()
    runner = ListenerRunner(application, shutdown_timeout=0.2, connections=connections)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


# -- slow


async def test_silent_connection_is_cut() -> None:
    """A connection that never completes its first request's headers is ended; one that did is left
    to keep-alive.
    """

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application(middlewares=[error_middleware])
    application[METER], application[OBSERVER] = NO_METER, CallObserver()
    application.router.add_get("/", hello)
    async with served(application) as (runner, url):
        parts = urlsplit(url)
        assert runner.server is not None
        guard = IdleConnectionReaper(runner.server, application[SEEN_CONNECTIONS])
        ends = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(3)]
        (silent, _), (slow, slow_writer), (heard, heard_writer) = ends
        slow_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        heard_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await heard.readuntil(b"hello")
        server = runner.server
        await eventually(lambda: len(server.connections) == 3)
        guard.sweep(100.0)
        guard.sweep(100.0 + FIRST_REQUEST_S - 0.1)
        assert len(server.connections) == 3
        guard.sweep(100.0 + FIRST_REQUEST_S)
        for reader in (silent, slow):
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 2) == b""
        assert len(server.connections) == 1
        heard_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await heard.readuntil(b"hello")
        for _, writer in ends:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_time_runs_from_the_connection() -> None:
    """Bytes that trickle in do not buy time, and a new connection has its own."""
    application = web.Application(middlewares=[error_middleware])
    application[METER], application[OBSERVER] = NO_METER, CallObserver()
    async with served(application) as (runner, url):
        parts = urlsplit(url)
        server = runner.server
        assert server is not None
        guard = IdleConnectionReaper(server, application[SEEN_CONNECTIONS])
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        await eventually(lambda: len(server.connections) == 1)
        writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
        for second in range(int(FIRST_REQUEST_S)):
            guard.sweep(float(second))
            writer.write(b"x")
        late_reader, late_writer = await asyncio.open_connection(parts.hostname, parts.port)
        await eventually(lambda: len(server.connections) == 2)
        guard.sweep(FIRST_REQUEST_S)
        await eventually(lambda: len(server.connections) == 1)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 2) == b""
        assert not late_reader.at_eof()
        for one in (writer, late_writer):
            one.close()
            with contextlib.suppress(ConnectionError):
                await one.wait_closed()


async def test_slow_body_is_408() -> None:
    """A body that does not arrive in time is 408, and the connection is closed."""

    async def take(request: web.Request) -> web.Response:
        await request_body.BodyReader(64, within_s=0.2).read(request, "acme")
        return web.Response()

    application = web.Application(middlewares=[error_middleware])
    application[METER], application[OBSERVER] = NO_METER, CallObserver()
    application.router.add_post("/", take)
    async with served(application) as (_, url), aiohttp.ClientSession() as session:

        async def slowly() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.sleep(30)
            yield b"}"

        begun = time.monotonic()
        async with session.post(url, data=slowly()) as response:
            assert (response.status, (await response.json(content_type=None))["code"]) == (
                408,
                "request_timeout",
            )
        assert net_since(begun) < 5


def test_body_time_is_bounded() -> None:
    """Every endpoint that reads a body gives it ten seconds."""
    assert (request_body.BODY_TIME_S, request_body.BodyReader(64).within_s) == (10.0, 10.0)


# -- large and deep


def of_size(size: int, start: bytes = b'{"x":"', end: bytes = b'"}') -> bytes:
    """A JSON body of exactly this many bytes."""
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
async def test_size_limits(hooked: Bridge, announced: bool) -> None:
    """64 KiB for softgarden's calls, 256 KiB for callbacks and webhooks: one byte more is 413, the
    limit itself is not.
    """
    bridge = hooked
    await bridge.acme.invite("engineer")
    callback = urlsplit(bridge.callback_of(bridge.created())).path

    async def sent(method: str, path: str, size: int) -> tuple[int, str]:
        raw = of_size(size)

        async def parts() -> AsyncIterator[bytes]:
            for start in range(0, len(raw), 16 * KIB):
                yield raw[start : start + 16 * KIB]

        # As good as a webhook's headers can be without the secret: they are judged before its body
        # is read.
        stamp, signature = str(int(bridge.clock().timestamp())), "v1," + "A" * 43 + "="
        signed = {"webhook-id": "m", "webhook-timestamp": stamp, "webhook-signature": signature}
        headers = bearer(bridge) | signed
        reply = await bridge.ask(method, path, data=raw if announced else parts(), headers=headers)
        return reply.status, reply.json.get("code", "")

    for method, path, limit, fine in (
        ("POST", INVITE, 64 * KIB, (400, "invalid_request")),
        ("PUT", callback, 256 * KIB, (200, "")),
        ("POST", "/equalture/webhooks/acme", 256 * KIB, (401, "bad_signature")),
    ):
        assert await sent(method, path, limit) == fine
        assert await sent(method, path, limit + 1) == (413, "body_too_large")
        assert await sent(method, path, 4 * limit) == (413, "body_too_large")


async def test_unauthenticated_body_is_not_read(bridge: Bridge) -> None:
    """A body of a gigabyte without a token is 401 before it was sent, and with one 413."""
    head = (
        f"POST {INVITE} HTTP/1.1\r\nHost: x\r\nContent-Type:"
        f" application/json\r\nContent-Length: 1073741824\r\n"
    )
    token = f"Authorization: Bearer {bridge.acme.token}\r\n"
    for extra, status in (("", 401), (token, 413)):
        parts = urlsplit(bridge.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write((head + extra + "\r\n").encode() + b"{")
        assert status_of(await asyncio.wait_for(reader.readuntil(b"\r\n"), 3)) == status
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    "shape", ["[{}]", '{{"a":{}}}', '{{"candidate":{}}}'], ids=["lists", "objects", "candidates"]
)
@pytest.mark.parametrize("depth", [100, 1_000, 1_100, 6_000])
async def test_depth(bridge: Bridge, shape: str, depth: int) -> None:
    """Nesting of any depth is 400, never 500, alone or in a field that nobody reads."""
    before, after = shape.split("{}") if shape == "[{}]" else (shape.format("\0").split("\0"))
    depth = min(depth, 60 * KIB // len(before + after))
    deep = before * depth + "1" + after * depth
    whole = json.dumps(order(bridge)).removesuffix("}") + f', "more": {deep}}}'
    for text in (deep, whole):
        reply = await bridge.ask("POST", INVITE, data=text.encode(), headers=bearer(bridge))
        assert reply.status == (200 if text is whole and depth <= 1_000 else 400)


ENCODINGS = ["gzip", "deflate", "br", "zstd", "gzip, gzip", "nonsense"]


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_compressed_bodies_are_415(hooked: Bridge, encoding: str) -> None:
    """A body with a Content-Encoding is 415 wherever it is sent, also where none is read, and its
    connection ends.
    """
    headers = bearer(hooked) | {"Content-Encoding": encoding}
    for method, path in (
        ("POST", INVITE),
        ("POST", "/equalture/webhooks/acme"),
        ("GET", "/livez"),
        ("GET", "/docs"),
    ):
        reply = await hooked.ask(method, path, data=gzip.compress(b"[]"), headers=headers)
        assert (reply.status, reply.json["code"]) == (415, "unsupported_encoding")
        assert (reply.headers["Accept-Encoding"], reply.headers["Connection"]) == (
            "identity",
            "close",
        )


async def test_compression_comes_before_the_type(bridge: Bridge) -> None:
    """What is wrong about a compressed form is first that it is compressed."""
    headers = bearer(bridge) | {
        "Content-Encoding": "gzip",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert (await bridge.ask("POST", INVITE, data=b"x", headers=headers)).status == 415


async def test_no_encoding_is_fine(bridge: Bridge) -> None:
    """ "identity" is no encoding, and an encoding without a body does no harm."""
    headers = bearer(bridge) | {"Content-Encoding": "identity"}
    assert (await bridge.ask("POST", INVITE, json=order(bridge), headers=headers)).status == 200
    assert (await bridge.ask("GET", "/livez", headers={"Content-Encoding": "gzip"})).status == 200


# -- headers and lines

HEADERS = {
    "a long header": b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 9_000 + b"\r\n\r\n",
    "a long name": b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"x" * 9_000 + b": 1\r\n\r\n",
    "many headers": b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
    "a long line": b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": (
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"
    ),
    "length and chunks": (
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding:"
        b" chunked\r\n\r\n0\r\n\r\n"
    ),
    "negative length": b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a fold": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: 1\r\n 2\r\n\r\n",
    "a bare return": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
    "a null": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "a blank in the name": b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
    "another version": b"GET /livez HTTP/3.9\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "noise": bytes(range(256)) + b"\r\n\r\n",
}


@pytest.mark.parametrize("raw", HEADERS.values(), ids=HEADERS.keys())
async def test_broken_requests_end_the_connection(
    bridge: Bridge, journal: Journal, raw: bytes
) -> None:
    """Malformed heads are 400, without a banner and without what was sent, and end their
    connection; the next is served.
    """
    for url in (bridge.url, bridge.admin_url):
        answer = await spoken(bridge, raw, url=url)
        head, _, text = answer.partition(b"\r\n\r\n")
        assert status_of(answer) == 400
        assert [
            word
            for word in (b"aiohttp", b"Python", b"Traceback", b"xxxx", b"a\x00b")
            if word in answer
        ] == []
        assert json.loads(text)["code"] == "invalid_request"
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert (lines["Server"], lines["Cache-Control"]) == ("bridge", "no-store")
        assert len(lines["X-Request-ID"]) == 32
    assert (await bridge.ask("GET", "/livez")).status == 200
    assert "xxxxxxxxxx" not in journal.text()


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("/softgarden/tests", "Authorization: Bearer {token}", 401),
        ("/equalture/callbacks/{callback}", "Authorization: Bearer x", 400),
        ("/softgarden/invitations", "Content-Type: application/json", 400),
        ("/equalture/webhooks/acme", "webhook-id: m", 400),
        ("/livez", "Host: x", 400),
    ],
)
async def test_headers_that_stand_twice(
    bridge: Bridge, path: str, header: str, status: int
) -> None:
    """A header of which two readers may believe different ones is refused, even if both say the
    same.
    """
    await bridge.acme.invite("engineer")
    callback = urlsplit(bridge.callback_of(bridge.created())).path.removeprefix(
        "/equalture/callbacks/"
    )
    line = header.format(token=bridge.acme.token) + "\r\n"
    method = {
        "/equalture/callbacks/{callback}": "PUT",
        "/softgarden/tests": "GET",
        "/livez": "GET",
    }.get(path, "POST")
    once = "" if header.startswith("Host") else "Host: x\r\n"
    if not header.startswith("Auth"):
        once += f"Authorization: Bearer {bridge.acme.token}\r\n"
    lines = f"{method} {path.format(callback=callback)} HTTP/1.1\r\n{once}{line}{line}"
    answer = await spoken(
        bridge, f"{lines}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    )
    assert status_of(answer) == status


async def test_upgrades_are_not_taken(bridge: Bridge) -> None:
    """Whoever asks for another protocol is answered in this one, at any path."""
    upgrade = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version:"
        b" 13\r\nSec-WebSocket-Key: AAAA\r\n"
    )
    for path, status in ((b"/livez", 200), (b"/nowhere", 404)):
        answer = await spoken(
            bridge, b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\nnoise\r\n\r\n" % (path, upgrade)
        )
        assert [int(part[2:5]) for part in answer.split(b"HTTP/1.")[1:]] == [status, 400]
    for raw in (
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        answer = await spoken(bridge, raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert status_of(answer) in (400, 404, 405)


async def test_nothing_is_kept_or_guessed(bridge: Bridge) -> None:
    """Every answer says that it is not to be cached and that its type is not to be guessed, errors
    too.
    """
    invited = await bridge.acme.invite("engineer")
    for path in (
        f"/softgarden/results/{invited.json['invitationId']}",
        "/softgarden/tests",
        "/nowhere",
        "/livez",
    ):
        reply = await bridge.ask("GET", path, headers=bearer(bridge))
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_sockets_are_kept_back() -> None:
    """Beyond its limit a listener hangs up at once, and lets callers in again when others have
    left.
    """

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application(middlewares=[error_middleware])
    application[METER], application[OBSERVER] = NO_METER, CallObserver()
    application.router.add_get("/", hello)
    async with served(application, connections=2) as (runner, url):
        parts = urlsplit(url)

        async def come() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection(parts.hostname, parts.port)

        server = runner.server
        assert server is not None
        inside = [await come() for _ in range(2)]
        await eventually(lambda: len(server.connections) == 2)
        reader, writer = await come()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 2) == b""
        for one in (inside[0][1], writer):
            one.close()
            with contextlib.suppress(ConnectionError):
                await one.wait_closed()
        await eventually(lambda: len(server.connections) == 1)
        reader, writer = await come()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"hello"), 2)
        for one in (inside[1][1], writer):
            one.close()
            with contextlib.suppress(ConnectionError):
                await one.wait_closed()


async def test_header_limits_leave_room(bridge: Bridge) -> None:
    """A head within the limits is served: 8000 bytes in one header, 100 headers."""
    filler = b"".join(b"X-%d: 1\r\n" % number for number in range(100))
    for extra in (b"X-Long: " + b"x" * 8_000 + b"\r\n", filler):
        answer = await spoken(
            bridge, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + extra + b"\r\n"
        )
        assert status_of(answer) == 200


async def test_odd_paths_are_404(bridge: Bridge) -> None:
    """Odd bytes, dots and escapes in a path are 404 or 400, never 500 and never a file."""
    odd = [
        "/%00",
        "/%ff%fe",
        "/..%2f..%2fetc/passwd",
        "/../../etc/passwd",
        "/share/%0a%0d",
        "/results/" + "x" * 8000,
    ]
    odd += [
        "/reports/.pdf",
        "/reports/%2e%2e.pdf",
        "/start/%F0%9F%92%A9",
        "//",
        "/?" + "a=b&" * 1500,
        "/share/{{7*7}}",
    ]
    for path in odd:
        answer = await spoken(
            bridge,
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: */*\r\n\r\n".encode(),
        )
        assert status_of(answer) in (400, 404), path
        assert b"root:" not in answer


# -- who may what


async def test_two_tokens_live_during_rotation(config: Config, launch: Launch) -> None:
    """Old and new token both work while both digests are listed, and the old one stops with its
    digest.
    """
    new = "fresh-bearer-of-acme-0009"
    digests = config.customers["acme"]["softgarden"]["tokens_sha256"]
    digests.append(hashlib.sha256(new.encode()).hexdigest())
    bridge = await launch()

    async def listed(token: str) -> int:
        return (
            await bridge.ask(
                "GET", "/softgarden/tests", headers={"Authorization": f"Bearer {token}"}
            )
        ).status

    assert [await listed(TOKENS["acme"]), await listed(new)] == [200, 200]
    await bridge.close()
    del digests[0]
    bridge = await launch()
    assert [await listed(TOKENS["acme"]), await listed(new)] == [401, 200]


async def test_digest_is_no_token(bridge: Bridge, config: Config) -> None:
    """Whoever reads the customer's file cannot call with the digest that stands there."""
    digest = config.customers["acme"]["softgarden"]["tokens_sha256"][0]
    for token in (digest, digest.upper(), "10", "acme"):
        reply = await bridge.ask(
            "GET", "/softgarden/tests", headers={"Authorization": f"Bearer {token}"}
        )
        assert reply.status == 401


async def test_stolen_token_reaches_one_customer_only(bridge: Bridge) -> None:
    """With globex's token nobody reads, deletes or reports acme's invitations: they look like
    none.
    """
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    stolen = bridge.globex
    assert (await stolen.read_results(an_id)).status == 404
    assert (await stolen.delete(an_id)).status == 400
    assert (await stolen.invite("engineer", candidate_id="x")).status == 400
    assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"
    assert bridge.equalture.applications[bridge.created()].state == "invited"


@pytest.mark.parametrize("scheme", ["Bearer", "Token"])
async def test_callback_token_guards_callbacks(bridge: Bridge, scheme: str) -> None:
    """Where a callback token is set, a forged callback that knows the URL but not the token is the
    same 404 as a wrong URL.
    """
    await bridge.initech.invite("job-4")
    url = bridge.callback_of(bridge.created())
    wrong = [
        None,
        f"{scheme} x",
        f"{scheme}",
        f"{scheme} {CALLBACK_TOKEN}x",
        f"Basic {CALLBACK_TOKEN}",
    ]
    for value in wrong:
        headers = {"Authorization": value} if value else {}
        assert (await bridge.ask("PUT", url, json={"fit": "high"}, headers=headers)).status == 404
    fine = {"Authorization": f"{scheme} {CALLBACK_TOKEN}"}
    assert (await bridge.ask("PUT", url, json={"fit": "high"}, headers=fine)).status == 200


async def test_forged_callback_changes_nothing(bridge: Bridge) -> None:
    """A callback by somebody who knows URL and secret is a hint: the truth is asked for, and a
    false "high" is not believed.
    """
    invited = await bridge.acme.invite("engineer")
    forged = {"fit": "high", "results_url": "https://evil.example/x", "scores": {"A": "(5) x"}}
    assert (
        await bridge.ask("PUT", bridge.callback_of(bridge.created()), json=forged)
    ).status == 200
    await bridge.equalture.wait_calls("status")
    view = await bridge.acme.read_results(invited.json["invitationId"])
    assert view.json["status"] == "PENDING"
    assert bridge.notified() == []
    assert await bridge.equalture.complete(bridge.created(), fit="low", send_callback=False) == 0
    await bridge.ask("PUT", bridge.callback_of(bridge.created()), json=forged)
    result = await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED")
    assert result["result"]["score"].startswith("Low")


# -- many


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        """Now."""
        return self.now


def test_rate_limit_counts_seconds() -> None:
    """A second's worth may come at once, then one for each share of a second; what was not used
    does not pile up.
    """
    clock = Clock()
    limit = RateLimit(10, clock)
    for _ in range(10):
        limit.admit("acme")
    with pytest.raises(TooManyRequests) as caught:
        limit.admit("acme")
    assert caught.value.retry_after_s == pytest.approx(0.1)
    clock.now += 0.1
    limit.admit("acme")
    with pytest.raises(TooManyRequests):
        limit.admit("acme")
    clock.now += 3_600
    for _ in range(10):
        limit.admit("acme")
    with pytest.raises(TooManyRequests):
        limit.admit("acme")


async def test_turns_go_round() -> None:
    """However many requests of one customer wait, another's begins in the next round, and nobody is
    forgotten.
    """
    turns, begun = FairScheduler(at_once=2), []

    async def ask(key: str) -> None:
        await turns.take(key)
        begun.append(key)

    flood = [asyncio.create_task(ask("acme")) for _ in range(100)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(ask(key)) for key in ("globex", "initech", "globex")]
    await asyncio.gather(*flood, *others)
    assert begun.index("initech") < 8
    assert [place for place, key in enumerate(begun) if key == "globex"][1] < 12
    assert sorted(begun) == ["acme"] * 100 + ["globex"] * 2 + ["initech"]


async def test_turns_of_those_who_left() -> None:
    """A caller that has gone takes nobody's turn; too many that wait are refused, and only of the
    customer whose they are.
    """
    turns = FairScheduler(at_once=1, waiting=3)
    crowd = [asyncio.create_task(turns.take("acme")) for _ in range(10)]
    other = asyncio.create_task(turns.take("globex"))
    asyncio.get_running_loop().call_soon(crowd[2].cancel)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*crowd, other, return_exceptions=True)
        assert answers[-1] is None
        refused = [one for one in answers if isinstance(one, TooManyRequests)]
        assert (len(refused), {one.retry_after_s for one in refused}) == (6, {1})
        assert len([one for one in answers if isinstance(one, asyncio.CancelledError)]) == 1
        # When nobody waits any more nothing is scheduled any more, and the next begins at once.
        await turns.take("acme")
        await eventually(lambda: turns.is_idle)


async def test_results_wait_but_are_not_refused() -> None:
    """Calls among which may be a result wait for their turn, however many there are, and links do
    not wait before them.
    """
    turns = FairScheduler(at_once=1, waiting=0)
    begun: list[str] = []

    async def call(tag: str) -> None:
        await turns.take(tag, refuse=False)
        begun.append(tag)

    crowd = [asyncio.create_task(call("pages")) for _ in range(50)]
    async with asyncio.timeout(5):
        await asyncio.gather(*crowd, call("equalture"))
    assert begun.count("pages") == 50
    assert begun.index("equalture") < 5


async def test_flood_of_one_customer(bridge: Bridge) -> None:
    """Too many requests of one customer are 429 with Retry-After, and other customers notice
    nothing.
    """
    limit = RateLimit(3, Clock())

    async def fine(request: web.Request) -> web.Response:
        return web.Response()

    application = web.Application(middlewares=[error_middleware])
    application[METER], application[OBSERVER] = NO_METER, CallObserver()
    application[CUSTOMERS] = bridge.runtime.customers
    application.router.add_get("/", require_customer_token(fine, limit))
    async with served(application) as (_, url):

        async def ask(token: str) -> Any:
            return await bridge.ask("GET", url, headers={"Authorization": f"Bearer {token}"})

        replies = [await ask(TOKENS["acme"]) for _ in range(5)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
        assert replies[-1].headers["Content-Type"] == "application/problem+json"
        assert (replies[-1].json["code"], replies[-1].headers["Retry-After"]) == (
            "too_many_requests",
            "1",
        )
        assert [(await ask(TOKENS["globex"])).status for _ in range(3)] == [200] * 3
        assert (await ask("nobody")).status == 401


async def test_flood_by_configuration(config: Config, launch: Launch) -> None:
    """``limits.requests_per_second`` holds for all of softgarden's endpoints together."""
    config.daemon["limits"] = {"requests_per_second": 2}
    bridge = await launch()
    replies = await asyncio.gather(
        *(bridge.acme.list_tests() for _ in range(10)),
        *(bridge.acme.read_results("x") for _ in range(10)),
    )
    assert sum(reply.status == 429 for reply in replies) >= 10
    assert (await bridge.globex.list_tests()).status == 200


async def test_admin_paths_are_not_public(hooked: Bridge) -> None:
    """What only operators may see or do is not on the public listener."""
    for method, path in (
        ("GET", "/metrics"),
        ("POST", "/-/reload"),
        ("GET", "/"),
        ("GET", "/debug"),
        ("GET", "/admin"),
    ):
        assert (await hooked.ask(method, path)).status == 404
    reply = await hooked.ask("GET", "/readyz")
    assert reply.json == {"status": "ok"}
