"""What changes when the outcome of a create is known, and when the ATS gets the id."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bridge.core.invitation import (
    OPEN,
    Attempt,
    CreateOutcome,
    Invitation,
    OrderClaim,
    State,
    Transition,
)
from bridge.core.lifecycle.attempts import attempt_of, with_outcome
from bridge.core.lifecycle.completion import notification
from bridge.core.lifecycle.events import (
    ApplicationCreated,
    AttemptOpened,
    CreateFailed,
    CreateOutcomeUnknown,
    IdIssued,
)
from bridge.core.lifecycle.policy import Policy
from bridge.core.lifecycle.timing import Trigger, check_tasks, link_expires_at
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind


def on_attempt_opened(
    invitation: Invitation, event: AttemptOpened, policy: Policy, now: datetime
) -> Transition:
    """Another create is sent; the one before it counts as lost."""
    if invitation.state not in (State.CREATING, State.UNCERTAIN):
        return Transition(invitation)
    earlier = tuple(
        replace(attempt, outcome=CreateOutcome.UNKNOWN)
        if attempt.outcome is CreateOutcome.PENDING
        else attempt
        for attempt in invitation.attempts
    )
    attempt = Attempt(number=len(earlier) + 1, secret_digest=event.secret_digest, started_at=now)
    opened = replace(
        invitation, state=State.UNCERTAIN, attempts=(*earlier, attempt), callback=event.callback
    )
    return Transition(opened, check_tasks(opened, policy, now, Trigger.RECORD_CHANGED))


def on_application_created(
    invitation: Invitation, event: ApplicationCreated, policy: Policy, now: datetime
) -> Transition:
    """INVITED, where the first application of an open invitation has a link for the candidate.

    Every application except the one whose link the ATS got is to be anonymised.
    """
    attempt = attempt_of(invitation, event.attempt)
    if attempt.reference_id is not None or attempt.anonymised:
        return Transition(invitation)
    created = with_outcome(invitation, event.attempt, CreateOutcome.CREATED, event.reference_id)
    anonymise = ScheduleTask(TaskKind.ANONYMISE, now)
    if invitation.state in (State.ERASED, State.FAILED):
        return Transition(created, (anonymise,))
    if invitation.live_attempt:
        if event.reference_id == attempt_of(invitation, invitation.live_attempt).reference_id:
            # The provider answered both creates with one application: the one whose link the ATS
            # got.
            return Transition(created)
        orphaned = with_outcome(invitation, event.attempt, CreateOutcome.ORPHAN, event.reference_id)
        return Transition(orphaned, (anonymise,))
    if event.assessment_url is None and not event.mailed and invitation.state in OPEN:
        tasks = (CancelTask(TaskKind.CHECK), anonymise)
        return _failed(created, "upstream_broken", tasks)
    linked = replace(
        created,
        assessment_url=event.assessment_url,
        deadline=attempt.started_at + policy.link_life,
        live_attempt=event.attempt,
    )
    if invitation.state not in OPEN:
        # Too late for the candidate, but now there is something to ask the provider about.
        return Transition(linked, check_tasks(linked, policy, now, Trigger.LATE_APPLICATION))
    invited = replace(linked, state=State.INVITED)
    return Transition(invited, check_tasks(invited, policy, now, Trigger.RECORD_CHANGED))


def on_create_failed(
    invitation: Invitation, event: CreateFailed, policy: Policy, now: datetime
) -> Transition:
    """FAILED, where no attempt can have made an application."""
    unknown = (CreateOutcome.PENDING, CreateOutcome.UNKNOWN)
    if attempt_of(invitation, event.attempt).outcome not in unknown:
        return Transition(invitation)
    noted = with_outcome(invitation, event.attempt, CreateOutcome.FAILED)
    if invitation.state in (State.CREATING, State.UNCERTAIN):
        if all(attempt.outcome is CreateOutcome.FAILED for attempt in noted.attempts):
            return _failed(noted, event.code, (CancelTask(TaskKind.CHECK),))
        noted = replace(noted, state=State.UNCERTAIN)
    return Transition(noted, check_tasks(noted, policy, now, Trigger.RECORD_CHANGED))


def on_create_outcome_unknown(
    invitation: Invitation, event: CreateOutcomeUnknown, policy: Policy, now: datetime
) -> Transition:
    """UNCERTAIN, unless the outcome is known already."""
    if attempt_of(invitation, event.attempt).outcome is not CreateOutcome.PENDING:
        return Transition(invitation)
    noted = with_outcome(invitation, event.attempt, CreateOutcome.UNKNOWN)
    if noted.state is State.CREATING:
        noted = replace(noted, state=State.UNCERTAIN)
    return Transition(noted, check_tasks(noted, policy, now, Trigger.RECORD_CHANGED))


def on_id_issued(
    invitation: Invitation, event: IdIssued, policy: Policy, now: datetime
) -> Transition:
    """From now on the ATS can be notified; an end that came before the id is notified at once."""
    if invitation.state in (State.ERASED, State.FAILED):
        return Transition(invitation)
    issued = replace(invitation, issued=True, callback=event.callback)
    if invitation.state in OPEN:
        return Transition(issued)
    # The answer with the id contains a deadline, even if no create ever set one.
    issued = replace(issued, deadline=link_expires_at(invitation, policy))
    return Transition(issued, () if invitation.issued else notification(issued, now))


def _failed(
    invitation: Invitation, code: str, tasks: tuple[ScheduleTask | CancelTask, ...]
) -> Transition:
    """The ATS never got this id, so it could not ask for its deletion: no data of the candidate
    stays.

    The attempts are kept, in case one made an application after all, and the error for requests
    that wait for the same order.
    """
    failed = replace(
        invitation,
        state=State.FAILED,
        order_key="",
        application_id="",
        callback="",
        assessment_url=None,
        unconfirmed_result=None,
        replaces=None,
        issued=False,
        failure=code,
    )
    return Transition(
        failed,
        tasks,
        OrderClaim.RELEASE,
        order_key=invitation.order_key,
        application_id=invitation.application_id,
    )
