"""Counting what there is, for the status page."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bridge.core.invitation import Invitation, State, Transition, UnconfirmedResult
from bridge.errors import StoreUnavailable
from bridge.service.stocktaking import count_invitations, list_untold_results
from tests.core.build import NOW, opening
from tests.fakes import MemoryStore


async def stored(store: MemoryStore, number: int, at: datetime, **changes: object) -> None:
    """One more record, as old as *at* says."""
    opened = opening().invitation
    invitation_id = f"{opened.id[:-4]}{number:04}"
    changed = replace(opened, id=invitation_id, created_at=at, **changes)  # type: ignore[arg-type]
    assert await store.commit(Transition(changed))


async def test_open_ones_by_age() -> None:
    """Open invitations are counted by state and by age; what is over, among the orders only."""
    store = MemoryStore(lambda: NOW)
    for number, days in enumerate((0, 2, 30)):
        await stored(store, number, NOW - timedelta(days=days), state=State.INVITED)
    await stored(store, 9, NOW, state=State.COMPLETED, completed_at=NOW)
    stock = await count_invitations(store, lambda: NOW, lambda: 0.0)
    (one,) = stock.customers.values()
    assert (one.young, one.older, one.old, dict(one.open)) == (1, 1, 1, {State.INVITED: 3})
    assert (one.ordered_today, one.completed_today) == (2, 1)
    (states,) = stock.orders.values()
    assert states == {State.INVITED: 3, State.COMPLETED: 1}
    assert (stock.records, stock.complete) == (4, True)


async def test_the_longest_unconfirmed() -> None:
    """Of reports that wait to be confirmed the oldest is named."""
    store = MemoryStore(lambda: NOW)
    for number, hours in enumerate((1, 3, 2)):
        report = UnconfirmedResult(1, NOW - timedelta(hours=hours))
        await stored(store, number, NOW, state=State.INVITED, unconfirmed_result=report)
    stock = await count_invitations(store, lambda: NOW, lambda: 0.0)
    assert stock.unconfirmed is not None
    assert stock.unconfirmed.since == NOW - timedelta(hours=3)


async def test_it_ends_in_time() -> None:
    """What cannot be counted in time, or is too much, is left out, and the stock says so."""
    store, seconds = MemoryStore(lambda: NOW), iter(range(100))
    for number in range(5):
        await stored(store, number, NOW, state=State.INVITED)
    late = await count_invitations(store, lambda: NOW, lambda: next(seconds) * 0.4)
    assert (late.records, late.complete) == (2, False)
    many = await count_invitations(store, lambda: NOW, lambda: 0.0, limit=3)
    assert (many.records, many.complete) == (3, False)


async def test_without_a_store() -> None:
    """A store that does not answer is an error, not an empty stock."""
    store = MemoryStore(lambda: NOW)
    store.down = True
    with pytest.raises(StoreUnavailable):
        await count_invitations(store, lambda: NOW, lambda: 0.0)


class HangingStore(MemoryStore):
    """Answers no read, and fails all once three are under way."""

    waiting = 0
    failed = asyncio.Event()

    async def load(self, invitation_id: str) -> Invitation | None:
        """Fails."""
        self.waiting += 1
        if self.waiting == 3:
            self.failed.set()
        await self.failed.wait()
        raise StoreUnavailable("Redis does not answer")


async def test_untold_results_of_a_store_that_hangs() -> None:
    """Records that cannot be read are waited for together, not one after the other."""
    store = HangingStore(lambda: NOW)
    assert await list_untold_results(store, ["one", "two", "three"]) == []
