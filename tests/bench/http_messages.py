"""HTTP/1.1 for both ends of the rig, as cheap as Python allows: whole messages, known lengths."""

from __future__ import annotations

import asyncio
from typing import cast

END = b"\r\n\r\n"


def build_request(
    method: str, path: str, *, token: str = "", body: bytes = b"", host: str = "127.0.0.1"
) -> bytes:
    """A whole request over a connection that stays open."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + END + body


def build_answer(body: bytes, status: str = "200 OK") -> bytes:
    """A whole JSON answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + END + body


def read_length(head: bytes) -> int:
    """How many bytes of body follow a head; those of no stated length have none."""
    at = head.lower().find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = head.find(b"\r\n", at + 17)
    return int(head[at + 17 : end if end >= 0 else len(head)])


class MessageProtocol(asyncio.Protocol):
    """Cuts what arrives into messages, and hands each to ``take_message``."""

    def __init__(self) -> None:
        self.transport = cast(asyncio.Transport, None)
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        while data:
            end = data.find(END)
            if end < 0:
                break
            stop = end + 4 + read_length(data[:end])
            if len(data) < stop:
                break
            self.take_message(data[:end], data[end + 4 : stop])
            data = data[stop:]
        self._rest = data

    def take_message(self, head: bytes, body: bytes) -> None:
        """One whole message."""
        raise NotImplementedError
