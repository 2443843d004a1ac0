"""What a daemon logs, and who reads it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os

import aiohttp
import pytest

from tests.processes.conftest import Launch, eventually

pytestmark = pytest.mark.redis

REQUESTS = 300
"""Far more lines than the pipe takes."""


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
async def test_nobody_reads(launch: Launch, workers: tuple[str, ...]) -> None:
    """A daemon whose log nobody reads answers and ends as ever; whoever reads later finds every
    line whole, also those of several workers.
    """
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    daemon = launch(*workers, errors=writing)
    os.close(writing)
    await daemon.ready()
    ids = {f"request-{number}" for number in range(REQUESTS)}
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(force_close=True, limit=8)  # so that each worker has some
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def ask(an_id: str) -> int:
            headers = {"X-Request-ID": an_id}
            async with session.get(daemon.url + "/openapi.json", headers=headers) as response:
                return response.status

        assert set(await asyncio.gather(*map(ask, ids))) == {200}
    read: list[bytes] = []

    def read_all() -> None:
        while more := os.read(reading, 65536):
            read.append(more)

    reader = asyncio.create_task(asyncio.to_thread(read_all))
    await eventually(lambda: b"".join(read).count(b'"request-') == REQUESTS)
    daemon.terminate()
    assert await daemon.ended() == 0
    await reader
    os.close(reading)
    lines = [json.loads(line) for line in b"".join(read).splitlines()]
    named = [line["request_id"] for line in lines if line.get("request_id") in ids]
    assert (len(named), set(named)) == (REQUESTS, ids)
    stopped = [line for line in lines if line["event"] == "daemon.stopped"]
    assert len(stopped) == (2 if workers else 1)
    assert not [line for line in lines if line["event"] == "log.lines_lost"]
