"""Which partitions of the store answer, so that one that does not delays no other.

In a cluster some partitions may be away while others work. Those that are away are left out and
looked at again after a pause that grows from one to eight seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from bridge.errors import StoreUnavailable
from bridge.store.key_names import Partitions
from bridge.store.lua_scripts import Command
from bridge.store.redis_access import RedisAccess, StoreFull

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 8.0
_PROBE_MS: Final = 60_000

log = structlog.get_logger()


@dataclass(slots=True)
class _Outage:
    pause_s: float
    look_at: float


class PartitionHealth:
    """What one process has seen of the partitions; *monotonic* gives seconds."""

    def __init__(
        self,
        commands: RedisAccess,
        partitions: Partitions,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commands = commands
        self._partitions = partitions
        self._monotonic = monotonic
        self._away: dict[int, _Outage] = {}
        self._looking: set[asyncio.Task[None]] = set()

    async def ask_all(self, call: Callable[[int], Command]) -> dict[int, Any]:
        """What ``ask`` gives for all partitions that are not known to be away.

        Those that are away are looked at beside it: whoever waited for one would keep the others
        waiting.
        """
        now = self._monotonic()
        for partition, away in self._away.items():
            if now >= away.look_at:
                away.pause_s = min(2 * away.pause_s, LONGEST_PAUSE_S)
                away.look_at = now + away.pause_s
                task = asyncio.create_task(self._look_at(partition))
                self._looking.add(task)
                task.add_done_callback(self._looking.discard)
        working = [
            names.partition for names in self._partitions if names.partition not in self._away
        ]
        return await self.ask({partition: call(partition) for partition in working})

    async def ask(self, calls: Mapping[int, Command]) -> dict[int, Any]:
        """The answers of those partitions that give one; raises ``StoreUnavailable`` where none
        does.

        ``StoreFull`` is an answer: the partition is there.
        """
        answers = dict(zip(calls, await self._commands.run_each([*calls.values()]), strict=True))
        failures = {
            partition: answer
            for partition, answer in answers.items()
            if isinstance(answer, StoreUnavailable) and not isinstance(answer, StoreFull)
        }
        if failures and len(failures) == len(answers):
            raise next(iter(failures.values()))
        for partition, error in failures.items():
            if partition not in self._away:
                log.error("partition.unavailable", partition=partition, reason=str(error))
                look_at = self._monotonic() + FIRST_PAUSE_S
                self._away[partition] = _Outage(FIRST_PAUSE_S, look_at)
        return {one: answer for one, answer in answers.items() if one not in failures}

    async def _look_at(self, partition: int) -> None:
        """It is back when it takes a write: one that only reads would be away again at once."""
        probe = ("SET", self._partitions[partition].probe, "1", "PX", _PROBE_MS)
        with contextlib.suppress(StoreUnavailable):  # then nobody answers at all
            (answer,) = await self._commands.run_each([probe])
            there = isinstance(answer, StoreFull) or not isinstance(answer, StoreUnavailable)
            if there and self._away.pop(partition, None) is not None:
                log.info("partition.recovered", partition=partition)
