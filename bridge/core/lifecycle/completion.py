"""What a start, a reported result, a confirmed result, or the lack of one changes."""

from __future__ import annotations

from datetime import datetime, timedelta

from bridge.core.assessment import Result
from bridge.core.copying import copy_with
from bridge.core.invitation import OPEN, Invitation, State, Transition
from bridge.core.lifecycle.attempts import choose_reference_to_check
from bridge.core.lifecycle.confirmation import (
    choose_reported_result,
    get_unconfirmed_result,
    has_confirmation_timed_out,
    is_result_unverifiable,
    needs_confirmation,
    select_visible_content,
)
from bridge.core.lifecycle.events import (
    AssessmentStarted,
    NoResultYet,
    ProviderUnreachable,
    ReportedResultAccepted,
    ResultConfirmed,
    ResultRefreshed,
    ResultReported,
)
from bridge.core.lifecycle.policy import (
    NO_RESULT_TIMEOUT,
    REPEAT_WINDOW,
    UNREACHABLE_TIMEOUT,
    LifecyclePolicy,
)
from bridge.core.lifecycle.timing import (
    CheckTrigger,
    get_end_of_polling,
    get_invitation_expiry,
    get_link_expiry,
    schedule_next_check,
)
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind

NO_CHECK = CancelTask(TaskKind.CHECK)


