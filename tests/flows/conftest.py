"""The whole bridge between both fakes, over real sockets and a real Redis, with one clock for all
of them.

Every flow ends with these: neither vendor saw a rule broken, nobody's name, e-mail or secret stands
in a log line, and no handler or worker crashed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
import structlog
import yaml
from aiohttp import web
from redis import Redis

from bridge import app, logs
from bridge.core.invitation import Invitation
from bridge.core.queueing import DeadLetter
from bridge.report.renderer import ReportRenderer
from bridge.sandbox import (
    BridgeReply,
    EqualtureSandbox,
    LedgerEntry,
    SandboxClock,
    SoftgardenClient,
    SoftgardenSandbox,
)
from bridge.settings.daemon import DaemonSettings
from bridge.store.redis_access import RedisAccess
from bridge.store.stored_texts import read_stored_texts
from bridge.tracing import NO_TRACER, Tracer
from bridge.web.listener import ListenerRunner
from tests.redis_servers import RedisServer, binaries, free_port

T = TypeVar("T")

KEY = "A" * 43
CALLBACK_TOKEN = "callback-token-of-initech"
TOKENS = {
    "acme": "bearer-of-acme-0001",
    "globex": "bearer-of-globex-0002",
    "initech": "bearer-of-initech-0003",
}
SECRETS = {name: f"client-secret-of-{name}" for name in TOKENS}
JOBS = {
    "acme": [("job-1", "Assessment - Engineer"), ("job-2", "Assessment - Müller & Söhne")],
    "globex": [("job-3", "Assessment - Sales")],
    "initech": [("job-4", "Assessment - Support")],
}
PRIVATE = ("Muster", "ada.muster", CALLBACK_TOKEN, *TOKENS.values(), *SECRETS.values())
CRASHES = ("request.crashed", "task.failed", "worker.task_crashed", "worker.died")


async def eventually(check: Callable[[], T | Awaitable[T]], within_s: float = 30.0) -> T:
    """What *check* gives, as soon as it is true; fails after *within_s* seconds."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        found = check()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, f"not within {within_s} s"
        await asyncio.sleep(0.01)


@dataclass(slots=True)
class Bridge:
    """One running bridge, what it stands between, and clients that speak to it."""

    runtime: app.Runtime
    url: str
    admin_url: str
    clock: SandboxClock
    equalture: EqualtureSandbox
    softgarden: SoftgardenSandbox
    session: aiohttp.ClientSession
    deaths: list[str]
    stack: contextlib.AsyncExitStack

    @property
    def acme(self) -> SoftgardenClient:
        """softgarden on behalf of the customer with every default."""
        return self.softgarden.clients["acme"]

    @property
    def globex(self) -> SoftgardenClient:
        """softgarden for a customer with landing pages, who gets the same invitation again after
        completion.
        """
        return self.softgarden.clients["globex"]

    @property
    def initech(self) -> SoftgardenClient:
        """softgarden for a customer whose callbacks need a token."""
        return self.softgarden.clients["initech"]

    async def close(self) -> None:
        """End it in good order; also fine the second time."""
        await self.stack.aclose()

    async def ask(self, method: str, path: str, **kwargs: Any) -> BridgeReply:
        """A call to the public listener (or to any absolute URL); redirects are not followed."""
        url = path if path.startswith("http") else self.url + path
        async with self.session.request(method, url, allow_redirects=False, **kwargs) as response:
            body = await response.read()
            text = body.decode("utf-8", "replace")
            parsed = json.loads(body) if response.content_type.endswith("json") else None
            return BridgeReply(response.status, parsed, text, response.headers.copy(), 0.0)

    async def advance(self, by: timedelta) -> None:
        """Let time pass for everybody, and have the worker look; not in mid-task, for that would
        end its lease.
        """
        await self.idle()
        self.clock.advance(by)
        self.wake()

    def wake(self) -> None:
        """Have the worker look at the queue at once, instead of within half a second."""
        self.runtime.worker.wake()

    def created(self, number: int = -1) -> str:
        """The reference id of an application that Equalture made, by default the newest one."""
        return list(self.equalture.applications)[number]

    def callback_of(self, reference_id: str) -> str:
        """The URL at which Equalture reports that application."""
        return self.equalture.applications[reference_id].callback_url

    def notified(self, invitation_id: str | None = None) -> list[LedgerEntry]:
        """The notifications that softgarden accepted."""
        match = {} if invitation_id is None else {"invitation_id": invitation_id}
        return self.softgarden.calls("notify", status=204, **match)

    async def record(self, invitation_id: str) -> Invitation:
        """The bridge's own record."""
        found = await self.runtime.invitations.load(invitation_id)
        assert found is not None
        return found

    async def next_due(self) -> timedelta | None:
        """How long until the earliest queued task is due; None: nothing is queued."""
        due = await self.runtime.queue.next_due()
        return None if due is None else due - self.clock()

    async def idle(self) -> None:
        """Return once nothing is due and nothing is being worked on."""

        looks = 0

        async def quiet() -> bool:
            nonlocal looks
            due = await self.next_due()
            at_rest = (due is None or due > timedelta(0)) and not self.runtime.worker.at_work
            looks = looks + 1 if at_rest else 0
            # Twice, since what has just been leased in Redis may not have arrived here yet.
            return looks == 2

        self.wake()
        await eventually(quiet)

    async def dead_letters(self) -> list[DeadLetter]:
        """Every dead letter."""
        return [letter async for letter in self.runtime.queue.dead_letters()]

    async def result(self, client: SoftgardenClient, invitation_id: str, status: str) -> Any:
        """The answer to softgarden's question, once it has this status."""

        async def asked() -> Any:
            reply = await client.read_results(invitation_id)
            return reply.json if reply.status == 200 and reply.json["status"] == status else None

        return await eventually(asked)

    async def stored(self) -> str:
        """Everything in Redis, keys and values."""
        return await everything(self.runtime.commands)


