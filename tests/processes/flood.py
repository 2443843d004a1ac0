"""Asks as fast as it is answered, over many connections at once, until it is ended: ``flood.py PORT
TOKEN CONNECTIONS PATH``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def ask_on(port: int, request: bytes) -> None:
    """One connection's share."""
    while True:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while True:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)


async def main(port: str, token: str, connections: str, path: str) -> None:
    """All of them."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    await asyncio.gather(*(ask_on(int(port), head.encode()) for _ in range(int(connections))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
