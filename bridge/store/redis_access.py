"""The one way to Redis: a few methods over whichever client there is, each bounded in time.

Every command is a plain tuple.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from bridge.errors import StoreUnavailable
from bridge.ports import Clock
from bridge.store import damaged_keys, key_names
from bridge.store.lua_scripts import Command, with_text
from bridge.store.redis_client import RedisClient, closed_socket_as_connection_error, pipeline
from bridge.store.tls import find_untrusted

DEADLINE_S: Final = 1.5
"""No operation takes longer, whatever Redis does: callers of the bridge learn within two seconds.
"""
PING_S: Final = 1.2
_MAX_QUARANTINED_PER_CALL: Final = 16
"""Damaged keys that one call puts aside at most: as many as one script touches."""
BATCH: Final = 100
"""Keys that are looked at together where all are."""

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReplicaWait:
    """When a change counts as done: *replicas* have it, with *local_fsync* also Redis' own disk."""

    replicas: int
    timeout_s: float
    local_fsync: bool = False

    def command(self, *, aof: bool) -> Command:
        """What Redis is sent after a change."""
        timeout_ms = max(1, round(self.timeout_s * 1000))
        return (
            ("WAITAOF", 1, self.replicas, timeout_ms)
            if aof
            else ("WAIT", self.replicas, timeout_ms)
        )


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """*items*, at most ``BATCH`` at a time."""
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


class StoreFull(StoreUnavailable):
    """Redis has no room (``maxmemory``); what only takes away is still done."""


class Unconfirmed(StoreUnavailable):
    """The change was made, but fewer have it than must. It stays; doing it again does no harm."""


def as_store_error(error: BaseException) -> StoreUnavailable:
    """What a failure of Redis is to the rest of the bridge."""
    match error:
        case StoreUnavailable():
            return error
        case AuthenticationError():
            return StoreUnavailable("Redis does not accept the user or password in redis.url")
        case OutOfMemoryError():
            return StoreFull(f"Redis refused: {str(error)[:200]}")
        case ResponseError() if str(error).startswith("OOM "):  # from within a script
            return StoreFull(f"Redis refused: {str(error)[:200]}")
        case ResponseError():  # its reason (READONLY, ...) holds none of our data
            return StoreUnavailable(f"Redis refused: {str(error)[:200]}")
        case _ if refused := find_untrusted(error):
            return StoreUnavailable(f"Redis's certificate is refused: {refused}")
        case _:
            return StoreUnavailable(f"Redis does not answer: {type(error).__name__}")


@contextlib.asynccontextmanager
async def guard(deadline_s: float = DEADLINE_S) -> AsyncIterator[None]:
    """Bound what happens inside, and say ``StoreUnavailable`` whenever Redis is the reason for a
    failure.

    A change that was cut off may have happened all the same; every script may be sent twice.
    """
    try:
        async with asyncio.timeout(deadline_s):
            with closed_socket_as_connection_error():
                yield
    except ResponseError as error:
        raise as_store_error(error) from None
    except (RedisError, OSError, TimeoutError) as error:
        raise as_store_error(error) from error


