"""Questions about results that were reported by callback and are not confirmed yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bridge.core.assessment import Result
from bridge.core.invitation import OPEN, Invitation, State, UnconfirmedResult
from bridge.core.lifecycle.attempts import can_ask_provider
from bridge.core.lifecycle.events import ResultReported
from bridge.core.lifecycle.policy import LATE_WINDOW


def needs_confirmation(invitation: Invitation) -> bool:
    """Whether the provider's answer, or a report, could still change something."""
    if invitation.state is State.COMPLETED:
        return not invitation.confirmed
    return invitation.state in OPEN or invitation.state is State.EXPIRED


def get_unconfirmed_result(invitation: Invitation) -> Result | None:
    """The result that completes the invitation unless the provider's own does so first."""
    incomplete = invitation.state in OPEN or invitation.state is State.EXPIRED
    unverified = invitation.unconfirmed_result
    return unverified.report if incomplete and unverified is not None else None


def has_confirmation_timed_out(invitation: Invitation, timeout: timedelta, now: datetime) -> bool:
    """Whether a report has waited this long for the provider's own result, so that it counts."""
    unverified = invitation.unconfirmed_result
    return (
        unverified is not None
        and get_unconfirmed_result(invitation) is not None
        and now >= unverified.seen_at + timeout
    )


def is_result_unverifiable(invitation: Invitation) -> bool:
    """Whether a reported result waits that the provider cannot be asked about: all its answers were
    about another application.
    """
    return get_unconfirmed_result(invitation) is not None and not can_ask_provider(invitation)


def choose_reported_result(
    invitation: Invitation, event: ResultReported, now: datetime
) -> UnconfirmedResult:
    """The report to keep: of one attempt the latest; of several attempts one with a result,
    preferably of the live attempt.
    """
    new, old = UnconfirmedResult(event.attempt, now, event.report), invitation.unconfirmed_result
    if old is None:
        return new
    if new.attempt != old.attempt:

        def weight(unverified: UnconfirmedResult) -> tuple[bool, bool]:
            return unverified.report is not None, unverified.attempt == invitation.live_attempt

        return max(old, new, key=weight)
    # A report that the provider denied for a whole day after an expiry is settled: this one is
    # new, and must not be given up because of the old one's age.
    denied = invitation.state is State.EXPIRED and now >= old.seen_at + LATE_WINDOW
    return UnconfirmedResult(old.attempt, now if denied else old.seen_at, new.report or old.report)


def select_visible_content(result: Result) -> object:
    """The part of a result that the ATS shows, a field that is added to it included: neither its
    language, nor its dashboard link.
    """
    traits = sorted(
        (trait._replace(name="", description="") for trait in result.traits),
        key=lambda trait: (trait.code, trait.score or 0, trait.wanted),
    )
    return replace(result, dashboard_url=None, summary=(), traits=tuple(traits))
