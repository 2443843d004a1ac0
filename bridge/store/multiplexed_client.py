"""The client of one Redis server, or of the primary that Sentinel names: all callers share one
connection, see ``.github/decisions/0071-one-connection-for-all.md``.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final

import hiredis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from bridge.store.group_commit import GroupCommit
from bridge.store.lua_scripts import Command, Part
from bridge.store.multiplexed_connection import MultiplexedConnection
from bridge.store.redis_client import raise_closed_socket_as_connection_error

CONNECT_S: Final = 1.0
"""How long it may take to connect, log in and, with Sentinel, find the primary."""
_PAUSE_S: Final = 0.02

FindFatal = Callable[[Exception], ConnectionError | None]


class ReconnectingConnection:
    """A connection that is opened when it is needed, and again after it ended.

    A call whose connection ends is repeated once if *repeats*: it may have died while nobody used
    it. Every call ends within *deadline_s*.
    """

    def __init__(
        self,
        node: Redis,
        *,
        silence_s: float,
        deadline_s: float,
        repeats: bool,
        find_fatal: FindFatal,
    ) -> None:
        self._node = node
        self._silence_s = silence_s
        self._deadline_s = deadline_s
        self._repeats = repeats
        self._find_fatal = find_fatal
        self._current: MultiplexedConnection | None = None
        self._opening: asyncio.Task[MultiplexedConnection] | None = None

    async def send(self, packed: Sequence[bytes]) -> list[Any]:
        """Send commands, with those of other callers; returns for each its answer or its
        exception.

        Raises redis-py's ``ConnectionError`` or ``TimeoutError`` if there is no answer.
        """
        current, began = self._current, monotonic()
        tries = 2 if self._repeats else 1
        if current is not None and current.ended is None:
            try:
                return await current.send(packed)
            except (ConnectionError, TimeoutError):
                tries -= 1
                if not tries:
                    raise
        try:
            async with asyncio.timeout(began + self._deadline_s - monotonic()):
                return await self._connect_and_send(packed, tries, fresh=tries == 2)
        except builtins.TimeoutError:
            raise TimeoutError("Redis did not answer in time") from None

    def end_if_idle(self) -> None:
        """Close the connection if no call waits; it is opened again when it is needed."""
        if self._current is not None and self._current.is_idle:
            self._current.end(ConnectionError("the connection was closed"))

    async def aclose(self) -> None:
        """Close the connection; what waits for it fails."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._current is not None:
            await self._current.aclose()

    async def _connect_and_send(
        self, packed: Sequence[bytes], tries: int, *, fresh: bool
    ) -> list[Any]:
        if not fresh:
            await asyncio.sleep(_PAUSE_S)
        while True:
            try:
                current = self._current
                if current is None or current.ended is not None:
                    current = await self._open()
                return await current.send(packed)
            except (ConnectionError, TimeoutError):
                tries -= 1
                if not tries:
                    raise
            await asyncio.sleep(_PAUSE_S)

    async def _open(self) -> MultiplexedConnection:
        """The connection that all who wait for it share."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open_one())
            self._opening.add_done_callback(_forget_failure)
        return await asyncio.shield(self._opening)

    async def _open_one(self) -> MultiplexedConnection:
        opened = self._node.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        opened.retry = Retry(NoBackoff(), 0)
        fresh = MultiplexedConnection(
            silence_s=self._silence_s, call_s=self._deadline_s, find_fatal=self._find_fatal
        )
        try:
            async with asyncio.timeout(CONNECT_S):
                with raise_closed_socket_as_connection_error():
                    await opened.connect()
            fresh.take_over(opened)
        except builtins.TimeoutError:
            raise TimeoutError("Redis does not answer") from None
        finally:
            await opened.disconnect(nowait=True)  # unless it was taken over
        self._current = fresh
        return fresh


class MultiplexedClient:
    """``RedisClient`` for one server, or for the primary that Sentinel names.

    Connections are opened by *node*'s pool, which itself is left to scans and probes. Changes that
    must be confirmed have connections of their own, since WAIT holds up what is sent after it; a
    confirmation may take *confirm_s*.
    """

    def __init__(
        self,
        node: Redis,
        *,
        silence_s: float,
        deadline_s: float,
        confirm_s: float | None = None,
        repeats: bool = True,
        find_fatal: FindFatal = lambda _: None,
    ) -> None:
        self._node = node
        self._converters: dict[Part, Callable[[Any], Any]] = {**node.response_callbacks}  # type: ignore[dict-item]

        def make_connection(silence_s: float) -> ReconnectingConnection:
            return ReconnectingConnection(
                node,
                silence_s=silence_s,
                deadline_s=deadline_s,
                repeats=repeats,
                find_fatal=find_fatal,
            )

        self._shared = make_connection(silence_s)
        self._confirmed = GroupCommit(lambda: make_connection(confirm_s or silence_s))

    async def send(
        self, commands: Sequence[Command], *, wait_for_failover: bool = True
    ) -> list[Any]:
        """Send commands one after the other; returns for each its answer or its exception."""
        answers = await self._shared.send([_pack(one) for one in commands])
        for index, command in enumerate(commands):
            if command[0] in self._converters:
                answers[index] = self._convert(command, answers[index])
        return answers

    async def send_followed(
        self, command: Command, follower: Command, *, after: Sequence[Command] = ()
    ) -> tuple[Any, Any]:
        """Send *command*, right *after* others, and *follower* after all changes of the moment."""
        answer, following = await self._confirmed.send(
            [_pack(one) for one in (*after, command)],
            _pack(follower),
        )
        return self._convert(command, answer), following

    async def primaries(self) -> list[Redis]:
        """The client of the server, as the only primary."""
        return [self._node]

    async def ping(self) -> None:
        """Return if the server answers."""
        (answer,) = await self.send([("PING",)])
        if isinstance(answer, RedisError):
            raise answer

    async def release_idle(self) -> None:
        """Close connections that nobody uses at the moment."""
        self._shared.end_if_idle()
        self._confirmed.end_idle()
        await self._node.connection_pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close all connections; what waits for them fails."""
        await self._confirmed.aclose()
        await self._shared.aclose()
        await self._node.aclose()

    def _convert(self, command: Command, answer: Any) -> Any:
        """The answer as redis-py gives it: a dict for HGETALL, a set for SMEMBERS."""
        if isinstance(answer, Exception):
            return answer
        converter = self._converters.get(command[0])
        return converter(answer) if converter else answer


def _pack(command: Command) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return packed


def _forget_failure(opening: asyncio.Task[MultiplexedConnection]) -> None:
    """Keep asyncio from reporting a failure that nobody waits for any more."""
    if not opening.cancelled():
        opening.exception()
