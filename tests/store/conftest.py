"""Redis in its shapes, as the store's tests need it."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from redis import Redis as PlainRedis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from bridge.store.connect import open_client
from bridge.store.invitation_store import RedisInvitations
from bridge.store.key_names import KeyNames
from bridge.store.redis_access import RedisAccess
from bridge.store.task_queue import RedisTasks
from tests.plain_client import PlainClient
from tests.redis_servers import PATIENCE_S, RedisServer, binaries, free_port
from tests.store.conformance import RETENTION, Backend, Clock


def redis_backend(commands: RedisAccess, prefix: str | None = None) -> Backend:
    """Store and queue over these commands, by default under a prefix of their own."""
    prefix = prefix or f"test-{secrets.token_hex(4)}"
    clock = Clock()

    async def life(name: str) -> timedelta | None:
        key = f"{prefix}:{{p{name[3]}}}:{'dead' if ':' in name else 'iv'}:{name}"
        left = await commands.run(("PTTL", key))
        # real time goes on a little between the write and this question
        return (
            None
            if left == -1
            else timedelta(minutes=1) * round(timedelta(milliseconds=left) / timedelta(minutes=1))
        )

    return Backend(
        RedisInvitations(
            commands,
            prefix=prefix,
            retention=RETENTION,
            clock=clock,
        ),
        RedisTasks(commands, prefix=prefix, retention=RETENTION),
        clock,
        life,
        prefix,
    )


@pytest.fixture
def fake_server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def fake_client(fake_server: FakeServer) -> AsyncIterator[FakeAsyncRedis]:
    async with FakeAsyncRedis(server=fake_server) as client:
        yield client


@pytest.fixture
def fake_commands(fake_client: FakeAsyncRedis) -> RedisAccess:
    return RedisAccess(PlainClient(fake_client))


class SilentNode(FakeAsyncRedis):
    """Does not say which keys it has."""

    async def scan(self, *_: object, **__: object) -> Any:
        raise ConnectionError("gone")


class TwoNodes(PlainClient):
    """A cluster of which one node does not say which keys it has."""

    async def primaries(self) -> list[Redis]:
        """Both."""
        return [SilentNode(), *await super().primaries()]


@pytest.fixture
def half_silent(fake_client: FakeAsyncRedis) -> RedisAccess:
    return RedisAccess(TwoNodes(fake_client))


@pytest.fixture(scope="session", params=sorted(binaries()))
def real_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """One server for all tests; each has its own prefix."""
    server = RedisServer(binaries()[request.param])
    yield server.start()
    server.close()


@pytest.fixture
async def real_commands(real_server: RedisServer) -> AsyncIterator[RedisAccess]:
    async with open_client(real_server.url, deadline_s=PATIENCE_S) as commands:
        yield commands


@pytest.fixture
async def real_client(real_server: RedisServer) -> AsyncIterator[Redis]:
    """For tests that put something between it and the commands."""
    async with Redis(unix_socket_path=real_server.socket) as client:
        yield client


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """A Redis Cluster of one node, which is as strict about slots as a large one."""
    port = free_port()
    settings = {"cluster-enabled": "yes", "port": str(port)}
    server = RedisServer(next(iter(binaries().values())), settings=settings).start()
    with PlainRedis(unix_socket_path=server.socket) as client:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
            time.sleep(0.05)
    yield f"redis+cluster://127.0.0.1:{port}"
    server.close()


@pytest.fixture
def binary() -> Path:
    """The server for tests that do bad things to one of their own."""
    return next(iter(binaries().values()))


@pytest.fixture
def prefix(backend: Backend) -> str:
    """Of the keys of the test's backend."""
    return backend.prefix


@pytest.fixture
def names(prefix: str) -> KeyNames:
    """The keys of the partition of most invitations of the tests."""
    return KeyNames(prefix, 7)
