"""Which partitions of the store answer, so that one that does not delays no other.

In a cluster some partitions may be unavailable while others work. Those are left out, and probed
again after a pause that grows from one to eight seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from bridge.errors import StoreUnavailable
from bridge.store.key_names import PartitionKeyNames
from bridge.store.lua_scripts import Command
from bridge.store.redis_access import RedisAccess, StoreFull

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 8.0
_PROBE_MS: Final = 60_000

log = structlog.get_logger()


@dataclass(slots=True)
class _Outage:
    pause_s: float
    retry_at: float


class PartitionHealth:
    """Which partitions answered this process; *monotonic* returns seconds."""

    def __init__(
        self,
        commands: RedisAccess,
        partitions: PartitionKeyNames,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commands = commands
        self._partitions = partitions
        self._monotonic = monotonic
        self._outages: dict[int, _Outage] = {}
        self._probing: set[asyncio.Task[None]] = set()

    async def ask_all(self, call: Callable[[int], Command]) -> dict[int, Any]:
        """The result of ``ask`` for all partitions that are not known to be unavailable.

        The unavailable ones are probed in the background, so that no call waits for them.
        """
        now = self._monotonic()
        for partition, outage in self._outages.items():
            if now >= outage.retry_at:
                outage.pause_s = min(2 * outage.pause_s, LONGEST_PAUSE_S)
                outage.retry_at = now + outage.pause_s
                task = asyncio.create_task(self._probe(partition))
                self._probing.add(task)
                task.add_done_callback(self._probing.discard)
        working = [
            names.partition for names in self._partitions if names.partition not in self._outages
        ]
        return await self.ask({partition: call(partition) for partition in working})

    async def ask(self, calls: Mapping[int, Command]) -> dict[int, Any]:
        """The answers of those partitions that give one; raises ``StoreUnavailable`` if none does,
        nor one that was not asked takes a write.

        ``StoreFull`` is an answer: the partition is available.
        """
        answers = dict(zip(calls, await self._commands.run_each([*calls.values()]), strict=True))
        failures = {
            partition: answer
            for partition, answer in answers.items()
            if isinstance(answer, StoreUnavailable) and not isinstance(answer, StoreFull)
        }
        if failures and len(failures) == len(answers) and not await self._others_work(calls):
            raise next(iter(failures.values()))
        for partition, error in failures.items():
            if partition not in self._outages:
                log.error("partition.unavailable", partition=partition, reason=str(error))
                retry_at = self._monotonic() + FIRST_PAUSE_S
                self._outages[partition] = _Outage(FIRST_PAUSE_S, retry_at)
        return {one: answer for one, answer in answers.items() if one not in failures}

    async def _others_work(self, asked: Collection[int]) -> bool:
        """Whether only the partitions that were *asked* are in trouble, not all of Redis."""
        names = (names.partition for names in self._partitions)
        others = [one for one in names if one not in asked and one not in self._outages]
        return any(await self._take_write(others))

    async def _probe(self, partition: int) -> None:
        """A partition has recovered when it takes a write: one that can only be read would fail
        again at once.
        """
        with contextlib.suppress(StoreUnavailable):  # then no partition answers at all
            (there,) = await self._take_write([partition])
            if there and self._outages.pop(partition, None) is not None:
                log.info("partition.recovered", partition=partition)

    async def _take_write(self, partitions: Sequence[int]) -> list[bool]:
        """Whether each takes a write, or would if it were not full."""
        answers = await self._commands.run_each(
            [("SET", self._partitions[one].probe, "1", "PX", _PROBE_MS) for one in partitions]
        )
        return [
            isinstance(answer, StoreFull) or not isinstance(answer, StoreUnavailable)
            for answer in answers
        ]