async def everything(commands: RedisAccess) -> str:
    """Every key and value in Redis as one text."""
    return "\n".join([text async for text in read_stored_texts(commands)])


@dataclass(slots=True)
class Config:
    """The bridge's configuration folder; a test may change both documents before it launches a
    bridge.
    """

    folder: Path
    daemon: dict[str, Any]
    customers: dict[str, dict[str, Any]]

    def load(self) -> DaemonSettings:
        """Write the files and read them as the daemon does."""
        (self.folder / "customers").mkdir(parents=True, exist_ok=True)
        (self.folder / "bridge.yaml").write_text(yaml.safe_dump(self.daemon), encoding="utf-8")
        for name, document in self.customers.items():
            (self.folder / "customers" / f"{name}.yaml").write_text(
                yaml.safe_dump(document), encoding="utf-8"
            )
        return app.CONFIGURATION.load(self.folder, {})


Launch = Callable[..., Awaitable[Bridge]]
"""Opens a bridge on the ``config``; *commands*: in place of a real Redis; *port*: if not the public
URL's; *tracer*: who gets its spans; *renderer*: who makes its PDFs.
"""


@dataclass(slots=True)
class Journal:
    """What was logged."""

    stream: io.StringIO = field(default_factory=io.StringIO)

    def text(self) -> str:
        """Every line so far."""
        return self.stream.getvalue()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of this event."""
        lines = [json.loads(line) for line in self.text().splitlines()]
        return [line for line in lines if line.get("event") == name]


@pytest.fixture(autouse=True)
def journal() -> Iterator[Journal]:
    """The log as the daemon writes it, at its most talkative; in the end nothing private and no
    crash may be in it.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    asyncio_level, server = logging.getLogger("asyncio").level, logging.getLogger("aiohttp.server")
    filters = list(server.filters)
    journal = Journal()
    logs.configure_logging("debug", "json", journal.stream)
    yield journal
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(asyncio_level)
    server.filters[:] = filters
    structlog.reset_defaults()
    text = journal.text()
    assert [word for word in PRIVATE if word in text] == []
    assert [crash for crash in CRASHES if crash in text] == []


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for all flows; each has its own prefix."""
    server = RedisServer(next(iter(binaries().values())))
    yield server.start()
    server.close()


@pytest.fixture
def clock() -> SandboxClock:
    """One clock for the bridge and both vendors; it runs, and tests push it forward."""
    return SandboxClock()


@pytest.fixture
async def equalture(clock: SandboxClock) -> AsyncIterator[EqualtureSandbox]:
    """Equalture, with an account for each customer."""
    async with EqualtureSandbox(clock=clock) as sandbox:
        for name, jobs in JOBS.items():
            sandbox.add_account(name, SECRETS[name], jobs)
        sandbox.accounts["initech"].callback_headers = {"Authorization": f"Bearer {CALLBACK_TOKEN}"}
        yield sandbox
        assert sandbox.violations == []


@pytest.fixture
async def softgarden(clock: SandboxClock) -> AsyncIterator[SoftgardenSandbox]:
    """softgarden, with a public OAuth client for each customer."""
    async with SoftgardenSandbox(clock=clock) as sandbox:
        for number, name in enumerate(TOKENS, start=1):
            sandbox.add_customer(name, f"{number}0")
        yield sandbox
        assert sandbox.violations == []


@pytest.fixture
def config(tmp_path: Path, equalture: EqualtureSandbox, redis_server: RedisServer) -> Config:
    """Three customers with all defaults but those that tell them apart, quick time-outs, and a
    Redis with nothing in it.
    """
    with Redis(unix_socket_path=redis_server.socket) as client:
        client.flushall()
    daemon = {
        "public_url": f"http://127.0.0.1:{free_port()}",
        "redis": {
            "url": redis_server.url,
            "key_prefix": f"flow-{secrets.token_hex(6)}",
            "require_durable": "off",
        },
        "signing_keys": [KEY],
        "equalture": {"base_url": equalture.base_url, "timeout": "3s"},
        "softgarden": {"callback_hosts": ["127.0.0.1"], "allow_insecure": True, "timeout": "3s"},
    }
    customers: dict[str, dict[str, Any]] = {
        name: {
            "softgarden": {
                "tokens_sha256": [hashlib.sha256(TOKENS[name].encode()).hexdigest()],
                "client_id": f"{number}0",
            },
            "equalture": {"client_id": name, "client_secret": SECRETS[name]},
        }
        for number, name in enumerate(TOKENS, start=1)
    }
    item = {"id": "engineer", "job_id": "job-1", "name": "Engineer assessment", "duration": 30}
    customers["acme"]["tests"] = {"items": [item]}
    customers["globex"] |= {"test_url": "landing", "results": {"after_completed": "same"}}
    customers["initech"]["equalture"]["callback_token"] = CALLBACK_TOKEN
    return Config(tmp_path / "config", daemon, customers)


@pytest.fixture
async def launch(
    config: Config, clock: SandboxClock, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> AsyncIterator[Launch]:
    """Start a bridge, or one more after the first was closed; all are ended with the test, and none
    may have died.
    """
    launched: list[Bridge] = []

    def now() -> datetime:
        at = clock()
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    async def start(
        commands: RedisAccess | None = None,
        port: int | None = None,
        tracer: Tracer = NO_TRACER,
        renderer: ReportRenderer | None = None,
    ) -> Bridge:
        settings = config.load()
        async with contextlib.AsyncExitStack() as stack:
            runtime = await stack.enter_async_context(
                app.open_runtime(
                    settings,
                    clock=now,
                    monotonic=lambda: clock().timestamp(),  # it is never set back
                    random_fraction=lambda: 0.5,
                    commands=commands,
                    tracer=tracer,
                )
            )
            deaths: list[str] = []
            work = app.run_background_work(
                runtime, grace_s=0.5, on_death=lambda: deaths.append("the worker died")
            )
            await stack.enter_async_context(work)
            public_port = int(settings.public_url.rpartition(":")[2])
            url = await _serve(
                stack, app.create_app(runtime, renderer), public_port if port is None else port
            )
            admin_url = await _serve(stack, app.create_admin_app(runtime), 0)
            session = await stack.enter_async_context(
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=15), cookie_jar=aiohttp.DummyCookieJar()
                )
            )
            for name, token in TOKENS.items():
                softgarden.connect(url, token, customer=name)
            bridge = Bridge(
                runtime,
                url,
                admin_url,
                clock,
                equalture,
                softgarden,
                session,
                deaths,
                stack.pop_all(),
            )
        launched.append(bridge)
        return bridge

    yield start
    for bridge in launched:
        await bridge.close()
    assert [bridge.deaths for bridge in launched if bridge.deaths] == []


async def _serve(stack: contextlib.AsyncExitStack, application: web.Application, port: int) -> str:
    runner = ListenerRunner(application, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def bridge(launch: Launch) -> Bridge:
    """A running bridge on a real Redis, with the usual configuration."""
    return await launch()
