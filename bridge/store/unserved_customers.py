"""Customers that are removed or set aside and have waiting tasks; kept across restarts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Final

from bridge.core.queueing import TaskKind
from bridge.errors import StoreUnavailable
from bridge.store import key_names, lua_scripts, stored_times
from bridge.store.key_names import KeyNames, PartitionKeyNames
from bridge.store.redis_access import RedisAccess

_RECALLED: Final = (TaskKind.CHECK, TaskKind.ANONYMISE)
"""NOTIFY is not made due: it follows the retry plan."""


class RedisUnservedCustomers:
    """``UnservedCustomers`` over Redis.

    May be called by any number of processes, in any order, any number of times.
    """

    def __init__(self, commands: RedisAccess, *, prefix: str, together: int = 500) -> None:
        self._commands = commands
        self._together = together
        self._partitions = PartitionKeyNames(prefix)

    async def update(self, serves: Callable[[str], bool], now: datetime) -> int:
        """Store which customers have waiting tasks, and make the tasks of those that are served
        again due at once; returns the number of these tasks.

        A customer stays stored until all its tasks are due: after an interruption the next call
        continues. A failure of one partition is raised after all others were handled.
        """
        count = 0
        trouble: StoreUnavailable | None = None
        for names in self._partitions:
            try:
                count += await self._settle(names, serves, now)
            except StoreUnavailable as error:
                trouble = error
        if trouble is not None:
            raise trouble
        return count

    async def _settle(self, names: KeyNames, serves: Callable[[str], bool], now: datetime) -> int:
        count = 0
        lanes = [
            lane
            for lane in await self._commands.run(("ZRANGE", names.lanes, 0, -1))
            if key_names.is_lane_name(lane)
        ]
        customers = {
            _text(lane).removesuffix(key_names.URGENT).rpartition("/")[0] for lane in lanes
        }
        waiting = {customer for customer in customers if not serves(customer)}
        if waiting:
            await self._commands.run(("SADD", names.unserved, *sorted(waiting)))
        for unserved in await self._commands.run(("SMEMBERS", names.unserved)):
            if serves(_text(unserved)):
                count += await self._recall(names, _text(unserved), now)
                await self._commands.run(("SREM", names.unserved, unserved))
        return count

    async def _recall(self, names: KeyNames, customer: str, now: datetime) -> int:
        count = 0
        for kind, urgent in itertools.product(_RECALLED, (False, True)):
            lane = key_names.build_lane_name(customer, kind, urgent=urgent)
            call = lua_scripts.MAKE_LANE_DUE.call(
                [names.due(lane), names.tasks, names.lanes],
                [lane, stored_times.to_ms(now), self._together],
            )
            while recalled := await self._commands.run(call):
                count += recalled
        return count


def _text(raw: bytes) -> str:
    """Text of a customer key; anything that is not UTF-8 was never a customer of the bridge."""
    return raw.decode("utf-8", "ignore")
