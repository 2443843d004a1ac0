"""When an invitation ends, and when it is checked next.

All reasons for a CHECK stand in one table, ``list_check_reasons``; the earliest that applies
counts.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import NamedTuple

from bridge.core.invitation import OPEN, Invitation
from bridge.core.lifecycle.attempts import (
    can_ask_provider,
    choose_reference_to_check,
    find_pending_attempt,
)
from bridge.core.lifecycle.confirmation import get_unconfirmed_result, needs_confirmation
from bridge.core.lifecycle.policy import (
    CONFIRMATION_DELAY,
    LATE_WINDOW,
    MIN_CHECK_DELAY,
    NO_RESULT_TIMEOUT,
    STARTED_GRACE,
    UNREACHABLE_TIMEOUT,
    LifecyclePolicy,
)
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind


def get_link_expiry(invitation: Invitation, policy: LifecyclePolicy) -> datetime:
    """When the candidate's link expires; before there is a link, as if the last create had made
    it.
    """
    return invitation.deadline or invitation.attempts[-1].started_at + policy.link_life


def get_invitation_expiry(invitation: Invitation, policy: LifecyclePolicy) -> datetime:
    """When an open invitation expires: at its deadline, or later if the test was started."""
    dies_at = get_link_expiry(invitation, policy)
    return dies_at + STARTED_GRACE if invitation.started_at is not None else dies_at


def get_end_of_polling(invitation: Invitation, policy: LifecyclePolicy) -> datetime:
    """When the bridge stops polling for a late completion, or for a report's confirmation."""
    since = invitation.completed_at or get_invitation_expiry(invitation, policy)
    if invitation.unconfirmed_result is not None:
        since = max(since, invitation.unconfirmed_result.seen_at)
    return since + LATE_WINDOW


def get_unreachable_timeout(
    invitation: Invitation, policy: LifecyclePolicy, now: datetime
) -> datetime | None:
    """When waiting for an unreachable provider ends in a decision without it; None: never, or it is
    overdue.
    """
    ends = []
    if (
        invitation.unconfirmed_result is not None
        and invitation.unconfirmed_result.report is not None
    ):
        ends.append(invitation.unconfirmed_result.seen_at + UNREACHABLE_TIMEOUT)
    if invitation.state in OPEN:
        ends.append(get_invitation_expiry(invitation, policy) + UNREACHABLE_TIMEOUT)
    return min((one for one in ends if one > now), default=None)


class CheckTrigger(enum.StrEnum):
    """What has just happened to an invitation that may have to be checked again."""

    RECORD_CHANGED = "news"
    """A report came in, or the outcome of a create became known."""
    NOTHING_NEW = "no news"
    """The provider has no result yet, or the event has nothing to do with a result."""
    EXPIRED = "expired"
    REPORT_ACCEPTED = "report accepted"
    """A report that is not confirmed completed it."""
    LATE_APPLICATION = "late application"
    """It is closed already, and only now the id of its application is known."""


class CheckReason(NamedTuple):
    """A reason to check an invitation again: whether it applies, and at which time."""

    name: str
    applies: bool
    at: datetime


def list_check_reasons(
    invitation: Invitation, policy: LifecyclePolicy, now: datetime, trigger: CheckTrigger
) -> tuple[CheckReason, ...]:
    """Every reason for a CHECK."""
    creating = find_pending_attempt(invitation)
    lost_at = creating.started_at + policy.create_timeout if creating else now
    known = choose_reference_to_check(invitation) is not None
    askable = can_ask_provider(invitation)
    is_open, ends_at = invitation.state in OPEN, get_invitation_expiry(invitation, policy)
    report, waiting = (
        invitation.unconfirmed_result,
        get_unconfirmed_result(invitation) is not None,
    )
    seen_at = report.seen_at if report else now
    news, no_news = (
        trigger is CheckTrigger.RECORD_CHANGED,
        trigger in (CheckTrigger.NOTHING_NEW, CheckTrigger.EXPIRED),
    )
    accepted = trigger is CheckTrigger.REPORT_ACCEPTED
    # fmt: off
    return (
        CheckReason("a create is under way, and will count as lost",
               creating is not None, lost_at),
        CheckReason("it expires, or nothing can be asked before that",
               is_open and not creating and (now < ends_at or not known), ends_at),
        CheckReason("the provider is polled",
               known and not creating and not accepted, now + policy.poll_every),
        CheckReason("it has expired, and a late completion is polled for, at least this often",
               trigger is CheckTrigger.EXPIRED and askable, now + LATE_WINDOW),
        CheckReason("a report came in that can be verified, or has to be accepted",
               news and report is not None and not creating and (known or waiting), now),
        CheckReason("a report is not confirmed yet: soon at first, then at growing intervals",
               no_news and report is not None and askable,
               now + max(MIN_CHECK_DELAY, now - seen_at)),
        CheckReason("a report for which the provider has no result will count",
               no_news and waiting, seen_at + NO_RESULT_TIMEOUT),
        CheckReason("a report was accepted, and is to be confirmed",
               accepted and askable, now + CONFIRMATION_DELAY),
        CheckReason("it was closed without an application to ask about, and now there is one",
               trigger is CheckTrigger.LATE_APPLICATION, now),
    )
    # fmt: on


def get_next_check_time(
    invitation: Invitation, policy: LifecyclePolicy, now: datetime, trigger: CheckTrigger
) -> datetime | None:
    """The earliest time for which a reason applies, but not before *now*; None: no reason
    applies.
    """
    reasons = list_check_reasons(invitation, policy, now, trigger)
    earliest = min((reason.at for reason in reasons if reason.applies), default=None)
    return max(earliest, now) if earliest is not None else None


def schedule_next_check(
    invitation: Invitation, policy: LifecyclePolicy, now: datetime, trigger: CheckTrigger
) -> tuple[ScheduleTask | CancelTask, ...]:
    """The change to the invitation's CHECK: queue it, cancel it, or none if nothing is left to find
    out.
    """
    if not needs_confirmation(invitation):
        return ()
    at = get_next_check_time(invitation, policy, now, trigger)
    return (ScheduleTask(TaskKind.CHECK, at) if at is not None else CancelTask(TaskKind.CHECK),)


def keep_check_of_create(
    invitation: Invitation,
    tasks: tuple[ScheduleTask | CancelTask, ...],
    policy: LifecyclePolicy,
    now: datetime,
) -> tuple[ScheduleTask | CancelTask, ...]:
    """*tasks*, but a CHECK stays while a create is under way, even if the invitation has ended:
    only a CHECK tells that an application may have been made whose id never came.
    """
    creating = find_pending_attempt(invitation)
    if creating is None:
        return tasks
    check = ScheduleTask(TaskKind.CHECK, max(creating.started_at + policy.create_timeout, now))
    return tuple(check if task == CancelTask(TaskKind.CHECK) else task for task in tasks)
