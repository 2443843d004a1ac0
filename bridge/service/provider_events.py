"""Use case: an event of the provider's webhook.

It reports like a callback, but names the application by its reference id.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from bridge.core.customers import Customer
from bridge.core.history_events import BY_WEBHOOK, EventDetail
from bridge.core.invitation import AddedReference, Invitation, State
from bridge.core.lifecycle.attempts import may_yet_be_recorded
from bridge.core.lifecycle.events import AssessmentStarted, ResultReported
from bridge.core.lifecycle.policy import EARLY_EVENT_LIFE, SEEN_EVENT_LIFE
from bridge.errors import RequestInProgress, UnknownInvitation
from bridge.ports import CurrentCustomers, Pause, ReferenceIndex
from bridge.service.commit_loop import CommitLoop
from bridge.service.shared_applications import SharedApplications

STARTED = "started"
FINISHED = "finished"
_BY_WEBHOOK = EventDetail(BY_WEBHOOK)
_RECORDING = "recording"
_RECORDED_WITHIN_S = 3.0
_POLL_INTERVAL_S = 0.05

log = structlog.get_logger()


class ProviderEvents:
    """Handles events; unknown applications are normal, since all events of an account come here."""

    def __init__(
        self,
        records: CommitLoop,
        references: ReferenceIndex,
        holders: SharedApplications,
        customers: CurrentCustomers,
        pause: Pause,
    ) -> None:
        self._records = records
        self._references = references
        self._holders = holders
        self._customers = customers
        self._pause = pause

    async def take(
        self,
        customer: Customer,
        event_id: str,
        word: str,
        reference_id: str | None,
        at: datetime | None,
    ) -> str:
        """Act on one event; returns the outcome: ``taken``, ``repeated``, ``ignored``, ``unknown``.

        An event is marked as seen only after it was applied: applying it twice is harmless, losing
        it is not; so one that waits for its application is not. Raises ``RequestInProgress`` if the
        application is being recorded, and that takes long: the sender has to repeat it.
        """
        if await self._references.is_event_seen(customer.key, event_id):
            outcome = "repeated"
        else:
            give_up_at = self._records.monotonic() + _RECORDED_WITHIN_S
            while (outcome := await self._act(customer, word, reference_id, at)) == _RECORDING:
                if self._records.monotonic() >= give_up_at:
                    raise RequestInProgress("This application is being recorded.")
                await self._pause(_POLL_INTERVAL_S)
            if outcome != "unknown":
                seen = self._references.mark_event_seen
                await seen(customer.key, event_id, life=SEEN_EVENT_LIFE)
        # The vendor's own word stays out of the log: it is free text.
        shown = word if word in (STARTED, FINISHED) else "other"
        log.info("event.received", customer=customer.key, word=shown, outcome=outcome)
        return outcome

    async def register_reference(self, invitation: Invitation, reference_id: str) -> AddedReference:
        """Store which invitation has a new application, before its record does, so that no other
        invitation takes the application for its own; for ``reference_committed``.
        """
        return await self._references.add(invitation.customer, reference_id, invitation.id)

    async def reference_committed(
        self, invitation: Invitation, reference_id: str, added: AddedReference | None
    ) -> None:
        """The record has its application now: log an error if another invitation has it, too, and
        apply an event that came before. *added* is what ``register_reference`` found; None: its
        answer was lost, and it is asked again.

        An invitation that was deleted while its application was made stays deleted: its reference
        is removed.
        """
        if invitation.state in (State.ERASED, State.FAILED):
            await self._references.remove(invitation.customer, reference_id, invitation.id)
            return
        others: tuple[str, ...] = ()
        if added is None:
            added = await self.register_reference(invitation, reference_id)
        if added.others:
            # Of two that are recorded at once the second sees the first, which may not have its
            # application yet.
            others = await self._holders.others(invitation, reference_id, creating=True)
        if others:
            log.error(
                "application.shared",
                customer=invitation.customer,
                invitation_id=invitation.id,
                others=list(others),
                text="the provider gave them the same application: one result for all, and it is"
                " anonymised with the last of them",
            )
        customer = self._customers().get(invitation.customer)
        if added.word is not None and customer is not None:
            await self._act(customer, added.word, reference_id, None)

    async def restore_reference(self, invitation: Invitation, reference_id: str) -> None:
        """Store once more which invitation has an application, where that could not be stored when
        it was made, or was lost; and apply an event that came meanwhile.
        """
        if invitation.id in await self._references.find(invitation.customer, reference_id):
            return
        added = await self.register_reference(invitation, reference_id)
        # Perhaps it was deleted meanwhile: then its reference has to go again.
        known = await self._records.store.load(invitation.id) or invitation
        await self.reference_committed(known, reference_id, added)

    async def _act(
        self, customer: Customer, word: str, reference_id: str | None, at: datetime | None
    ) -> str:
        if word not in (STARTED, FINISHED) or reference_id is None:
            return "ignored"
        invitation_ids = await self._references.find(customer.key, reference_id)
        outcomes = [
            await self._apply_to_invitation(customer, an_id, word, reference_id, at)
            for an_id in invitation_ids
        ]
        if set(outcomes) <= {"unknown"}:
            # Perhaps the create's answer is not stored yet; or the application is of another
            # integration of the same account.
            await self._references.hold_event(
                customer.key,
                reference_id,
                word,
                life=EARLY_EVENT_LIFE,
                replaces=STARTED if word == FINISHED else "",
            )
            if not invitation_ids and await self._references.find(customer.key, reference_id):
                return await self._act(
                    customer, word, reference_id, at
                )  # stored between the two reads
            return "unknown"
        return next((one for one in (_RECORDING, "taken") if one in outcomes), "ignored")

    async def _apply_to_invitation(
        self,
        customer: Customer,
        invitation_id: str,
        word: str,
        reference_id: str,
        at: datetime | None,
    ) -> str:
        invitation = await self._records.store.load(invitation_id)
        if invitation is None or invitation.customer != customer.key:
            return "unknown"
        numbers = [
            attempt.number
            for attempt in invitation.attempts
            if attempt.reference_id == reference_id
        ]
        now = self._records.clock()
        if not numbers:
            # The index knows the application before the record does.
            return _RECORDING if may_yet_be_recorded(invitation, now) else "ignored"
        event = (
            ResultReported(numbers[0], None)
            if word == FINISHED
            else AssessmentStarted(min(at or now, now))
        )
        try:
            await self._records.apply(invitation, event, customer, _BY_WEBHOOK)
        except UnknownInvitation:
            return "ignored"
        return "taken"
