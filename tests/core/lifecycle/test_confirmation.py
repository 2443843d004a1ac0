"""Reports that nobody has confirmed yet."""

from __future__ import annotations

import pytest

from bridge.core.assessment import Result
from bridge.core.invitation import Invitation, State, Transition, UnconfirmedResult
from bridge.core.lifecycle.events import NoResultYet, ResultConfirmed, ResultReported
from bridge.core.lifecycle.policy import (
    LATE_WINDOW,
    MIN_CHECK_DELAY,
    REPEAT_WINDOW,
)
from tests.core.build import (
    CREATING,
    DAY,
    DEADLINE,
    EXPIRED,
    GIVEN_UP,
    HOUR,
    INVITED,
    NOW,
    ORPHANED,
    OTHER_REPORT,
    REPORT,
    SECOND,
    STOP,
    TWICE,
    UNCONFIRMED,
    check,
    decide,
)


def test_report_is_kept_and_checked_at_once() -> None:
    """A report is kept with the time it came in, and its check is due at once."""
    step = decide(INVITED, ResultReported(1, REPORT), NOW + HOUR)
    assert UnconfirmedResult(1, NOW + HOUR, REPORT) == step.invitation.unconfirmed_result
    assert (check(NOW + HOUR),) == step.tasks


@pytest.mark.parametrize("record", [CREATING, TWICE], ids=["first", "second"])
def test_report_during_a_create_waits_for_its_outcome(record: Invitation) -> None:
    """While a create is under way a report is kept, and looked into at the latest when the create
    is given up.
    """
    step = decide(record, ResultReported(1, REPORT), NOW + SECOND)
    assert UnconfirmedResult(1, NOW + SECOND, REPORT) == step.invitation.unconfirmed_result
    assert (check(GIVEN_UP),) == step.tasks


def test_report_with_a_result_fills_an_empty_one_of_the_same_attempt() -> None:
    """A report with a result, after a webhook's without one, is kept with the time of the first of
    them.
    """
    record = decide(INVITED, ResultReported(1, None)).invitation
    assert (
        UnconfirmedResult(1, NOW, REPORT)
        == decide(record, ResultReported(1, REPORT), NOW + SECOND).invitation.unconfirmed_result
    )


def test_empty_report_does_not_drop_a_result() -> None:
    """An unreadable repeat never costs the report that came before it."""
    record = decide(INVITED, ResultReported(1, REPORT)).invitation
    assert Transition(record, (check(NOW + REPEAT_WINDOW),)) == decide(
        record, ResultReported(1, None), NOW + REPEAT_WINDOW
    )


@pytest.mark.parametrize("report", [REPORT, None], ids=["report", "no report"])
def test_a_report_repeated_word_for_word(report: Result | None) -> None:
    """The same report again at once changes nothing, so that a storm of them writes nothing; later
    it makes a check due.
    """
    record = decide(INVITED, ResultReported(1, report)).invitation
    assert Transition(record) == decide(
        record, ResultReported(1, report), NOW + REPEAT_WINDOW - SECOND / 1000
    )
    assert Transition(record, (check(NOW + REPEAT_WINDOW),)) == decide(
        record, ResultReported(1, report), NOW + REPEAT_WINDOW
    )


def test_latest_report_of_an_attempt_counts_while_nothing_is_decided() -> None:
    """The provider PUTs its report, so a newer one of the same attempt takes the older one's
    place.
    """
    record = decide(INVITED, ResultReported(1, OTHER_REPORT)).invitation
    assert (
        UnconfirmedResult(1, NOW, REPORT)
        == decide(record, ResultReported(1, REPORT), NOW + SECOND).invitation.unconfirmed_result
    )


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (
            ResultReported(1, None),
            ResultReported(2, REPORT),
            UnconfirmedResult(2, NOW + SECOND, REPORT),
        ),
        (
            ResultReported(2, None),
            ResultReported(1, REPORT),
            UnconfirmedResult(1, NOW + SECOND, REPORT),
        ),
        (
            ResultReported(1, OTHER_REPORT),
            ResultReported(2, REPORT),
            UnconfirmedResult(2, NOW + SECOND, REPORT),
        ),
        (
            ResultReported(2, OTHER_REPORT),
            ResultReported(1, REPORT),
            UnconfirmedResult(2, NOW, OTHER_REPORT),
        ),
        (ResultReported(1, REPORT), ResultReported(2, None), UnconfirmedResult(1, NOW, REPORT)),
        (
            ResultReported(1, None),
            ResultReported(2, None),
            UnconfirmedResult(2, NOW + SECOND, None),
        ),
        (ResultReported(2, None), ResultReported(1, None), UnconfirmedResult(2, NOW, None)),
    ],
)
def test_report_that_is_kept_of_two_attempts(
    first: ResultReported, second: ResultReported, kept: UnconfirmedResult
) -> None:
    """A report beats none, then the attempt whose link softgarden got beats the orphan; else the
    first one stays.
    """
    record = decide(ORPHANED, first).invitation
    assert kept == decide(record, second, NOW + SECOND).invitation.unconfirmed_result


def test_report_after_unconfirmed_completion_hastens_the_confirmation() -> None:
    """Another report does not change an unconfirmed result, but the provider is asked at once."""
    assert Transition(UNCONFIRMED, (check(NOW + SECOND),)) == decide(
        UNCONFIRMED, ResultReported(1, OTHER_REPORT), NOW + SECOND
    )


def test_callback_after_expiry_counts_for_ever() -> None:
    """A report that comes long after an expiry is asked about at once, and again if it was not true
    yet.
    """
    late = DEADLINE + 30 * DAY
    reported = decide(EXPIRED, ResultReported(1, REPORT), late)
    assert (check(late),) == reported.tasks
    assert (check(late + MIN_CHECK_DELAY),) == decide(
        reported.invitation, NoResultYet(), late
    ).tasks
    done = decide(reported.invitation, ResultConfirmed(REPORT), late + SECOND).invitation
    assert (State.COMPLETED, late, DEADLINE) == (done.state, done.completed_at, done.expired_at)


def test_callback_after_a_denied_one_counts_afresh() -> None:
    """A report that was denied for a day does not keep a later one from being looked into, nor lend
    it its time.
    """
    record = decide(EXPIRED, ResultReported(1, None), DEADLINE).invitation
    late = DEADLINE + LATE_WINDOW
    assert (STOP,) == decide(record, NoResultYet(), late).tasks
    assert (
        UnconfirmedResult(1, late, REPORT)
        == decide(record, ResultReported(1, REPORT), late).invitation.unconfirmed_result
    )
