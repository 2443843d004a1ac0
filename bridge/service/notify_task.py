"""Use case: the task NOTIFY, which notifies the ATS that an invitation has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bridge.core import retry
from bridge.core.customers import Customer
from bridge.core.history import HistoryEntryKind
from bridge.core.history_events import EventDetail
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle import checks
from bridge.core.queueing import AttemptNote, GiveUpTask, Lease, Settlement, TaskDone
from bridge.errors import CallbackNotAllowed, CallNotMade, UpstreamError
from bridge.meter import NO_METER, Meter, choose_notification_label
from bridge.ports import AtsOf, Clock, RandomFraction
from bridge.service.call_failures import CallFailures, milliseconds_since
from bridge.service.commit_loop import CommitLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyTask:
    """Notifies by the plan of the customer's ATS."""

    records: CommitLoop
    ats_of: AtsOf
    clock: Clock
    random_fraction: RandomFraction
    failures: CallFailures
    meter: Meter = NO_METER

    async def perform(self, invitation: Invitation, customer: Customer, lease: Lease) -> Settlement:
        """Notify once."""
        if not checks.must_notify_ats(invitation):
            return TaskDone()
        begun = time.monotonic()
        retry_after_s: float | None = None
        ats = self.ats_of(customer)
        try:
            # Checked again: the administrator may have shortened the list since the order came in.
            ats.callback_policy.check(invitation.callback)
            answer = await ats.notifier.notify(customer, invitation.callback, invitation.id)
        except CallbackNotAllowed:
            note = AttemptNote(self.clock(), "callback_not_allowed")
            self.meter.notification(customer.key, note.outcome)
            await self._keep(invitation, lease, note)
            return GiveUpTask("callback_not_allowed", note, counted=False)
        except CallNotMade as error:
            return self.failures.retry_for(lease, error, begun)
        except UpstreamError as error:
            note = self.failures.note(error, begun)
            retry_after_s = error.retry_after_s
        else:
            outcome = retry.name_notification_outcome(answer.status)
            note = AttemptNote(
                self.clock(),
                outcome,
                answer.status,
                milliseconds_since(begun),
                answer.excerpt,
            )
            retry_after_s = answer.retry_after_s
        self._count(invitation, note)
        settlement = retry.decide_after_notification(
            ats.retry_plan,
            lease.attempt,
            note,
            retry_after_s=retry_after_s,
            now=self.clock(),
            random_fraction=self.random_fraction(),
        )
        done = isinstance(settlement, TaskDone)
        ended = await self._keep(invitation, lease, note, ending=lease if done else None)
        return TaskDone(settled=True) if done and ended else settlement

    def _count(self, invitation: Invitation, note: AttemptNote) -> None:
        self.meter.notification(invitation.customer, choose_notification_label(note.outcome))
        known_at = invitation.corrected_at or invitation.completed_at
        delivered = note.outcome == "delivered" and invitation.state is State.COMPLETED
        if delivered and known_at is not None:
            seconds = (note.at - known_at).total_seconds()
            self.meter.result_notified(invitation.customer, seconds)

    async def _keep(
        self,
        invitation: Invitation,
        lease: Lease,
        note: AttemptNote,
        *,
        ending: Lease | None = None,
    ) -> bool:
        return await self.records.note_in_history(
            invitation,
            HistoryEntryKind.NOTIFIED,
            number=lease.attempt,
            detail=EventDetail(note.outcome, note.status, note.latency_ms),
            ending=ending,
        )
