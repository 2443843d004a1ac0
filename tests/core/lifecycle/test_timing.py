"""When an invitation is looked at next, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bridge.core.invitation import (
    Invitation,
    State,
    Transition,
)
from bridge.core.lifecycle import timing
from bridge.core.lifecycle.events import (
    ApplicationCreated,
    CreateFailed,
    CreateOutcomeUnknown,
    NoResultYet,
    ProviderUnreachable,
    ResultReported,
)
from bridge.core.lifecycle.policy import (
    LATE_WINDOW,
    MIN_CHECK_DELAY,
    STARTED_GRACE,
    UNREACHABLE_TIMEOUT,
    LifecyclePolicy,
)
from bridge.core.queueing import CancelTask, TaskKind
from tests.core.build import (
    COMPLETED,
    CREATED,
    CREATING,
    DAY,
    DEADLINE,
    ERASED,
    EXPIRED,
    HOUR,
    INVITED,
    MINUTE,
    MORE_RECORDS,
    NOW,
    POLICY,
    REPORT,
    SECOND,
    STARTED,
    STOP,
    TWICE,
    UNCONFIRMED,
    check,
    decide,
)


@pytest.mark.parametrize(
    ("record", "at", "expected"),
    [
        (CREATING, NOW, DEADLINE + UNREACHABLE_TIMEOUT),
        (INVITED, DEADLINE, DEADLINE + UNREACHABLE_TIMEOUT),
        (INVITED, DEADLINE + UNREACHABLE_TIMEOUT, None),
        (STARTED, DEADLINE, DEADLINE + STARTED_GRACE + UNREACHABLE_TIMEOUT),
        (decide(INVITED, ResultReported(1, REPORT)).invitation, NOW, NOW + UNREACHABLE_TIMEOUT),
        (
            decide(INVITED, ResultReported(1, REPORT)).invitation,
            NOW + UNREACHABLE_TIMEOUT,
            DEADLINE + UNREACHABLE_TIMEOUT,
        ),
        (decide(INVITED, ResultReported(1, None)).invitation, NOW, DEADLINE + UNREACHABLE_TIMEOUT),
        (decide(EXPIRED, ResultReported(1, REPORT)).invitation, NOW, NOW + UNREACHABLE_TIMEOUT),
        (EXPIRED, NOW, None),
        (COMPLETED, NOW, None),
        (ERASED, NOW, None),
    ],
)
def test_patience_ends(record: Invitation, at: datetime, expected: datetime | None) -> None:
    """Waiting for a silent provider ends with the patience for a report, or shortly after the
    deadline.
    """
    assert expected == timing.get_unreachable_timeout(record, POLICY, at)


def test_poll_is_never_later_than_the_deadline() -> None:
    """A slow poll does not make softgarden wait for EXPIRED beyond the deadline."""
    policy = LifecyclePolicy(link_life=HOUR, poll_every=DAY, create_timeout=10 * SECOND)
    step = decide(CREATING, CREATED, NOW, policy)
    assert (check(NOW + HOUR),) == step.tasks


def test_denied_report_is_looked_into_quickly_first_and_seldom_later() -> None:
    """A report that the provider denies is asked about again after as long as it has waited, but no
    later than the poll.
    """
    record = decide(INVITED, ResultReported(1, None)).invitation
    waits = [
        decide(record, NoResultYet(), NOW + age).tasks[0].at - NOW - age
        for age in (0 * SECOND, MINUTE, HOUR, 2 * HOUR)
    ]
    assert [MIN_CHECK_DELAY, MINUTE, POLICY.poll_every, POLICY.poll_every] == waits


def test_report_that_came_after_the_question_is_looked_into_at_once() -> None:
    """An answer to a question from before the report says nothing about it."""
    record = decide(INVITED, ResultReported(1, None)).invitation
    asked_before = NoResultYet(report_known=False)
    assert decide(record, asked_before, NOW + SECOND).tasks == (check(NOW + SECOND),)
    assert decide(INVITED, asked_before) == decide(INVITED, NoResultYet())


def test_expiry_keeps_a_denied_report_in_sight() -> None:
    """An invitation that expires just after a report is asked about again quickly, not only at the
    next poll.
    """
    record = decide(INVITED, ResultReported(1, None), DEADLINE - SECOND).invitation
    assert check(DEADLINE + SECOND) in decide(record, NoResultYet(), DEADLINE).tasks


def test_expiry_with_a_create_under_way_leaves_its_rescue() -> None:
    """An expiry never takes away the check that a create under way, and a report about it, wait
    for.
    """
    record = decide(TWICE, ResultReported(2, None)).invitation
    short = replace(POLICY, link_life=SECOND)
    step = decide(record, NoResultYet(), NOW + SECOND, short)
    assert State.EXPIRED is step.invitation.state
    assert TaskKind.CHECK in [task.kind for task in step.tasks if not isinstance(task, CancelTask)]


@pytest.mark.parametrize(
    ("record", "end"),
    [
        (EXPIRED, DEADLINE + LATE_WINDOW),
        (replace(EXPIRED, started_at=NOW), DEADLINE + STARTED_GRACE + LATE_WINDOW),
        (
            decide(EXPIRED, ResultReported(1, None), DEADLINE + HOUR).invitation,
            DEADLINE + HOUR + LATE_WINDOW,
        ),
    ],
    ids=["invited", "started", "reported"],
)
def test_late_completion_is_looked_for_during_a_day(record: Invitation, end: datetime) -> None:
    """After an expiry, or a callback after it, we ask for one day more."""
    again = decide(record, NoResultYet(), end - SECOND)
    assert Transition(record, (check(end - SECOND + POLICY.poll_every),)) == again
    assert Transition(record, (STOP,)) == decide(record, NoResultYet(), end)


def test_slow_poll_still_looks_for_a_late_completion_in_time() -> None:
    """With polls further apart than a day, the look after an expiry comes after a day all the
    same.
    """
    policy = replace(POLICY, poll_every=timedelta(days=3))
    step = decide(INVITED, NoResultYet(), DEADLINE, policy)
    assert check(DEADLINE + LATE_WINDOW) in step.tasks


def test_rescue_that_comes_too_late_leaves_a_check() -> None:
    """A CHECK that wanted to give up an attempt whose failure was told meanwhile ends, and another
    is queued all the same.
    """
    live = decide(TWICE, CREATED).invitation
    failed = decide(live, CreateFailed(2, "upstream_refused"))
    late = decide(failed.invitation, CreateOutcomeUnknown(2))
    assert () == late.tasks
    assert [TaskKind.CHECK] == [task.kind for task in failed.tasks]


@pytest.mark.parametrize("reference_id", ["reference-1", "reference-2"])
def test_rescue_that_meets_a_late_application_leaves_a_check(reference_id: str) -> None:
    """So it is where the application of that attempt came meanwhile, be it one of its own or the
    other attempt's: else nobody would ever look at the open invitation again.
    """
    live = decide(TWICE, CREATED).invitation
    made = decide(live, ApplicationCreated(2, reference_id, "https://test.example/x"))
    late = decide(made.invitation, CreateOutcomeUnknown(2))
    assert () == late.tasks
    assert TaskKind.CHECK in [task.kind for task in made.tasks]


@pytest.mark.parametrize("record", [EXPIRED, UNCONFIRMED], ids=["expired", "unconfirmed"])
def test_silence_about_a_closed_invitation_has_an_end(record: Invitation) -> None:
    """A provider that says nothing is not asked about a closed invitation for longer than one that
    says no.
    """
    since = record.completed_at or record.expired_at
    assert since is not None
    end = since + LATE_WINDOW
    assert () == decide(record, ProviderUnreachable(), end - SECOND).tasks
    assert (STOP,) == decide(record, ProviderUnreachable(), end).tasks


def test_every_reason_for_a_check_counts_for_somebody() -> None:
    """There is no row in the table of reasons that never decides when an invitation is looked
    at.
    """
    rows = [
        timing.list_check_reasons(record, replace(POLICY, poll_every=poll_every), at, trigger)
        for record in MORE_RECORDS.values()
        for poll_every in (MINUTE, 3 * DAY)
        for at in (NOW, NOW + HOUR - MINUTE, DEADLINE)
        for trigger in timing.CheckTrigger
    ]
    applying = [[reason for reason in reasons if reason.applies] for reasons in rows]
    decisive = {min(some, key=lambda reason: reason.at).name for some in applying if some}
    assert {reason.name for reason in rows[0]} == decisive
