"""Before the body, the right to send it: what is read, unpacked and kept of bodies, and for
whom.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from bridge.call_observer import CallObserver
from bridge.errors import ProcessOverloaded
from bridge.meter import NO_METER
from bridge.process_state import ProcessState
from bridge.web import request_body
from bridge.web.app_keys import METER, OBSERVER, SEEN_CONNECTIONS, STATE
from bridge.web.listener import BUFFER, ListenerRunner
from bridge.web.middlewares import error_middleware
from tests.flows.conftest import Bridge, Launch, eventually
from tests.security.conftest import status_of

KIB = 1024
REPORT = json.dumps({"fit": "high", "scores": {"A": "(5) x"}}).encode()
BOMB = gzip.compress(b"[" + b" " * 50_000_000 + b"]", 9)


@contextlib.asynccontextmanager
async def connection(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection to whoever listens at *url*."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def answered(url: str, head: str, *, then: bytes = b"") -> tuple[int, bytes]:
    """Status and head of the first final answer to *head*, of which no body is sent but *then*."""
    async with connection(url) as (reader, writer):
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n" + then)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        return status_of(answer), answer


def head(method: str, path: str, *more: str) -> str:
    """A request that announces a body and asks whether to send it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Length: 1000", *more]
    return "\n".join(lines) + "\n"


async def invited(bridge: Bridge) -> str:
    """The path at which Equalture reports acme's new invitation."""
    assert (await bridge.acme.invite("engineer")).status == 200
    return urlsplit(bridge.callback_of(bridge.created())).path


def strangers(bridge: Bridge, callback: str) -> list[tuple[int, str]]:
    """Requests without the right to send a body, and what they are answered."""
    folder, _, _ = callback.rpartition("/")
    stamp = int(bridge.clock().timestamp())
    signed = ["webhook-id: m", "webhook-signature: v1," + "A" * 43 + "="]
    return [
        (401, head("POST", "/softgarden/invitations")),
        (404, head("PUT", f"{folder}/wrong")),
        (404, head("PUT", "/equalture/callbacks/iv_7x/wrong", "Content-Encoding: gzip")),
        (401, head("POST", "/equalture/webhooks/acme")),
        (
            401,
            head("POST", "/equalture/webhooks/acme", *signed, f"webhook-timestamp: {stamp - 400}"),
        ),
        (401, head("POST", "/equalture/webhooks/acme", signed[0], f"webhook-timestamp: {stamp}")),
        (404, head("POST", "/equalture/webhooks/globex")),
        (404, head("POST", "/nowhere")),
        (405, head("POST", "/livez")),
    ]


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\n", "Expect: the-unexpected\n"])
async def test_strangers_are_answered_before_their_body(hooked: Bridge, expect: str) -> None:
    """Without token, secret or signature headers the answer comes before the body is sent, and none
    is invited.
    """
    for status, request in strangers(hooked, await invited(hooked)):
        found, answer = await answered(hooked.url, request + expect)
        assert (found, b"Connection: close" in answer) == (status, True), request
        assert b"unexpected" not in answer


async def test_who_may_send_is_invited_to(hooked: Bridge) -> None:
    """Whoever has the right and asks whether to send is told to go on, and then answered."""
    path = await invited(hooked)
    request = (
        f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(REPORT)}\r\nExpect:"
        f" 100-continue\r\n\r\n"
    )
    async with connection(hooked.url) as (reader, writer):
        writer.write(request.encode())
        assert status_of(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)) == 100
        writer.write(REPORT)
        assert status_of(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)) == 200


