"""Checks whether Redis takes writes; anyone may ask, so it causes at most ten writes a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.errors import StoreUnavailable
from bridge.single_flight import SingleFlight
from bridge.store.key_names import PartitionKeyNames
from bridge.store.redis_access import RedisAccess

CACHE_S: Final = 0.1
_LIFE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class WriteProbeResult:
    """*refusal*: why no partition takes writes; None: some do.

    *missing*: why these partitions do not, by name.
    """

    refusal: str | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


class WriteProbe:
    """Writes a small key to every partition.

    A partition that takes no writes (a replica, full memory or disk) cannot store results.
    """

    def __init__(
        self, commands: RedisAccess, *, prefix: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._commands = commands
        self._partitions = PartitionKeyNames(prefix)
        self._monotonic = monotonic
        self._flights: SingleFlight[str, WriteProbeResult] = SingleFlight()
        self._known: tuple[float, WriteProbeResult] | None = None

    async def check(self) -> WriteProbeResult:
        """The current state; that of the writes may be up to ``CACHE_S`` old.

        Concurrent callers share one answer.
        """
        if self._known is not None and self._monotonic() - self._known[0] < CACHE_S:
            return await self._if_reachable(self._known[1])
        # One by one, each caller would wait for all before it while a part of Redis hangs.
        return await self._flights.run("writes", self._check)

    async def _if_reachable(self, writes: WriteProbeResult) -> WriteProbeResult:
        try:
            await self._commands.ping()
        except StoreUnavailable as error:
            return WriteProbeResult(refusal=str(error))
        return writes

    async def _check(self) -> WriteProbeResult:
        writes = await self._ask()
        # Only success is cached: an operator who freed memory wants to see it at once.
        self._known = (self._monotonic(), writes) if writes == WriteProbeResult() else None
        return writes

    async def _ask(self) -> WriteProbeResult:
        try:
            answers = await self._commands.run_each(
                [("SET", names.probe, "1", "PX", _LIFE_MS) for names in self._partitions]
            )
        except StoreUnavailable as error:
            return WriteProbeResult(refusal=str(error))
        missing = {
            f"p{number:x}": str(answer)
            for number, answer in enumerate(answers)
            if isinstance(answer, StoreUnavailable)
        }
        if len(missing) == len(answers):
            return WriteProbeResult(refusal=next(iter(missing.values())))
        return WriteProbeResult(missing=missing)
