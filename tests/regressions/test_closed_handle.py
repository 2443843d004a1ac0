"""Found by chaos, seed 3: a socket that is closed while redis-py connects made a 500 of an
invite.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from redis.asyncio import Redis

from bridge.errors import StoreUnavailable
from bridge.store.cluster_client import ClusterClient
from bridge.store.multiplexed_client import MultiplexedClient
from bridge.store.redis_access import RedisAccess

CLOSED = (
    "unable to perform operation on <TCPTransport closed=True reading=False 0x7f>; the"
    " handler is closed"
)


class Broken:
    """A node, its pool and its connections, which fail in this way, whatever they are asked."""

    def __init__(self, message: str) -> None:
        self._message = message
        self.response_callbacks: dict[str, Any] = {}

    @property
    def connection_pool(self) -> Broken:
        return self

    def make_connection(self) -> Broken:
        return self

    async def disconnect(self, **_: object) -> None:
        return None

    def __getattr__(self, _: str) -> Any:
        async def fail(*_: object, **__: object) -> None:
            raise RuntimeError(self._message)

        return fail


def over(message: str) -> MultiplexedClient:
    """The client of a node that fails in this way."""
    return MultiplexedClient(cast(Redis, Broken(message)), silence_s=1, deadline_s=1)


class OneNode(MultiplexedClient):
    """A node that can still tell where the slots are."""

    async def send(self, commands: Any, **more: Any) -> list[Any]:
        """Fail for everything else."""
        if commands[0][0] == "CLUSTER":
            return [b"cluster_state:ok", [[0, 16_383, [b"a", 1]]]]
        return await super().send(commands, **more)


async def test_a_closed_socket_is_a_redis_that_does_not_answer() -> None:
    """Whatever is asked meanwhile, the store is unavailable for a moment; nothing else escapes."""
    commands = RedisAccess(over(CLOSED))
    for asked in (
        lambda: commands.run(("GET", "x")),
        lambda: commands.run_all([("GET", "x")]),
        lambda: commands.run_each([("GET", "x")]),
        commands.ping,
        lambda: commands.run_on_primaries(lambda node: node.config_get("appendonly")),
    ):
        with pytest.raises(StoreUnavailable):
            await asked()


async def test_a_closed_socket_of_one_node() -> None:
    """In a cluster it is that node's trouble: what lives there is unavailable."""
    node = OneNode(cast(Redis, Broken(CLOSED)), silence_s=1, deadline_s=1, repeats=False)
    cluster = ClusterClient([("a", 1)], lambda *_: node, deadline_s=1)
    (answer,) = await RedisAccess(cluster).run_each([("GET", "x")])
    assert isinstance(answer, StoreUnavailable)


async def test_other_mistakes_are_not_hidden() -> None:
    """A RuntimeError that speaks of nothing closed is a bug, and is seen as one."""
    with pytest.raises(RuntimeError, match="dictionary"):
        await RedisAccess(over("dictionary changed size")).run(("GET", "x"))
