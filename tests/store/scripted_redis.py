"""A server that speaks Redis' protocol and answers as a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import hiredis

OK = b"+OK\r\n"
Answer = Callable[[list[Any]], bytes | None]


def bulk(value: bytes) -> bytes:
    """*value* as an answer."""
    return b"$%d\r\n%s\r\n" % (len(value), value)


def echo(command: list[Any]) -> bytes:
    """The last argument."""
    return bulk(command[-1])


class ScriptedRedis:
    """Answers every command by *answer*, where None is no answer; logins are always answered.

    *cut*: bytes that are written at a time; None: all at once. *last_bytes*: so many of the next
    answers are written before the connection is closed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answer: Answer = echo
        self.cut: int | None = None
        self.last_bytes: int | None = None
        self.greets = True
        self.reads = asyncio.Event()
        self.reads.set()
        self.connected = 0
        self.commands: list[list[Any]] = []
        self.rounds: list[int] = []
        """How many commands came together."""
        self._served: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        """As the bridge is told."""
        return f"unix://{self.path}"

    def hang_up(self) -> None:
        """Close all connections."""
        for writer in self._served.values():
            writer.close()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a connection until it ends."""
        self.connected += 1
        served = asyncio.create_task(self._converse(reader, writer))
        self._served[served] = writer
        served.add_done_callback(self._served.pop)

    async def aclose(self) -> None:
        """End all that is left."""
        self.reads.set()
        self.hang_up()
        await asyncio.gather(*self._served, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = hiredis.Reader(notEnoughData=self)
        with contextlib.suppress(ConnectionError):
            try:
                while data := await reader.read(1 << 20):
                    parser.feed(data)
                    await self._write(writer, self._answer(parser))
                    await self.reads.wait()
            finally:
                writer.close()
                await writer.wait_closed()

    def _answer(self, parser: hiredis.Reader) -> bytes:
        answers: list[bytes | None] = []
        count = 0
        while (command := parser.gets()) is not self:
            if command[0] == b"CLIENT":
                answers.append(OK if self.greets else None)
                continue
            count += 1
            self.commands.append(command)
            answers.append(self.answer(command))
        if count:
            self.rounds.append(count)
        return b"".join(one for one in answers if one is not None)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self.last_bytes is not None and data not in (b"", OK, OK * 2):
            writer.write(data[: self.last_bytes])
            writer.close()
            self.last_bytes = None
            return
        step = self.cut or len(data) or 1
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await writer.drain()
            if self.cut:
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def scripted_redis(folder: Path) -> AsyncIterator[ScriptedRedis]:
    """One that listens in *folder*."""
    scripted = ScriptedRedis(folder / "scripted.sock")
    server = await asyncio.start_unix_server(scripted.accept, scripted.path)
    try:
        yield scripted
    finally:
        server.close()
        await scripted.aclose()
