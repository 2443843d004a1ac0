"""The Redis store over real servers: each version at hand, and one that hangs, dies and comes
back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from bridge.core.invitation import OrderClaimChange, Transition
from bridge.errors import StoreUnavailable
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess
from bridge.store.redis_client import RedisClient
from bridge.store.redis_inspection import find_durability_risks
from tests.redis_servers import RedisServer
from tests.stalls import net_since
from tests.store.conformance import (
    Backend,
    InvitationPromises,
    QueuePromises,
    due,
    invitation,
    lease,
    put,
)
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis


@pytest.fixture
def backend(real_commands: RedisAccess) -> Backend:
    return redis_backend(real_commands)


@pytest.fixture
def own_server(binary: Path) -> Iterator[RedisServer]:
    """A durable server that the test may hurt."""
    server = RedisServer(binary, durable=True)
    yield server.start()
    server.close()


class TestInvitations(InvitationPromises):
    """Over a real server."""


class TestQueue(QueuePromises):
    """Over a real server."""


async def test_forgotten_scripts(backend: Backend, real_commands: RedisAccess) -> None:
    """A server that forgot its scripts, as after a failover, is taught them again, alone and in
    pipelines.
    """
    await put(backend, due())
    await real_commands.run(("SCRIPT", "FLUSH"))
    await put(backend, due())
    await real_commands.run(("SCRIPT", "FLUSH"))
    assert len(await lease(backend)) == 2


async def test_frozen_server(own_server: RedisServer) -> None:
    """A server that hangs makes every operation fail in less than two seconds, also 200 at once,
    and is used again after.
    """
    async with open_client(own_server.url) as commands:
        backend = redis_backend(commands)
        one = await put(backend, due())
        own_server.freeze()
        operations = (
            lambda: backend.invitations.load(one.id),
            lambda: backend.invitations.commit(Transition(one)),
            lambda: lease(backend),
            lambda: asyncio.gather(*(backend.invitations.load(one.id) for _ in range(200))),
            commands.ping,
        )
        for operation in operations:
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await operation()
            assert net_since(started) < 2
        own_server.thaw()
        assert await backend.invitations.load(one.id) is not None


async def test_dead_server(own_server: RedisServer) -> None:
    """A dead server makes every operation fail in less than two seconds; after its restart nothing
    is missing.
    """
    async with open_client(own_server.url) as commands:
        backend = redis_backend(commands)
        one = await put(backend, due())
        own_server.kill()
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await backend.invitations.load(one.id)
        with pytest.raises(StoreUnavailable):
            await lease(backend)
        assert net_since(started) < 2
        own_server.start()
        assert await backend.invitations.load(one.id) == one
        assert len(await lease(backend)) == 1


async def test_commit_before_the_cut(own_server: RedisServer) -> None:
    """What was committed survives kill -9 of a Redis that appends always."""
    async with open_client(own_server.url) as commands:
        backend = redis_backend(commands)
        stored = await asyncio.gather(
            *(put(backend, due(), partition=number % 16) for number in range(50))
        )
        own_server.kill()
        own_server.start()
        assert len([one async for one in backend.invitations.scan()]) == len(stored)
        assert len(await lease(backend)) == len(stored)


async def test_lost_answer(own_server: RedisServer) -> None:
    """A commit that ran while its answer was lost, and was sent again by the connection, counts as
    ours.
    """
    # Ample time: this is about the second sending, not about the bound.
    async with open_client(own_server.url, deadline_s=10) as commands:
        backend = redis_backend(commands)
        await commands.ping()
        one = invitation()
        own_server.freeze()
        commit = asyncio.create_task(
            backend.invitations.commit(Transition(one, (due(),), OrderClaimChange.CLAIM))
        )
        await asyncio.sleep(
            1.0
        )  # the first answer is given up after 0.7 s; the second is waited for now
        own_server.thaw()
        assert await commit
        stored = await backend.invitations.load(one.id)
        assert stored is not None
        assert stored.version == 1


async def test_durable(own_server: RedisServer, real_commands: RedisAccess) -> None:
    """A durable server is not complained of; one without append-only file is."""
    async with open_client(own_server.url) as commands:
        assert await find_durability_risks(commands) == []
    (complaint,) = await find_durability_risks(real_commands)
    assert "append-only" in complaint


async def test_hardly_durable(binary: Path) -> None:
    """A lazy fsync and an evicting memory policy are both complained of."""
    server = RedisServer(
        binary,
        durable=True,
        settings={"appendfsync": "everysec", "maxmemory-policy": "allkeys-lru"},
    )
    try:
        server.start()
        async with open_client(server.url) as commands:
            lazy, evicting = await find_durability_risks(commands)
    finally:
        server.close()
    assert "everysec" in lazy
    assert "allkeys-lru" in evicting


async def test_uncheckable(own_server: RedisServer) -> None:
    """A server that does not permit CONFIG is complained of as one that could not be checked."""
    async with open_client(own_server.url) as commands:
        await commands.run(("ACL", "SETUSER", "default", "-config"))
        (complaint,) = await find_durability_risks(commands)
    assert "could not be checked" in complaint


async def test_refusal(own_server: RedisServer) -> None:
    """A server that is up but refuses to write (here: out of memory) is unavailable too, and the
    reason is told.
    """
    async with open_client(own_server.url) as commands:
        backend = redis_backend(commands)
        await commands.run(("CONFIG", "SET", "maxmemory", "1"))
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await put(backend, due())


class ForgetfulClient:
    """A client that loses a cancellation, as ``asyncio.wait_for`` may before Python 3.12."""

    async def ping(self) -> None:
        """Return once the call was cancelled."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_a_cancellation_is_not_lost() -> None:
    """A task that is cancelled while it waits for Redis ends, whatever the client makes of it."""
    access = RedisAccess(cast(RedisClient, ForgetfulClient()))
    ended = []

    async def call_for_ever() -> None:
        while True:
            await access.ping()
            ended.append("the answer of a cancelled call")

    task = asyncio.create_task(call_for_ever())
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait([task])
    assert task.cancelled()
    assert ended == []
