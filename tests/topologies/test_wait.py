"""What ``redis.wait`` promises: nothing is done before others have it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from bridge.core.invitation import Transition
from bridge.errors import StoreUnavailable
from bridge.store.connect import open_client
from bridge.store.redis_access import ChangeUnconfirmed, RedisAccess, ReplicaWait
from bridge.store.redis_inspection import find_durability_risks
from tests.flows.conftest import eventually
from tests.plain_client import PlainClient
from tests.redis_servers import PATIENCE_S, Cluster, Guarded, RedisServer, binaries, running
from tests.stalls import net_since
from tests.store.conformance import Backend, InvitationPromises, due, invitation, put
from tests.store.conftest import redis_backend

WAIT = ReplicaWait(replicas=1, timeout_s=1.0)


@pytest.fixture(params=["sentinel", "cluster"])
def shape(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def commands(url: str) -> AsyncIterator[RedisAccess]:
    async with open_client(url, wait=WAIT, deadline_s=PATIENCE_S) as commands:
        yield commands


@pytest.fixture
def backend(commands: RedisAccess) -> Backend:
    return redis_backend(commands)


@pytest.fixture
def replica(request: pytest.FixtureRequest, shape: str) -> Iterator[RedisServer]:
    """The replica of partition 7; thawed in the end, if it was frozen."""
    if shape == "sentinel":
        guarded: Guarded = request.getfixturevalue("guarded")
        replica = guarded.replica
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        replica = cluster.replicas[cluster.primaries.index(cluster.owner_of("{p7}"))]
    yield replica
    replica.thaw()


@pytest.mark.redis
class TestInvitations(InvitationPromises):
    """Where each commit waits for a replica."""


@pytest.mark.redis
async def test_no_confirmation(
    backend: Backend, commands: RedisAccess, replica: RedisServer
) -> None:
    """What no replica has is not done, also for whoever asks again or reads it, until one has it;
    then no mark is left.
    """
    one = await put(backend)
    replica.freeze()
    started = time.monotonic()
    with pytest.raises(ChangeUnconfirmed, match="0 of 1"):
        await backend.invitations.commit(Transition(one, (due(),)))
    assert net_since(started) < 4
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await backend.invitations.load(one.id)
        with pytest.raises(StoreUnavailable):
            await backend.invitations.find_order(7, one.order_key)
    assert len([key async for key in commands.scan(f"*:doubt:{one.id}")]) == 1
    replica.thaw()
    stored = None

    async def confirmed() -> bool:
        nonlocal stored
        try:
            stored = await backend.invitations.load(one.id)
        except StoreUnavailable:
            return False
        return True

    await eventually(confirmed, within_s=15)
    assert stored == replace(one, version=2)
    assert await backend.invitations.find_order(7, one.order_key) == stored
    assert [key async for key in commands.scan(f"*:doubt:{one.id}")] == []


@pytest.mark.redis
async def test_resent_commit_is_confirmed_too(url: str, replica: RedisServer) -> None:
    """A commit that was made already is not taken for confirmed when it is sent again over another
    connection.
    """
    one = invitation()
    async with open_client(url) as commands:
        backend = redis_backend(commands, "again")
        assert await backend.invitations.commit(Transition(one, commit_id="same"))
    replica.freeze()
    async with open_client(url, wait=WAIT) as commands:
        backend = redis_backend(commands, "again")
        with pytest.raises(ChangeUnconfirmed):
            await backend.invitations.commit(Transition(one, commit_id="same"))


@pytest.mark.redis
async def test_more_than_there_are(url: str) -> None:
    """Waiting for more replicas than there are means that nothing is ever done."""
    async with open_client(url, wait=replace(WAIT, replicas=2)) as commands:
        with pytest.raises(ChangeUnconfirmed, match="1 of 2"):
            await put(redis_backend(commands))


@pytest.mark.redis
async def test_disk_without_waitaof(binary: Path) -> None:
    """A Redis that cannot confirm what is on its disk is complained of at the start; replicas are
    waited for all the same.
    """
    hidden = {"rename-command": "WAITAOF NO-SUCH-THING"} if knows_waitaof(binary) else {}
    with running(RedisServer(binary, durable=True, settings=hidden)) as server:
        async with open_client(
            server.url, wait=replace(WAIT, replicas=0, local_fsync=True)
        ) as commands:
            (complaint,) = await find_durability_risks(commands)
            await asyncio.gather(*(put(redis_backend(commands)) for _ in range(5)))
        async with open_client(server.url, wait=replace(WAIT, local_fsync=True)) as commands:
            with pytest.raises(ChangeUnconfirmed, match="0 of 1"):
                await put(redis_backend(commands))
    assert "no WAITAOF" in complaint


@pytest.mark.redis
async def test_disk_with_waitaof() -> None:
    """A server that can confirm what is on its disk is asked to, and there is nothing to complain
    of.
    """
    able = [binary for binary in binaries().values() if knows_waitaof(binary)]
    for binary in able:
        with running(RedisServer(binary, durable=True)) as server:
            async with open_client(
                server.url, wait=ReplicaWait(0, 0.5, local_fsync=True)
            ) as commands:
                assert await find_durability_risks(commands) == []
                await put(redis_backend(commands))
            with server.client() as client:
                assert client.info("commandstats")["cmdstat_waitaof"]["calls"] > 0


def knows_waitaof(binary: Path) -> bool:
    """Is this a server with WAITAOF? It came with 7.2."""
    with running(RedisServer(binary)) as server, server.client() as client:
        return "waitaof" in client.execute_command("COMMAND")


class Scripted(FakeAsyncRedis):
    """A Redis that answers WAITAOF as it is told to."""

    answers: Sequence[Any] = ()

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        """Everything is sent to a fake, but for WAITAOF."""
        real, said = super().pipeline(transaction, shard_hint), []
        send, execute = real.execute_command, real.execute

        def take(*command: Any) -> Any:
            said.append(command[0])
            return real if command[0] == "WAITAOF" else send(*command)

        async def answer(raise_on_error: bool = True) -> list[Any]:
            got = iter(await execute(raise_on_error=raise_on_error))
            return [self.answers if name == "WAITAOF" else next(got) for name in said]

        real.execute_command, real.execute = take, answer
        return real


@pytest.mark.parametrize(
    ("answers", "complaint"), [([1, 1], None), ([0, 1], "disk"), ([1, 0], "0 of 1")]
)
async def test_disk(answers: list[int], complaint: str | None) -> None:
    """With local_fsync a change is done once it is on the disk and as many replicas have it;
    neither is enough alone.
    """
    async with Scripted() as client:
        client.answers = answers
        backend = redis_backend(
            RedisAccess(PlainClient(client), wait=ReplicaWait(1, 0.5, local_fsync=True))
        )
        if complaint is None:
            await put(backend)
            return
        with pytest.raises(ChangeUnconfirmed, match=complaint):
            await put(backend)
