"""All access to Redis: a few methods over one of the clients, each bounded in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
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
from bridge.store.lua_scripts import Command, add_script_text
from bridge.store.redis_client import (
    RedisClient,
    raise_closed_socket_as_connection_error,
    send_pipelined,
)
from bridge.store.tls import find_untrusted_certificate

DEADLINE_S: Final = 1.5
"""No operation takes longer, whatever Redis does: callers of the bridge get an error within two
seconds.
"""
PING_S: Final = 1.2
_FAILURES: Final = (RedisError, OSError, TimeoutError)
_MAX_QUARANTINED_PER_CALL: Final = 16
"""The most damaged keys that one call quarantines: as many as one script touches."""
BATCH: Final = 100
"""How many keys are read together in a scan of all keys."""

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReplicaWait:
    """When a change counts as done: *replicas* have it, with *local_fsync* also Redis' own disk."""

    replicas: int
    timeout_s: float
    local_fsync: bool = False

    def command(self, *, aof: bool) -> Command:
        """The command that follows a change."""
        timeout_ms = max(1, round(self.timeout_s * 1000))
        return (
            ("WAITAOF", 1, self.replicas, timeout_ms)
            if aof
            else ("WAIT", self.replicas, timeout_ms)
        )


def split_into_batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """*items* in lists of at most ``BATCH``."""
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


class StoreFull(StoreUnavailable):
    """Redis has no memory left (``maxmemory``); it still executes deletions."""


class ChangeUnconfirmed(StoreUnavailable):
    """The change was made, but too few replicas have it. It stays; repeating it is harmless."""


def convert_to_store_error(error: BaseException) -> StoreUnavailable:
    """The error of the bridge for a failure of Redis."""
    match error:
        case StoreUnavailable():
            return error
        case AuthenticationError():
            return StoreUnavailable("Redis does not accept the user or password in redis.url")
        case OutOfMemoryError():
            return StoreFull(f"Redis refused: {str(error)[:200]}")
        case ResponseError() if str(error).startswith("OOM "):  # from within a script
            return StoreFull(f"Redis refused: {str(error)[:200]}")
        case ResponseError():  # its reason (READONLY, ...) contains no data
            return StoreUnavailable(f"Redis refused: {str(error)[:200]}")
        case _ if refused := find_untrusted_certificate(error):
            return StoreUnavailable(f"Redis's certificate is refused: {refused}")
        case _:
            return StoreUnavailable(f"Redis does not answer: {type(error).__name__}")


@contextlib.asynccontextmanager
async def bound_redis_call(deadline_s: float = DEADLINE_S) -> AsyncIterator[None]:
    """Bound the duration of the block, and raise ``StoreUnavailable`` for every failure of Redis.

    A change that was cut off may have happened nevertheless; every script may be sent twice.
    """
    task = asyncio.current_task()
    cancels = task.cancelling() if task else 0
    try:
        async with asyncio.timeout(deadline_s):
            with raise_closed_socket_as_connection_error():
                yield
    except ResponseError as error:
        raise convert_to_store_error(error) from None
    except _FAILURES as error:
        raise convert_to_store_error(error) from error
    finally:
        if task is not None and task.cancelling() > cancels:
            # Before Python 3.12 wait_for, which redis-py sends with, may lose a cancellation
            # (https://github.com/python/cpython/issues/86296): a loop would then never end.
            raise asyncio.CancelledError


