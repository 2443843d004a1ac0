"""Ids of tasks, and what a reconciliation has found."""

from __future__ import annotations

import pytest

from bridge.core import queueing
from bridge.core.queueing import DeadLetter, Lease, ReconciliationReport, TaskKind
from tests.core.build import NOW


def test_mended_counts_all_that_can_be_mended() -> None:
    """Queued again, indexed again and forgotten entries count; damaged records do not, for nothing
    mends them.
    """
    found = ReconciliationReport(
        records=9, requeued=["a:check"], reindexed=["l", "m"], forgotten=3, damaged=["iv"]
    )
    assert found.repairable == 6


def test_task_id_is_the_same_for_a_lease_and_its_dead_letter() -> None:
    """Operators find a task under one id, whether it is being performed or given up."""
    lease = Lease("iv_7x", TaskKind.NOTIFY, "acme", 1, "owner", 1)
    letter = DeadLetter("iv_7x", TaskKind.NOTIFY, "acme", 6, "rejected", NOW)
    assert ["iv_7x:notify", "iv_7x:notify"] == [lease.task_id, letter.task_id]


def test_task_id_can_be_read() -> None:
    """An operator's task id gives the invitation and the kind, and nothing for a kind that is
    none.
    """
    assert queueing.parse_task_id("iv_7x:notify") == ("iv_7x", TaskKind.NOTIFY)
    for text in ("iv_7x:dance", "iv_7x", ""):
        with pytest.raises(ValueError, match="TaskKind"):
            queueing.parse_task_id(text)
