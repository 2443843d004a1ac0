"""A process that has been at work for a while does not grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.candidates import BRIDGE, Setting, run_candidate
from tests.bench.endurance import compute_slope
from tests.bench.measurement import carry_out
from tests.bench.operations import JOURNEY
from tests.bench.processor_time import measure_rss_mb

WARM_UP, JOURNEYS = 600, 1_000
MOST_MB = 2.0


@pytest.mark.redis
@pytest.mark.timeout(600)
async def test_memory_is_flat(tmp_path: Path) -> None:
    """A thousand journeys of a warm daemon leave less than two kilobytes each behind, and nothing
    lost or doubled.
    """
    async with run_candidate(BRIDGE, tmp_path, Setting(connections=8)) as one:
        await carry_out((one,), JOURNEY, WARM_UP)
        before = measure_rss_mb(one.pid)
        await carry_out((one,), JOURNEY, JOURNEYS)
        assert measure_rss_mb(one.pid) - before < MOST_MB
    ledger = one.ledger
    assert len(ledger.reported) == WARM_UP + JOURNEYS
    assert (ledger.find_losses(), ledger.find_duplicates(), ledger.find_strangers()) == ([], [], [])


def test_slope() -> None:
    """What grows by two megabytes a minute is said to, whatever it began with."""
    assert compute_slope([(0.0, 90.0), (1.0, 92.0), (2.0, 94.0)]) == pytest.approx(2.0)
