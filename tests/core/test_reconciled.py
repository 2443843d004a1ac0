"""What a reconciliation has found, counted."""

from __future__ import annotations

from bridge.core.queueing import ReconciliationReport


def test_mended_counts_all_that_can_be_mended() -> None:
    """Queued again, indexed again and forgotten entries count; damaged records do not, for nothing
    mends them.
    """
    found = ReconciliationReport(
        records=9, requeued=["a:check"], reindexed=["l", "m"], forgotten=3, damaged=["iv"]
    )
    assert found.mended == 6
