"""What erasing changes in an invitation, and what anonymised applications change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bridge.core.copying import copy_with
from bridge.core.invitation import CreateAttempt, Invitation, OrderClaimChange, State, Transition
from bridge.core.lifecycle.attempts import list_applications_to_anonymise, must_anonymise_attempt
from bridge.core.lifecycle.events import ApplicationAnonymised, ApplicationShared, ErasureRequested
from bridge.core.lifecycle.policy import MIN_CHECK_DELAY, LifecyclePolicy
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind


def on_erasure_requested(
    invitation: Invitation, event: ErasureRequested, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """ERASED: a tombstone without personal data replaces the record, and the order key is freed."""
    if invitation.state is State.ERASED:
        return Transition(invitation)
    tombstone = Invitation(
        id=invitation.id,
        customer=invitation.customer,
        state=State.ERASED,
        created_at=invitation.created_at,
        updated_at=now,
        attempts=tuple(
            replace(attempt, reference_id=None) if attempt.anonymised else attempt
            for attempt in invitation.attempts
        ),
        erased_at=now,
        version=invitation.version,
        commit_id=invitation.commit_id,
    )
    anonymise = (
        ScheduleTask(TaskKind.ANONYMISE, now + MIN_CHECK_DELAY)
        if list_applications_to_anonymise(tombstone)
        else CancelTask(TaskKind.ANONYMISE)
    )
    ended = (CancelTask(kind) for kind in (TaskKind.CHECK, TaskKind.NOTIFY, TaskKind.HIRE))
    tasks = (*ended, anonymise)
    return Transition(
        tombstone,
        tasks,
        OrderClaimChange.RELEASE,
        order_key=invitation.order_key,
        application_id=invitation.application_id,
    )


def on_application_anonymised(
    invitation: Invitation, event: ApplicationAnonymised, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """The application is anonymised; a live record keeps its id, so that nothing asks about it."""

    def noted(attempt: CreateAttempt) -> CreateAttempt:
        if attempt.reference_id != event.reference_id:
            return attempt
        forgotten = invitation.state in (State.ERASED, State.FAILED)
        return replace(
            attempt, anonymised=True, reference_id=None if forgotten else event.reference_id
        )

    return Transition(copy_with(invitation, attempts=tuple(map(noted, invitation.attempts))))


def on_application_shared(
    invitation: Invitation, event: ApplicationShared, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """Another invitation will have it anonymised: this one drops the application."""

    def handed_over(attempt: CreateAttempt) -> CreateAttempt:
        mine = attempt.reference_id == event.reference_id
        forgotten = mine and must_anonymise_attempt(invitation, attempt)
        return replace(attempt, reference_id=None) if forgotten else attempt

    return Transition(copy_with(invitation, attempts=tuple(map(handed_over, invitation.attempts))))
