"""The one way to Redis: a few methods over whichever client there is, each bounded in time.

Every command is a plain tuple, so that a connection which carries the commands of many callers at once can take this place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError

from bridge.errors import StoreUnavailable
from bridge.store.scripts import Command, with_text

DEADLINE_S: Final = 1.6
"""No operation takes longer, whatever Redis does: callers of the bridge learn within two seconds."""
PING_S: Final = 1.2
PARALLEL: Final = 50
"""Operations on the way at the same time; more wait their turn, which is faster than more connections."""

Client = Redis | RedisCluster


@contextlib.asynccontextmanager
async def guard(deadline_s: float = DEADLINE_S) -> AsyncIterator[None]:
    """Bound what happens inside, and say ``StoreUnavailable`` whenever Redis is the reason for a failure.

    A change that was cut off may have happened all the same; every script bears being repeated.
    """
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except ResponseError as error:  # Redis did answer, and its reason (OOM, READONLY, ...) holds none of our data
        raise StoreUnavailable(f"Redis refused: {str(error)[:200]}") from None
    except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"Redis does not answer: {type(error).__name__}") from error


class Commands:
    """All access of the store to Redis. Every method raises ``StoreUnavailable`` within *deadline_s*."""

    def __init__(self, client: Client, *, parallel: int = PARALLEL, deadline_s: float = DEADLINE_S) -> None:
        self._client = client
        self._deadline_s = deadline_s
        self._turns = asyncio.Semaphore(parallel)

    async def run(self, command: Command) -> Any:
        """Send one command and give its answer."""
        async with guard(self._deadline_s), self._turns:
            try:
                return await self._client.execute_command(*command)
            except NoScriptError:
                return await self._client.execute_command(*with_text(command))

    async def run_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together, each by itself (no transaction), and give their answers in order."""
        if not commands:
            return []
        async with guard(self._deadline_s), self._turns:
            answers = await self._send(commands)
            unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if unknown:
                again = await self._send([with_text(commands[index]) for index in unknown])
                for index, answer in zip(unknown, again, strict=True):
                    answers[index] = answer
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        if isinstance(self._client, RedisCluster):  # each partition may live on another node
            calls = (self._client.execute_command(*command) for command in commands)
            return await asyncio.gather(*calls, return_exceptions=True)
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute(raise_on_error=False)

    async def scan(self, pattern: str) -> AsyncIterator[str]:
        """The keys that match, of every node, some perhaps twice; each step is bounded by itself."""
        found = self._client.scan_iter(match=pattern, count=500)
        while True:
            async with guard(self._deadline_s):
                try:
                    key = await anext(found)
                except StopAsyncIteration:
                    return
            yield key.decode()

    async def ping(self) -> None:
        """Return if Redis answers at once."""
        async with guard(PING_S):
            await self._client.execute_command("PING")

    async def settings(self, *names: str) -> list[dict[str | None, str | None]] | None:
        """What every node says of these settings; None: it does not say."""
        async with guard(self._deadline_s):
            nodes: list[dict[str, Any]] = [{}]
            if isinstance(self._client, RedisCluster):
                await self._client.initialize()
                nodes = [{"target_nodes": node} for node in self._client.get_primaries()]
            try:
                return [await self._settings_of(node, names) for node in nodes]
            except ResponseError:
                return None

    async def _settings_of(self, node: dict[str, Any], names: Sequence[str]) -> dict[str | None, str | None]:
        found: dict[str | None, str | None] = {}
        for name in names:  # one by one: Redis 6 takes no more
            found |= await self._client.config_get(name, **node)
        return found

    async def shutdown(self) -> None:
        """Stop the server: only for one that is our own."""
        async with guard(self._deadline_s):
            await self._client.shutdown(nosave=True)
