"""Many callers share one connection: each gets its own answer, and none waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis.asyncio import BlockingConnectionPool, Redis, UnixDomainSocketConnection
from redis.exceptions import AuthenticationError, BusyLoadingError, ConnectionError, TimeoutError

from bridge.errors import StoreUnavailable
from bridge.store.multiplexed_client import MultiplexedClient
from bridge.store.multiplexed_connection import MOST_UNSENT_BYTES, TooManyWaiting
from bridge.store.redis_access import ChangeUnconfirmed, RedisAccess, ReplicaWait
from bridge.store.sentinel_client import find_demotion
from tests.flows.conftest import eventually
from tests.store.scripted_redis import OK, ScriptedRedis, bulk, echo, scripted_redis

PATIENT: dict[str, Any] = {"silence_s": 60, "deadline_s": 60}
HASTY: dict[str, Any] = {"silence_s": 0.1, "deadline_s": 60}
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ScriptedRedis]:
    async with scripted_redis(tmp_path) as server:
        yield server


@contextlib.asynccontextmanager
async def connected(server: ScriptedRedis, **more: Any) -> AsyncIterator[MultiplexedClient]:
    """A client of this server."""
    pool = BlockingConnectionPool(
        connection_class=UnixDomainSocketConnection, path=str(server.path), protocol=2
    )
    async with contextlib.aclosing(
        MultiplexedClient(Redis.from_pool(pool), **{**PATIENT, **more})
    ) as client:
        yield client


@pytest.fixture
async def client(server: ScriptedRedis) -> AsyncIterator[MultiplexedClient]:
    async with connected(server) as client:
        yield client


async def ask(client: MultiplexedClient, *names: str) -> list[bytes]:
    """The server's echo of each name, all asked at once."""
    answers = await asyncio.gather(*(client.send([("ECHO", name)]) for name in names))
    return [answer for (answer,) in answers]


async def test_one_write_for_all(client: MultiplexedClient, server: ScriptedRedis) -> None:
    """What is sent in one moment goes over one connection, in one piece, and is answered in
    order.
    """
    names = [str(number) for number in range(200)]
    assert await ask(client, *names) == [name.encode() for name in names]
    assert server.connected == 1
    assert server.rounds == [200]


@pytest.mark.parametrize("cut", range(1, 30))
async def test_answers_in_pieces(
    client: MultiplexedClient, server: ScriptedRedis, cut: int
) -> None:
    """However an answer is cut by the network, it is the same."""
    server.cut = cut

    def answer(command: list[Any]) -> bytes:
        return b"*3\r\n:7\r\n-ERR x\r\n" + echo(command) if command[0] == b"LIST" else echo(command)

    server.answer = answer
    listed, said = await asyncio.gather(
        client.send([("LIST", "a\r\nb"), ("ECHO", "")]), client.send([("ECHO", "c")])
    )
    assert [listed[0][0], listed[0][2], listed[1], *said] == [7, b"a\r\nb", b"", b"c"]


