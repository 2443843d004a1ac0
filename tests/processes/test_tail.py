"""``tail`` beside the real daemon, as an operator has it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.processes.conftest import Daemon, Launch, acme

pytestmark = pytest.mark.redis


@contextlib.asynccontextmanager
async def tail(daemon: Daemon, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, whose lines are read meanwhile."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "tail", "--config", str(daemon.folder), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_every_workers_calls(
    launch: Launch, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> None:
    """Both workers' calls arrive as lines of JSON, in both directions; the stream ends with the
    daemon, which it does not hold up.
    """
    daemon = launch("--workers", "2")
    await daemon.ready()
    client = acme(softgarden, daemon)
    async with tail(daemon, "--json") as process:
        assert process.stdout is not None
        seen: list[dict[str, Any]] = []

        async def order() -> None:
            while True:  # each connection is whichever worker's takes it
                await asyncio.gather(*(daemon.get("/results/nothing") for _ in range(8)))
                await client.invite("engineer")
                await asyncio.sleep(0.1)

        ordering = asyncio.create_task(order())
        async with asyncio.timeout(30):
            while len({one["pid"] for one in seen}) < 2 or "create" not in {
                one["operation"] for one in seen
            }:
                seen.append(json.loads(await process.stdout.readline()))
        ordering.cancel()
        assert {one["direction"] for one in seen} == {"in", "out"}
        daemon.terminate()
        assert await daemon.ended() == 0
        async with asyncio.timeout(10):
            _, said = await process.communicate()
        assert process.returncode == 1
        assert b"the daemon" in said


async def test_unknown_customer(launch: Launch) -> None:
    """A customer of whom nothing is configured is bad usage, as for every command."""
    daemon = launch()
    await daemon.ready()
    async with tail(daemon, "--customer", "nobody") as process:
        _, said = await process.communicate()
        assert process.returncode == 2
        assert b"There is no such customer" in said


async def test_without_a_daemon(launch: Launch) -> None:
    """Where nobody answers, that is said, with the address."""
    daemon = launch()
    await daemon.ready()
    daemon.terminate()
    await daemon.ended()
    async with tail(daemon) as process:
        _, said = await process.communicate()
        assert process.returncode == 1
        assert b"nobody answers at http://127.0.0.1:" in said
