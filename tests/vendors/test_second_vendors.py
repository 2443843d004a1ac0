"""A second provider and a second ATS take one package each and one more entry in
``app.VENDORS``.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from bridge import app
from bridge.configuration import Configuration
from bridge.errors import ConfigError
from bridge.settings.masking import mask_settings
from bridge.vendors import Vendors
from bridge.web.listener import ListenerRunner
from tests.flows.conftest import eventually
from tests.redis_servers import RedisServer, binaries
from tests.vendors.clover import CLOVER
from tests.vendors.harbour import HARBOUR

BOTH = Vendors(
    providers=(*app.VENDORS.providers, CLOVER),
    ats=(*app.VENDORS.ats, HARBOUR),
)
KEY = "key-of-the-port-authority"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()


@dataclass
class Peers:
    """Clover and Harbour as servers, and what they were told."""

    url: str = ""
    sittings: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[Any] = field(default_factory=list)

    async def quizzes(self, _: web.Request) -> web.Response:
        return web.json_response([{"code": "q1", "label": "Knots"}])

    async def sit(self, request: web.Request) -> web.Response:
        number = f"s{len(self.sittings) + 1}"
        self.sittings[number] = {"points": None, **await request.json()}
        return web.json_response({"sitting": number, "link": f"{self.url}/sit/{number}"})

    async def sitting(self, request: web.Request) -> web.Response:
        return web.json_response(self.sittings[request.match_info["number"]])

    async def forget(self, request: web.Request) -> web.Response:
        del self.sittings[request.match_info["number"]]
        return web.json_response({})

    async def notified(self, request: web.Request) -> web.Response:
        self.told.append((await request.json())["exam"])
        return web.Response(status=204)

    def application(self) -> web.Application:
        peers = web.Application()
        peers.add_routes(
            [
                web.get("/quizzes", self.quizzes),
                web.post("/sittings", self.sit),
                web.get("/sittings/{number}", self.sitting),
                web.delete("/sittings/{number}", self.forget),
                web.put("/tell", self.notified),
            ]
        )
        return peers


async def _serve(stack: contextlib.AsyncExitStack, application: web.Application) -> str:
    runner = ListenerRunner(application, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def stack() -> AsyncIterator[contextlib.AsyncExitStack]:
    """Closes in the end what a test has opened."""
    async with contextlib.AsyncExitStack() as opened:
        yield opened


def write(folder: Path, daemon: dict[str, Any], customer: dict[str, Any]) -> None:
    """A configuration with one customer, ``port``."""
    (folder / "customers").mkdir(parents=True, exist_ok=True)
    (folder / "bridge.yaml").write_text(yaml.safe_dump(daemon))
    (folder / "customers" / "port.yaml").write_text(yaml.safe_dump(customer))


def sections(url: str) -> dict[str, Any]:
    """What the customer's file says of the two vendors."""
    return {
        "harbour": {"tokens_sha256": [DIGEST]},
        "clover": {"address": url, "api_key": "anchor"},
        "results": {"score": "{fit}"},
    }


