"""What the vendors' answers look like, remembered, so that a change is noticed before it hurts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog

from bridge.core.answer_shape import ObservedFact, Shape
from bridge.errors import StoreUnavailable
from bridge.meter import NO_METER, Meter
from bridge.ports import Clock, ContractStore, Monotonic

FACTS_LIMIT = 300
"""Facts of one operation that are kept; more than that is no contract."""
SEEN_AGAIN_EVERY = timedelta(hours=1)
"""How often it is noted that a fact still holds."""
PAUSE_S = 10.0
"""How long a store that did not answer is left alone."""
LAST_WRITE_S = 1.0
_TOLD_LIMIT = 12
"""New facts that one log line names."""

log = structlog.get_logger()


class ContractWatch:
    """Hears of every shape. What is known costs a look into a set; the rest is written down behind
    the caller's back, by ``run_watch_in_background``.
    """

    def __init__(
        self,
        store: ContractStore,
        clock: Clock,
        *,
        monotonic: Monotonic,
        meter: Meter = NO_METER,
    ) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._meter = meter
        self._fresh: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        """What was heard since it was last time to note everything again."""
        self._pending: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._kept: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._again_at = float("-inf")
        self._read = False
        self._writing = asyncio.Lock()
        self.awake = asyncio.Event()
        """Set when there is something to write down."""

    def observe(self, vendor: str, operation: str, shape: Shape) -> None:
        """See ``ShapeWatch``."""
        now = self._monotonic()
        if now >= self._again_at:
            self._again_at = now + SEEN_AGAIN_EVERY.total_seconds()
            self._fresh.clear()
        fresh = self._fresh[vendor, operation]
        if shape <= fresh or len(fresh) >= FACTS_LIMIT:
            return
        self._pending[vendor, operation] |= shape - fresh
        fresh |= shape
        self.awake.set()

    async def facts(self) -> tuple[ObservedFact, ...]:
        """Everything that any process has seen."""
        return await self._store.facts()

    async def write_down(self) -> None:
        """Keep what was heard, and log what was never seen before; raises ``StoreUnavailable``,
        and forgets nothing then.
        """
        async with self._writing:
            self.awake.clear()
            if self._pending and not self._read:
                for fact in await self._store.facts():
                    self._kept[fact.vendor, fact.operation].add(fact.text)
                self._read = True
            for vendor, operation in tuple(self._pending):
                await self._keep(vendor, operation)

    async def _keep(self, vendor: str, operation: str) -> None:
        pending = self._pending.pop((vendor, operation))
        kept = self._kept[vendor, operation]
        first_ever, room = not kept, max(0, FACTS_LIMIT - len(kept))
        facts = frozenset(sorted(pending - kept)[:room]) | (pending & kept)
        try:
            added = await self._store.add(vendor, operation, facts, self._clock())
        except BaseException:
            self._pending[vendor, operation] |= pending
            self.awake.set()
            raise
        kept |= facts
        if added:
            self._tell(vendor, operation, sorted(added), first_ever=first_ever)

    def _tell(self, vendor: str, operation: str, added: list[str], *, first_ever: bool) -> None:
        self._meter.contract_change(vendor, operation)
        log.log(
            logging.INFO if first_ever else logging.WARNING,
            "contract.changed",
            vendor=vendor,
            operation=operation,
            new=added[:_TOLD_LIMIT],
            more=max(0, len(added) - _TOLD_LIMIT),
            text="seen for the first time; `assessment-bridge contract diff` compares",
        )


@contextlib.asynccontextmanager
async def run_watch_in_background(watch: ContractWatch) -> AsyncIterator[None]:
    """Have what *watch* hears written down meanwhile, and a last time at the end."""
    stopping = asyncio.Event()
    task = asyncio.create_task(_write_down(watch, stopping), name="contract watch")
    try:
        yield
    finally:
        stopping.set()
        watch.awake.set()
        # It is not cancelled in mid-write, unless that takes too long.
        _, left = await asyncio.wait({task}, timeout=LAST_WRITE_S)
        if left:
            task.cancel()
            await asyncio.wait(left, timeout=LAST_WRITE_S)


async def _write_down(watch: ContractWatch, stopping: asyncio.Event) -> None:
    while True:
        await watch.awake.wait()
        try:
            await watch.write_down()
        except StoreUnavailable as error:
            log.info("contract.not_kept", reason=str(error))
            watch.awake.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await stopping.wait()
        if stopping.is_set():
            return
