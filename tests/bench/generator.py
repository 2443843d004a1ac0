"""Keep-alive connections over which operations are carried out, one after the other.

An operation is a generator: it yields a request and gets the answer, or yields a ``Notified`` and
goes on when the simulated ATS was notified.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

from tests.bench.http_messages import MessageProtocol
from tests.bench.ledger import Ledger

DRAIN_S = 20.0
"""How long what was begun may take to end."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Notified:
    """Wait for the notification of this invitation."""

    invitation_id: str


Operation = Generator[bytes | Notified, Answer | None, None]
Source = Callable[[], Operation | None]
"""Gives the next operation; None: there is nothing left to do."""


class WrongAnswer(Exception):
    """A candidate did not do what it was asked to: there is nothing to measure."""


class Lane(MessageProtocol):
    """One connection, and the operation that it carries out."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load
        self._operation: Operation | None = None
        self._due = 0.0

    def take_message(self, head: bytes, body: bytes) -> None:
        """The answer to the request of the current operation."""
        self._step(Answer(int(head[9:12]), body))

    def connection_lost(self, error: Exception | None) -> None:
        if self._operation is not None:
            name = self._load.ledger.name
            self._load.fail(WrongAnswer(f"{name}: closed a connection in use: {error}"))
        else:
            self._load.replace(self)

    def begin(self, operation: Operation, due: float) -> None:
        """Carry it out; its time counts from *due*."""
        self._operation, self._due = operation, due
        self._step(None)

    def _step(self, answer: Answer | None) -> None:
        if self._operation is None:
            self._load.fail(WrongAnswer("an answer that nobody asked for"))
            return
        try:
            wanted = self._operation.send(answer)
        except StopIteration:
            self._operation = None
            self._load.end(self, perf_counter() - self._due)
        except Exception as error:
            self._operation = None
            self._load.fail(error)
        else:
            if isinstance(wanted, bytes):
                self.transport.write(wanted)
            elif self._load.ledger.notifications[wanted.invitation_id]:
                self._step(None)
            else:
                self._load.ledger.waiting[wanted.invitation_id] = lambda: self._step(None)


class Load:
    """Connections to one candidate.

    ``start`` has each of them carry out one operation after the other; ``offer`` has one operation
    carried out as soon as one of them is free.
    """

    def __init__(self, ledger: Ledger, port: int) -> None:
        self.ledger = ledger
        self.done = 0
        self.times: list[float] = []
        """Seconds of each operation, in the order of their ends."""
        self.dry = asyncio.Event()
        """Set when there is nothing left to do, or something went wrong."""
        self._port = port
        self._source: Source | None = None
        self._offered: deque[tuple[Operation, float]] = deque()
        self._free: deque[Lane] = deque()
        self._lanes: list[Lane] = []
        self._closed = False
        self._replacing: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._changed = asyncio.Event()

    async def open(self, connections: int) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, lane = await loop.create_connection(lambda: Lane(self), "127.0.0.1", self._port)
            self._lanes.append(lane)
            self._go_on(lane)

    def close(self) -> None:
        """Disconnect."""
        self._closed = True
        for lane in self._lanes:
            lane.transport.close()

    def start(self, source: Source) -> None:
        """All connections work from now on, until ``stop`` or the end of *source*."""
        self._source = source
        self.dry.clear()
        self.times.clear()
        free, self._free = self._free, deque()
        for lane in free:
            self._go_on(lane)

    def offer(self, operation: Operation, due: float) -> None:
        """One operation, whose time counts from *due* even if it has to wait for a connection."""
        self._offered.append((operation, due))
        if self._free:
            self._go_on(self._free.popleft())

    async def stop(self) -> None:
        """Begin nothing more, and return once everything that was begun or offered is over."""
        self._source = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while len(self._free) < len(self._lanes) and self._error is None:
                    self._changed.clear()
                    await self._changed.wait()
        if self._error is not None:
            raise self._error
        if len(self._free) < len(self._lanes):
            unfinished = len(self._lanes) - len(self._free)
            raise WrongAnswer(
                f"{self.ledger.name}: {unfinished} operations did not end within {DRAIN_S:.0f} s"
            )

    def fail(self, error: BaseException) -> None:
        """Something went wrong: the first such thing is what ``stop`` raises."""
        self._error = self._error or error
        self._changed.set()
        self.dry.set()

    def replace(self, lane: Lane) -> None:
        """The server closed *lane*, which had nothing to do for long: connect anew."""
        if self._closed:
            return
        self._lanes.remove(lane)
        self._free.remove(lane)
        task = asyncio.create_task(self.open(1))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    def end(self, lane: Lane, seconds: float) -> None:
        """An operation is over; *lane* is free again."""
        self.done += 1
        self.times.append(seconds)
        self._go_on(lane)

    def _go_on(self, lane: Lane) -> None:
        if self._error is None and self._offered:
            lane.begin(*self._offered.popleft())
            return
        if self._error is None and self._source is not None:
            operation = self._source()
            if operation is not None:
                lane.begin(operation, perf_counter())
                return
            self.dry.set()
        self._free.append(lane)
        self._changed.set()