async def test_cancelled_caller(client: MultiplexedClient, server: ScriptedRedis) -> None:
    """A caller that goes away leaves its answer to nobody; those behind it get their own."""
    await ask(client, "open")
    server.reads.clear()
    await ask(client, "first")
    gone = asyncio.create_task(client.send([("ECHO", "gone"), ("ECHO", "too")]))
    stays = asyncio.create_task(client.send([("ECHO", "stays")]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    assert gone.cancelled()
    server.reads.set()
    assert await stays == [b"stays"]
    assert server.connected == 1


async def test_cancelled_while_it_connects(
    client: MultiplexedClient, server: ScriptedRedis
) -> None:
    """A caller that goes away while the connection is opened keeps nobody else from it."""
    gone = asyncio.create_task(client.send([("ECHO", "gone")]))
    stays = asyncio.create_task(client.send([("ECHO", "stays")]))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [b"stays"]
    assert gone.cancelled()
    assert server.connected == 1


async def test_silent_server(server: ScriptedRedis) -> None:
    """A server that is silent is asked once more over a new connection; then all who wait learn
    that there is no answer.
    """
    silent = False

    def answer(command: list[Any]) -> bytes | None:
        nonlocal silent
        silent = silent or command[-1] == b"hard"
        return None if silent else echo(command)

    server.answer = answer
    async with connected(server, **HASTY) as client:
        assert await ask(client, "easy") == [b"easy"]
        calls = [client.send([("ECHO", name)]) for name in ("easy", "hard", "behind it")]
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert found[0] == [b"easy"]
        assert [type(one) for one in found[1:]] == [TimeoutError, TimeoutError]
        assert server.connected == 2
        silent = False
        assert await ask(client, "easy") == [b"easy"]


async def test_silence_is_noticed_by_a_busy_process(server: ScriptedRedis) -> None:
    """A process that is late with everything notices, too, that there is no answer."""
    loop, busy = asyncio.get_running_loop(), True

    def keep_busy() -> None:
        time.sleep(0.12)
        if busy:
            loop.call_soon(keep_busy)

    server.answer = lambda _: None
    async with connected(server, **HASTY) as client:
        loop.call_soon(keep_busy)
        with pytest.raises(TimeoutError):
            await client.send([("ECHO", "x")])
        busy = False


async def test_silent_login(server: ScriptedRedis) -> None:
    """A server that accepts connections but says nothing is given up by the deadline."""
    server.greets = False
    async with connected(server, silence_s=0.1, deadline_s=0.2) as client:
        found = await asyncio.gather(
            *(client.send([("ECHO", "x")]) for _ in range(20)), return_exceptions=True
        )
    assert {type(one) for one in found} == {TimeoutError}
    assert server.connected <= 2


async def test_an_old_call_ends_alone(server: ScriptedRedis) -> None:
    """One that waits too long in a long queue fails; the connection, whose server still answers,
    goes on.
    """
    async with connected(server, silence_s=60, deadline_s=0.2) as client:
        assert await ask(client, "open") == [b"open"]
        server.reads.clear()
        server.answer = lambda _: None
        with pytest.raises(TimeoutError):
            await client.send([("ECHO", "too late")])
        server.answer = lambda command: bulk(b"too late") + echo(command)
        server.reads.set()
        assert await ask(client, "next") == [b"next"]
    assert server.connected == 1


@pytest.mark.parametrize("place", [0, 1, 5])
async def test_server_dies_in_an_answer(
    client: MultiplexedClient, server: ScriptedRedis, place: int
) -> None:
    """What was not answered when the connection broke is sent once more; what was, is not."""
    assert await ask(client, "open") == [b"open"]

    server.last_bytes = place
    assert await ask(client, "a", "b") == [b"a", b"b"]
    assert server.connected == 2


async def test_closed_while_idle(client: MultiplexedClient, server: ScriptedRedis) -> None:
    """A connection that the server closed while nobody used it costs nobody an error."""
    for name in ("first", "second"):
        assert await ask(client, name) == [name.encode()]
        server.hang_up()
    assert await ask(client, "third") == [b"third"]


async def test_nonsense(client: MultiplexedClient, server: ScriptedRedis) -> None:
    """Who answers no Redis is told of as a connection that failed, also where an answer comes
    unasked.
    """
    for nonsense in (b"HTTP/1.1 400 Bad Request\r\n\r\n", OK * 3):
        server.answer = lambda _, nonsense=nonsense: nonsense
        with contextlib.suppress(ConnectionError):
            await ask(client, "x")
        server.answer = echo
        await eventually(lambda: _echoes(client), within_s=15)


def test_on_the_loop_of_the_daemon(tmp_path: Path) -> None:
    """uvloop, which the daemon runs on, hands connections over and ends them as asyncio does."""

    async def play() -> None:
        async with scripted_redis(tmp_path) as server, connected(server) as client:
            for place in (None, 3):
                server.last_bytes = place
                assert await ask(client, "a", "b") == [b"a", b"b"]
            server.hang_up()
            await eventually(lambda: _echoes(client), within_s=15)
            server.answer = lambda _: None
            last = asyncio.create_task(client.send([("ECHO", "unanswered")]))
            await asyncio.sleep(0)
            await client.aclose()
            with contextlib.suppress(ConnectionError, TimeoutError):
                last.cancel()
                await asyncio.wait([last])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


async def _echoes(client: MultiplexedClient) -> bool:
    try:
        return await ask(client, "right") == [b"right"]
    except ConnectionError:
        return False


@pytest.mark.parametrize(
    ("refusal", "kind", "told"),
    [
        (LOADING, BusyLoadingError, "does not answer"),
        (NOAUTH, AuthenticationError, "user or password"),
        (b"-ERR max number of clients reached\r\n", ConnectionError, "does not answer"),
    ],
)
async def test_refused_connection(
    client: MultiplexedClient,
    server: ScriptedRedis,
    refusal: bytes,
    kind: type[Exception],
    told: str,
) -> None:
    """Errors that a new connection may mend are answered with one, once; then they are told."""
    server.answer = lambda _: refusal
    with pytest.raises(kind):
        await ask(client, "x")
    assert server.connected == 2
    with pytest.raises(StoreUnavailable, match=told):
        await RedisAccess(client).run(("ECHO", "x"))
    server.answer = echo
    assert await ask(client, "x") == [b"x"]


async def test_demoted_primary(server: ScriptedRedis) -> None:
    """With Sentinel, a primary that became a replica is left, also where it says so among other
    answers.
    """

    def demoted(command: list[Any]) -> bytes:
        if command[-1] == b"write":
            server.answer = echo
            return b"-READONLY You can't write against a read only replica.\r\n"
        return echo(command)

    server.answer = demoted
    async with connected(server, find_fatal=find_demotion) as client:
        assert await client.send([("ECHO", "read"), ("ECHO", "write")]) == [b"read", b"write"]
    assert server.connected == 2


async def test_server_that_does_not_read(client: MultiplexedClient, server: ScriptedRedis) -> None:
    """What a server does not read waits here, up to a bound; more is refused at once, and what
    waits is answered once it reads again.
    """
    await ask(client, "open")
    server.answer = lambda _: OK
    server.reads.clear()
    await client.send([("SET", "x", "read no more")])
    size = MOST_UNSENT_BYTES // 8
    first = asyncio.create_task(client.send([("SET", "x", b"-" * size)]))
    await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(client.send([("SET", "x", b"-" * size)])) for number in range(8)]
    await asyncio.sleep(0.01)
    with pytest.raises(TooManyWaiting):
        await client.send([("SET", "x", "y")])
    server.reads.set()
    answers = await asyncio.gather(first, *waiting)
    assert answers == [[True]] * 9


class TestConfirmed:
    """Changes that count once a replica has them."""

    @pytest.fixture
    def commands(self, client: MultiplexedClient) -> RedisAccess:
        return RedisAccess(client, deadline_s=60, wait=ReplicaWait(1, 0.5))

    async def test_one_confirmation_for_all(
        self, commands: RedisAccess, server: ScriptedRedis
    ) -> None:
        """The changes of one moment are confirmed by one WAIT behind them."""
        server.answer = lambda command: b":1\r\n" if command[0] == b"WAIT" else echo(command)
        changes = [commands.run_confirmed(("ECHO", str(number))) for number in range(50)]
        assert await asyncio.gather(*changes) == [str(number).encode() for number in range(50)]
        assert [one[0] for one in server.commands] == [b"ECHO"] * 50 + [b"WAIT"]

    async def test_too_few_replicas(self, commands: RedisAccess, server: ScriptedRedis) -> None:
        """None of them is done if too few replicas have them."""
        server.answer = lambda command: b":0\r\n" if command[0] == b"WAIT" else echo(command)
        changes = [commands.run_confirmed(("ECHO", str(number))) for number in range(5)]
        found = await asyncio.gather(*changes, return_exceptions=True)
        assert [type(one) for one in found] == [ChangeUnconfirmed] * 5

    async def test_a_refused_change(self, commands: RedisAccess, server: ScriptedRedis) -> None:
        """A change that Redis refuses is its caller's trouble alone."""

        def answer(command: list[Any]) -> bytes:
            if command[0] == b"WAIT":
                return b":1\r\n"
            return b"-ERR no\r\n" if command[-1] == b"bad" else echo(command)

        server.answer = answer
        changes = [commands.run_confirmed(("ECHO", name)) for name in ("a", "bad", "b")]
        found = await asyncio.gather(*changes, return_exceptions=True)
        assert [found[0], found[2]] == [b"a", b"b"]
        assert isinstance(found[1], StoreUnavailable)
        assert sum(one[0] == b"WAIT" for one in server.commands) == 1

    async def test_a_pending_confirmation_holds_up_nobody(
        self, commands: RedisAccess, server: ScriptedRedis
    ) -> None:
        """While one change waits for a replica, others are made and confirmed, and all is read."""

        def answer(command: list[Any]) -> bytes | None:
            if command[0] == b"WAIT":
                return None if server.commands[-2][-1] == b"slow" else b":1\r\n"
            return echo(command)

        server.answer = answer
        slow = asyncio.create_task(commands.run_confirmed(("ECHO", "slow")))
        await eventually(lambda: [b"WAIT", b"1", b"500"] in server.commands, within_s=15)
        assert await commands.run_confirmed(("ECHO", "fast")) == b"fast"
        assert await commands.run(("ECHO", "read")) == b"read"
        assert not slow.done()
        slow.cancel()
        await asyncio.wait([slow])

    async def test_cancelled_change(self, commands: RedisAccess, server: ScriptedRedis) -> None:
        """Who goes away takes no other's confirmation along."""
        server.answer = lambda command: b":1\r\n" if command[0] == b"WAIT" else echo(command)
        gone, stays = (
            asyncio.create_task(commands.run_confirmed(("ECHO", name))) for name in ("a", "b")
        )
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays == b"b"
        assert gone.cancelled()