async def test_a_journey(tmp_path: Path, stack: contextlib.AsyncExitStack) -> None:
    """Ordered by one, sat at the other, reported, notified, read and deleted: with vendors of whom
    no line outside of their packages knows.
    """
    peers = Peers()
    peers.url = await _serve(stack, peers.application())
    server = RedisServer(next(iter(binaries().values())))
    stack.callback(server.start().close)
    redis = {"url": server.url, "key_prefix": secrets.token_hex(4), "require_durable": "off"}
    daemon = {
        "public_url": "http://127.0.0.1:1",
        "redis": redis,
        "signing_keys": ["A" * 43],
    }
    write(tmp_path, daemon, sections(peers.url))
    settings = Configuration(BOTH).load(tmp_path, {})
    runtime = await stack.enter_async_context(app.open_runtime(settings, vendors=BOTH))
    deaths: list[str] = []
    await stack.enter_async_context(
        app.run_background_work(runtime, grace_s=0.5, on_death=lambda: deaths.append("died"))
    )
    url = await _serve(stack, app.create_app(runtime))
    session = await stack.enter_async_context(aiohttp.ClientSession())

    async def ask(method: str, path: str, body: object = None) -> Any:
        async with session.request(
            method, f"{url}{path}", json=body, params={"key": KEY}
        ) as response:
            assert response.status == 200, await response.text()
            return await response.json() if response.content_type == "application/json" else None

    order = {"person": "p-1", "mail": "jo@example.org", "exam": "q1", "tell": f"{peers.url}/tell"}
    ordered = await ask("POST", "/harbour/exams", order)
    assert ordered["link"] == f"{peers.url}/sit/s1"
    assert (await ask("POST", "/harbour/exams", order)) == ordered
    exam = f"/harbour/exams/{ordered['exam']}"
    assert await ask("GET", exam) == {"over": False, "grade": None}

    peers.sittings["s1"]["points"] = "well tied"
    tell = peers.sittings["s1"]["tell"]
    assert tell.startswith("http://127.0.0.1:1/clover/callbacks/")
    await ask("POST", tell.removeprefix("http://127.0.0.1:1"))
    await eventually(lambda: peers.told == [ordered["exam"]])
    assert await ask("GET", exam) == {"over": True, "grade": "well tied"}

    (customer,) = runtime.customers()
    await runtime.services.erasure.erase(customer, ordered["exam"])
    assert peers.sittings == {}
    assert deaths == []


async def test_each_vendor_knows_its_customers_only(
    tmp_path: Path, stack: contextlib.AsyncExitStack
) -> None:
    """softgarden's endpoints know no token of a customer with another ATS, and Equalture's webhooks
    no customer with another provider.
    """
    server = RedisServer(next(iter(binaries().values())))
    stack.callback(server.start().close)
    redis = {"url": server.url, "require_durable": "off"}
    daemon = {"public_url": "http://127.0.0.1:1", "redis": redis, "signing_keys": ["A" * 43]}
    write(tmp_path, daemon, sections("http://127.0.0.1:2"))
    settings = Configuration(BOTH).load(tmp_path, {})
    runtime = await stack.enter_async_context(app.open_runtime(settings, vendors=BOTH))
    url = await _serve(stack, app.create_app(runtime))
    session = await stack.enter_async_context(aiohttp.ClientSession())
    headers = {"Authorization": f"Bearer {KEY}"}
    statuses = []
    for method, path in (("GET", "/softgarden/tests"), ("POST", "/equalture/webhooks/port")):
        async with session.request(method, url + path, headers=headers) as response:
            statuses.append(response.status)
    assert statuses == [401, 404]


@pytest.mark.parametrize("more", [{"equalture": {"client_id": "x", "client_secret": "y"}}, None])
def test_exactly_one_of_a_kind(tmp_path: Path, more: dict[str, Any] | None) -> None:
    """A customer's file with two providers, or with none, is refused with both names."""
    daemon = {
        "public_url": "http://127.0.0.1:1",
        "signing_keys": ["A" * 43],
        "equalture": {"base_url": "https://equalture.example.com"},
    }
    customer = sections("http://127.0.0.1:2")
    write(tmp_path, daemon, customer | more if more else {"harbour": customer["harbour"]})
    with pytest.raises(ConfigError, match="exactly one of the keys equalture, clover is needed"):
        Configuration(BOTH).load(tmp_path, {})


def test_the_masked_view_names_the_vendors(tmp_path: Path) -> None:
    """``config show`` has a section for each of the customer's vendors, with secrets masked."""
    daemon = {"public_url": "http://127.0.0.1:1", "signing_keys": ["A" * 43]}
    write(tmp_path, daemon, sections("http://127.0.0.1:2"))
    shown = mask_settings(Configuration(BOTH).load(tmp_path, {}))["customers"]["port"]
    assert shown["clover"]["api_key"] == "***"
    assert shown["harbour"] == {"tokens_sha256": [DIGEST]}
    assert "equalture" not in shown
    assert "softgarden" not in shown