class RedisAccess:
    """All access of the store to Redis. Every method raises ``StoreUnavailable`` within
    *deadline_s*.

    A key that holds another type than it must (a hand in Redis, another application) would fail
    every call that touches it. It is put into the quarantine of its partition, once, and the call
    is sent again, also where several are damaged.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        deadline_s: float = DEADLINE_S,
        wait: ReplicaWait | None = None,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._deadline_s = deadline_s
        self._wait = wait
        self._waits_for_disk = wait is not None and wait.local_fsync
        self._clock = clock

    @property
    def requires_confirmation(self) -> bool:
        """Does a change that was made count only once others have it, too?"""
        return self._wait is not None

    async def run(self, command: Command) -> Any:
        """Send one command and give its answer."""
        (answer,) = await self.run_all([command])
        return answer

    async def run_confirmed(self, command: Command) -> Any:
        """Send a change that somebody will be told of; raises ``Unconfirmed`` where not enough
        others have it in time.

        The change must write something also when it is sent again, or there is nothing that a
        replica could confirm.
        """
        if self._wait is None:
            return await self.run(command)
        async with guard(self._deadline_s):
            for _ in range(2 + _MAX_QUARANTINED_PER_CALL):
                for_disk = self._waits_for_disk
                follower = self._wait.command(aof=for_disk)
                answer, confirmed = await self._client.send_followed(command, follower)
                if for_disk and _is_unknown(confirmed):
                    # An older Redis, of which ``durability`` told the administrator.
                    self._waits_for_disk = False
                elif isinstance(answer, NoScriptError):
                    command = with_text(command)
                elif not await self._quarantine_if_damaged(command, answer):
                    break
            for one in (answer, confirmed):
                if isinstance(one, Exception):
                    raise one
        local, replicas = confirmed if for_disk else (1, confirmed)
        if replicas < self._wait.replicas:
            raise Unconfirmed(
                f"{replicas} of {self._wait.replicas} replicas confirmed a change in time"
            )
        if local < 1:
            raise Unconfirmed("Redis did not have a change on its disk in time")
        return answer

    async def run_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together, each by itself (no transaction); give their answers in order."""
        answers = await self._send_all(commands, patient=True)
        for answer in answers:
            if isinstance(answer, Exception):
                raise as_store_error(answer)
        return answers

    async def run_each(self, commands: Sequence[Command]) -> list[Any]:
        """The same, but where one fails its answer is the ``StoreUnavailable``, and the others have
        theirs.

        What does not answer at once is not asked again: made for callers that come back anyway.
        """
        answers = await self._send_all(commands, patient=False)
        return [
            as_store_error(answer) if isinstance(answer, Exception) else answer
            for answer in answers
        ]

    async def _send_all(self, commands: Sequence[Command], *, patient: bool) -> list[Any]:
        left = dict(enumerate(commands))
        answers: list[Any] = [None] * len(commands)
        async with guard(self._deadline_s):
            for _ in range(2 + _MAX_QUARANTINED_PER_CALL):
                if not left:
                    break
                sent = await self._client.send([*left.values()], patient=patient)
                again = {}
                for (index, command), answer in zip(left.items(), sent, strict=True):
                    answers[index] = answer
                    if isinstance(answer, NoScriptError):
                        again[index] = with_text(command)
                    elif await self._quarantine_if_damaged(command, answer):
                        again[index] = command
                left = again
        return answers

    async def _quarantine_if_damaged(self, command: Command, answer: object) -> bool:
        """Whether a damaged key was the reason for this answer, and is out of the way now."""
        found = damaged_keys.damage(command, answer)
        if found is None:
            return False
        kind, key = found
        call = damaged_keys.quarantined_key(key, kind, self._clock())
        (done,) = await self._client.send([call])
        if isinstance(done, NoScriptError):
            (done,) = await self._client.send([with_text(call)])
        if done == 1 and key_names.split(key) is not None:
            log.error("quarantine.added", what="key", key=key, reason=f"must hold a {kind}")
        return not isinstance(done, Exception)

    async def scan(self, pattern: str) -> AsyncIterator[str]:
        """The keys that match, of every node; see ``scan_in_batches``."""
        async for batch in self.scan_in_batches(pattern):
            for key in batch:
                yield key

    async def scan_in_batches(self, pattern: str, *, once: bool = True) -> AsyncIterator[list[str]]:
        """The keys that match, of every node, as they come; each step is bounded by itself.

        Not *once*: some perhaps twice, at no cost in memory. Keys that are no text are left out.
        A node that does not answer is left out, and the log says so; if none does, that is raised.
        """
        seen: set[str] = set()
        nodes = await self._primaries()
        failures: list[StoreUnavailable] = []
        for node in nodes:
            cursor: int | None = None
            while cursor != 0:
                try:
                    async with guard(self._deadline_s):
                        cursor, found = await node.scan(cursor or 0, match=pattern, count=BATCH)
                except StoreUnavailable as error:
                    log.warning("scan.incomplete", error=str(error))
                    failures.append(error)
                    break
                texts = dict.fromkeys(text for key in found if (text := _text(key)) is not None)
                yield [text for text in texts if text not in seen]
                if once:
                    seen.update(texts)
        if failures and len(failures) == len(nodes):
            raise failures[0]

    async def ping(self) -> None:
        """Return if Redis answers at once."""
        async with guard(PING_S):
            await self._client.ping()

    async def run_on_primaries(
        self, ask: Callable[[Redis], Awaitable[T]], *, deadline_s: float | None = None
    ) -> list[T]:
        """What the primaries answer that do, all asked at once.

        Raises ``ResponseError`` where one refuses, ``StoreUnavailable`` where none answers.
        """

        async def answer_of(node: Redis) -> T:
            async with asyncio.timeout(deadline_s or self._deadline_s):
                with closed_socket_as_connection_error():
                    return await ask(node)

        calls = [answer_of(node) for node in await self._primaries()]
        answers: list[T] = []
        failures: list[BaseException] = []
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(answer, (RedisError, OSError, TimeoutError)):
                failures.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                answers.append(answer)
        refusal = next((one for one in failures if isinstance(one, ResponseError)), None)
        if refusal is not None:
            raise refusal
        if failures and not answers:
            raise as_store_error(failures[0])
        return answers

    async def lacks_waitaof(self) -> bool:
        """Is a node to be asked for WAITAOF that does not know it?"""
        if self._wait is None or not self._wait.local_fsync:
            return False
        ask = [("WAITAOF", 0, 0, 1)]
        answers = await self.run_on_primaries(lambda node: pipeline(node, ask))
        return any(_is_unknown(answer) for (answer,) in answers)

    async def _primaries(self) -> list[Redis]:
        async with guard(self._deadline_s):
            return await self._client.primaries()


def _text(key: Any) -> str | None:
    try:
        return str(key, "utf-8")
    except UnicodeDecodeError:
        return None


def _is_unknown(answer: object) -> bool:
    return isinstance(answer, ResponseError) and "unknown command" in str(answer)
