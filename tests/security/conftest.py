"""What a security reviewer asks for, seen from outside: the whole bridge between both fakes, on
real sockets and a real Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.flows.conftest import (  # noqa: F401 - fixtures are found by their names here
    Bridge,
    Config,
    Launch,
    bridge,
    clock,
    config,
    equalture,
    journal,
    launch,
    redis_server,
    softgarden,
)

WEBHOOK_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


async def spoken(
    bridge: Bridge,  # noqa: F811 - the same name on purpose
    raw: bytes,
    within_s: float = 5.0,
    url: str = "",
) -> bytes:
    """What the public listener (or the one at *url*) answers to bytes that need not be HTTP, until
    it closes the connection.
    """
    parts = urlsplit(url or bridge.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        async with asyncio.timeout(within_s):
            with contextlib.suppress(ConnectionError):
                writer.write(raw)
                await writer.drain()
            answer = bytearray()
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(65536):
                    answer += chunk
            return bytes(answer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def status_of(answer: bytes) -> int:
    """The status of a raw answer."""
    return int(answer.split(b" ", 2)[1])


async def completed(bridge: Bridge, **person: Any) -> tuple[str, dict[str, str]]:  # noqa: F811
    """A completed invitation of acme's: its id and what softgarden is told as result."""
    invited = await bridge.acme.invite("engineer", **person)
    assert invited.status == 200
    an_id = invited.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    result: dict[str, str] = (await bridge.result(bridge.acme, an_id, "COMPLETED"))["result"]
    await bridge.idle()
    return an_id, result


@pytest.fixture
async def hooked(config: Config, launch: Launch) -> Bridge:  # noqa: F811
    """A bridge whose customer acme takes webhooks."""
    config.customers["acme"]["equalture"]["webhook_secret"] = WEBHOOK_SECRET
    return await launch()
