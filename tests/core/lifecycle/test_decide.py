"""Every event in every state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bridge.core.invitation import OPEN, Invitation, OrderClaimChange, State, Transition
from bridge.core.lifecycle.events import (
    AssessmentStarted,
    CreateFailed,
    CreateOutcomeUnknown,
    ErasureRequested,
    Event,
    InvitationIdIssued,
    NoResultYet,
    ProviderUnreachable,
    ReportedResultAccepted,
    ResultConfirmed,
    ResultReported,
)
from bridge.core.lifecycle.policy import ANSWER_ARRIVES_WITHIN
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind
from tests.core.build import (
    COMPLETED,
    CREATED,
    DAY,
    DEADLINE,
    ERASED,
    EVENTS,
    EXPIRED,
    FAILED,
    INVITED,
    ISSUED,
    LOST_BUT_COMPLETED,
    MINUTE,
    MORE_RECORDS,
    NOW,
    OTHER_REPORT,
    RECORDS,
    REPORT,
    SECOND,
    SECOND_ATTEMPT,
    STARTED,
    decide,
    notify,
    opening,
)

TIMES = (NOW, NOW + MINUTE, DEADLINE, NOW + 60 * DAY)
every_record = pytest.mark.parametrize("record", MORE_RECORDS.values(), ids=MORE_RECORDS.keys())
every_event = pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())


TABLE = """
CreateAttemptStarted  uncertain uncertain .         .         .         .         .         .      .
ApplicationCreated    invited   invited   .         .         .         .         .         .      .
WithoutLink           failed    failed    .         .         .         .         .         .      .
CreateFailed          failed    failed    .         .         .         .         .         .      .
CreateOutcomeUnknown  uncertain .         .         .         .         .         .         .      .
InvitationIdIssued    .         .         .         .         .         .         .         .      .
EmptyReport           .         .         .         .         .         .         .         .      .
ReportReceived        .         .         .         .         .         .         .         .      .
AssessmentStarted     .         .         started   .         .         .         .         .      .
ResultConfirmed       completed completed completed completed completed .         .         .      .
ResultRefreshed       completed completed completed completed completed .         .         .      .
NoResultYet           .         .         .         .         .         .         .         .      .
ProviderUnreachable   .         .         .         .         .         .         .         .      .
ReportAccepted        .         .         .         .         .         .         .         .      .
ErasureRequested      erased    erased    erased    erased    erased    erased    erased    erased .
ApplicationAnonymised .         .         .         .         .         .         .         .      .
ApplicationShared     .         .         .         .         .         .         .         .      .
HireRequested         .         .         .         .         .         .         .         .      .
HireCallStarted       .         .         .         .         .         .         .         .      .
HireCallEnded         .         .         .         .         .         .         .         .      .
HireRepeatAllowed     .         .         .         .         .         .         .         .      .
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
MOVES = [
    (row[0], column, cell) for row in ROWS for column, cell in zip(RECORDS, row[1:], strict=True)
]
"""Of an event that happens at NOW, to the records of ``RECORDS`` in their order."""


def test_table_knows_every_event_and_state() -> None:
    """A new event or state cannot be forgotten in the table above."""
    assert {kind.__name__ for kind in Event.__args__} == {
        type(event).__name__ for event in EVENTS.values()
    }
    assert list(EVENTS) == [row[0] for row in ROWS]
    assert set(State) == {record.state for record in RECORDS.values()}


@pytest.mark.parametrize(
    ("event", "column", "cell"), MOVES, ids=[f"{event}-{column}" for event, column, _ in MOVES]
)
def test_state_after_event(event: str, column: str, cell: str) -> None:
    """Every event moves every state as the table says, and a dot means that the state stays."""
    record = RECORDS[column]
    expected = record.state if cell == "." else State(cell)
    assert expected is decide(record, EVENTS[event]).invitation.state


@every_event
@every_record
def test_completion_time_is_set_once(record: Invitation, event: Event) -> None:
    """A completion time exists from COMPLETED on, and no event ever changes it."""
    for at in TIMES:
        changed = decide(record, event, at).invitation
        assert (changed.state is State.COMPLETED) == (changed.completed_at is not None)
        assert record.completed_at in (None, changed.completed_at) or changed.state is State.ERASED


@every_event
@every_record
def test_version_is_left_to_the_store(record: Invitation, event: Event) -> None:
    """A decision never touches version, id, customer and creation time."""
    for at in TIMES:
        new = decide(record, event, at).invitation
        kept = (new.version, new.id, new.customer, new.created_at)
        assert (record.version, record.id, record.customer, record.created_at) == kept


@every_event
@every_record
def test_every_step_stamps_its_time(record: Invitation, event: Event) -> None:
    """A changed record carries the time of the change, an unchanged one is the same record."""
    for at in TIMES:
        changed = decide(record, event, at).invitation
        assert changed == record or at == changed.updated_at


