from __future__ import annotations

import gzip
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from bridge import egress


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "[2606:4700::1]"],
)
def test_public(address: str) -> None:
    """Addresses of the open internet are let through, in v6 clothes too."""
    assert egress.is_public_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *(
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fe80::1%lo",
        ),
        *(
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ),
        *(
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "2001:0:1::1",
        ),
        *("2130706433", "127.1", "017700000001", "1.2.3", "", "."),
    ],
)
def test_not_public(address: str) -> None:
    """Everything that is no plain public address is refused, also legacy and embedding forms."""
    assert not egress.is_public_address(address)


def test_a_name_is_no_address() -> None:
    """A name is not judged public by itself, since only the addresses behind it tell."""
    assert not egress.is_public_address("app.softgarden.io")


class Book(AbstractResolver):
    """Resolves from a list."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in self.addresses
        ]

    async def close(self) -> None:
        pass


async def test_resolver_lets_public_names_through() -> None:
    """A name with public addresses only resolves to all of them."""
    resolver = egress.GuardedResolver(Book("8.8.8.8", "8.8.4.4"))
    assert [one["host"] for one in await resolver.resolve("a.example")] == ["8.8.8.8", "8.8.4.4"]
    await resolver.close()


async def test_resolver_refuses_mixed_names() -> None:
    """One private address condemns the whole name."""
    with pytest.raises(egress.ForbiddenAddress):
        await egress.GuardedResolver(Book("8.8.8.8", "10.0.0.1")).resolve("a.example")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_guarded_session_connects_to_nothing_private(host: str) -> None:
    """By name or by number, a private address is a connector error before anything is sent."""
    async with egress.create_guarded_session(allow_private=False, connections=1) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://{host}:9/")


async def test_allow_private(vendor) -> None:
    """A sandbox may be reached where that was allowed."""
    vendor.on("GET /x", vendor.answer(200, "hello"))
    async with (
        egress.create_guarded_session(allow_private=True, connections=1) as session,
        session.get(vendor.url + "/x") as got,
    ):
        assert await egress.read_limited_body(got, 7) == b'"hello"'


async def test_cap(vendor) -> None:
    """A body longer than the cap is a ValueError, also if it only unfolds to that length."""
    vendor.on("GET /x", vendor.answer(200, gzip.compress(b"x" * 100_000), Content_Encoding="gzip"))
    async with (
        egress.create_session(connections=1) as session,
        session.get(vendor.url + "/x") as got,
    ):
        with pytest.raises(ValueError, match="more than 99999 bytes"):
            await egress.read_limited_body(got, 99_999)


async def test_no_cookies(vendor) -> None:
    """What one customer's answer sets is not sent along with another's request."""
    vendor.on("GET /x", vendor.answer(200, {}, Set_Cookie="who=acme"))
    async with egress.create_session(connections=1) as session:
        for _ in range(2):
            async with session.get(vendor.url + "/x") as got:
                await got.read()
    assert "Cookie" not in vendor.seen[1].headers


@pytest.mark.parametrize("guarded", [False, True])
async def test_another_way_out(guarded: bool, tmp_path: Path) -> None:
    """A session may reach vendors over something else than TCP; then no name is resolved."""

    async def say_host(request: web.Request) -> web.Response:
        return web.Response(text=request.host)

    application = web.Application()
    application.router.add_get("/", say_host)
    runner = web.AppRunner(application)
    await runner.setup()
    path = str(tmp_path / "vendor.sock")
    await web.UnixSite(runner, path).start()

    def connect(limit: int) -> aiohttp.BaseConnector:
        return aiohttp.UnixConnector(path, limit=limit)

    session = (
        egress.create_guarded_session(allow_private=False, connections=1, connect=connect)
        if guarded
        else egress.create_session(connections=1, connect=connect)
    )
    async with session, session.get("http://vendor.invalid/") as response:
        assert await response.text() == "vendor.invalid"
    await runner.cleanup()
