"""The fakes, and plain clients that speak to them without their help."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox

JOBS = [("job-1", "Assessment - Engineer"), ("job-2", "Assessment - Müller & Söhne")]


@dataclass
class Peer:
    """Somebody who is called back: keeps what came and answers ``status``."""

    status: int = 200
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    """Path -> JSON to answer."""


@pytest.fixture
async def equalture() -> AsyncIterator[EqualtureSandbox]:
    async with EqualtureSandbox() as sandbox:
        sandbox.add_account("acme", "s3cret", JOBS, token_get=True)
        yield sandbox


@pytest.fixture
async def softgarden() -> AsyncIterator[SoftgardenSandbox]:
    async with SoftgardenSandbox(client_id="10") as sandbox:
        yield sandbox


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        peer.seen.append(
            (request.method, request.path, dict(request.headers), await request.read())
        )
        if request.path in peer.answers:
            return web.json_response(peer.answers[request.path], status=peer.status)
        return web.Response(status=peer.status)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield peer
    await runner.cleanup()


@dataclass
class Bearer:
    """A client with an access token."""

    sandbox: EqualtureSandbox
    session: aiohttp.ClientSession
    token: str

    async def __call__(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}", **kwargs.pop("headers", {})}
        url = self.sandbox.base_url + path
        async with self.session.request(method, url, headers=headers, **kwargs) as response:
            return response.status, await response.json(content_type=None)

    async def create(self, **changes: Any) -> tuple[int, Any]:
        return await self("POST", "/connect_ats/applications", json=order(**changes))


def order(**changes: Any) -> dict[str, Any]:
    """A create body in order, with changes; a change to ``...`` takes the field out."""
    body = {
        "job_id": "job-1",
        "invitation_type": "one_time_link",
        "callback_url": "http://127.0.0.1:9/callback/1",
        "applicant_details": {
            "first_name": "Ada",
            "last_name": "Muster",
            "email": "ada@example.org",
        },
    } | changes
    return {name: value for name, value in body.items() if value is not ...}


async def fetch_token(
    sandbox: EqualtureSandbox,
    session: aiohttp.ClientSession,
    method: str = "POST",
    secret: str = "s3cret",
) -> tuple[int, Any]:
    headers = {"Authorization": aiohttp.encode_basic_auth("acme", secret)}
    async with session.request(
        method, sandbox.base_url + sandbox.token_path, headers=headers
    ) as response:
        return response.status, await response.json()


@pytest.fixture
async def call(equalture: EqualtureSandbox, session: aiohttp.ClientSession) -> Bearer:
    _, answer = await fetch_token(equalture, session)
    return Bearer(equalture, session, answer["access_token"])


Notify = Callable[..., Awaitable[int]]


@pytest.fixture
def notify(softgarden: SoftgardenSandbox, session: aiohttp.ClientSession) -> Notify:
    """POST a notification, in order but for the given arguments; returns the status."""

    async def send(
        url: str = "", method: str = "POST", auth: str | None = "Basic MTA6", **kwargs: Any
    ) -> int:
        headers = {} if auth is None else {"Authorization": auth}
        body = kwargs if kwargs else {"json": {"invitationId": "iv_1"}}
        extra = body.pop("headers", {})
        target = url or softgarden.callback_url()
        async with session.request(method, target, headers=headers | extra, **body) as response:
            return response.status

    return send
