"""Use case: an event of the provider's webhook. A hint like a callback, only that it names the application by reference id."""

from __future__ import annotations

from datetime import datetime

import structlog

from bridge.core.customers import Customer
from bridge.core.lifecycle import HintSeen, StartSeen
from bridge.core.models import Invitation, State
from bridge.errors import UnknownInvitation
from bridge.ports import Customers, References
from bridge.service.records import Records

STARTED = "started"
FINISHED = "finished"

log = structlog.get_logger()


class Events:
    """Takes events in; unknown applications are normal, since an account's events all come here."""

    def __init__(self, records: Records, references: References, customers: Customers) -> None:
        self._records = records
        self._references = references
        self._customers = customers

    async def take(
        self, customer: Customer, event_id: str, word: str, reference_id: str | None, at: datetime | None
    ) -> str:
        """Act on one event; gives what became of it: ``taken``, ``repeated``, ``ignored``, ``unknown``.

        An event is marked as seen after it was acted upon: acting twice does no harm, not acting at all would.
        """
        if await self._references.seen(customer.key, event_id):
            outcome = "repeated"
        else:
            outcome = await self._act(customer, word, reference_id, at)
            await self._references.mark(customer.key, event_id)
        # The vendor's own word stays out of the log: it is free text.
        shown = word if word in (STARTED, FINISHED) else "other"
        log.info("event.received", customer=customer.key, word=shown, outcome=outcome)
        return outcome

    async def known(self, invitation: Invitation, reference_id: str) -> None:
        """Keep the way from a fresh application to its invitation, and act on an event that came before it.

        Not for an invitation that was deleted while its application was made: nothing about it comes back.
        """
        if invitation.state in (State.ERASED, State.FAILED):
            return
        word = await self._references.remember(invitation.customer, reference_id, invitation.id)
        customer = self._customers().get(invitation.customer)
        if word is not None and customer is not None:
            await self._act(customer, word, reference_id, None)

    async def _act(self, customer: Customer, word: str, reference_id: str | None, at: datetime | None) -> str:
        if word not in (STARTED, FINISHED) or reference_id is None:
            return "ignored"
        invitation_id = await self._references.find(customer.key, reference_id)
        invitation = await self._records.store.load(invitation_id) if invitation_id is not None else None
        if invitation is None or invitation.customer != customer.key:
            # Perhaps the create's answer is not stored yet; or it is another integration of the same account.
            await self._references.waiting(customer.key, reference_id, word)
            found = await self._references.find(customer.key, reference_id)
            if invitation_id is None and found is not None:
                return await self._act(customer, word, reference_id, at)  # stored between our two looks
            return "unknown"
        numbers = [attempt.number for attempt in invitation.attempts if attempt.reference_id == reference_id]
        if not numbers:
            return "ignored"
        now = self._records.clock()
        event = HintSeen(numbers[0], None) if word == FINISHED else StartSeen(min(at or now, now))
        try:
            await self._records.apply(invitation, event, customer)
        except UnknownInvitation:
            return "ignored"
        return "taken"
