"""The one way to Redis: a few methods over whichever client there is, each bounded in time.

Every command is a plain tuple, so that a connection which carries the commands of many callers at once can take this place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError

from bridge.errors import StoreUnavailable
from bridge.ports import Monotonic
from bridge.store.clock import Reading
from bridge.store.cluster import Cluster, pipeline
from bridge.store.scripts import Command, with_text
from bridge.store.tls import untrusted

DEADLINE_S: Final = 1.5
"""No operation takes longer, whatever Redis does: callers of the bridge learn within two seconds."""
PING_S: Final = 1.2
PARALLEL: Final = 50
"""Operations on the way at the same time; more wait their turn, which is faster than more connections."""

Client = Redis | Cluster


@dataclass(frozen=True, slots=True)
class Wait:
    """When a change counts as done: *replicas* have it, and with *local_fsync* also this Redis' own disk."""

    replicas: int
    timeout_s: float
    local_fsync: bool = False

    def command(self, *, aof: bool) -> Command:
        """What Redis is sent after a change."""
        timeout_ms = max(1, round(self.timeout_s * 1000))
        return ("WAITAOF", 1, self.replicas, timeout_ms) if aof else ("WAIT", self.replicas, timeout_ms)


class Unconfirmed(StoreUnavailable):
    """The change was made, but fewer have it than must. It stays; doing it again does no harm."""


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
    except AuthenticationError:
        raise StoreUnavailable("Redis does not accept the user or password in redis.url") from None
    except (RedisError, OSError, TimeoutError) as error:
        if refused := untrusted(error):
            raise StoreUnavailable(f"Redis's certificate is refused: {refused}") from None
        raise StoreUnavailable(f"Redis does not answer: {type(error).__name__}") from error


class Commands:
    """All access of the store to Redis. Every method raises ``StoreUnavailable`` within *deadline_s*."""

    def __init__(
        self,
        client: Client,
        *,
        parallel: int = PARALLEL,
        deadline_s: float = DEADLINE_S,
        wait: Wait | None = None,
    ) -> None:
        self._client = client
        self._deadline_s = deadline_s
        self._turns = asyncio.Semaphore(parallel)
        self._wait = wait
        self._waits_for_disk = wait is not None and wait.local_fsync

    @property
    def confirms(self) -> bool:
        """Does a change that was made count only once others have it, too?"""
        return self._wait is not None

    async def run(self, command: Command) -> Any:
        """Send one command and give its answer."""
        async with guard(self._deadline_s), self._turns:
            try:
                return await self._client.execute_command(*command)
            except NoScriptError:
                return await self._client.execute_command(*with_text(command))

    async def run_confirmed(self, command: Command) -> Any:
        """Send a change that somebody will be told of; raises ``Unconfirmed`` where not enough others have it in time.

        The change must write something also when it is sent again, or there is nothing that a replica could confirm.
        """
        if self._wait is None:
            return await self.run(command)
        async with guard(self._deadline_s), self._turns:
            for_disk = self._waits_for_disk
            answer, confirmed = await self._follow(command, self._wait.command(aof=for_disk))
            if isinstance(answer, NoScriptError):
                command = with_text(command)
                answer, confirmed = await self._follow(command, self._wait.command(aof=for_disk))
            if for_disk and _is_unknown(confirmed):  # an older Redis, of which ``durability`` told the administrator
                for_disk = self._waits_for_disk = False
                answer, confirmed = await self._follow(command, self._wait.command(aof=False))
            for one in (answer, confirmed):
                if isinstance(one, Exception):
                    raise one
        local, replicas = confirmed if for_disk else (1, confirmed)
        if replicas < self._wait.replicas:
            raise Unconfirmed(f"{replicas} of {self._wait.replicas} replicas confirmed a change in time")
        if local < 1:
            raise Unconfirmed("Redis did not have a change on its disk in time")
        return answer

    async def _follow(self, command: Command, follower: Command) -> tuple[Any, Any]:
        if isinstance(self._client, Cluster):
            return await self._client.send_followed(command, follower)
        answer, confirmed = await pipeline(self._client, [command, follower])
        return answer, confirmed

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
        if isinstance(self._client, Cluster):  # each partition may live on another node
            return await self._client.send(commands)
        return await pipeline(self._client, commands)

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
            await self._client.ping()

    async def times(self, monotonic: Monotonic) -> list[Reading]:
        """What time it is at each node that takes writes, as far as they answer at once."""

        async def ask(node: Redis) -> Reading | None:
            asked_at = monotonic()
            try:
                async with guard(PING_S / 2):
                    seconds, micros = await node.time()
            except StoreUnavailable:
                return None
            at = datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(micros))
            return Reading(asked_at, monotonic(), at)

        async with guard(PING_S):
            readings = await asyncio.gather(*(ask(node) for node in await self._writable()))
        return [reading for reading in readings if reading is not None]

    async def settings(self, *names: str) -> list[dict[str | None, str | None]] | None:
        """What every node that takes writes says of these settings; None: one does not say."""
        async with guard(self._deadline_s):
            try:
                return list(await asyncio.gather(*(_settings_of(node, names) for node in await self._writable())))
            except ResponseError:
                return None

    async def lacks_waitaof(self) -> bool:
        """Is a node to be asked for WAITAOF that does not know it?"""
        if self._wait is None or not self._wait.local_fsync:
            return False
        async with guard(self._deadline_s):
            for node in await self._writable():
                (answer,) = await pipeline(node, [("WAITAOF", 0, 0, 1)])
                if _is_unknown(answer):
                    return True
        return False

    async def _writable(self) -> list[Redis]:
        return await self._client.primaries() if isinstance(self._client, Cluster) else [self._client]

    async def shutdown(self) -> None:
        """Stop the server: only for one that is our own."""
        async with guard(self._deadline_s):
            for node in await self._writable():
                await node.shutdown(nosave=True)


def _is_unknown(answer: object) -> bool:
    return isinstance(answer, ResponseError) and "unknown command" in str(answer)


async def _settings_of(node: Redis, names: Sequence[str]) -> dict[str | None, str | None]:
    found: dict[str | None, str | None] = {}
    for name in names:  # one by one: Redis 6 takes no more
        found |= await node.config_get(name)
    return found
