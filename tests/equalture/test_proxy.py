"""The way out through a proxy: a real one on this machine, which notes whom it was asked for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from bridge import egress
from bridge.errors import OutcomeUnknown, UpstreamUnavailable
from bridge.softgarden.notifier import SoftgardenNotifier
from tests.service.fakes import ACME

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Proxy:
    """Notes each request's first line and its credentials; what it answers is set.

    It leads nowhere.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.credentials: list[str] = []
        self.answer = OK
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://user:p%40ss@127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            self.asked.append(head[0])
            self.credentials += [line for line in head if line.lower().startswith("proxy-auth")]
            writer.write(self.answer)
            await writer.drain()
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    made = Proxy()
    async with await asyncio.start_server(made.talk, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


class Names(AbstractResolver):
    """Knows what it is told."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if not self._addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown here")
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in self._addresses
        ]

    async def close(self) -> None:
        pass


async def test_both_vendors_are_reached_through_it(proxy: Proxy) -> None:
    """Plain requests and tunnels for TLS go through the proxy, with its user and password, to the
    host as it was named.
    """
    async with egress.create_session(connections=1, proxy=proxy.url) as session:
        async with session.get("http://equalture.invalid/jobs") as got:
            assert await got.read() == b"ok"
        with pytest.raises(aiohttp.ClientError):  # no TLS behind this tunnel
            await session.get("https://equalture.invalid/jobs")
    assert proxy.asked[0] == "GET http://equalture.invalid/jobs HTTP/1.1"
    assert proxy.asked[1].startswith("CONNECT equalture.invalid:443 ")
    assert {line.partition(": ")[2] for line in proxy.credentials} == {"Basic dXNlcjpwQHNz"}
    assert len(proxy.credentials) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_is_reached_without_it(vendor, proxy: Proxy, host: str) -> None:
    """The proxy is another machine, where localhost is something else: what runs here is called
    directly.
    """
    vendor.on("GET /x", vendor.answer(200, "hello"))
    url = vendor.url.replace("127.0.0.1", host) + "/x"
    async with (
        egress.create_session(connections=1, proxy=proxy.url) as session,
        session.get(url) as got,
    ):
        assert await got.read() == b'"hello"'
    assert proxy.asked == []


@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.1", "169.254.169.254", "127.0.0.1", "[::1]", "[fd12::1]", "[::ffff:10.0.0.1]"),
        *("localhost", "2130706433", "127.1", "0x7f000001", "0177.0.0.1", "internal.example"),
    ],
)
async def test_what_is_forbidden_never_reaches_it(proxy: Proxy, host: str) -> None:
    """An address that is not public, however written, or a name that leads to one, is refused
    before the proxy is asked.
    """
    guarded = egress.create_guarded_session(
        allow_private=False, connections=1, proxy=proxy.url, resolver=Names("8.8.8.8", "10.0.0.1")
    )
    async with guarded as session:
        for scheme in ("http", "https"):
            notifier = SoftgardenNotifier(session, timedelta(seconds=5))
            with pytest.raises(UpstreamUnavailable, match="ClientConnectorError"):
                await notifier.notify(ACME, f"{scheme}://{host}/x", "iv_1")
    assert proxy.asked == []


@pytest.mark.parametrize("addresses", [("8.8.8.8",), ()], ids=["public", "unknown here"])
async def test_what_is_not_forbidden_does(proxy: Proxy, addresses: tuple[str, ...]) -> None:
    """A public name goes through, and one that is unknown here, as names of outside are in networks
    with a proxy.
    """
    guarded = egress.create_guarded_session(
        allow_private=False, connections=1, proxy=proxy.url, resolver=Names(*addresses)
    )
    async with guarded as session:
        notifier = SoftgardenNotifier(session, timedelta(seconds=5))
        proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        with pytest.raises(UpstreamUnavailable, match="the proxy says 407"):
            await notifier.notify(ACME, "https://app.softgarden.invalid/x", "iv_1")
        proxy.answer = b"HTTP/1.1 200 Connection established\r\n\r\n"
        with pytest.raises((OutcomeUnknown, UpstreamUnavailable)):
            await notifier.notify(ACME, "https://app.softgarden.invalid/x", "iv_1")
    assert [line.split()[:2] for line in proxy.asked] == [
        ["CONNECT", "app.softgarden.invalid:443"]
    ] * 2


async def test_a_proxy_that_is_away(proxy: Proxy) -> None:
    """Without the proxy nothing was sent, which is said without its password."""
    guarded = egress.create_guarded_session(
        allow_private=False,
        connections=1,
        proxy="http://user:p%40ss@127.0.0.1:1",
        resolver=Names("8.8.8.8"),
    )
    async with guarded as session:
        notifier = SoftgardenNotifier(session, timedelta(seconds=5))
        with pytest.raises(UpstreamUnavailable) as raised:
            await notifier.notify(ACME, "https://app.softgarden.invalid/x", "iv_1")
    assert "p@ss" not in str(raised.value) + str(raised.value.__cause__)
    assert "p%40ss" not in str(raised.value) + str(raised.value.__cause__)
