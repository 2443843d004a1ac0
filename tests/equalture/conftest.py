"""A scripted Equalture on a real socket, and the samples."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge import egress
from bridge.core.assessment import Candidate, NewApplication
from bridge.core.customers import Customer, Secret
from bridge.equalture.client import EqualtureClient
from bridge.equalture.settings import EqualtureAccount
from bridge.softgarden.settings import SoftgardenAccount

SAMPLES = Path(__file__).parent.parent / "samples" / "equalture"
TOKEN = "/connect_ats/access_token"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request as it came in."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Vendor:
    """Answers by script: the handlers of a ``METHOD /path`` are used in turn, the last one for
    good.
    """

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    plan: dict[str, list[Handler]] = field(default_factory=dict)
    tokens: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def on(self, line: str, *handlers: Handler) -> None:
        self.plan[line] = list(handlers)

    def lines(self) -> list[str]:
        return [one.line for one in self.seen if one.path != TOKEN]

    @staticmethod
    def answer(status: int = 200, body: Any = None, **headers: str) -> Handler:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def handler(_: web.Request) -> web.StreamResponse:
            return web.Response(
                status=status,
                body=raw,
                headers={k.replace("_", "-"): v for k, v in headers.items()},
            )

        return handler

    @staticmethod
    async def drop(request: web.Request) -> web.StreamResponse:
        """Hang up without a word."""
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def hang(self, _: web.Request) -> web.StreamResponse:
        """Say nothing until the test is over."""
        await self.released.wait()
        return web.Response()

    @staticmethod
    def half(status: int) -> Handler:
        """Promise a body and hang up in the middle of it."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(status=status, headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"reference_id": "r-1"')
            assert request.transport is not None
            request.transport.close()
            return response

        return handler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(
            request.method,
            request.raw_path.partition("?")[0],
            request.query_string,
            dict(request.headers),
            await request.read(),
        )
        self.seen.append(seen)
        self.arrived.set()
        handlers = self.plan.get(seen.line)
        if handlers:
            handler = handlers.pop(0) if len(handlers) > 1 else handlers[0]
            return await handler(request)
        if seen.line == f"POST {TOKEN}":
            self.tokens += 1
            return web.json_response({"access_token": f"token-{self.tokens}"})
        return web.Response(status=418)


@pytest.fixture
async def vendor(aiohttp_server: Any) -> AsyncIterator[Vendor]:
    """The scripted Equalture, running."""
    scripted = Vendor()
    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", scripted.handle)
    server = await aiohttp_server(app)
    scripted.url = str(server.make_url("")).rstrip("/")
    yield scripted
    scripted.released.set()


@pytest.fixture
def customer() -> Customer:
    """A customer of no server; see ``acme`` for one of the scripted server's."""
    return Customer(
        key="acme",
        ats=SoftgardenAccount((), "10"),
        provider=EqualtureAccount(
            base_url="https://equalture.example.com",
            client_id="acme",
            client_secret=Secret("s3cret-of-acme"),
            locale="de",
        ),
    )


@pytest.fixture
def acme(vendor: Vendor, customer: Customer) -> Customer:
    """The customer at the scripted server."""
    return at(customer, base_url=vendor.url)


def at(customer: Customer, **access: Any) -> Customer:
    """The customer with other access values."""
    if "timeout_s" in access:
        access["timeout"] = timedelta(seconds=access.pop("timeout_s"))
    return replace(customer, provider=replace(customer.provider, **access))


@pytest.fixture(name="at")
def at_() -> Callable[..., Customer]:
    """``at`` for tests."""
    return at


@pytest.fixture
def draft() -> NewApplication:
    """Somebody to invite."""
    person = Candidate("c-1", "Ada Marie", "Müster", "ada@example.org")
    return NewApplication(
        "job-1", person, "https://bridge.example.com/equalture/callbacks/iv_1/Sq3tTs9xRrB8mZ0kLw2n"
    )


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    """Reads a sample's bytes by name."""
    return lambda name: (SAMPLES / f"{name}.json").read_bytes()


@pytest.fixture
async def client() -> AsyncIterator[EqualtureClient]:
    """The client over a session of ours."""
    async with egress.create_session(connections=10) as session:
        yield EqualtureClient(session)