def on_assessment_started(
    invitation: Invitation, event: AssessmentStarted, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """STARTED, once."""
    if invitation.state is not State.INVITED:
        return Transition(invitation)
    started = copy_with(invitation, state=State.STARTED, started_at=event.at)
    return Transition(started, schedule_next_check(started, policy, now, CheckTrigger.NOTHING_NEW))


def on_result_reported(
    invitation: Invitation, event: ResultReported, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """The report is kept until it is settled, and is checked at once."""
    if not needs_confirmation(invitation):
        return Transition(invitation)
    if invitation.state is State.COMPLETED:
        # The first completion counts; another report can only make us confirm it sooner.
        if choose_reference_to_check(invitation) is None:
            return Transition(invitation)
        return Transition(
            invitation, schedule_next_check(invitation, policy, now, CheckTrigger.RECORD_CHANGED)
        )
    kept = choose_reported_result(invitation, event, now)
    reported = copy_with(invitation, unconfirmed_result=kept)
    if reported == invitation and now < kept.seen_at + REPEAT_WINDOW:
        # The same content again, and a CHECK is due soon: a storm of such reports writes nothing.
        return Transition(invitation)
    return Transition(
        reported, schedule_next_check(reported, policy, now, CheckTrigger.RECORD_CHANGED)
    )


def on_result_confirmed(
    invitation: Invitation, event: ResultConfirmed, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """COMPLETED by the provider's own result, which also confirms or corrects a report's."""
    if invitation.state in OPEN or invitation.state is State.EXPIRED:
        done = _completed(invitation, event.result, now, confirmed=True)
        return Transition(done, (NO_CHECK, *schedule_notification(done, now)))
    if invitation.state is not State.COMPLETED or invitation.confirmed:
        return Transition(invitation)
    known = invitation.result
    corrected = known is None or select_visible_content(event.result) != select_visible_content(
        known
    )
    confirmed = copy_with(invitation, result=event.result, confirmed=True, unconfirmed_result=None)
    return _corrected(confirmed, now) if corrected else Transition(confirmed, (NO_CHECK,))


def on_result_refreshed(
    invitation: Invitation, event: ResultRefreshed, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """Completes like a confirmed result, but also replaces one that was confirmed before."""
    if invitation.state is not State.COMPLETED:
        return on_result_confirmed(invitation, ResultConfirmed(event.result), policy, now)
    fresh = copy_with(invitation, result=event.result, confirmed=True, unconfirmed_result=None)
    if fresh == invitation:
        return Transition(invitation)
    return _corrected(fresh, now) if event.visible_changed else Transition(fresh, (NO_CHECK,))


def on_no_result_yet(
    invitation: Invitation, event: NoResultYet, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """EXPIRED at the end, unless a result was reported: that then counts, or once its waiting
    time is over.
    """
    over = invitation.state in OPEN and now >= get_invitation_expiry(invitation, policy)
    timeout = timedelta(0) if over else NO_RESULT_TIMEOUT
    if is_result_unverifiable(invitation) or has_confirmation_timed_out(invitation, timeout, now):
        return on_reported_result_accepted(invitation, ReportedResultAccepted(), policy, now)
    if over:
        return _expired(invitation, policy, now)
    if _given_up(invitation, policy, now):
        return Transition(invitation, (NO_CHECK,))
    is_new = invitation.unconfirmed_result is not None and not event.report_known
    trigger = CheckTrigger.RECORD_CHANGED if is_new else CheckTrigger.NOTHING_NEW
    return Transition(invitation, schedule_next_check(invitation, policy, now, trigger))


def on_provider_unreachable(
    invitation: Invitation, event: ProviderUnreachable, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """The provider cannot be reached: decide without it what must not wait for ever.

    Until then no task is queued: the one that asked is retried, as the retry plan says.
    """
    if is_result_unverifiable(invitation) or has_confirmation_timed_out(
        invitation, UNREACHABLE_TIMEOUT, now
    ):
        return on_reported_result_accepted(invitation, ReportedResultAccepted(), policy, now)
    if get_unconfirmed_result(invitation) is not None:
        return Transition(invitation)
    if (
        invitation.state in OPEN
        and now >= get_invitation_expiry(invitation, policy) + UNREACHABLE_TIMEOUT
    ):
        return _expired(invitation, policy, now)
    return Transition(invitation, (NO_CHECK,) if _given_up(invitation, policy, now) else ())


def on_reported_result_accepted(
    invitation: Invitation, event: ReportedResultAccepted, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """COMPLETED by the report, unconfirmed."""
    report = get_unconfirmed_result(invitation)
    if report is None:
        return Transition(invitation)
    done = _completed(invitation, report, now, confirmed=False)
    check = schedule_next_check(done, policy, now, CheckTrigger.REPORT_ACCEPTED)
    return Transition(done, (*check, *schedule_notification(done, now)))


def schedule_notification(invitation: Invitation, now: datetime) -> tuple[ScheduleTask, ...]:
    """The task that notifies the ATS; none if the ATS never got the id."""
    return (ScheduleTask(TaskKind.NOTIFY, now),) if invitation.issued else ()


def _completed(
    invitation: Invitation, result: Result, now: datetime, *, confirmed: bool
) -> Invitation:
    # The provider gives no time of completion: ours is when we first learnt of it, set once.
    report = invitation.unconfirmed_result
    return copy_with(
        invitation,
        state=State.COMPLETED,
        completed_at=invitation.completed_at or (report.seen_at if report is not None else now),
        result=result,
        confirmed=confirmed,
        unconfirmed_result=None if confirmed else report,
    )


def _corrected(invitation: Invitation, now: datetime) -> Transition:
    corrected = copy_with(invitation, corrected_at=now)
    return Transition(corrected, (NO_CHECK, *schedule_notification(corrected, now)))


def _expired(invitation: Invitation, policy: LifecyclePolicy, now: datetime) -> Transition:
    expired = copy_with(
        invitation, state=State.EXPIRED, expired_at=get_link_expiry(invitation, policy)
    )
    check = schedule_next_check(expired, policy, now, CheckTrigger.EXPIRED)
    return Transition(expired, (*check, *schedule_notification(expired, now)))


def _given_up(invitation: Invitation, policy: LifecyclePolicy, now: datetime) -> bool:
    """Whether the provider has been asked about a closed invitation for long enough."""
    closed = invitation.state not in OPEN and needs_confirmation(invitation)
    return closed and now >= get_end_of_polling(invitation, policy)
