"""One connection to a Redis server that all callers share.

The commands of one round of the event loop are written together; answers come in the order of the
commands. One timer watches over all that wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.exceptions import ConnectionError, InvalidResponse, RedisError, TimeoutError

MOST_WAITING: Final = 50_000
"""Calls that wait for an answer; more fail at once."""
MOST_UNSENT_BYTES: Final = 64 * 1024 * 1024
"""Bytes that wait until the server reads; with more, calls fail at once."""
_LATE_S: Final = 0.05
"""A timer that fires later than this says nothing of the server: this process stood still."""
_INCOMPLETE: Final = object()


class TooManyWaiting(ConnectionError):
    """More calls wait for Redis than this process has room for; nothing was sent."""


class _Call:
    """The commands of one caller, and their answers so far."""

    __slots__ = ("answers", "began", "done", "left")

    def __init__(self, left: int, done: asyncio.Future[list[Any]], began: float) -> None:
        self.answers: list[Any] = []
        self.left = left
        self.done = done
        self.began = began


class MultiplexedConnection(asyncio.Protocol):
    """Takes over a connection that redis-py has opened: encrypted, logged in, with its database.

    It ends, and every call that waits for it fails, once the server is silent for *silence_s*
    while a call waits, or answers with an error after which redis-py would close it (LOADING,
    NOAUTH), or with one that *find_fatal* makes a ``ConnectionError`` of. A single call fails after
    *call_s*. What happened to the commands of a failed call is unknown.
    """

    def __init__(
        self,
        *,
        silence_s: float,
        call_s: float,
        find_fatal: Callable[[Exception], ConnectionError | None] = lambda _: None,
    ) -> None:
        self._silence_s = silence_s
        self._call_s = call_s
        self._find_fatal = find_fatal
        self._loop = asyncio.get_running_loop()
        self._stream: asyncio.StreamWriter | None = None
        self._parser = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=self._read_error,
            notEnoughData=_INCOMPLETE,
        )
        self._waiting: deque[_Call] = deque()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._write_planned = False
        self._server_reads = True
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._waited_for_itself = False
        self._fatal: ConnectionError | None = None
        self._closed = self._loop.create_future()
        self.ended: RedisError | None = None

    def take_over(self, opened: AbstractConnection) -> None:
        """Read and write *opened* from now on; redis-py does no more."""
        stream = opened._writer
        if stream is None:
            raise ConnectionError("the connection was closed")
        opened._writer = opened._reader = None
        self._stream = stream  # which closes its transport once it is thrown away
        stream.transport.set_protocol(self)
        if stream.transport.is_closing():
            self.connection_lost(None)

    @property
    def is_idle(self) -> bool:
        """Whether no call waits."""
        return not self._waiting

    def send(self, packed: Sequence[bytes]) -> asyncio.Future[list[Any]]:
        """Send commands one after the other, with those of other callers; the answers, or
        exceptions, come together.

        A caller that is cancelled leaves its answers to be dropped.
        """
        if self.ended is not None:
            raise _copy(self.ended)
        if len(self._waiting) >= MOST_WAITING or self._unsent_bytes >= MOST_UNSENT_BYTES:
            raise TooManyWaiting("too many calls wait for Redis")
        now = self._loop.time()
        call = _Call(len(packed), self._loop.create_future(), now)
        if not self._waiting:
            self._heard_at = now
        self._waiting.append(call)
        self._unsent += packed
        for one in packed:
            self._unsent_bytes += len(one)
        if not self._write_planned:
            self._write_planned = True
            self._loop.call_soon(self._write)
        return call.done

    def end(self, error: RedisError) -> None:
        """Close the connection at once; all that waits fails with *error*."""
        if self.ended is not None:
            return
        self.ended = error
        if self._timer is not None:
            self._timer.cancel()
        if self._stream is not None:
            self._stream.transport.abort()
        for call in self._waiting:
            _fail(call, error)
        self._waiting.clear()
        self._unsent.clear()

    async def aclose(self) -> None:
        """The same, for who closes the client; returns once the socket is closed."""
        self.end(ConnectionError("the connection was closed"))
        await self._closed

    def data_received(self, data: bytes) -> None:
        """Hand answers to those who wait for them."""
        if self.ended is not None:
            return
        self._heard_at = self._loop.time()
        waiting, read = self._waiting, self._parser.gets
        try:
            self._parser.feed(data)
            while (answer := read()) is not _INCOMPLETE:
                if self._fatal is not None:
                    self.end(self._fatal)
                    return
                call = waiting[0]
                call.answers.append(answer)
                call.left -= 1
                if not call.left:
                    waiting.popleft()
                    if not call.done.done():
                        call.done.set_result(call.answers)
        except (InvalidResponse, IndexError):
            self.end(ConnectionError("Redis answered what cannot be understood"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The server or the network has closed it, or ``end``."""
        if not self._closed.done():
            self._closed.set_result(None)
        self.end(ConnectionError(f"Redis closed the connection: {type(exc).__name__}"))

    def pause_writing(self) -> None:
        """The server does not read fast enough."""
        self._server_reads = False

    def resume_writing(self) -> None:
        """It reads again."""
        self._server_reads = True
        self._write()

    def _write(self) -> None:
        self._write_planned = False
        if not self._unsent or not self._server_reads or self._stream is None:
            return
        together = b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_bytes = 0
        if self._timer is None:
            self._watch_in(min(self._silence_s, self._call_s))
        try:
            self._stream.transport.write(together)
        except RuntimeError:  # by uvloop, for a socket that is closed
            self.end(ConnectionError("the connection was closed"))

    def _watch_in(self, seconds: float) -> None:
        self._timer_due = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._watch)

    def _watch(self) -> None:
        """End a connection that is silent, fail calls that are too old, and look again in time."""
        self._timer = None
        if not self._waiting:
            return  # the next call sets it again
        now = self._loop.time()
        if now - self._timer_due > _LATE_S and not self._waited_for_itself:
            self._waited_for_itself = True  # once: a process may be late all the time
            self._watch_in(_LATE_S)  # answers that came meanwhile are read first
            return
        self._waited_for_itself = False
        silence = now - self._heard_at
        if silence >= self._silence_s:
            self.end(TimeoutError("Redis does not answer"))
            return
        next_look = min(self._silence_s - silence, self._call_s)
        for call in self._waiting:
            if call.done.done():
                continue
            left = call.began + self._call_s - now
            if left > 0:
                next_look = min(next_look, left)
                break
            _fail(call, TimeoutError("Redis did not answer in time"))
        self._watch_in(max(next_look, _LATE_S))

    def _read_error(self, text: str) -> Exception:
        error: Exception = DefaultParser.parse_error(text)  # type: ignore[no-untyped-call]
        fatal = error if isinstance(error, ConnectionError) else self._find_fatal(error)
        self._fatal = self._fatal or fatal
        return error


def _fail(call: _Call, error: RedisError) -> None:
    if not call.done.done():
        call.done.set_exception(_copy(error))


def _copy(error: RedisError) -> RedisError:
    """An own exception for each caller, so that none holds the traceback of another."""
    return type(error)(*error.args)
