"""The reconciliation as a daemon runs it: little by little, all the time, in one process at a
time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from bridge.errors import StoreUnavailable
from bridge.ports import Reconciler

STEP_PAUSE_S = 0.25
"""Between two steps of a hundred keys: a million invitations take some hours and little load.
"""
PASS_PAUSE_S = 15.0
"""Between two passes."""

log = structlog.get_logger()


class Sweep:
    """Runs passes of the reconciliation for as long as the process lives."""

    def __init__(
        self,
        reconciler: Reconciler,
        owner: str,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reconciler = reconciler
        self._owner = owner
        self._pause = pause

    async def run(self) -> None:
        """Run passes until cancelled; waits while Redis does not answer or another process runs
        one.
        """
        while True:
            await self._pause(PASS_PAUSE_S)
            try:
                if await self._reconciler.claim(self._owner):
                    await self.run_once()
            except StoreUnavailable:
                continue  # the worker logs it
            except Exception:
                log.exception("sweep.failed")

    async def run_once(self) -> None:
        """Run one pass, and log what was repaired."""
        try:
            found = await self._reconciler.run(pause=lambda: self._pause(STEP_PAUSE_S))
        finally:
            with contextlib.suppress(StoreUnavailable):
                await self._reconciler.release()
        if found.indexed:
            log.info("sweep.indexed", records=found.indexed)
        if found.repairable:
            log.warning(
                "sweep.repaired",
                requeued=len(found.requeued),
                reindexed=len(found.reindexed),
                forgotten=found.forgotten,
                task_ids=found.requeued[:20],
            )


@contextlib.asynccontextmanager
async def run_sweep_in_background(sweep: Sweep) -> AsyncIterator[None]:
    """Sweep beside the server."""
    task = asyncio.create_task(sweep.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
