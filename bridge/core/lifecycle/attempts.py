"""Questions about the attempts of an invitation and the applications that they made."""

from __future__ import annotations

from datetime import datetime

from bridge.core.copying import copy_with
from bridge.core.invitation import CreateAttempt, CreateOutcome, Invitation, State
from bridge.core.lifecycle.policy import EARLY_EVENT_LIFE, LifecyclePolicy
from bridge.errors import StoreUnavailable


def find_pending_attempt(invitation: Invitation) -> CreateAttempt | None:
    """The attempt whose create may still be under way: only ever the last one."""
    last = invitation.attempts[-1] if invitation.attempts else None
    return last if last is not None and last.outcome is CreateOutcome.PENDING else None


def is_create_in_progress(invitation: Invitation, policy: LifecyclePolicy, now: datetime) -> bool:
    """Whether a create call may still be on its way, so that its outcome will be known soon."""
    pending = find_pending_attempt(invitation)
    return pending is not None and now < pending.started_at + policy.create_timeout


def may_yet_be_recorded(invitation: Invitation, now: datetime) -> bool:
    """Whether an application of this invitation may still come to be recorded: of a create under
    way, or of one whose outcome was called unknown while its process stood still.
    """
    return any(
        attempt.outcome in (CreateOutcome.PENDING, CreateOutcome.UNKNOWN)
        and now < attempt.started_at + EARLY_EVENT_LIFE
        for attempt in invitation.attempts
    )


def get_attempt(invitation: Invitation, number: int) -> CreateAttempt:
    """The attempt of this number, counted from 1.

    Raises ``StoreUnavailable`` where the record has gone back to a time before it: Redis lost what
    it had acknowledged (a crash, a late replica, an old backup) while the create was under way.
    """
    if number > len(invitation.attempts):
        raise StoreUnavailable(f"Redis lost attempt {number} of {invitation.id}")
    return invitation.attempts[number - 1]


def with_attempt_outcome(
    invitation: Invitation, number: int, outcome: CreateOutcome, reference_id: str | None = None
) -> Invitation:
    """The invitation once the outcome of this attempt is known."""
    changed = copy_with(get_attempt(invitation, number), outcome=outcome, reference_id=reference_id)
    attempts = (*invitation.attempts[: number - 1], changed, *invitation.attempts[number:])
    return copy_with(invitation, attempts=attempts)


def choose_reference_to_check(invitation: Invitation) -> str | None:
    """The provider's id of the application to ask about: that of the reported result, else the one
    whose link the ATS got.

    None if there is nothing to ask about: the create's answer was lost, or the orphan is
    anonymised. A report that contains the result belongs to its own attempt and is never looked up
    in another application; a report without one is.
    """
    ids = {
        attempt.number: None if attempt.anonymised else attempt.reference_id
        for attempt in invitation.attempts
    }
    unverified, live = invitation.unconfirmed_result, ids.get(invitation.live_attempt)
    if unverified is None:
        return live
    reported = ids[unverified.attempt]
    return reported if unverified.report is not None else reported or live


def can_ask_provider(invitation: Invitation) -> bool:
    """Whether there is, or may soon be, an application to ask the provider about."""
    return (
        choose_reference_to_check(invitation) is not None
        or find_pending_attempt(invitation) is not None
    )


def list_applications_to_anonymise(invitation: Invitation) -> tuple[str, ...]:
    """Reference ids that the provider still has to anonymise: all of an erased or failed
    invitation, else the orphans.
    """
    reference_ids = (
        attempt.reference_id
        for attempt in invitation.attempts
        if must_anonymise_attempt(invitation, attempt)
    )
    return tuple(dict.fromkeys(one for one in reference_ids if one is not None))


def uses_application(invitation: Invitation, reference_id: str) -> bool:
    """Whether the invitation would lose something if this application were anonymised."""
    living = invitation.state not in (State.ERASED, State.FAILED)
    return living and any(
        attempt.reference_id == reference_id
        and not attempt.anonymised
        and not must_anonymise_attempt(invitation, attempt)
        for attempt in invitation.attempts
    )


def must_anonymise_attempt(invitation: Invitation, attempt: CreateAttempt) -> bool:
    """Whether the provider still has to anonymise the application of this attempt."""
    if attempt.reference_id is None or attempt.anonymised:
        return False
    return (
        invitation.state in (State.ERASED, State.FAILED) or attempt.outcome is CreateOutcome.ORPHAN
    )
