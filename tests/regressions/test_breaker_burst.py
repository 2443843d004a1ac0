"""A burst of calls that failed together counted as so many failed probes: the first pause was half
a minute at once.
"""

from __future__ import annotations

import asyncio

import pytest

from bridge.core.queueing import NotificationResponse
from bridge.errors import CircuitOpen, Unavailable
from bridge.service.targets import FIRST_PAUSE, THRESHOLD, GuardedNotifier, Targets
from tests.service.fakes import ACME, CALLBACK, Clock, ScriptedNotifier, settled


async def test_a_burst_of_failures_is_one_opening() -> None:
    """Forty calls that fail at the same time open the breaker for the first pause, no longer."""
    release = asyncio.Event()

    async def nobody(*_: str) -> NotificationResponse:
        await release.wait()
        raise Unavailable("softgarden", "notify", "no connection")

    clock, inner = Clock(), ScriptedNotifier()
    inner.script.on("notify", nobody)
    notifier = GuardedNotifier(inner, Targets(clock.monotonic))
    calls = [
        asyncio.create_task(notifier.notify(ACME, CALLBACK, "iv_1")) for _ in range(8 * THRESHOLD)
    ]
    await asyncio.sleep(0)
    release.set()
    await settled(*calls)
    with pytest.raises(CircuitOpen) as raised:
        await notifier.notify(ACME, CALLBACK, "iv_1")
    assert raised.value.retry_after_s == FIRST_PAUSE.total_seconds()
