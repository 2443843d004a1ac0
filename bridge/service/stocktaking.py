"""Use case: what there is, for the status page; bounded in time, whatever is stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import cast

from bridge.core.invitation import OPEN, Invitation, State
from bridge.errors import BridgeError
from bridge.ports import Clock, InvitationStore, Monotonic

YOUNG = timedelta(days=1)
OLD = timedelta(days=7)
LOOK_S = 1.0
"""How long records are counted; what is not seen by then is said to be missing."""
RECORDS_LIMIT = 50_000
ORDERS_LIMIT = 5_000
"""Different customers with their tests that are counted."""
_TOGETHER = 64
"""Records that are read at a time."""


@dataclass(slots=True)
class CustomerCounts:
    """One customer's invitations: open ones by state and by age, and what came today."""

    open: Counter[State] = field(default_factory=Counter)
    young: int = 0
    """Open for less than a day."""
    older: int = 0
    old: int = 0
    """Open for more than a week."""
    ordered_today: int = 0
    completed_today: int = 0


@dataclass(frozen=True, slots=True)
class WaitingResult:
    """A result that is waited for."""

    invitation_id: str
    customer: str
    since: datetime
    why: str


@dataclass(slots=True)
class InvitationCounts:
    """What was counted; not *complete*: there is at least that much."""

    customers: defaultdict[str, CustomerCounts] = field(
        default_factory=lambda: defaultdict(CustomerCounts)
    )
    orders: defaultdict[tuple[str, str], Counter[State]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    """By customer and test."""
    unconfirmed: WaitingResult | None = None
    """The result that has been reported for the longest time and is not confirmed yet."""
    records: int = 0
    complete: bool = True

    def add(self, invitation: Invitation, now: datetime) -> None:
        """Count one more."""
        self.records += 1
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        stock = self.customers[invitation.customer]
        stock.ordered_today += invitation.created_at >= today
        if invitation.completed_at is not None:
            stock.completed_today += invitation.completed_at >= today
        order = (invitation.customer, invitation.test_id)
        if order in self.orders or len(self.orders) < ORDERS_LIMIT:
            self.orders[order][invitation.state] += 1
        if invitation.state not in OPEN:
            return
        stock.open[invitation.state] += 1
        age = now - invitation.created_at
        stock.young += age < YOUNG
        stock.old += age >= OLD
        stock.older += YOUNG <= age < OLD
        reported = invitation.unconfirmed_result
        if reported is not None and (
            self.unconfirmed is None or reported.seen_at < self.unconfirmed.since
        ):
            self.unconfirmed = WaitingResult(
                invitation.id, invitation.customer, reported.seen_at, "reported, not confirmed yet"
            )


async def count_invitations(
    store: InvitationStore,
    clock: Clock,
    monotonic: Monotonic,
    *,
    look_s: float = LOOK_S,
    limit: int = RECORDS_LIMIT,
) -> InvitationCounts:
    """Count the records, for at most *look_s* seconds; raises ``StoreUnavailable``."""
    stock, now, begun = InvitationCounts(), clock(), monotonic()
    records = cast(AsyncGenerator[Invitation], store.scan())
    async with contextlib.aclosing(records):
        async for invitation in records:
            if stock.records >= limit or monotonic() - begun > look_s:
                stock.complete = False
                break
            stock.add(invitation, now)
    return stock


async def list_untold_results(
    store: InvitationStore, invitation_ids: Iterable[str]
) -> list[WaitingResult]:
    """Since when the ATS has not been told of these invitations' ends; what cannot be read is left
    out.
    """

    async def load(invitation_id: str) -> Invitation | None:
        with contextlib.suppress(BridgeError):
            return await store.load(invitation_id)
        return None

    found, ids = [], iter(invitation_ids)
    # Together: those in a partition that does not answer each take as long as the store may.
    while batch := tuple(islice(ids, _TOGETHER)):
        for one in await asyncio.gather(*map(load, batch)):
            since = one and (one.corrected_at or one.completed_at or one.expired_at)
            if one and since:
                why = f"{one.state}, not told yet"
                found.append(WaitingResult(one.id, one.customer, since, why))
    return found
