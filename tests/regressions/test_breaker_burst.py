"""A burst of calls that failed together counted as so many failed probes: the first pause was half
a minute at once.
"""

from __future__ import annotations

import asyncio

import pytest

from bridge.errors import CircuitOpen, UpstreamUnavailable
from bridge.resilience import FIRST_PAUSE, THRESHOLD, Resilience
from tests.service.fakes import Clock, settled


async def test_a_burst_of_failures_is_one_opening() -> None:
    """Forty calls that fail at the same time open the breaker for the first pause, no longer."""
    release = asyncio.Event()
    resilience = Resilience("softgarden", Clock().monotonic)

    async def nobody() -> None:
        async with resilience.call("acme", "notify"):
            await release.wait()
            raise UpstreamUnavailable("softgarden", "notify", "no connection")

    calls = [asyncio.create_task(nobody()) for _ in range(8 * THRESHOLD)]
    await asyncio.sleep(0)
    release.set()
    await settled(*calls)
    with pytest.raises(CircuitOpen) as raised:
        await nobody()
    assert raised.value.retry_after_s == FIRST_PAUSE.total_seconds()
