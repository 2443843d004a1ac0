"""The plain way to send commands: redis-py's own client, with a connection for each call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge.store.lua_scripts import Command
from bridge.store.redis_client import send_pipelined


class PlainClient:
    """``RedisClient`` over redis-py's pool, for fakes, and as the one that others must equal.

    At most *parallel* calls are under way at a time; more wait.
    """

    def __init__(self, node: Redis, *, parallel: int = 50) -> None:
        self._node = node
        self._turns = asyncio.Semaphore(parallel)

    async def send(
        self, commands: Sequence[Command], *, wait_for_failover: bool = True
    ) -> list[Any]:
        """Send commands together; returns for each its answer or its exception."""
        async with self._turns:
            if len(commands) > 1:
                return await send_pipelined(self._node, commands)
            try:
                node: Any = self._node  # redis-py's method has no types
                return [await node.execute_command(*commands[0])]
            except ResponseError as error:
                return [error]

    async def send_followed(self, command: Command, follower: Command) -> tuple[Any, Any]:
        """Send both over one connection."""
        async with self._turns:
            answer, following = await send_pipelined(self._node, [command, follower])
        return answer, following

    async def primaries(self) -> list[Redis]:
        """The client of the server, as the only primary."""
        return [self._node]

    async def ping(self) -> None:
        """Return if the server answers."""
        await self._node.ping()
