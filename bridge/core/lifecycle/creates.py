"""What changes when the outcome of a create is known, and when the ATS gets the id."""

from __future__ import annotations

from datetime import datetime

from bridge.core.copying import copy_with
from bridge.core.invitation import (
    OPEN,
    CreateAttempt,
    CreateOutcome,
    Invitation,
    OrderClaimChange,
    State,
    Transition,
)
from bridge.core.lifecycle.attempts import get_attempt, with_attempt_outcome
from bridge.core.lifecycle.completion import schedule_notification
from bridge.core.lifecycle.events import (
    ApplicationCreated,
    CreateAttemptStarted,
    CreateFailed,
    CreateOutcomeUnknown,
    InvitationIdIssued,
)
from bridge.core.lifecycle.hires import schedule_waiting_hire
from bridge.core.lifecycle.policy import ANSWER_ARRIVES_WITHIN, LifecyclePolicy
from bridge.core.lifecycle.timing import CheckTrigger, get_link_expiry, schedule_next_check
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind


def on_create_attempt_started(
    invitation: Invitation, event: CreateAttemptStarted, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """Another create is sent; the one before it counts as lost."""
    if invitation.state not in (State.CREATING, State.UNCERTAIN):
        return Transition(invitation)
    earlier = tuple(
        copy_with(attempt, outcome=CreateOutcome.UNKNOWN)
        if attempt.outcome is CreateOutcome.PENDING
        else attempt
        for attempt in invitation.attempts
    )
    attempt = CreateAttempt(
        number=len(earlier) + 1, secret_digest=event.secret_digest, started_at=now
    )
    opened = copy_with(
        invitation, state=State.UNCERTAIN, attempts=(*earlier, attempt), callback=event.callback
    )
    return Transition(opened, schedule_next_check(opened, policy, now, CheckTrigger.RECORD_CHANGED))


def on_application_created(
    invitation: Invitation, event: ApplicationCreated, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """INVITED, where the first application of an open invitation has a link for the candidate.

    Every application except the one whose link the ATS got is to be anonymised. A hire that waited
    for this one is due.
    """
    noted = _note_application(invitation, event, policy, now)
    if hire := schedule_waiting_hire(noted.invitation, now):
        return Transition(noted.invitation, (*noted.tasks, *hire))
    return noted


def _note_application(
    invitation: Invitation, event: ApplicationCreated, policy: LifecyclePolicy, now: datetime
) -> Transition:
    attempt = get_attempt(invitation, event.attempt)
    if attempt.reference_id is not None or attempt.anonymised:
        return Transition(invitation)
    created = with_attempt_outcome(
        invitation, event.attempt, CreateOutcome.CREATED, event.reference_id
    )
    anonymise = ScheduleTask(TaskKind.ANONYMISE, now)
    if invitation.state in (State.ERASED, State.FAILED):
        return Transition(created, (anonymise,))
    if invitation.live_attempt:
        # A CHECK that wants to give this attempt up ends with its outcome; another one goes on.
        pending = attempt.outcome is CreateOutcome.PENDING and invitation.state in OPEN
        look = schedule_next_check(created, policy, now, CheckTrigger.RECORD_CHANGED)
        again = look if pending else ()
        if event.reference_id == get_attempt(invitation, invitation.live_attempt).reference_id:
            # The provider answered both creates with one application: the one whose link the ATS
            # got.
            return Transition(created, again)
        orphaned = with_attempt_outcome(
            invitation, event.attempt, CreateOutcome.ORPHAN, event.reference_id
        )
        return Transition(orphaned, (*again, anonymise))
    if event.assessment_url is None and not event.mailed and invitation.state in OPEN:
        tasks = (CancelTask(TaskKind.CHECK), anonymise)
        return _failed(created, "upstream_broken", tasks)
    linked = copy_with(
        created,
        assessment_url=event.assessment_url,
        deadline=attempt.started_at + policy.link_life,
        live_attempt=event.attempt,
    )
    if invitation.state not in OPEN:
        # Too late for the candidate, but now there is something to ask the provider about.
        return Transition(
            linked, schedule_next_check(linked, policy, now, CheckTrigger.LATE_APPLICATION)
        )
    invited = copy_with(linked, state=State.INVITED)
    return Transition(
        invited, schedule_next_check(invited, policy, now, CheckTrigger.RECORD_CHANGED)
    )


def on_create_failed(
    invitation: Invitation, event: CreateFailed, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """FAILED, where no attempt can have made an application."""
    unknown = (CreateOutcome.PENDING, CreateOutcome.UNKNOWN)
    if get_attempt(invitation, event.attempt).outcome not in unknown:
        return Transition(invitation)
    noted = with_attempt_outcome(invitation, event.attempt, CreateOutcome.FAILED)
    if invitation.state in (State.CREATING, State.UNCERTAIN):
        if all(attempt.outcome is CreateOutcome.FAILED for attempt in noted.attempts):
            return _failed(noted, event.code, (CancelTask(TaskKind.CHECK),))
        noted = copy_with(noted, state=State.UNCERTAIN)
    return Transition(noted, schedule_next_check(noted, policy, now, CheckTrigger.RECORD_CHANGED))


def on_create_outcome_unknown(
    invitation: Invitation, event: CreateOutcomeUnknown, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """UNCERTAIN, unless the outcome is known already."""
    if get_attempt(invitation, event.attempt).outcome is not CreateOutcome.PENDING:
        return Transition(invitation)
    noted = with_attempt_outcome(invitation, event.attempt, CreateOutcome.UNKNOWN)
    if noted.state is State.CREATING:
        noted = copy_with(noted, state=State.UNCERTAIN)
    return Transition(noted, schedule_next_check(noted, policy, now, CheckTrigger.RECORD_CHANGED))


def on_invitation_id_issued(
    invitation: Invitation, event: InvitationIdIssued, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """From now on the ATS can be notified; an end that came before the id is notified soon, and
    once more where the ATS orders again: the answer to its first order may have been lost.
    """
    if invitation.state in (State.ERASED, State.FAILED):
        return Transition(invitation)
    issued = copy_with(invitation, issued=True, callback=event.callback)
    if invitation.state in OPEN:
        return Transition(issued)
    # The answer with the id contains a deadline, even if no create ever set one.
    issued = copy_with(issued, deadline=get_link_expiry(invitation, policy))
    # The answer with the id goes out only now: the notification must not overtake it.
    return Transition(issued, schedule_notification(issued, now + ANSWER_ARRIVES_WITHIN))


def _failed(
    invitation: Invitation, code: str, tasks: tuple[ScheduleTask | CancelTask, ...]
) -> Transition:
    """The ATS never got this id, so it could not ask for its deletion: no data of the candidate
    stays.

    The attempts are kept, in case one made an application after all, and the error for requests
    that wait for the same order.
    """
    failed = copy_with(
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
        OrderClaimChange.RELEASE,
        order_key=invitation.order_key,
        application_id=invitation.application_id,
    )