class RedisAccess:
    """All access of the store to Redis. Every method raises ``StoreUnavailable`` within
    *deadline_s*.

    A key of the wrong type (manual changes in Redis, another application) would fail every call
    that touches it. It is moved into the quarantine of its partition, once, and the call is sent
    again, also if several keys are damaged.
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
        """Whether a change counts only once replicas or the disk have it, too."""
        return self._wait is not None

    async def run(self, command: Command) -> Any:
        """Send one command and return its answer."""
        (answer,) = await self.run_all([command])
        return answer

    async def run_confirmed(self, command: Command) -> Any:
        """Send a change that will be acknowledged to a caller; raises ``ChangeUnconfirmed`` if too
        few replicas have it in time.

        The change must write something also when it is sent again; otherwise there is nothing to
        confirm.
        """
        if self._wait is None:
            return await self.run(command)
        async with bound_redis_call(self._deadline_s):
            for _ in range(2 + _MAX_QUARANTINED_PER_CALL):
                for_disk = self._waits_for_disk
                follower = self._wait.command(aof=for_disk)
                answer, confirmed = await self._client.send_followed(command, follower)
                if for_disk and _is_unknown(confirmed):
                    # An older Redis, which ``durability`` reports to the administrator.
                    self._waits_for_disk = False
                elif isinstance(answer, NoScriptError):
                    command = add_script_text(command)
                elif not await self._quarantine_if_damaged(command, answer):
                    break
            for one in (answer, confirmed):
                if isinstance(one, Exception):
                    raise one
        local, replicas = confirmed if for_disk else (1, confirmed)
        if replicas < self._wait.replicas:
            raise ChangeUnconfirmed(
                f"{replicas} of {self._wait.replicas} replicas confirmed a change in time"
            )
        if local < 1:
            raise ChangeUnconfirmed("Redis did not have a change on its disk in time")
        return answer

    async def run_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together, without a transaction; returns their answers in order."""
        answers = await self._send_all(commands, wait_for_failover=True)
        for answer in answers:
            if isinstance(answer, Exception):
                raise convert_to_store_error(answer)
        return answers

    async def run_each(self, commands: Sequence[Command]) -> list[Any]:
        """The same, but the answer of a command that fails is its ``StoreUnavailable``.

        A server that does not answer at once is not asked again: for callers that repeat the call
        anyway.
        """
        answers = await self._send_all(commands, wait_for_failover=False)
        return [
            convert_to_store_error(answer) if isinstance(answer, Exception) else answer
            for answer in answers
        ]

    async def _send_all(self, commands: Sequence[Command], *, wait_for_failover: bool) -> list[Any]:
        """Send commands; the client keeps the deadline, so a call that goes well sets up none."""
        if not commands:
            return []
        began = monotonic()
        try:
            answers = await self._client.send(commands, wait_for_failover=wait_for_failover)
        except _FAILURES as error:
            raise convert_to_store_error(error) from error
        for answer in answers:
            if isinstance(answer, ResponseError):
                async with bound_redis_call(began + self._deadline_s - monotonic()):
                    return await self._mend(commands, answers, wait_for_failover=wait_for_failover)
        return answers

    async def _mend(
        self, commands: Sequence[Command], answers: list[Any], *, wait_for_failover: bool
    ) -> list[Any]:
        """The answers after Redis learned scripts that it did not know, and damaged keys are
        quarantined.
        """
        sent = dict(enumerate(commands))
        for _ in range(1 + _MAX_QUARANTINED_PER_CALL):
            again = {}
            for index, command in sent.items():
                if isinstance(answers[index], NoScriptError):
                    again[index] = add_script_text(command)
                elif await self._quarantine_if_damaged(command, answers[index]):
                    again[index] = command
            if not again:
                break
            found = await self._client.send([*again.values()], wait_for_failover=wait_for_failover)
            for index, answer in zip(again, found, strict=True):
                answers[index] = answer
            sent = again
        return answers

    async def _quarantine_if_damaged(self, command: Command, answer: object) -> bool:
        """Whether a damaged key was the reason for this answer, and is quarantined now."""
        found = damaged_keys.find_damaged_key(command, answer)
        if found is None:
            return False
        kind, key = found
        call = damaged_keys.build_quarantine_command(key, kind, self._clock())
        (done,) = await self._client.send([call])
        if isinstance(done, NoScriptError):
            (done,) = await self._client.send([add_script_text(call)])
        if done == 1 and key_names.split_key(key) is not None:
            log.error("quarantine.added", what="key", key=key, reason=f"must hold a {kind}")
        return not isinstance(done, Exception)

    async def scan(self, pattern: str) -> AsyncIterator[str]:
        """The keys that match, of every node; all must answer. See ``scan_in_batches``."""
        async for batch in self.scan_in_batches(pattern, whole=True):
            for key in batch:
                yield key

    async def scan_in_batches(
        self, pattern: str, *, once: bool = True, whole: bool = False
    ) -> AsyncIterator[list[str]]:
        """The keys that match, of every node, as they are found; each step is bounded in time.

        Without *once* a key may come twice, which saves the memory to prevent it. Keys that are not
        UTF-8 are left out. A node that does not answer is left out and logged; if none answers, or
        not the *whole* of Redis, raises ``StoreUnavailable`` in the end.
        """
        seen: set[str] = set()
        nodes = await self._primaries()
        failures: list[StoreUnavailable] = []
        for node in nodes:
            cursor: int | None = None
            while cursor != 0:
                try:
                    async with bound_redis_call(self._deadline_s):
                        cursor, found = await node.scan(cursor or 0, match=pattern, count=BATCH)
                except StoreUnavailable as error:
                    log.warning("scan.incomplete", error=str(error))
                    failures.append(error)
                    break
                texts = dict.fromkeys(text for key in found if (text := _text(key)) is not None)
                yield [text for text in texts if text not in seen]
                if once:
                    seen.update(texts)
        if failures and (whole or len(failures) == len(nodes)):
            raise failures[0]

    async def ping(self) -> None:
        """Return if Redis answers at once."""
        async with bound_redis_call(PING_S):
            await self._client.ping()

    async def run_on_primaries(
        self, ask: Callable[[Redis], Awaitable[T]], *, deadline_s: float | None = None
    ) -> list[T]:
        """The answers of the primaries that answer, all asked at once.

        Raises ``ResponseError`` if one refuses, ``StoreUnavailable`` if none answers.
        """

        async def answer_of(node: Redis) -> T:
            async with asyncio.timeout(deadline_s or self._deadline_s):
                with raise_closed_socket_as_connection_error():
                    return await ask(node)

        calls = [answer_of(node) for node in await self._primaries()]
        answers: list[T] = []
        failures: list[BaseException] = []
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(answer, _FAILURES):
                failures.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                answers.append(answer)
        refusal = next((one for one in failures if isinstance(one, ResponseError)), None)
        if refusal is not None:
            raise refusal
        if failures and not answers:
            raise convert_to_store_error(failures[0])
        return answers

    async def lacks_waitaof(self) -> bool:
        """Whether WAITAOF failed because the node does not know it."""
        if self._wait is None or not self._wait.local_fsync:
            return False
        ask = [("WAITAOF", 0, 0, 1)]
        answers = await self.run_on_primaries(lambda node: send_pipelined(node, ask))
        return any(_is_unknown(answer) for (answer,) in answers)

    async def _primaries(self) -> list[Redis]:
        async with bound_redis_call(self._deadline_s):
            return await self._client.primaries()


def _text(key: Any) -> str | None:
    try:
        return str(key, "utf-8")
    except UnicodeDecodeError:
        return None


def _is_unknown(answer: object) -> bool:
    return isinstance(answer, ResponseError) and "unknown command" in str(answer)
