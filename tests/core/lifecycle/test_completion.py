"""Starts, results, the lack of them, and expiries."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from bridge.core.invitation import (
    OPEN,
    Invitation,
    State,
    Transition,
)
from bridge.core.lifecycle.events import (
    AssessmentStarted,
    CreateOutcomeUnknown,
    Event,
    NoResultYet,
    ProviderUnreachable,
    ReportedResultAccepted,
    ResultConfirmed,
    ResultRefreshed,
    ResultReported,
)
from bridge.core.lifecycle.policy import (
    CONFIRMATION_DELAY,
    LATE_WINDOW,
    NO_RESULT_TIMEOUT,
    STARTED_GRACE,
    UNREACHABLE_TIMEOUT,
)
from tests.core.build import (
    COMPLETED,
    CREATED,
    CREATED_2,
    CREATING,
    DEADLINE,
    EXPIRED,
    HOUR,
    INVITED,
    ISSUED,
    LOST_AND_EXPIRED,
    LOST_BUT_COMPLETED,
    MINUTE,
    NOW,
    OTHER_REPORT,
    POLICY,
    REPORT,
    SECOND,
    SECOND_ATTEMPT,
    STARTED,
    STOP,
    UNCERTAIN,
    UNCONFIRMED,
    after,
    check,
    decide,
    notify,
)


@pytest.mark.parametrize(
    "record", [CREATING, UNCERTAIN, INVITED, STARTED, EXPIRED, LOST_AND_EXPIRED]
)
def test_result_completes(record: Invitation) -> None:
    """The provider's own result completes an open or expired invitation, confirmed, and softgarden
    is told.
    """
    step = decide(record, ResultConfirmed(REPORT), NOW + HOUR)
    one = step.invitation
    assert (State.COMPLETED, REPORT, True, NOW + HOUR, None) == (
        one.state,
        one.result,
        one.confirmed,
        one.completed_at,
        one.unconfirmed_result,
    )
    # One that is being created still needs the CHECK that says whether its create got lost.
    ends = check(NOW + HOUR) if record.state is State.CREATING else STOP
    assert (ends, *([notify(NOW + HOUR)] if record.issued else [])) == step.tasks


def test_completion_time_is_when_we_first_learnt_of_it() -> None:
    """A result confirmed later keeps the time of the callback that announced it."""
    record = decide(INVITED, ResultReported(1, REPORT), NOW + MINUTE).invitation
    assert (
        NOW + MINUTE == decide(record, ResultConfirmed(REPORT), NOW + HOUR).invitation.completed_at
    )


@pytest.mark.parametrize(
    "record", [INVITED, STARTED, EXPIRED], ids=["invited", "started", "expired"]
)
def test_report_counts_after_thirty_seconds_of_silence(record: Invitation) -> None:
    """A report completes the invitation, unconfirmed, when the provider was silent for 30 s, and is
    verified later.
    """
    reported = decide(record, ResultReported(1, REPORT)).invitation
    early, late = NOW + UNREACHABLE_TIMEOUT - SECOND, NOW + UNREACHABLE_TIMEOUT
    assert Transition(reported) == decide(reported, ProviderUnreachable(), early)
    step = decide(reported, ProviderUnreachable(), late)
    one = step.invitation
    assert (State.COMPLETED, REPORT, False, NOW) == (
        one.state,
        one.result,
        one.confirmed,
        one.completed_at,
    )
    assert (check(late + CONFIRMATION_DELAY), notify(late)) == step.tasks


def test_report_without_a_result_never_counts() -> None:
    """Silence turns a report into a result only if it said what the result is."""
    record = decide(INVITED, ResultReported(1, None)).invitation
    assert Transition(record) == decide(record, ProviderUnreachable(), NOW + HOUR)
    assert Transition(record) == decide(record, ReportedResultAccepted(), NOW + HOUR)


def test_report_on_a_lost_attempt_is_accepted_for_good() -> None:
    """A report that nothing can verify completes the invitation, and no check is left over."""
    record = decide(UNCERTAIN, ResultReported(1, REPORT)).invitation
    step = decide(record, ReportedResultAccepted(), NOW + SECOND)
    assert not step.invitation.issued
    assert (State.COMPLETED, False, NOW) == (
        step.invitation.state,
        step.invitation.confirmed,
        step.invitation.completed_at,
    )
    assert (STOP,) == step.tasks


def test_report_is_verified_if_the_reference_came_just_in_time() -> None:
    """When the lost reference id turns up before the report is accepted, a check verifies it
    afterwards.
    """
    record = decide(decide(UNCERTAIN, ResultReported(1, REPORT)).invitation, CREATED).invitation
    assert (check(NOW + CONFIRMATION_DELAY),) == decide(record, ReportedResultAccepted()).tasks


def test_unconfirmed_result_is_confirmed_silently() -> None:
    """When the provider says the same as the report, softgarden is not told again."""
    step = decide(UNCONFIRMED, ResultConfirmed(REPORT), NOW + HOUR)
    assert (True, None, NOW) == (
        step.invitation.confirmed,
        step.invitation.unconfirmed_result,
        step.invitation.completed_at,
    )
    assert (STOP,) == step.tasks


def test_unconfirmed_result_is_corrected() -> None:
    """When the provider says something else than the report, its word counts and softgarden is told
    again.
    """
    step = decide(UNCONFIRMED, ResultConfirmed(OTHER_REPORT), NOW + HOUR)
    assert (OTHER_REPORT, True, NOW, NOW + HOUR) == (
        step.invitation.result,
        step.invitation.confirmed,
        step.invitation.completed_at,
        step.invitation.corrected_at,
    )
    assert (STOP, notify(NOW + HOUR)) == step.tasks


def test_confirmation_in_other_words_is_no_news() -> None:
    """A confirmation that differs in language and links alone is taken over without another
    notification.
    """
    reworded = replace(
        REPORT,
        dashboard_url="https://dashboard.example/de/candidates/1",
        traits=tuple(
            trait._replace(name="Merkmal", description="(3) Neutral") for trait in REPORT.traits
        ),
    )
    step = decide(UNCONFIRMED, ResultConfirmed(reworded), NOW + HOUR)
    assert (reworded, True, (STOP,)) == (
        step.invitation.result,
        step.invitation.confirmed,
        step.tasks,
    )


def test_unconfirmed_result_is_asked_about_for_a_day() -> None:
    """A result that the provider does not know of stays, and after a day nobody asks any more."""
    again = decide(UNCONFIRMED, NoResultYet(), NOW + LATE_WINDOW - SECOND)
    assert (
        Transition(UNCONFIRMED, (check(NOW + LATE_WINDOW - SECOND + POLICY.poll_every),)) == again
    )
    assert Transition(UNCONFIRMED, (STOP,)) == decide(UNCONFIRMED, NoResultYet(), NOW + LATE_WINDOW)


def test_unverifiable_result_is_not_asked_about() -> None:
    """A completed invitation without anything to ask about ends its checks."""
    assert Transition(LOST_BUT_COMPLETED, (STOP,)) == decide(
        LOST_BUT_COMPLETED, NoResultYet(), NOW + SECOND
    )


@pytest.mark.parametrize(
    "record", [INVITED, STARTED, EXPIRED], ids=["invited", "started", "expired"]
)
def test_report_that_nothing_refutes_counts_after_an_hour(record: Invitation) -> None:
    """A report for which the provider has no result yet waits for an hour, then completes, and is
    verified later.
    """
    reported = decide(record, ResultReported(1, REPORT)).invitation
    early, late = NOW + NO_RESULT_TIMEOUT - SECOND, NOW + NO_RESULT_TIMEOUT
    assert Transition(reported, (check(late),)) == decide(reported, NoResultYet(), early)
    step = decide(reported, NoResultYet(), late)
    one = step.invitation
    assert (State.COMPLETED, REPORT, False, NOW) == (
        one.state,
        one.result,
        one.confirmed,
        one.completed_at,
    )
    assert (check(late + CONFIRMATION_DELAY), notify(late)) == step.tasks


@pytest.mark.parametrize(
    "answer", [NoResultYet(), ProviderUnreachable()], ids=["no result", "silent"]
)
@pytest.mark.parametrize(
    "seen", [DEADLINE - SECOND, DEADLINE + 10 * SECOND], ids=["before", "after"]
)
def test_report_wins_over_expiry(answer: Event, seen: datetime) -> None:
    """An invitation with a report around its deadline never expires, whatever the provider says or
    not.
    """
    record = decide(INVITED, ResultReported(1, REPORT), seen).invitation
    at = DEADLINE
    while record.state in OPEN:
        at = max(at, seen) + SECOND
        record = decide(record, answer, at).invitation
    assert (State.COMPLETED, seen) == (record.state, record.completed_at)
    assert at <= seen + UNREACHABLE_TIMEOUT


def test_report_without_a_result_does_not_stop_an_expiry() -> None:
    """Who says only that there is something, while the provider has nothing, does not keep the
    invitation open.
    """
    record = decide(INVITED, ResultReported(1, None), DEADLINE - SECOND).invitation
    assert State.EXPIRED is decide(record, NoResultYet(), DEADLINE).invitation.state


@pytest.mark.parametrize(
    "answer", [NoResultYet(), ProviderUnreachable()], ids=["not done", "silent"]
)
@pytest.mark.parametrize("at", [NOW + SECOND, DEADLINE + HOUR], ids=["soon", "after the deadline"])
def test_answer_to_an_older_question_never_drops_a_report(answer: Event, at: datetime) -> None:
    """What the provider said about another attempt does not expire or delay a report that it cannot
    be asked about.
    """
    record = decide(
        after(CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2, ISSUED),
        ResultReported(1, REPORT),
        at=at - SECOND / 2,
    ).invitation
    step = decide(record, answer, at)
    assert (State.COMPLETED, REPORT, (STOP, notify(at))) == (
        step.invitation.state,
        step.invitation.result,
        step.tasks,
    )


@pytest.mark.parametrize("record", [INVITED, EXPIRED, UNCONFIRMED, UNCERTAIN])
def test_refresh_completes_what_is_not_confirmed(record: Invitation) -> None:
    """What an operator fetches completes or confirms as a CHECK would, with the same completion
    time.
    """
    one = decide(record, ResultRefreshed(OTHER_REPORT, visible_changed=True), NOW + HOUR).invitation
    assert (State.COMPLETED, True, OTHER_REPORT) == (one.state, one.confirmed, one.result)
    assert one.completed_at == (record.completed_at or NOW + HOUR)


@pytest.mark.parametrize("shown", [True, False])
def test_refresh_of_a_confirmed_result(shown: bool) -> None:
    """A newer result takes the place of a confirmed one, its time stays, and softgarden hears of
    what it shows alone.
    """
    step = decide(COMPLETED, ResultRefreshed(OTHER_REPORT, shown), NOW + HOUR)
    assert (OTHER_REPORT, NOW) == (step.invitation.result, step.invitation.completed_at)
    assert (STOP, *([notify(NOW + HOUR)] if shown else [])) == step.tasks
    assert Transition(COMPLETED) == decide(COMPLETED, ResultRefreshed(REPORT, shown), NOW + HOUR)


def test_invited_expires_at_its_deadline() -> None:
    """Not done at the deadline is EXPIRED as of the deadline, and a late completion is looked
    for.
    """
    before = DEADLINE - SECOND
    assert Transition(INVITED, (check(DEADLINE),)) == decide(INVITED, NoResultYet(), before)
    late = DEADLINE + MINUTE
    step = decide(INVITED, NoResultYet(), late)
    assert (State.EXPIRED, DEADLINE) == (step.invitation.state, step.invitation.expired_at)
    assert (check(late + POLICY.poll_every), notify(late)) == step.tasks


def test_started_has_a_day_of_grace() -> None:
    """A test that was begun may be finished for a day after the deadline; then it is EXPIRED as of
    the deadline.
    """
    almost = DEADLINE + STARTED_GRACE - SECOND
    assert Transition(STARTED, (check(DEADLINE + STARTED_GRACE),)) == decide(
        STARTED, NoResultYet(), almost
    )
    step = decide(STARTED, NoResultYet(), DEADLINE + STARTED_GRACE)
    assert (State.EXPIRED, DEADLINE) == (step.invitation.state, step.invitation.expired_at)
    assert check(DEADLINE + STARTED_GRACE + POLICY.poll_every) in step.tasks


def test_silence_postpones_an_expiry_by_thirty_seconds() -> None:
    """A provider that is silent at the deadline does not keep an invitation PENDING for ever."""
    assert Transition(INVITED) == decide(
        INVITED, ProviderUnreachable(), DEADLINE + UNREACHABLE_TIMEOUT - SECOND
    )
    step = decide(INVITED, ProviderUnreachable(), DEADLINE + UNREACHABLE_TIMEOUT)
    assert (State.EXPIRED, DEADLINE) == (step.invitation.state, step.invitation.expired_at)
    assert State.STARTED is decide(STARTED, ProviderUnreachable(), DEADLINE + HOUR).invitation.state
    assert (
        State.EXPIRED
        is decide(
            STARTED, ProviderUnreachable(), DEADLINE + STARTED_GRACE + UNREACHABLE_TIMEOUT
        ).invitation.state
    )


def test_uncertain_expires_without_anything_to_ask() -> None:
    """An invitation whose creates all got lost expires a link's life after the last one, and its
    checks end.
    """
    record = decide(
        decide(UNCERTAIN, SECOND_ATTEMPT, NOW + HOUR).invitation,
        CreateOutcomeUnknown(2),
        NOW + HOUR,
    ).invitation
    assert Transition(record, (check(DEADLINE + HOUR),)) == decide(record, NoResultYet(), DEADLINE)
    step = decide(record, NoResultYet(), DEADLINE + HOUR)
    assert (State.EXPIRED, DEADLINE + HOUR) == (step.invitation.state, step.invitation.expired_at)
    assert (STOP,) == step.tasks


def test_start_is_noted_and_keeps_the_poll() -> None:
    """A start is kept with its time, and a CHECK is queued whatever ran meanwhile."""
    step = decide(INVITED, AssessmentStarted(NOW + MINUTE), NOW + HOUR)
    assert (State.STARTED, NOW + MINUTE) == (step.invitation.state, step.invitation.started_at)
    assert (check(NOW + HOUR + POLICY.poll_every),) == step.tasks
