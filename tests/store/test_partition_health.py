"""Trouble of some partitions is told from trouble of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from bridge.errors import StoreUnavailable
from bridge.store.key_names import PartitionKeyNames
from bridge.store.lua_scripts import Command
from bridge.store.partition_health import PartitionHealth
from bridge.store.redis_access import RedisAccess

NAMES = PartitionKeyNames("bridge")


class PartlyReadOnly:
    """A Redis where some partitions take no writes."""

    def __init__(self, refusing: Sequence[int]) -> None:
        self._tags = [NAMES[one].base for one in refusing]

    async def run_each(self, commands: Sequence[Command]) -> list[Any]:
        """An error for each command to such a partition."""
        return [
            StoreUnavailable("refused") if str(command[1]).startswith(tuple(self._tags)) else b"OK"
            for command in commands
        ]


def over(*refusing: int) -> PartitionHealth:
    return PartitionHealth(
        cast(RedisAccess, PartlyReadOnly(refusing)), NAMES, monotonic=lambda: 0.0
    )


def write(partition: int) -> Command:
    return ("SET", NAMES[partition].probe, "1")


async def test_asked_are_all_that_refuse() -> None:
    """Where all partitions that a call needs refuse, those are left out from then on; the others
    go on.
    """
    health = over(3, 7)
    assert await health.ask({3: write(3), 7: write(7)}) == {}
    answers = await health.ask_all(write)
    assert sorted(answers) == [one for one in range(16) if one not in (3, 7)]


async def test_all_refuse() -> None:
    """Where no partition takes a write, all of Redis is in trouble, however few were asked."""
    health = over(*range(16))
    with pytest.raises(StoreUnavailable):
        await health.ask({3: write(3)})
