"""Questions about the report of a callback that nobody has confirmed yet."""

from __future__ import annotations

from datetime import datetime, timedelta

from bridge.core.assessment import Result
from bridge.core.invitation import OPEN, Invitation, State, UnverifiedReport
from bridge.core.lifecycle.attempts import can_be_asked
from bridge.core.lifecycle.events import ReportReceived
from bridge.core.lifecycle.policy import LATE_WINDOW


def is_unsettled(invitation: Invitation) -> bool:
    """Whether the provider's answer, or a report, could still change something."""
    if invitation.state is State.COMPLETED:
        return not invitation.confirmed
    return invitation.state in OPEN or invitation.state is State.EXPIRED


def waiting_report(invitation: Invitation) -> Result | None:
    """The result that completes the invitation unless the provider's own does so first."""
    incomplete = invitation.state in OPEN or invitation.state is State.EXPIRED
    unverified = invitation.unverified_report
    return unverified.report if incomplete and unverified is not None else None


def report_has_waited(invitation: Invitation, timeout: timedelta, now: datetime) -> bool:
    """Whether a report has waited this long for the provider's own result, so that it counts."""
    unverified = invitation.unverified_report
    return (
        unverified is not None
        and waiting_report(invitation) is not None
        and now >= unverified.seen_at + timeout
    )


def cannot_be_verified(invitation: Invitation) -> bool:
    """Whether a report waits about which the provider cannot be asked: whatever the provider said
    was about another application.
    """
    return waiting_report(invitation) is not None and not can_be_asked(invitation)


def report_to_keep(
    invitation: Invitation, event: ReportReceived, now: datetime
) -> UnverifiedReport:
    """Of one attempt the latest report; of several one with a result, best on the live attempt."""
    new, old = UnverifiedReport(event.attempt, now, event.report), invitation.unverified_report
    if old is None:
        return new
    if new.attempt != old.attempt:

        def weight(unverified: UnverifiedReport) -> tuple[bool, bool]:
            return unverified.report is not None, unverified.attempt == invitation.live_attempt

        return max(old, new, key=weight)
    # What the provider denied for a whole day after an expiry is settled: this report is about
    # something new, and must not be given up with the age of the old one.
    denied = invitation.state is State.EXPIRED and now >= old.seen_at + LATE_WINDOW
    return UnverifiedReport(old.attempt, now if denied else old.seen_at, new.report or old.report)


def shown_part(result: Result) -> object:
    """What the ATS shows of a result: not its language, nor which dashboard link it has."""
    return result.fit, sorted(
        (trait.code, trait.score or 0, trait.wanted) for trait in result.traits
    )
