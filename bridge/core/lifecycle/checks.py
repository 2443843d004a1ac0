"""What a CHECK has to find out, and what a candidate may still do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridge.core.invitation import OPEN, Invitation, State
from bridge.core.lifecycle.attempts import (
    choose_reference_to_check,
    find_pending_attempt,
    list_applications_to_anonymise,
)
from bridge.core.lifecycle.confirmation import get_unconfirmed_result, needs_confirmation
from bridge.core.lifecycle.events import (
    CreateOutcomeUnknown,
    Event,
    NoResultYet,
    ReportedResultAccepted,
)
from bridge.core.lifecycle.policy import LifecyclePolicy
from bridge.core.lifecycle.timing import get_invitation_expiry
from bridge.core.queueing import TaskKind


@dataclass(frozen=True, slots=True)
class AskProvider:
    """Ask the provider about this application; *with_result*: for its result whatever its status.

    Of all status words only "completed" is documented; if a result was reported, only the result
    itself decides.
    """

    reference_id: str
    with_result: bool = False


@dataclass(frozen=True, slots=True)
class ApplyEvent:
    """There is nothing to ask: this event follows from the record and the time alone."""

    event: Event


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Check again at this time."""

    until: datetime


def decide_next_check(
    invitation: Invitation, policy: LifecyclePolicy, now: datetime
) -> AskProvider | ApplyEvent | WaitUntil | None:
    """What a CHECK has to do now; None: nothing is left to do."""
    if not needs_confirmation(invitation):
        return None
    pending = find_pending_attempt(invitation)
    if pending is not None:
        lost_at = pending.started_at + policy.create_timeout
        if now < lost_at:
            return WaitUntil(lost_at)
        return ApplyEvent(CreateOutcomeUnknown(pending.number))
    reference_id = choose_reference_to_check(invitation)
    if reference_id is not None:
        return AskProvider(reference_id, with_result=invitation.unconfirmed_result is not None)
    if get_unconfirmed_result(invitation) is not None:
        return ApplyEvent(ReportedResultAccepted())
    if invitation.state in OPEN:
        ends_at = get_invitation_expiry(invitation, policy)
        return WaitUntil(ends_at) if now < ends_at else ApplyEvent(NoResultYet())
    return None


def must_notify_ats(invitation: Invitation) -> bool:
    """Whether the ATS is to be notified: only of an end, and only if it knows the id."""
    return invitation.issued and invitation.state in (State.COMPLETED, State.EXPIRED)


def can_start_assessment(invitation: Invitation, policy: LifecyclePolicy, now: datetime) -> bool:
    """Whether the candidate may still be sent to the test: open, with a link, and not past its
    end.
    """
    return (
        invitation.state in OPEN
        and invitation.assessment_url is not None
        and now < get_invitation_expiry(invitation, policy)
    )


def is_link_in_mailbox(invitation: Invitation, policy: LifecyclePolicy, now: datetime) -> bool:
    """Whether the provider has mailed the candidate a link that we do not have, and that is good
    still.
    """
    return (
        invitation.state in (State.INVITED, State.STARTED)
        and invitation.assessment_url is None
        and now < get_invitation_expiry(invitation, policy)
    )


def infer_tasks_of_older_record(invitation: Invitation) -> list[TaskKind]:
    """The tasks that a record surely needs; for records of a version that did not list them."""
    kinds = []
    unconfirmed = invitation.state is State.COMPLETED and not invitation.confirmed
    if invitation.state in OPEN or (
        unconfirmed and choose_reference_to_check(invitation) is not None
    ):
        kinds.append(TaskKind.CHECK)
    if list_applications_to_anonymise(invitation):
        kinds.append(TaskKind.ANONYMISE)
    return kinds
