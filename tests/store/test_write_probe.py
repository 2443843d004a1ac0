"""Who asks whether Redis takes writes waits for no queue of others who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from bridge.errors import StoreUnavailable
from bridge.store.lua_scripts import Command
from bridge.store.redis_access import RedisAccess
from bridge.store.write_probe import WriteProbe
from tests.plain_client import PlainClient

pytestmark = pytest.mark.redis


class Hanging(RedisAccess):
    """One partition hangs for a while, every time."""

    asked = 0

    async def run_each(self, commands: Sequence[Command]) -> list[Any]:
        self.asked += 1
        await asyncio.sleep(0.05)
        return [StoreUnavailable("hangs"), *(await super().run_each(commands))[1:]]


async def test_strangers_do_not_queue_up(real_client: Redis) -> None:
    """A hundred strangers who ask at once cost one look, and an orchestrator among them hears as
    soon as they.
    """
    commands = Hanging(PlainClient(real_client))
    probe = WriteProbe(commands, prefix="readiness")
    found = await asyncio.gather(*(probe.check() for _ in range(100)))
    assert [sorted(one.missing) for one in found] == [["p0"]] * 100
    assert commands.asked <= 2
    await probe.check()
    assert commands.asked <= 3
