"""The daemon as a real process, with a Redis of its own and both vendors in the test's loop.

Every test ends with these: neither vendor saw a rule broken, and no process of the test's is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import aiohttp
import pytest
import yaml

from bridge.sandbox import EqualtureSandbox, SoftgardenClient, SoftgardenSandbox
from tests.redis_servers import RedisServer, binaries, free_port

T = TypeVar("T")

KEY = "A" * 43
TOKENS = {"acme": "bearer-of-acme-0001", "globex": "bearer-of-globex-0002"}
SECRETS = {name: f"client-secret-of-{name}" for name in TOKENS}
GRACE_S = 29.0


async def eventually(check: Callable[[], T | Awaitable[T]], within_s: float = 60.0) -> T:
    """What *check* gives, as soon as it is true; fails after *within_s* seconds."""
    deadline = time.monotonic() + within_s
    while True:
        found = check()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within_s} s"
        await asyncio.sleep(0.02)


def running(pid: int) -> bool:
    """Whether this process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@dataclass(slots=True)
class Daemon:
    """One ``python -m bridge serve``; its log goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str
    admin_url: str
    folder: Path

    def entries(self, event: str | None = None) -> list[dict[str, Any]]:
        """The log's lines, of this event or all."""
        lines = [
            line
            for line in self.log.read_text().splitlines()
            if line.startswith("{") and line.endswith("}")
        ]
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if event in (None, entry.get("event"))]

    def children(self) -> list[int]:
        """Process ids of the workers that it started last, by number."""
        started = {
            entry["number"]: entry["pid"] for entry in self.entries("worker_process.started")
        }
        return [pid for _, pid in sorted(started.items()) if running(pid)]

    async def get(self, path: str, base: str | None = None) -> tuple[int, str]:
        """Status and text of a GET over a fresh connection; (0, why) without an answer."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), timeout=timeout
        ) as session:
            try:
                async with session.get((base or self.url) + path) as response:
                    return response.status, await response.text()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                return 0, repr(error)

    async def ready(self, within_s: float = 60.0) -> None:
        """Return once it takes work."""

        async def asked() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return (await self.get("/readyz"))[0] == 200

        await eventually(asked, within_s)

    def terminate(self) -> None:
        """Tell it to end."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, within_s: float = GRACE_S) -> int:
        """The exit code, once there is one."""
        await eventually(lambda: self.process.poll() is not None, within_s)
        return self.process.returncode

    def kill(self) -> None:
        """End it and every worker of its at once."""
        for pid in [self.process.pid, *self.children()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


Launch = Callable[..., Daemon]
"""Starts a daemon with these arguments; *errors*: the descriptor that it logs to, if not its file.
"""


@dataclass(slots=True)
class Place:
    """Where daemons are started: one configuration, which a test may change before."""

    folder: Path
    document: dict[str, Any]
    customers: dict[str, dict[str, Any]]

    def write(self, name: str) -> Path:
        """A configuration folder of its own for one daemon."""
        folder = self.folder / name
        (folder / "customers").mkdir(parents=True)
        (folder / "bridge.yaml").write_text(yaml.safe_dump(self.document))
        for key, customer in self.customers.items():
            (folder / "customers" / f"{key}.yaml").write_text(yaml.safe_dump(customer))
        return folder


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A durable Redis for one test, which may do bad things to it."""
    server = RedisServer(next(iter(binaries().values())), durable=True)
    yield server.start()
    server.close()


@pytest.fixture
async def equalture() -> AsyncIterator[EqualtureSandbox]:
    async with EqualtureSandbox() as sandbox:
        for name in TOKENS:
            sandbox.add_account(name, SECRETS[name], [("job-1", "Assessment - Engineer")])
        yield sandbox
        assert sandbox.violations == []


@pytest.fixture
async def softgarden() -> AsyncIterator[SoftgardenSandbox]:
    async with SoftgardenSandbox() as sandbox:
        for number, name in enumerate(TOKENS, start=1):
            sandbox.add_customer(name, f"{number}0")
        yield sandbox
        assert sandbox.violations == []


@pytest.fixture
def place(tmp_path: Path, redis: RedisServer, equalture: EqualtureSandbox) -> Place:
    """Two customers, quick time-outs."""
    document = {
        "public_url": "http://127.0.0.1:1",
        "redis": {"url": redis.url, "require_durable": "warn"},
        "signing_keys": [KEY],
        "equalture": {"base_url": equalture.base_url, "timeout": "5s"},
        "softgarden": {"callback_hosts": ["127.0.0.1"], "allow_insecure": True, "timeout": "5s"},
    }
    customers = {
        name: {
            "softgarden": {
                "tokens_sha256": [hashlib.sha256(TOKENS[name].encode()).hexdigest()],
                "client_id": f"{number}0",
            },
            "equalture": {"client_id": name, "client_secret": SECRETS[name]},
            "tests": {
                "items": [{"id": "engineer", "job_id": "job-1", "name": "Engineer", "duration": 30}]
            },
        }
        for number, name in enumerate(TOKENS, start=1)
    }
    return Place(tmp_path, document, customers)


@pytest.fixture
def launch(place: Place) -> Iterator[Launch]:
    """Start daemons; whatever is left of them is killed with the test."""
    launched: list[Daemon] = []

    def start(
        *arguments: str,
        public_url: str | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        errors: int = subprocess.STDOUT,
    ) -> Daemon:
        port, admin_port = free_port(), free_port()
        place.document["listen"] = f"127.0.0.1:{port}"
        place.document["admin_listen"] = f"127.0.0.1:{admin_port}"
        place.document["public_url"] = public_url or f"http://127.0.0.1:{port}"
        folder = place.write(f"config-{len(launched)}")
        log = place.folder / f"log-{len(launched)}.txt"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "serve", "--config", str(folder), *arguments],
                stdout=out,
                stderr=errors,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        daemon = Daemon(
            process, log, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}", folder
        )
        launched.append(daemon)
        return daemon

    yield start
    pids = [pid for daemon in launched for pid in daemon.children()]
    for daemon in launched:
        daemon.kill()
    assert [pid for pid in pids if running(pid)] == []


def acme(softgarden: SoftgardenSandbox, daemon: Daemon, customer: str = "acme") -> SoftgardenClient:
    """softgarden on behalf of a customer, at this daemon."""
    return softgarden.connect(daemon.url, TOKENS[customer], customer=customer)
