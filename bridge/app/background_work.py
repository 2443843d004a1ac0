"""What a process does beside answering requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from bridge import sweep, worker
from bridge.app.runtime import Runtime


@contextlib.asynccontextmanager
async def run_background_work(
    runtime: Runtime, *, grace_s: float, on_death: Callable[[], None]
) -> AsyncIterator[None]:
    """Have the runtime's worker perform tasks meanwhile, its sweep look for lost ones, and its
    alerts posted.
    """
    async with (
        worker.run_worker_in_background(runtime.worker, grace_s=grace_s, on_death=on_death),
        sweep.run_sweep_in_background(runtime.sweep),
    ):
        alerting = asyncio.create_task(runtime.alerts.run())
        try:
            yield
        finally:
            alerting.cancel()
            await asyncio.gather(alerting, return_exceptions=True)
