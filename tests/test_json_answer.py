"""The answer that is sent in one step, beside aiohttp's own."""

from __future__ import annotations

import asyncio
import re

import pytest
from aiohttp import web

from bridge.web.json_answer import JsonAnswer
from bridge.web.listener import ListenerRunner, add_standard_headers

BODY = b'{"a":"\xc3\xbc"}'


async def serve_quick(request: web.Request) -> web.StreamResponse:
    """The quick way."""
    answer = JsonAnswer(BODY)
    add_standard_headers(answer, "1")
    if "last" in request.query:
        answer.force_close()
    return answer


async def serve_plainly(request: web.Request) -> web.StreamResponse:
    """The same by aiohttp."""
    answer = web.Response(body=BODY, content_type="application/json")
    add_standard_headers(answer, "1")
    if "last" in request.query:
        answer.force_close()
    return answer


async def exchange(port: int, sent: str) -> bytes:
    """What comes for *sent*, until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent.encode())
    async with asyncio.timeout(30):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    return re.sub(rb"Date: [^\r]+", b"Date: now", received)


LAST = "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close"


@pytest.mark.parametrize(
    "sent",
    [
        ["GET {} HTTP/1.1\r\nHost: x", LAST],
        ["GET {} HTTP/1.1\r\nHost: x", "GET {} HTTP/1.1\r\nHost: x", LAST],
        ["HEAD {} HTTP/1.1\r\nHost: x", LAST],
        ["GET {} HTTP/1.0\r\nHost: x\r\nConnection: keep-alive", LAST],
        ["GET {} HTTP/1.0\r\nHost: x"],
        ["GET {} HTTP/1.1\r\nHost: x\r\nConnection: close"],
        ["GET {}?last=1 HTTP/1.1\r\nHost: x"],
    ],
)
async def test_the_bytes_are_aiohttps(sent: list[str]) -> None:
    """Whatever a caller says of the connection: it gets the same headers, body and end of it."""
    application = web.Application()
    application.router.add_get("/quick", serve_quick)
    application.router.add_get("/plain", serve_plainly)
    runner = ListenerRunner(application, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        quick, plain = [
            await exchange(port, "".join(f"{one.replace('{}', path)}\r\n\r\n" for one in sent))
            for path in ("/quick", "/plain")
        ]
    finally:
        await runner.cleanup()
    assert sorted(quick.split(b"\r\n")) == sorted(plain.split(b"\r\n"))
    assert quick.startswith(b"HTTP/1.")
    assert b"X-Request-ID: 1" in quick
