"""Whichever way commands are sent, the answers are the same."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bridge.errors import StoreUnavailable
from bridge.store import lua_scripts
from bridge.store.connect import open_client
from bridge.store.lua_scripts import Command
from bridge.store.redis_access import RedisAccess, ReplicaWait
from tests.plain_client import PlainClient
from tests.redis_servers import PATIENCE_S, RedisServer


@pytest.fixture
def key() -> str:
    """A prefix for the keys of one test, all in one slot."""
    return f"{{{secrets.token_hex(4)}}}:"


def unknown_script(key: str) -> Command:
    """A script that finds nothing to do. Its text is told Redis when it is needed."""
    return lua_scripts.INDEX_APPLICATION.call([f"{key}a", f"{key}b"], ["an id", 1, 0, 1])


class ClientPromises:
    """What every way to send commands promises; a subclass has the fixture *commands*."""

    async def test_every_kind_of_answer(self, commands: RedisAccess, key: str) -> None:
        """Numbers, texts, lists, sets and mappings come as the store expects them."""
        asked: dict[Command, object] = {
            ("SET", f"{key}text", "ä"): True,
            ("SET", f"{key}text", "b", "NX"): None,
            ("GET", f"{key}text"): "ä".encode(),
            ("GET", f"{key}none"): None,
            ("MGET", f"{key}text", f"{key}none"): ["ä".encode(), None],
            ("PTTL", f"{key}text"): -1,
            ("EXISTS", f"{key}none"): 0,
            ("HSET", f"{key}hash", "a", 1, b"\xff", b"\x00\r\n"): 2,
            ("HGETALL", f"{key}hash"): {b"a": b"1", b"\xff": b"\x00\r\n"},
            ("HGETALL", f"{key}none"): {},
            ("HGET", f"{key}hash", "none"): None,
            ("SADD", f"{key}set", "a", "b"): 2,
            ("SMEMBERS", f"{key}set"): {b"a", b"b"},
            ("ZADD", f"{key}sorted", 1, "a", "2.5", "b"): 2,
            ("ZSCORE", f"{key}sorted", "b"): 2.5,
            ("ZSCORE", f"{key}sorted", "none"): None,
            ("ZRANGE", f"{key}sorted", 0, -1): [b"a", b"b"],
            ("XADD", f"{key}stream", "1-1", "field", "value"): b"1-1",
            ("EVAL", "return {1, redis.call('get', KEYS[1])}", 1, f"{key}text"): [1, "ä".encode()],
            ("DEL", f"{key}text", f"{key}hash"): 2,
        }
        assert await commands.run_all(list(asked)) == list(asked.values())

    async def test_an_error_in_the_middle(self, commands: RedisAccess, key: str) -> None:
        """A command that is refused harms neither those before it nor those after it."""
        before, refused, after = await commands.run_each(
            [("SET", f"{key}a", "1"), ("NO-SUCH-COMMAND", f"{key}a"), ("GET", f"{key}a")]
        )
        assert (before, after) == (True, b"1")
        assert isinstance(refused, StoreUnavailable)
        with pytest.raises(StoreUnavailable, match="unknown command"):
            await commands.run(("NO-SUCH-COMMAND", f"{key}a"))

    async def test_nothing_to_send(self, commands: RedisAccess) -> None:
        """No commands have no answers."""
        assert await commands.run_all([]) == []
        assert await commands.run_each([]) == []

    async def test_unknown_script(self, commands: RedisAccess, key: str) -> None:
        """A script that Redis does not know is sent with its text, once for all who need it."""
        assert await commands.run_all([unknown_script(key)] * 3) == [0, 0, 0]

    async def test_ten_thousand_at_once(self, commands: RedisAccess, key: str) -> None:
        """However many callers there are at once, each gets its own answer."""
        await commands.run_all(
            [("SET", f"{key}{number % 100}", number % 100) for number in range(100)]
        )

        async def ask(number: int) -> bytes:
            answer: bytes = await commands.run(("GET", f"{key}{number % 100}"))
            return answer

        answers = await asyncio.gather(*map(ask, range(10_000)))
        assert answers == [b"%d" % (number % 100) for number in range(10_000)]

    async def test_large_values(self, commands: RedisAccess, key: str) -> None:
        """Values of megabytes come back whole, beside small ones."""
        large = secrets.token_bytes(1024) * 8192
        await asyncio.gather(
            commands.run(("SET", f"{key}large", large)), commands.run(("SET", f"{key}small", "s"))
        )
        answers = await asyncio.gather(
            *(commands.run(("GET", f"{key}{name}")) for name in ("small", "large", "small"))
        )
        assert answers == [b"s", large, b"s"]

    async def test_cancelled_callers(self, commands: RedisAccess, key: str) -> None:
        """Whoever goes away takes nobody's answer along."""
        await commands.run_all([("SET", f"{key}{number}", number) for number in range(60)])
        calls = [
            asyncio.create_task(commands.run(("GET", f"{key}{number}"))) for number in range(60)
        ]
        await asyncio.sleep(0)
        for call in calls[::3]:
            call.cancel()
        found = await asyncio.gather(*calls, return_exceptions=True)
        for number, answer in enumerate(found):
            gone = number % 3 == 0 and isinstance(answer, asyncio.CancelledError)
            assert gone or answer == b"%d" % number


class TestFake(ClientPromises):
    """redis-py over a fake."""

    @pytest.fixture
    def commands(self, fake_commands: RedisAccess) -> RedisAccess:
        return fake_commands


@pytest.mark.redis
class TestPlain(ClientPromises):
    """redis-py over a server."""

    @pytest.fixture
    def commands(self, real_client: Redis) -> RedisAccess:
        return RedisAccess(PlainClient(real_client))


@pytest.mark.redis
class TestShared(ClientPromises):
    """One connection for all."""

    @pytest.fixture
    def commands(self, real_commands: RedisAccess) -> RedisAccess:
        return real_commands


@pytest.mark.redis
class TestCluster(ClientPromises):
    """One connection for all to a node of a cluster."""

    @pytest.fixture
    async def commands(self, cluster_url: str) -> AsyncIterator[RedisAccess]:
        async with open_client(cluster_url, deadline_s=PATIENCE_S) as commands:
            yield commands


@pytest.mark.redis
async def test_confirmed_changes(real_server: RedisServer, key: str) -> None:
    """Changes that are confirmed together are answered each by its own answer, a script that Redis
    does not know among them.
    """
    changes: list[Command] = [("SADD", f"{key}{number % 3}", number) for number in range(30)]
    wait = ReplicaWait(0, 0.5)
    async with open_client(real_server.url, deadline_s=PATIENCE_S, wait=wait) as commands:
        sent = [*changes, unknown_script(key), *changes]
        answers = await asyncio.gather(*map(commands.run_confirmed, sent))
    assert answers == [*[1] * 30, 0, *[0] * 30]
