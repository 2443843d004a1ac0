"""A Redis that refuses to put something aside, or goes away in between: no other task waits for that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bridge.errors import StoreUnavailable
from bridge.store import keys, scripts
from bridge.store.commands import Commands
from bridge.store.connection import open_client
from bridge.store.scripts import Command
from tests.redis_servers import RedisServer
from tests.store.conformance import ANONYMISE, Backend, due, lease, put
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis
NAMES = keys.Keys("bridge", 7)


class Interrupted(Commands):
    """Answers so many calls for leases, and is away for the next one."""

    left = 1_000

    async def run_each(self, commands: Sequence[Command]) -> list[Any]:
        if commands and commands[0][1] == scripts.LEASE.sha:
            self.left -= 1
            if self.left < 0:
                raise StoreUnavailable("away")
        return await super().run_each(commands)


@pytest.fixture
def server(binary: Path) -> Iterator[RedisServer]:
    own = RedisServer(binary)
    yield own.start()
    own.close()


@pytest.fixture
def client(server: RedisServer) -> Iterator[Redis]:
    with server.client() as client:
        yield client


@pytest.fixture
async def commands(server: RedisServer) -> AsyncIterator[Interrupted]:
    async with open_client(server.url) as opened:
        yield Interrupted(opened._client)


@pytest.fixture
def backend(commands: Commands) -> Backend:
    return redis_backend(commands, "bridge")


async def test_garbage_lane_in_a_full_redis(backend: Backend, client: Redis) -> None:
    """A lane that cannot be put aside, since Redis is full, keeps no deletion from making room."""
    one = await put(backend, due(ANONYMISE))
    client.zadd(NAMES.lanes, {b"\xff/check": 1})
    client.config_set("maxmemory", 1)
    assert [mine.invitation_id for mine in await lease(backend)] == [one.id]
    client.config_set("maxmemory", 0)
    assert await lease(backend) == ()
    assert client.zscore(NAMES.lanes, b"\xff/check") is None
    assert client.hlen(NAMES.quarantine) == 1


async def test_away_after_the_first_round(backend: Backend, commands: Interrupted) -> None:
    """What was leased before Redis went away is performed, and does not wait for its lease to run out."""
    made = [await put(backend, due()) for _ in range(6)]
    await put(backend, due(), partition=3)
    commands.left = 1
    found = await lease(backend, count=4, per_lane=4)
    assert {mine.invitation_id for mine in found} & {one.id for one in made}
    commands.left = 0
    with pytest.raises(StoreUnavailable):
        await lease(backend)
