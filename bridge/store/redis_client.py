"""The interface of a Redis client, for one server or a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from bridge.store.lua_scripts import Command


class RedisClient(Protocol):
    """Sends commands to the server that has their keys; an error counts as an answer.

    ``send`` ends within the deadline that the client was made with. A call without an answer raises
    a ``RedisError`` or ``TimeoutError``; what happened to its commands is unknown.
    """

    async def send(
        self, commands: Sequence[Command], *, wait_for_failover: bool = True
    ) -> list[Any]:
        """Send commands, at least one; returns for each its answer or its exception.

        Without *wait_for_failover* a server that does not answer is not asked again.
        """

    async def send_followed(self, command: Command, follower: Command) -> tuple[Any, Any]:
        """Send *command*, and *follower* after it over the same connection."""

    async def primaries(self) -> list[Redis]:
        """The clients of all servers that take writes."""

    async def ping(self) -> None:
        """Return if any primary answers."""


@contextlib.contextmanager
def raise_closed_socket_as_connection_error() -> Iterator[None]:
    """Raise ``ConnectionError`` if a socket is closed while redis-py uses it, for instance while it
    connects.

    uvloop raises RuntimeError for that, which redis-py does not convert.
    """
    try:
        yield
    except RuntimeError as error:
        if "closed" not in str(error):
            raise
        raise ConnectionError("the connection was closed") from error


async def send_pipelined(node: Redis, commands: Sequence[Command]) -> list[Any]:
    """Send commands together over one connection; returns for each its answer or its exception."""
    with raise_closed_socket_as_connection_error():
        async with node.pipeline(transaction=False) as together:
            for command in commands:
                together.execute_command(*command)
            return await together.execute(raise_on_error=False)