@every_event
@every_record
def test_new_end_is_notified(record: Invitation, event: Event) -> None:
    """softgarden is told whenever an invitation becomes COMPLETED or EXPIRED, or such a one becomes
    known to it.
    """
    for at in TIMES:
        step = decide(record, event, at)
        ended = step.invitation.state in (State.COMPLETED, State.EXPIRED) and step.invitation.issued
        news = (step.invitation.state, step.invitation.issued) != (record.state, record.issued)
        arrives = ANSWER_ARRIVES_WITHIN if isinstance(event, InvitationIdIssued) else timedelta(0)
        assert notify(at + arrives) in step.tasks or not (ended and news)


@every_event
@every_record
def test_nothing_is_notified_of_an_id_that_nobody_got(record: Invitation, event: Event) -> None:
    """No event notifies softgarden of an invitation whose id it was never given."""
    for at in TIMES:
        step = decide(record, event, at)
        assert step.invitation.issued or TaskKind.NOTIFY not in [
            task.kind for task in step.tasks if not isinstance(task, CancelTask)
        ]


@every_event
@every_record
def test_order_is_freed_exactly_with_failure_and_erasure(record: Invitation, event: Event) -> None:
    """Only a step to FAILED or ERASED releases the order, and it names the order's key."""
    for at in TIMES:
        step = decide(record, event, at)
        freed = (
            step.invitation.state in (State.FAILED, State.ERASED)
            and step.invitation.state is not record.state
        )
        expected = (
            (OrderClaimChange.RELEASE, record.order_key) if freed else (OrderClaimChange.KEEP, "")
        )
        assert expected == (step.order, step.order_key)


@pytest.mark.parametrize(
    "event",
    [event for name, event in EVENTS.items() if name != "ErasureRequested"],
)
@pytest.mark.parametrize("record", [COMPLETED, FAILED], ids=["completed", "failed"])
def test_final_states_never_move_back(record: Invitation, event: Event) -> None:
    """A confirmed completion and a failure end in erasure or not at all."""
    assert record.state is decide(record, event, NOW + DAY).invitation.state


@pytest.mark.parametrize(
    ("record", "event"),
    [
        (INVITED, CREATED),
        (INVITED, CreateFailed(1, "x")),
        (INVITED, CreateOutcomeUnknown(1)),
        (INVITED, ReportedResultAccepted()),
        (INVITED, SECOND_ATTEMPT),
        (INVITED, InvitationIdIssued(INVITED.callback)),
        (STARTED, AssessmentStarted(NOW + MINUTE)),
        (COMPLETED, ResultReported(1, OTHER_REPORT)),
        (COMPLETED, ResultConfirmed(OTHER_REPORT)),
        (COMPLETED, NoResultYet()),
        (COMPLETED, ProviderUnreachable()),
        (COMPLETED, AssessmentStarted(NOW)),
        (EXPIRED, ProviderUnreachable()),
        (EXPIRED, AssessmentStarted(NOW)),
        (FAILED, ResultReported(1, REPORT)),
        (FAILED, InvitationIdIssued("https://acme.softgarden.io/new")),
        (FAILED, NoResultYet()),
        (ERASED, ResultReported(1, REPORT)),
        (ERASED, InvitationIdIssued("https://acme.softgarden.io/new")),
        (ERASED, ErasureRequested()),
        (ERASED, ResultConfirmed(REPORT)),
        (LOST_BUT_COMPLETED, ResultReported(1, OTHER_REPORT)),
        (INVITED, ISSUED),
    ],
    ids=lambda value: value.state if isinstance(value, Invitation) else type(value).__name__,
)
def test_event_without_meaning_does_nothing(record: Invitation, event: Event) -> None:
    """An event that changes nothing gives back the same record and no tasks."""
    step = decide(record, event, NOW + SECOND)
    assert (step.invitation, step.tasks) == (record, ())


def urgency(step: Transition) -> list[bool]:
    return [task.urgent for task in step.tasks if isinstance(task, ScheduleTask)]


@pytest.mark.parametrize(
    "make", [lambda: CREATED, lambda: ResultReported(1, REPORT)], ids=["created", "report"]
)
def test_record_of_before_is_untouched(make: Callable[[], Event]) -> None:
    """A decision works on copies: the record that was decided on stays as it was."""
    before = opening().invitation
    decide(before, make())
    assert opening().invitation == before


def test_reports_and_fresh_results_are_urgent() -> None:
    """The check of a report and the notification of a result go ahead of the backlog; polls and
    expiries do not.
    """
    with_report = decide(INVITED, ResultReported(1, REPORT))
    assert urgency(with_report) == [True]
    assert urgency(decide(with_report.invitation, NoResultYet())) == [True]
    assert urgency(decide(INVITED, ResultConfirmed(REPORT))) == [True]
    assert urgency(decide(INVITED, NoResultYet())) == [False]
    assert set(urgency(decide(INVITED, NoResultYet(), DEADLINE))) == {False}


def test_open_states_are_those_that_softgarden_sees_as_pending() -> None:
    """OPEN is exactly the states before an end."""
    assert set(State) - OPEN == {State.COMPLETED, State.EXPIRED, State.FAILED, State.ERASED}