def bare(plain: bytes) -> bytes:
    """Deflate without zlib's header, as some send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(REPORT)),
        ("GZip , identity", gzip.compress(REPORT)),
        ("x-gzip", gzip.compress(REPORT)),
        ("deflate", zlib.compress(REPORT)),
        ("deflate", bare(REPORT)),
    ],
    ids=["gzip", "odd-spelling", "old-name", "deflate", "bare"],
)
async def test_authorised_callback_may_be_compressed(
    bridge: Bridge, encoding: str, packed: bytes
) -> None:
    """A result is not lost over gzip: a callback that has shown its secret is unpacked."""
    path = await invited(bridge)
    reply = await bridge.ask("PUT", path, data=packed, headers={"Content-Encoding": encoding})
    assert reply.status == 200
    unconfirmed_result = (await bridge.record(path.split("/")[3])).unconfirmed_result
    assert unconfirmed_result is not None
    assert unconfirmed_result.report is not None
    assert unconfirmed_result.report.fit == "high"


@pytest.mark.parametrize(
    ("encoding", "packed", "status"),
    [
        ("gzip", BOMB, 413),
        ("deflate", zlib.compress(b" " * 50_000_000), 413),
        ("gzip", gzip.compress(b" " * (256 * KIB + 1)), 413),
        ("gzip", b"\x1f\x8b\x08 no gzip", 400),
        ("gzip", gzip.compress(REPORT)[:-3], 400),
        ("gzip", gzip.compress(REPORT) * 2, 400),
        ("deflate", b"", 400),
        ("br", REPORT, 415),
        ("gzip, gzip", gzip.compress(gzip.compress(REPORT)), 415),
    ],
    ids=[
        "bomb",
        "deflate-bomb",
        "a-byte-too-long",
        "no-gzip",
        "cut",
        "twice",
        "empty",
        "brotli",
        "nested",
    ],
)
async def test_what_cannot_be_unpacked_is_a_hint(
    bridge: Bridge, encoding: str, packed: bytes, status: int
) -> None:
    """An authorised callback that cannot be read is an error, but its check is due at once all the
    same.
    """
    path = await invited(bridge)
    await bridge.idle()
    before = len(bridge.equalture.calls("status"))
    reply = await bridge.ask("PUT", path, data=packed, headers={"Content-Encoding": encoding})
    assert reply.status == status
    assert (status == 400) == ("errors" in reply.json)
    if status == 415:
        assert reply.headers["Connection"] == "close"
    await eventually(lambda: len(bridge.equalture.calls("status")) > before)


async def test_cut_off_callback_is_a_hint(bridge: Bridge) -> None:
    """An authorised callback whose sender is cut off in mid-body makes its check due."""
    path = await invited(bridge)
    await bridge.idle()
    before = len(bridge.equalture.calls("status"))
    async with connection(bridge.url) as (reader, writer):
        head = (
            f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect:"
            f" 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        assert status_of(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)) == 100
        writer.write(b"{")
    await eventually(lambda: len(bridge.equalture.calls("status")) > before)


# -- how much is kept


async def test_little_is_taken_in_unasked() -> None:
    """Of a body that nobody has asked for yet, compressed or not, a few buffers are taken in,
    however much is sent.
    """
    judged = asyncio.Event()
    seen: list[int] = []

    async def slow_judge(request: web.Request) -> web.Response:
        await judged.wait()
        seen.append(request.content.total_bytes)
        return web.Response(status=404)

    application = web.Application(middlewares=[error_middleware])
    application[METER], application[OBSERVER] = NO_METER, CallObserver()
    application[SEEN_CONNECTIONS], application[STATE] = set(), ProcessState()
    application.router.add_put("/", slow_judge)
    runner = ListenerRunner(application, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        for encoding in ("", "Content-Encoding: gzip\r\n"):
            judged.clear()
            async with connection(url) as (reader, writer):
                length = f"Content-Length: {len(BOMB) * 400}"
                head = f"PUT / HTTP/1.1\r\nHost: x\r\n{length}\r\n{encoding}\r\n"
                writer.write(head.encode() + BOMB * 400)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(writer.drain(), 0.5)
                judged.set()
                assert status_of(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)) == 404
    finally:
        await runner.cleanup()
    # What arrives in one piece is passed on in one piece, which is 256 KiB at most.
    assert [size for size in seen if size > 2 * BUFFER + 256 * KIB] == []
    assert len(seen) == 2


# -- how many at once


def test_room_is_shared() -> None:
    """One holder gets its share and no more, all together get the total, and what is given back can
    be had again.
    """
    room = request_body.BodyBudget(100, 40)
    room.take("acme", 40)
    with pytest.raises(ProcessOverloaded):
        room.take("acme", 1)
    room.take("globex", 40)
    room.take("initech", 20)
    with pytest.raises(ProcessOverloaded):
        room.take("initech", 1)
    room.give_back("acme", 40)
    room.take("initech", 20)
    with pytest.raises(ProcessOverloaded):
        room.take("initech", 1)


def test_room_keeps_no_names() -> None:
    """Who holds nothing is forgotten."""
    room = request_body.BodyBudget(100, 40)
    for number in range(1000):
        room.take(str(number), 1)
        room.give_back(str(number), 1)
    assert not room.holders


async def test_bodies_in_flight_are_bounded(launch: Launch) -> None:
    """A customer with too many bodies under way gets 503 with Retry-After before the next is read;
    others are served.
    """
    bridge = await launch()
    length = 60 * KIB
    head = (
        "POST /softgarden/invitations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {bridge.acme.token}\r\nContent-Length: {length}\r\n\r\n"
    )
    share = 8 * KIB * KIB
    async with contextlib.AsyncExitStack() as stack:
        pairs = [
            await stack.enter_async_context(connection(bridge.url))
            for _ in range(share // length + 1)
        ]
        for _, writer in pairs:
            writer.write(head.encode())
        answers = [asyncio.create_task(reader.readuntil(b"\r\n\r\n")) for reader, _ in pairs]
        done, pending = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        refused = [one.result() for one in done]
        assert [status_of(answer) for answer in refused] == [503]
        assert b"Retry-After:" in refused[0]
        assert (await bridge.globex.invite("job-3")).status == 200
        path = urlsplit(bridge.callback_of(bridge.created())).path
        assert (await bridge.ask("PUT", path, data=REPORT)).status == 200
        for one in pending:
            one.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
    # Those who hung up have given back what they held.
    order: dict[str, Any] = {
        "data": b"{" + b" " * (length - 1),
        "headers": {"Content-Type": "application/json"},
    }
    order["headers"]["Authorization"] = f"Bearer {bridge.acme.token}"

    async def read() -> bool:
        return (await bridge.ask("POST", "/softgarden/invitations", **order)).status == 400

    await eventually(read)
