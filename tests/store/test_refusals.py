"""A Redis that refuses to put something aside, or goes away in between: no other task waits for
that.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from bridge.core.queueing import GiveUpTask
from bridge.errors import StoreUnavailable
from bridge.store import key_names, lua_scripts
from bridge.store.lua_scripts import Command
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import RedisAccess
from tests.plain_client import PlainClient
from tests.redis_servers import RedisServer
from tests.store.conformance import ANONYMISE, NOW, Backend, due, lease, put
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis
NAMES = key_names.KeyNames("bridge", 7)


class Interrupted(RedisAccess):
    """Answers so many calls for leases, and is away for the next one; and lets nothing of one
    invitation be mended.
    """

    left = 1_000

    mends_nothing_of: str | None = None

    async def run(self, command: Command) -> Any:
        if (
            self.mends_nothing_of is not None
            and command[1] == lua_scripts.REQUEUE_LOST_TASK.sha
            and self.mends_nothing_of in command
        ):
            raise StoreUnavailable("refused")
        return await super().run(command)

    async def run_each(self, commands: Sequence[Command]) -> list[Any]:
        if commands and commands[0][1] == lua_scripts.LEASE.sha:
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
    async with AsyncRedis(unix_socket_path=server.socket) as opened:
        yield Interrupted(PlainClient(opened))


@pytest.fixture
def backend(commands: RedisAccess) -> Backend:
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


async def test_garbage_dead_letter_in_a_full_redis(backend: Backend, client: Redis) -> None:
    """The dead letters that make sense are listed though Redis has no room to note the one that
    does not.
    """
    one = await put(backend, due(ANONYMISE))
    (mine,) = await lease(backend)
    assert await backend.tasks.settle(mine, GiveUpTask("refused"), NOW)
    client.zadd(NAMES.dead, {"garbage:notify": 1})
    client.set(NAMES.dead_letter("garbage:notify"), "[]")
    client.config_set("maxmemory", 1)
    assert [letter.invitation_id async for letter in backend.tasks.dead_letters()] == [one.id]


async def test_away_after_the_first_round(backend: Backend, commands: Interrupted) -> None:
    """What was leased before Redis went away is performed, and does not wait for its lease to run
    out.
    """
    made = [await put(backend, due()) for _ in range(6)]
    await put(backend, due(), partition=3)
    commands.left = 1
    found = await lease(backend, count=4, per_lane=4)
    assert {mine.invitation_id for mine in found} & {one.id for one in made}
    commands.left = 0
    with pytest.raises(StoreUnavailable):
        await lease(backend)


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_walk_past_a_refusal(
    backend: Backend, commands: Interrupted, client: Redis, number: int
) -> None:
    """A lost task that a partition does not take back keeps no other one lost, wherever the walk
    comes to it.
    """
    made = [await put(backend, due(), partition=partition) for partition in (3, 7, 9)]
    for key in client.scan_iter("bridge:{p?}:due:*"):
        client.delete(key)
    commands.mends_nothing_of = made[number].id
    found = await Reconciliation(commands, prefix="bridge", clock=backend.clock).run()
    assert sorted(found.requeued) == sorted(
        f"{one.id}:check" for one in made if one is not made[number]
    )
    assert found.incomplete


async def test_walk_remembers_nothing(backend: Backend, commands: RedisAccess) -> None:
    """What a walk keeps in memory does not grow with what is stored: it goes on for hours beside
    everything else.
    """
    for number in range(2_000):
        await commands.run(("SET", NAMES.order(f"{number:040}"), "x"))
    most = 0

    async def look() -> None:
        nonlocal most
        most = max(most, tracemalloc.get_traced_memory()[0])

    reconciliation = Reconciliation(commands, prefix="bridge", clock=backend.clock)
    await reconciliation.run(pause=look)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        await reconciliation.run(pause=look)
    finally:
        tracemalloc.stop()
    assert most - before < 150_000
