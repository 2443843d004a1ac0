"""Confirms many changes together: those of one moment are sent over one connection, with one WAIT
or WAITAOF after them, which stands for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from redis.exceptions import ConnectionError, RedisError

MOST_CONNECTIONS: Final = 50
"""Confirmations that are waited for at a time; later changes share the next one."""

_Change = tuple[Sequence[bytes], "asyncio.Future[tuple[Any, Any]]"]


class BatchConnection(Protocol):
    """What a batch is sent over; nothing else uses it meanwhile."""

    async def send(self, packed: Sequence[bytes]) -> list[Any]:
        """Send commands; returns for each its answer or its exception."""

    def end_if_idle(self) -> None:
        """Close it until it is needed again."""

    async def aclose(self) -> None:
        """Close it."""


class GroupCommit:
    """Sends changes that must be confirmed; a WAIT holds up only what goes over its connection."""

    def __init__(self, make_connection: Callable[[], BatchConnection]) -> None:
        self._make_connection = make_connection
        self._connections: list[BatchConnection] = []
        self._idle: list[BatchConnection] = []
        self._waiting: dict[bytes, list[_Change]] = {}
        self._batches: set[asyncio.Task[None]] = set()

    async def send(self, change: Sequence[bytes], follower: bytes) -> tuple[Any, Any]:
        """Send the commands of *change*, then *follower* after all changes of this moment; returns
        the answers or exceptions of the last command and of *follower*.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[Any, Any]] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send_waiting)
        self._waiting.setdefault(follower, []).append((change, done))
        return await done

    def end_idle(self) -> None:
        """Close connections that nobody uses at the moment."""
        for connection in self._idle:
            connection.end_if_idle()

    async def aclose(self) -> None:
        """Close all connections; what waits for them fails."""
        for changes in self._waiting.values():
            _fail(changes, ConnectionError("the connection was closed"))
        self._waiting.clear()
        for batch in self._batches:
            batch.cancel()
        await asyncio.gather(*self._batches, return_exceptions=True)
        for connection in self._connections:
            await connection.aclose()

    def _send_waiting(self) -> None:
        while self._waiting and (connection := self._find_connection()):
            follower = next(iter(self._waiting))
            changes = self._waiting.pop(follower)
            batch = asyncio.create_task(self._send_batch(connection, changes, follower))
            self._batches.add(batch)
            batch.add_done_callback(self._batches.discard)

    def _find_connection(self) -> BatchConnection | None:
        if self._idle:
            return self._idle.pop()
        if len(self._connections) == MOST_CONNECTIONS:
            return None
        self._connections.append(self._make_connection())
        return self._connections[-1]

    async def _send_batch(
        self, connection: BatchConnection, changes: Sequence[_Change], follower: bytes
    ) -> None:
        try:
            packed = [one for change, _ in changes for one in change]
            *answers, following = await connection.send([*packed, follower])
        except RedisError as error:
            _fail(changes, error)
        else:
            last = -1
            for change, done in changes:
                last += len(change)
                if not done.done():
                    done.set_result((answers[last], following))
        finally:
            _fail(changes, ConnectionError("the connection was closed"))
            self._idle.append(connection)
            self._send_waiting()


def _fail(changes: Sequence[_Change], error: RedisError) -> None:
    """Fail those that have no answer yet, each with an exception of its own."""
    for _, done in changes:
        if not done.done():
            done.set_exception(type(error)(*error.args))
