"""Found by chaos, seed 3: a socket that is closed while redis-py connects made a 500 of an
invite.
"""

from __future__ import annotations

from typing import Any

import pytest

from bridge.errors import StoreUnavailable
from bridge.store.cluster_client import ClusterClient
from bridge.store.redis_access import RedisAccess
from bridge.store.redis_client import SingleNodeClient

CLOSED = (
    "unable to perform operation on <TCPTransport closed=True reading=False 0x7f>; the"
    " handler is closed"
)


class Broken:
    """A client of one node that fails in this way, whatever it is asked."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __getattr__(self, _: str) -> Any:
        async def fail(*_: object, **__: object) -> None:
            raise RuntimeError(self._message)

        return fail

    def pipeline(self, **_: object) -> BrokenPipeline:
        return BrokenPipeline(self._message)


class BrokenPipeline:
    """Several commands to it at once."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._commands: list[tuple[object, ...]] = []

    async def __aenter__(self) -> BrokenPipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def execute_command(self, *command: object) -> None:
        self._commands.append(command)

    async def execute(self, *, raise_on_error: bool) -> list[object]:
        if self._commands[0][0] == "CLUSTER":  # which nodes there are could still be told
            return [b"cluster_state:ok", [[0, 16_383, [b"a", 1]]]]
        raise RuntimeError(self._message)


async def test_a_closed_socket_is_a_redis_that_does_not_answer() -> None:
    """Whatever is asked meanwhile, the store is unavailable for a moment; nothing else escapes."""
    commands = RedisAccess(SingleNodeClient(Broken(CLOSED)))  # type: ignore[arg-type]
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
    cluster = ClusterClient([("a", 1)], lambda *_: Broken(CLOSED))  # type: ignore[arg-type,return-value]
    (answer,) = await RedisAccess(cluster).run_each([("GET", "x")])
    assert isinstance(answer, StoreUnavailable)


async def test_other_mistakes_are_not_hidden() -> None:
    """A RuntimeError that speaks of nothing closed is a bug, and is seen as one."""
    with pytest.raises(RuntimeError, match="dictionary"):
        await RedisAccess(SingleNodeClient(Broken("dictionary changed size"))).run(("GET", "x"))  # type: ignore[arg-type]
