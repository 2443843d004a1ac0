"""Writes log lines: those of one turn of the event loop together, and without waiting for whoever
reads them.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TextIO

LIMIT: Final = 4 * 1024 * 1024
"""Bytes that wait for a reader who takes nothing."""
RETRY_S: Final = 0.05
FAREWELL_S: Final = 5.0
"""How long such a reader is waited for at the end of the process."""


class LineOutput(Protocol):
    """Takes whole lines, each with its line break; must not fail."""

    def add(self, line: bytes) -> None:
        """Write it soon."""

    def add_at_once(self, line: bytes) -> None:
        """Write it and all before it now."""

    def close(self) -> None:
        """Write what waits; nothing is added any more."""


class StreamLines:
    """Writes to a *stream* that is no file: each line at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def add(self, line: bytes) -> None:
        """See ``LineOutput``."""
        self._stream.write(line.decode())
        self._stream.flush()

    add_at_once = add

    def close(self) -> None:
        """See ``LineOutput``."""


class DescriptorLines:
    """Writes to the file that *descriptor* stands for, in the order in which lines are added.

    Where an event loop runs, the lines of one turn are written together at its end, so that a
    process that is killed loses no others; where none runs, each is written at once. Lines of at
    most ``PIPE_BUF`` bytes stay whole where several processes write to one pipe.

    A reader who takes nothing delays nobody: up to ``LIMIT`` bytes wait for it. Beyond that, and
    where writing fails, the oldest lines are lost; in their place stands, as soon as there can be
    one, a line in which *describe_loss* says how many.
    """

    def __init__(self, descriptor: int, describe_loss: Callable[[int], bytes]) -> None:
        self._descriptor = os.dup(descriptor)  # whoever owns the other one may close it
        self._describe_loss = describe_loss
        self._readiness = self._poll()
        self._lock = threading.RLock()
        self._lines: deque[bytes] = deque()
        self._begun = b""
        self._begun_lines = 0
        self._lost = 0
        self._closed = False
        self._planned_by: asyncio.AbstractEventLoop | None = None

    def add(self, line: bytes) -> None:
        """See ``LineOutput``."""
        self._lines.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if self._planned_by is not loop:
            self._planned_by = loop
            loop.call_soon(self._flush_as_planned)

    def add_at_once(self, line: bytes) -> None:
        """See ``LineOutput``."""
        self._lines.append(line)
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as it is taken now; a loop that runs tries the rest again."""
        with self._lock:
            while (self._lines or self._begun) and self._readiness.poll(0):
                if not self._begun:
                    self._begin()
                if not self._write():
                    break
            if self._lines or self._begun:
                self._retry_later()

    def close(self) -> None:
        """See ``LineOutput``; a reader is waited for, up to ``FAREWELL_S``."""
        if self._closed:
            return
        until, readiness = time.monotonic() + FAREWELL_S, self._poll()
        self.flush()
        while (self._lines or self._begun) and (left := until - time.monotonic()) > 0:
            readiness.poll(left * 1000)
            self.flush()
        with self._lock:
            self._readiness.unregister(self._descriptor)  # from now on it is never ready
            os.close(self._descriptor)
            self._closed = True

    def _poll(self) -> select.poll:
        readiness = select.poll()
        readiness.register(self._descriptor, select.POLLOUT)
        return readiness

    def _drop_oldest(self) -> None:
        too_much = sum(map(len, self._lines)) - LIMIT
        while too_much > 0:
            too_much -= len(self._lines.popleft())
            self._lost += 1

    def _write(self) -> bool:
        """Whether something was written, or was lost because it cannot be."""
        try:
            written = os.write(self._descriptor, self._begun[: select.PIPE_BUF])
        except BlockingIOError:  # another user of the file has made it so
            return False
        except OSError:
            self._begun, self._lost = b"", self._lost + self._begun_lines
            return True
        self._begun = self._begun[written:]
        return True

    def _begin(self) -> None:
        """Take the next lines, as many as are surely written in one piece."""
        taken = [self._describe_loss(self._lost)] if self._lost else []
        room, self._begun_lines, self._lost = select.PIPE_BUF - sum(map(len, taken)), self._lost, 0
        while self._lines and (not taken or len(self._lines[0]) <= room):
            taken.append(self._lines.popleft())
            room -= len(taken[-1])
            self._begun_lines += 1
        self._begun = b"".join(taken)

    def _retry_later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._drop_oldest()
            return
        if self._planned_by is not loop:
            self._drop_oldest()  # here and not for each line: it looks at all of them
            self._planned_by = loop
            loop.call_later(RETRY_S, self._flush_as_planned)

    def _flush_as_planned(self) -> None:
        self._planned_by = None
        self.flush()
