"""What a CHECK has to find out, and how far a candidate is."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from bridge.core.history import HistoryEntryKind
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


class CandidateStage(enum.StrEnum):
    """How far a candidate is on the way to the test and through it."""

    NOT_READY = "not ready"
    """No application is known to be made yet: the create is under way, or its outcome unknown."""
    READY = "ready"
    BEGUN = "begun"
    """The candidate was led to the test, or the provider said that it was started."""
    MAILED = "mailed"
    """The provider has mailed the candidate a link that we do not have, and that is good still."""
    FINISHED = "finished"
    EXPIRED = "expired"


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
    pending = find_pending_attempt(invitation)
    if pending is not None:
        lost_at = pending.started_at + policy.create_timeout
        if now < lost_at:
            return WaitUntil(lost_at)
        return ApplyEvent(CreateOutcomeUnknown(pending.number))
    if not needs_confirmation(invitation):
        return None
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


def decide_candidate_stage(
    invitation: Invitation, policy: LifecyclePolicy, now: datetime
) -> CandidateStage:
    """How far a candidate is, as far as the record knows; FAILED and ERASED have no stage.

    A result that was reported, but not confirmed yet, counts as finished here: whoever is done must
    not read that the test is still to be taken. Should it not be confirmed, it counts within the
    hour (``NO_RESULT_TIMEOUT``).
    """
    if invitation.state is State.COMPLETED or get_unconfirmed_result(invitation) is not None:
        return CandidateStage.FINISHED
    if invitation.state is State.EXPIRED or now >= get_invitation_expiry(invitation, policy):
        return CandidateStage.EXPIRED
    if invitation.assessment_url is None:
        mailed = invitation.state in (State.INVITED, State.STARTED)
        return CandidateStage.MAILED if mailed else CandidateStage.NOT_READY
    followed = invitation.history.count(HistoryEntryKind.LINK_FOLLOWED) is not None
    begun = followed or invitation.started_at is not None
    return CandidateStage.BEGUN if begun else CandidateStage.READY


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
