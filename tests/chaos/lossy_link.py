"""Between a bridge and Redis: what loses answers on their way."""

from __future__ import annotations

import asyncio
import contextlib
import random

_CHUNK = 65_536


class LossyLink:
    """Passes everything on.

    While ``loss`` is above 0, that part of Redis's answers gets lost with its connection, whole or
    from the middle on: the commands were executed, and nobody hears of it.
    """

    def __init__(self, host: str, port: int) -> None:
        self.loss = 0.0
        self.random_fraction = random.Random(0)
        self.lost = 0
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def start(self) -> None:
        """Listen, on a port of its own."""
        self._server = await asyncio.start_server(self._accept, self._host, 0)

    async def close(self) -> None:
        """Cut everything."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._carry(reader, writer)
        writer.transport.abort()
        self._open.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asked = await asyncio.open_connection(self._host, self._port)
        directions = [
            asyncio.create_task(_pass_on(reader, asked)),
            asyncio.create_task(self._bring_back(answers, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            asked.transport.abort()

    async def _bring_back(
        self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await answers.read(_CHUNK):
            if self.loss and self.random_fraction.random() < self.loss:
                self.lost += 1
                writer.write(chunk[: self.random_fraction.choice((0, len(chunk) // 2))])
                with contextlib.suppress(OSError):
                    await writer.drain()
                return
            writer.write(chunk)
            await writer.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
