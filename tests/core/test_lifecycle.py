from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta

import pytest

from bridge.core.assessment import Result
from bridge.core.invitation import (
    OPEN,
    CreateOutcome,
    Invitation,
    OrderChange,
    State,
    Transition,
    UnverifiedReport,
)
from bridge.core.lifecycle import attempts, checks, orders, timing
from bridge.core.lifecycle.checks import ApplyEvent, AskProvider, WaitUntil
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ApplicationCreated,
    ApplicationShared,
    AssessmentStarted,
    AttemptOpened,
    CreateFailed,
    CreateOutcomeUnknown,
    ErasureRequested,
    Event,
    IdIssued,
    NoResultYet,
    ProviderUnreachable,
    ReportAccepted,
    ReportReceived,
    ResultConfirmed,
    ResultRefreshed,
)
from bridge.core.lifecycle.orders import OrderMatch
from bridge.core.lifecycle.policy import (
    CONFIRMATION_DELAY,
    LATE_WINDOW,
    MIN_CHECK_DELAY,
    NO_RESULT_TIMEOUT,
    REPEAT_WINDOW,
    STARTED_GRACE,
    UNREACHABLE_TIMEOUT,
    Policy,
)
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind
from tests.core.build import (
    COMPLETED,
    CREATED,
    CREATED_2,
    CREATING,
    DAY,
    DEADLINE,
    ERASED,
    EXPIRED,
    FAILED,
    HOUR,
    INVITED,
    ISSUED,
    LOST_AND_EXPIRED,
    LOST_BUT_COMPLETED,
    MINUTE,
    NOW,
    ORPHANED,
    OTHER_REPORT,
    POLICY,
    REPORT,
    SECOND,
    SECOND_ATTEMPT,
    STARTED,
    TWICE,
    UNCERTAIN,
    UNCONFIRMED,
    UNISSUED,
    after,
    anonymise,
    check,
    decide,
    notify,
    opening,
)

GIVEN_UP = NOW + POLICY.create_bound
POLL = NOW + POLICY.poll_every
STOP = CancelTask(TaskKind.CHECK)

EVENTS: dict[str, Event] = {
    "AttemptOpened": SECOND_ATTEMPT,
    "Created": CREATED,
    "CreatedWithoutLink": ApplicationCreated(1, "reference-1", None),
    "CreateFailed": CreateFailed(1, "upstream_refused"),
    "CreateUnknown": CreateOutcomeUnknown(1),
    "Issued": IdIssued("https://acme.softgarden.io/new"),
    "Hint": ReportReceived(1, None),
    "Report": ReportReceived(1, REPORT),
    "StartSeen": AssessmentStarted(NOW),
    "ResultSeen": ResultConfirmed(OTHER_REPORT),
    "ResultRefreshed": ResultRefreshed(OTHER_REPORT, shown=True),
    "NotDoneSeen": NoResultYet(),
    "ProviderSilent": ProviderUnreachable(),
    "HintAccepted": ReportAccepted(),
    "ErasureRequested": ErasureRequested(),
    "AnonymisedSeen": ApplicationAnonymised("reference-1"),
    "HeldElsewhere": ApplicationShared("reference-1"),
}
RECORDS = {
    "creating": CREATING,
    "uncertain": UNCERTAIN,
    "invited": INVITED,
    "started": STARTED,
    "expired": EXPIRED,
    "unconfirmed": UNCONFIRMED,
    "completed": COMPLETED,
    "failed": FAILED,
    "erased": ERASED,
}
COLUMNS = (
    "creating",
    "uncertain",
    "invited",
    "started",
    "expired",
    "unconfirmed",
    "completed",
    "failed",
    "erased",
)
TABLE = """
AttemptOpened       uncertain uncertain .         .         .         .         .         .      .
Created             invited   invited   .         .         .         .         .         .      .
CreatedWithoutLink  failed    failed    .         .         .         .         .         .      .
CreateFailed        failed    failed    .         .         .         .         .         .      .
CreateUnknown       uncertain .         .         .         .         .         .         .      .
Issued              .         .         .         .         .         .         .         .      .
Hint                .         .         .         .         .         .         .         .      .
Report              .         .         .         .         .         .         .         .      .
StartSeen           .         .         started   .         .         .         .         .      .
ResultSeen          completed completed completed completed completed .         .         .      .
ResultRefreshed     completed completed completed completed completed .         .         .      .
NotDoneSeen         .         .         .         .         .         .         .         .      .
ProviderSilent      .         .         .         .         .         .         .         .      .
HintAccepted        .         .         .         .         .         .         .         .      .
ErasureRequested    erased    erased    erased    erased    erased    erased    erased    erased .
AnonymisedSeen      .         .         .         .         .         .         .         .      .
HeldElsewhere       .         .         .         .         .         .         .         .      .
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
MOVES = [
    (row[0], column, cell) for row in ROWS for column, cell in zip(COLUMNS, row[1:], strict=True)
]

FORWARD = {
    State.CREATING: set(State),
    State.UNCERTAIN: set(State) - {State.CREATING},
    State.INVITED: {State.INVITED, State.STARTED, State.COMPLETED, State.EXPIRED, State.ERASED},
    State.STARTED: {State.STARTED, State.COMPLETED, State.EXPIRED, State.ERASED},
    State.EXPIRED: {State.EXPIRED, State.COMPLETED, State.ERASED},
    State.COMPLETED: {State.COMPLETED, State.ERASED},
    State.FAILED: {State.FAILED, State.ERASED},
    State.ERASED: {State.ERASED},
}
MORE_RECORDS = {
    **RECORDS,
    "twice": TWICE,
    "lost but completed": LOST_BUT_COMPLETED,
    "lost and expired": LOST_AND_EXPIRED,
    "orphaned": ORPHANED,
    "unissued": UNISSUED,
    "unissued and expired": decide(UNISSUED, NoResultYet(), DEADLINE).invitation,
    "reported": after(CREATED, ISSUED, ReportReceived(1, REPORT)),
    "reported as lost": after(CreateOutcomeUnknown(1), ReportReceived(1, REPORT)),
    "reported as orphan": decide(ORPHANED, ReportReceived(1, REPORT)).invitation,
}


def empty(invitation: Invitation) -> set[str]:
    """The fields that say something."""
    return {
        one.name
        for one in fields(invitation)
        if getattr(invitation, one.name) not in ("", None, False, 0, ())
    }


TIMES = (NOW, NOW + MINUTE, DEADLINE, NOW + 60 * DAY)
every_record = pytest.mark.parametrize("record", MORE_RECORDS.values(), ids=MORE_RECORDS.keys())
every_event = pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())


# ------------------------------------------------------------------------------------------------------- the table


def test_table_knows_every_event_and_state() -> None:
    """A new event or state cannot be forgotten in the table below."""
    assert {kind.__name__ for kind in Event.__args__} == {
        type(event).__name__ for event in EVENTS.values()
    }
    assert list(EVENTS) == [row[0] for row in ROWS]
    assert set(State) == {record.state for record in RECORDS.values()}
    assert list(RECORDS) == list(COLUMNS)


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
def test_states_only_move_forward(record: Invitation, event: Event) -> None:
    """No event at any time raises or takes a state back."""
    assert FORWARD[record.state] >= {decide(record, event, at).invitation.state for at in TIMES}


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
        assert notify(at) in step.tasks or not (ended and news)


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
        expected = (OrderChange.RELEASE, record.order_key) if freed else (OrderChange.KEEP, "")
        assert expected == (step.order, step.order_key)


@pytest.mark.parametrize(
    "event",
    [event for name, event in EVENTS.items() if name not in ("AnonymisedSeen", "ErasureRequested")],
)
@pytest.mark.parametrize("record", [COMPLETED, FAILED], ids=["completed", "failed"])
def test_final_states_never_move_back(record: Invitation, event: Event) -> None:
    """A confirmed completion and a failure end in erasure or not at all."""
    assert record.state is decide(record, event, NOW + DAY).invitation.state


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_tombstone_gains_nothing_but_a_reference_to_anonymise(event: Event) -> None:
    """No event brings personal data back into a tombstone; a late create adds the reference id to
    anonymise, no more.
    """
    tombstone = after(ErasureRequested())
    step = decide(tombstone, event, NOW + MINUTE)
    untouched = replace(
        step.invitation, attempts=tombstone.attempts, updated_at=tombstone.updated_at
    )
    assert tombstone == untouched
    gained = [attempt.reference_id for attempt in step.invitation.attempts if attempt.reference_id]
    assert (["reference-1"] if isinstance(event, ApplicationCreated) else []) == gained
    assert (
        (anonymise(NOW + MINUTE),) if isinstance(event, ApplicationCreated) else ()
    ) == step.tasks


@pytest.mark.parametrize(
    ("record", "event"),
    [
        (INVITED, CREATED),
        (INVITED, CreateFailed(1, "x")),
        (INVITED, CreateOutcomeUnknown(1)),
        (INVITED, ReportAccepted()),
        (INVITED, SECOND_ATTEMPT),
        (INVITED, IdIssued(INVITED.callback)),
        (STARTED, AssessmentStarted(NOW + MINUTE)),
        (COMPLETED, ReportReceived(1, OTHER_REPORT)),
        (COMPLETED, ResultConfirmed(OTHER_REPORT)),
        (COMPLETED, NoResultYet()),
        (COMPLETED, ProviderUnreachable()),
        (COMPLETED, AssessmentStarted(NOW)),
        (EXPIRED, ProviderUnreachable()),
        (EXPIRED, AssessmentStarted(NOW)),
        (FAILED, ReportReceived(1, REPORT)),
        (FAILED, IdIssued("https://acme.softgarden.io/new")),
        (FAILED, NoResultYet()),
        (ERASED, ReportReceived(1, REPORT)),
        (ERASED, IdIssued("https://acme.softgarden.io/new")),
        (ERASED, ErasureRequested()),
        (ERASED, ResultConfirmed(REPORT)),
        (LOST_BUT_COMPLETED, ReportReceived(1, OTHER_REPORT)),
        (INVITED, ISSUED),
    ],
    ids=lambda value: value.state if isinstance(value, Invitation) else type(value).__name__,
)
def test_event_without_meaning_does_nothing(record: Invitation, event: Event) -> None:
    """An event that changes nothing gives back the same record and no tasks."""
    step = decide(record, event, NOW + SECOND)
    assert (step.invitation, step.tasks) == (record, ())


# ---------------------------------------------------------------------------------------------------------- orders


def test_first_move_claims_the_order_and_queues_a_rescue() -> None:
    """A new invitation claims its order and is rescued by a CHECK if the process dies in the
    create.
    """
    step = opening()
    assert (State.CREATING, 0) == (step.invitation.state, step.invitation.version)
    assert (check(GIVEN_UP),) == step.tasks
    assert (OrderChange.CLAIM, None, "order-1") == (step.order, step.replaces, step.order_key)
    assert [(1, "digest-1", CreateOutcome.PENDING)] == [
        (attempt.number, attempt.secret_digest, attempt.outcome)
        for attempt in step.invitation.attempts
    ]
    assert ("test-1", "Sales", 20) == (
        step.invitation.test_id,
        step.invitation.test_name,
        step.invitation.duration,
    )


@pytest.mark.parametrize(
    ("known", "at", "expected"),
    [
        (None, NOW, OrderMatch.NEW),
        (CREATING, NOW, OrderMatch.WAIT),
        (CREATING, GIVEN_UP, OrderMatch.RETRY),
        (TWICE, NOW, OrderMatch.WAIT),
        (TWICE, GIVEN_UP, OrderMatch.RETRY),
        (UNCERTAIN, NOW, OrderMatch.RETRY),
        (INVITED, NOW, OrderMatch.SAME),
        (STARTED, NOW, OrderMatch.SAME),
        (COMPLETED, NOW, OrderMatch.NEW),
        (EXPIRED, NOW, OrderMatch.NEW),
        (FAILED, NOW, OrderMatch.NEW),
        (ERASED, NOW, OrderMatch.NEW),
    ],
    ids=lambda value: value.state if isinstance(value, Invitation) else "",
)
def test_repeated_order(known: Invitation | None, at: datetime, expected: OrderMatch) -> None:
    """A repeated order is treated as the table of the architecture says."""
    assert expected is orders.match_order(known, POLICY, at)


def test_repeated_order_after_completion_may_be_the_same() -> None:
    """With ``after_completed: same`` a completed order is given its invitation again, even one that
    never had a link.
    """
    policy = replace(POLICY, after_completed="same")
    assert OrderMatch.SAME is orders.match_order(COMPLETED, policy, NOW)
    assert OrderMatch.SAME is orders.match_order(
        decide(LOST_BUT_COMPLETED, ISSUED).invitation, policy, NOW
    )
    assert OrderMatch.NEW is orders.match_order(EXPIRED, policy, NOW)


def test_result_of_a_lost_answer_is_handed_out_with_its_own_id() -> None:
    """A repeat of an order whose answer got lost, and whose result is here, gets that invitation;
    afterwards a new one.
    """
    assert OrderMatch.SAME is orders.match_order(LOST_BUT_COMPLETED, POLICY, NOW)
    assert OrderMatch.SAME is orders.match_order(
        decide(LOST_AND_EXPIRED, ReportReceived(1, REPORT)).invitation, POLICY, NOW
    )
    assert OrderMatch.NEW is orders.match_order(LOST_AND_EXPIRED, POLICY, NOW)
    assert OrderMatch.NEW is orders.match_order(
        decide(LOST_BUT_COMPLETED, ISSUED).invitation, POLICY, NOW
    )


def test_dead_link_is_not_handed_out_again() -> None:
    """A repeat after the deadline gets a new invitation, even before a CHECK has called the old one
    expired.
    """
    assert OrderMatch.SAME is orders.match_order(INVITED, POLICY, DEADLINE - SECOND)
    assert OrderMatch.NEW is orders.match_order(INVITED, POLICY, DEADLINE)
    assert OrderMatch.SAME is orders.match_order(STARTED, POLICY, DEADLINE)


def test_repeated_order_refreshes_only_the_callback() -> None:
    """A repeat of an open order changes the URL to notify and nothing else."""
    step = decide(INVITED, IdIssued("https://acme.softgarden.io/new"), NOW + HOUR)
    expected = replace(INVITED, callback="https://acme.softgarden.io/new", updated_at=NOW + HOUR)
    assert Transition(expected) == step


def test_second_attempt_makes_the_first_unknown() -> None:
    """A new attempt has the next number and its own secret, and what it replaces counts as lost."""
    step = decide(CREATING, SECOND_ATTEMPT, NOW + MINUTE)
    assert [(1, CreateOutcome.UNKNOWN), (2, CreateOutcome.PENDING)] == [
        (attempt.number, attempt.outcome) for attempt in step.invitation.attempts
    ]
    assert ("digest-2", NOW + MINUTE) == (
        step.invitation.attempts[1].secret_digest,
        step.invitation.attempts[1].started_at,
    )
    assert SECOND_ATTEMPT.callback == step.invitation.callback
    assert (check(NOW + MINUTE + POLICY.create_bound),) == step.tasks


def test_second_attempt_keeps_what_failed_as_failed() -> None:
    """An attempt that surely failed does not become unknown by the next one."""
    record = decide(TWICE, CreateFailed(2, "x")).invitation
    opened = decide(record, AttemptOpened("digest-3", "https://acme.softgarden.io/3")).invitation
    assert [CreateOutcome.UNKNOWN, CreateOutcome.FAILED, CreateOutcome.PENDING] == [
        attempt.outcome for attempt in opened.attempts
    ]


# --------------------------------------------------------------------------------------------------------- creates


def test_created_invites_until_the_deadline() -> None:
    """A created application makes the invitation INVITED with link, deadline and a poll."""
    step = decide(CREATING, CREATED, NOW + SECOND)
    one = step.invitation
    assert (State.INVITED, CREATED.assessment_url, DEADLINE, 1) == (
        one.state,
        one.assessment_url,
        one.deadline,
        one.live_attempt,
    )
    assert (CreateOutcome.CREATED, "reference-1") == (
        one.attempts[0].outcome,
        one.attempts[0].reference_id,
    )
    assert (check(POLL + SECOND),) == step.tasks


def test_poll_is_never_later_than_the_deadline() -> None:
    """A slow poll does not make softgarden wait for EXPIRED beyond the deadline."""
    policy = Policy(link_life=HOUR, poll_every=DAY, create_bound=10 * SECOND)
    step = decide(CREATING, CREATED, NOW, policy)
    assert (check(NOW + HOUR),) == step.tasks


def test_created_after_a_hint_is_checked_at_once() -> None:
    """A report that overtook the create's answer is looked into as soon as there is something to
    ask about.
    """
    record = decide(CREATING, ReportReceived(1, REPORT)).invitation
    assert (check(NOW + SECOND),) == decide(record, CREATED, NOW + SECOND).tasks


def test_created_without_link_fails_and_is_anonymised() -> None:
    """An application without a link for the candidate is worth nothing, so it fails and is
    anonymised.
    """
    step = decide(CREATING, ApplicationCreated(1, "reference-1", None))
    assert (State.FAILED, "upstream_broken") == (step.invitation.state, step.invitation.failure)
    assert (STOP, anonymise(NOW)) == step.tasks
    assert ("reference-1",) == attempts.applications_to_anonymise(step.invitation)


@pytest.mark.parametrize(
    "record", [LOST_BUT_COMPLETED, LOST_AND_EXPIRED], ids=["completed", "expired"]
)
@pytest.mark.parametrize(
    "event", [CREATED, ApplicationCreated(1, "reference-1", None)], ids=["link", "no link"]
)
def test_late_created_lets_us_ask(record: Invitation, event: ApplicationCreated) -> None:
    """An end that came before the create's answer stays, and the reference id is used to ask at
    once.
    """
    step = decide(record, event, NOW + MINUTE)
    assert record.state is step.invitation.state
    assert (check(NOW + MINUTE),) == step.tasks
    assert AskProvider("reference-1", record is LOST_BUT_COMPLETED) == checks.next_check(
        step.invitation, POLICY, NOW + MINUTE
    )


def test_late_created_of_a_confirmed_result_asks_nothing() -> None:
    """A confirmed completion learns the reference id and owes nothing."""
    record = decide(UNCERTAIN, ResultConfirmed(REPORT)).invitation
    step = decide(record, CREATED)
    assert ("reference-1", ()) == (attempts.current_reference(step.invitation), step.tasks)


def test_created_after_erasure_is_anonymised() -> None:
    """What a create in flight made for an erased candidate is anonymised at once."""
    step = decide(after(ErasureRequested()), CREATED)
    assert (State.ERASED, (anonymise(NOW),)) == (step.invitation.state, step.tasks)
    assert ("reference-1",) == attempts.applications_to_anonymise(step.invitation)


def test_created_told_twice_after_erasure_stays_anonymised() -> None:
    """A repeat of the create's outcome does not bring an anonymised reference id back into the
    tombstone.
    """
    record = decide(ERASED, ApplicationAnonymised("reference-1")).invitation
    assert Transition(record) == decide(record, CREATED)


def test_created_after_failure_is_anonymised() -> None:
    """An application that exists after all, though softgarden was told that it failed, is
    anonymised.
    """
    step = decide(FAILED, CREATED)
    assert (State.FAILED, (anonymise(NOW),)) == (step.invitation.state, step.tasks)
    assert ("reference-1",) == attempts.applications_to_anonymise(step.invitation)


def test_orphan_is_anonymised_and_changes_nothing_else() -> None:
    """An application that turns up when softgarden has another one's link becomes an orphan to
    anonymise.
    """
    record = after(CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2)
    step = decide(record, CREATED)
    assert (anonymise(NOW),) == step.tasks
    assert [CreateOutcome.ORPHAN, CreateOutcome.CREATED] == [
        attempt.outcome for attempt in step.invitation.attempts
    ]
    assert (record.assessment_url, 2) == (
        step.invitation.assessment_url,
        step.invitation.live_attempt,
    )
    assert ("reference-1",) == attempts.applications_to_anonymise(step.invitation)


def test_orphan_without_link_is_an_orphan_all_the_same() -> None:
    """A broken answer for an attempt that is not needed any more does not fail the invitation."""
    record = after(CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2)
    assert (
        State.INVITED is decide(record, ApplicationCreated(1, "reference-1", None)).invitation.state
    )


def test_late_first_answer_wins_over_a_second_attempt_under_way() -> None:
    """The first link that arrives is the one softgarden gets, with that attempt's deadline."""
    one = decide(TWICE, CREATED).invitation
    assert (State.INVITED, 1, DEADLINE) == (one.state, one.live_attempt, one.deadline)


def test_attempt_that_died_beside_a_live_one_does_not_stop_the_checks() -> None:
    """A second attempt of which nobody reports is given up, and the polls for the first one go on."""
    step = decide(TWICE, CREATED)
    assert (check(GIVEN_UP),) == step.tasks
    assert ApplyEvent(CreateOutcomeUnknown(2)) == checks.next_check(
        step.invitation, POLICY, GIVEN_UP
    )
    given_up = decide(step.invitation, CreateOutcomeUnknown(2), GIVEN_UP)
    assert (check(GIVEN_UP + POLICY.poll_every),) == given_up.tasks
    assert AskProvider("reference-1") == checks.next_check(given_up.invitation, POLICY, GIVEN_UP)


def test_sure_failure_frees_the_order() -> None:
    """A create that surely was not done fails the invitation, keeps the code and stops the rescue."""
    step = decide(CREATING, CreateFailed(1, "upstream_unavailable"))
    assert (State.FAILED, "upstream_unavailable") == (
        step.invitation.state,
        step.invitation.failure,
    )
    assert (STOP,) == step.tasks


def test_failed_second_attempt_leaves_the_first_uncertain() -> None:
    """While one attempt may exist the invitation stays UNCERTAIN, though another one surely failed."""
    step = decide(TWICE, CreateFailed(2, "upstream_refused"))
    assert (State.UNCERTAIN, (check(DEADLINE),)) == (step.invitation.state, step.tasks)


def test_report_waiting_for_a_second_attempt_is_looked_into_when_that_fails() -> None:
    """A report on a lost attempt does not wait until the deadline when the attempt after it fails."""
    record = decide(TWICE, ReportReceived(1, REPORT)).invitation
    step = decide(record, CreateFailed(2, "upstream_refused"))
    assert (check(NOW),) == step.tasks
    assert ApplyEvent(ReportAccepted()) == checks.next_check(step.invitation, POLICY, NOW)


def test_late_failure_of_the_first_attempt_keeps_the_rescue_of_the_second() -> None:
    """News of an old attempt never puts off the rescue of the one under way."""
    step = decide(TWICE, CreateFailed(1, "upstream_refused"))
    assert (check(GIVEN_UP),) == step.tasks


def test_all_attempts_failed_is_failed() -> None:
    """When the last uncertain attempt surely failed, so has the invitation."""
    one = decide(decide(TWICE, CreateFailed(1, "a")).invitation, CreateFailed(2, "b")).invitation
    assert (State.FAILED, "b") == (one.state, one.failure)


def test_failure_told_late_is_only_noted() -> None:
    """The failure of an attempt beside a live one changes that attempt's outcome, and a CHECK stays
    queued for the live one.
    """
    record = decide(TWICE, CREATED).invitation
    step = decide(record, CreateFailed(2, "upstream_refused"))
    assert State.INVITED is step.invitation.state
    assert [TaskKind.CHECK] == [task.kind for task in step.tasks]
    assert [CreateOutcome.CREATED, CreateOutcome.FAILED] == [
        attempt.outcome for attempt in step.invitation.attempts
    ]


def test_unknown_outcome_waits_for_the_deadline() -> None:
    """With an unknown outcome and nothing to ask about, the next look is at the deadline."""
    step = decide(CREATING, CreateOutcomeUnknown(1), NOW + SECOND)
    assert (State.UNCERTAIN, (check(DEADLINE),)) == (step.invitation.state, step.tasks)
    assert WaitUntil(DEADLINE) == checks.next_check(step.invitation, POLICY, NOW)


def test_unknown_outcome_after_a_report_is_checked_at_once() -> None:
    """A report that came while the create was under way is looked into as soon as that is given up."""
    record = decide(CREATING, ReportReceived(1, REPORT)).invitation
    assert (check(NOW + SECOND),) == decide(record, CreateOutcomeUnknown(1), NOW + SECOND).tasks


def test_unknown_outcome_after_erasure_is_only_noted() -> None:
    """A tombstone whose create got lost owes nothing."""
    step = decide(after(ErasureRequested()), CreateOutcomeUnknown(1))
    assert (State.ERASED, CreateOutcome.UNKNOWN, ()) == (
        step.invitation.state,
        step.invitation.attempts[0].outcome,
        step.tasks,
    )


# ----------------------------------------------------------------------------------------------------------- hints


def test_hint_is_kept_and_checked_at_once() -> None:
    """A report is kept with the time it came in, and its check is due at once."""
    step = decide(INVITED, ReportReceived(1, REPORT), NOW + HOUR)
    assert UnverifiedReport(1, NOW + HOUR, REPORT) == step.invitation.unverified_report
    assert (check(NOW + HOUR),) == step.tasks


@pytest.mark.parametrize("record", [CREATING, TWICE], ids=["first", "second"])
def test_hint_during_a_create_waits_for_its_outcome(record: Invitation) -> None:
    """While a create is under way a report is kept, and looked into at the latest when the create
    is given up.
    """
    step = decide(record, ReportReceived(1, REPORT), NOW + SECOND)
    assert UnverifiedReport(1, NOW + SECOND, REPORT) == step.invitation.unverified_report
    assert (check(GIVEN_UP),) == step.tasks


def test_report_fills_an_empty_hint_of_the_same_attempt() -> None:
    """A report after a webhook's hint is kept with the time of the first of them."""
    record = decide(INVITED, ReportReceived(1, None)).invitation
    assert (
        UnverifiedReport(1, NOW, REPORT)
        == decide(record, ReportReceived(1, REPORT), NOW + SECOND).invitation.unverified_report
    )


def test_empty_hint_does_not_drop_a_report() -> None:
    """An unreadable repeat never costs the report that came before it."""
    record = decide(INVITED, ReportReceived(1, REPORT)).invitation
    assert Transition(record, (check(NOW + REPEAT_WINDOW),)) == decide(
        record, ReportReceived(1, None), NOW + REPEAT_WINDOW
    )


@pytest.mark.parametrize("report", [REPORT, None], ids=["report", "no report"])
def test_a_hint_repeated_word_for_word(report: Result | None) -> None:
    """The same hint again at once changes nothing, so that a storm of them writes nothing; later it
    makes a check due.
    """
    record = decide(INVITED, ReportReceived(1, report)).invitation
    assert Transition(record) == decide(
        record, ReportReceived(1, report), NOW + REPEAT_WINDOW - SECOND / 1000
    )
    assert Transition(record, (check(NOW + REPEAT_WINDOW),)) == decide(
        record, ReportReceived(1, report), NOW + REPEAT_WINDOW
    )


def test_latest_report_of_an_attempt_counts_while_nothing_is_decided() -> None:
    """The provider PUTs its report, so a newer one of the same attempt takes the older one's place."""
    record = decide(INVITED, ReportReceived(1, OTHER_REPORT)).invitation
    assert (
        UnverifiedReport(1, NOW, REPORT)
        == decide(record, ReportReceived(1, REPORT), NOW + SECOND).invitation.unverified_report
    )


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (
            ReportReceived(1, None),
            ReportReceived(2, REPORT),
            UnverifiedReport(2, NOW + SECOND, REPORT),
        ),
        (
            ReportReceived(2, None),
            ReportReceived(1, REPORT),
            UnverifiedReport(1, NOW + SECOND, REPORT),
        ),
        (
            ReportReceived(1, OTHER_REPORT),
            ReportReceived(2, REPORT),
            UnverifiedReport(2, NOW + SECOND, REPORT),
        ),
        (
            ReportReceived(2, OTHER_REPORT),
            ReportReceived(1, REPORT),
            UnverifiedReport(2, NOW, OTHER_REPORT),
        ),
        (ReportReceived(1, REPORT), ReportReceived(2, None), UnverifiedReport(1, NOW, REPORT)),
        (ReportReceived(1, None), ReportReceived(2, None), UnverifiedReport(2, NOW + SECOND, None)),
        (ReportReceived(2, None), ReportReceived(1, None), UnverifiedReport(2, NOW, None)),
    ],
)
def test_hint_that_is_kept_of_two_attempts(
    first: ReportReceived, second: ReportReceived, kept: UnverifiedReport
) -> None:
    """A report beats none, then the attempt whose link softgarden got beats the orphan; else the
    first one stays.
    """
    record = decide(ORPHANED, first).invitation
    assert kept == decide(record, second, NOW + SECOND).invitation.unverified_report


def test_hint_after_unconfirmed_completion_hastens_the_confirmation() -> None:
    """Another report does not change an unconfirmed result, but the provider is asked at once."""
    assert Transition(UNCONFIRMED, (check(NOW + SECOND),)) == decide(
        UNCONFIRMED, ReportReceived(1, OTHER_REPORT), NOW + SECOND
    )


def test_false_hint_is_looked_into_quickly_first_and_seldom_later() -> None:
    """A hint that the provider denies is asked about again after as long as it has waited, but no
    later than the poll.
    """
    record = decide(INVITED, ReportReceived(1, None)).invitation
    waits = [
        decide(record, NoResultYet(), NOW + age).tasks[0].at - NOW - age
        for age in (0 * SECOND, MINUTE, HOUR, 2 * HOUR)
    ]
    assert [MIN_CHECK_DELAY, MINUTE, POLICY.poll_every, POLICY.poll_every] == waits


def test_callback_after_expiry_counts_for_ever() -> None:
    """A report that comes long after an expiry is asked about at once, and again if it was not true
    yet.
    """
    late = DEADLINE + 30 * DAY
    reported = decide(EXPIRED, ReportReceived(1, REPORT), late)
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
    record = decide(EXPIRED, ReportReceived(1, None), DEADLINE).invitation
    late = DEADLINE + LATE_WINDOW
    assert (STOP,) == decide(record, NoResultYet(), late).tasks
    assert (
        UnverifiedReport(1, late, REPORT)
        == decide(record, ReportReceived(1, REPORT), late).invitation.unverified_report
    )


# ------------------------------------------------------------------------------------------------------- questions


@pytest.mark.parametrize(
    ("record", "at", "expected"),
    [
        (FAILED, NOW, None),
        (ERASED, NOW, None),
        (COMPLETED, NOW, None),
        (CREATING, NOW, WaitUntil(GIVEN_UP)),
        (CREATING, GIVEN_UP, ApplyEvent(CreateOutcomeUnknown(1))),
        (TWICE, GIVEN_UP, ApplyEvent(CreateOutcomeUnknown(2))),
        (UNCERTAIN, NOW, WaitUntil(DEADLINE)),
        (UNCERTAIN, DEADLINE, ApplyEvent(NoResultYet())),
        (decide(UNCERTAIN, ReportReceived(1, None)).invitation, NOW, WaitUntil(DEADLINE)),
        (
            decide(UNCERTAIN, ReportReceived(1, REPORT)).invitation,
            NOW,
            ApplyEvent(ReportAccepted()),
        ),
        (
            decide(LOST_AND_EXPIRED, ReportReceived(1, REPORT)).invitation,
            NOW,
            ApplyEvent(ReportAccepted()),
        ),
        (INVITED, NOW, AskProvider("reference-1")),
        (STARTED, NOW, AskProvider("reference-1")),
        (EXPIRED, DEADLINE, AskProvider("reference-1")),
        (UNCONFIRMED, NOW, AskProvider("reference-1", with_result=True)),
        (
            decide(INVITED, ReportReceived(1, None)).invitation,
            NOW,
            AskProvider("reference-1", with_result=True),
        ),
        (LOST_BUT_COMPLETED, NOW, None),
        (LOST_AND_EXPIRED, DEADLINE, None),
        (ORPHANED, NOW, AskProvider("reference-2")),
        (
            decide(ORPHANED, ReportReceived(1, REPORT)).invitation,
            NOW,
            AskProvider("reference-1", with_result=True),
        ),
    ],
)
def test_question(record: Invitation, at: datetime, expected: object) -> None:
    """A CHECK waits for a create, asks about the attempt that counts, acts where nothing can be
    asked, and ends.
    """
    assert expected == checks.next_check(record, POLICY, at)


@pytest.mark.parametrize(
    ("record", "at", "expected"),
    [
        (INVITED, DEADLINE - SECOND, True),
        (INVITED, DEADLINE, False),
        (STARTED, DEADLINE, True),
        (UNCERTAIN, NOW, False),
        (EXPIRED, NOW, False),
        (COMPLETED, NOW, False),
    ],
)
def test_who_may_still_be_led_to_the_test(record: Invitation, at: datetime, expected: bool) -> None:
    """A candidate may start while the invitation is open, has a link, and is not past its end."""
    assert expected is checks.can_be_started(record, POLICY, at)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (CREATING, None),
        (INVITED, "reference-1"),
        (ORPHANED, "reference-2"),
        (decide(ORPHANED, ReportReceived(1, None)).invitation, "reference-1"),
        (decide(ORPHANED, ReportReceived(1, REPORT)).invitation, "reference-1"),
        (
            after(CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2, ReportReceived(1, None)),
            "reference-2",
        ),
        (
            after(CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2, ReportReceived(1, REPORT)),
            None,
        ),
        (
            after(
                CreateOutcomeUnknown(1),
                SECOND_ATTEMPT,
                CREATED_2,
                CREATED,
                ApplicationAnonymised("reference-1"),
            ),
            "reference-2",
        ),
        (replace(ERASED, attempts=()), None),
    ],
)
def test_reference_of(record: Invitation, expected: str | None) -> None:
    """The application that counts is the one reported on, else the live one; a report is never
    sought in another one.
    """
    assert expected == attempts.current_reference(record)


def test_report_on_an_anonymised_orphan_counts_as_it_is() -> None:
    """Once an orphan is anonymised the provider knows nothing of it, so a report on it is accepted."""
    record = after(
        CreateOutcomeUnknown(1),
        SECOND_ATTEMPT,
        CREATED_2,
        CREATED,
        ApplicationAnonymised("reference-1"),
    )
    reported = decide(record, ReportReceived(1, REPORT)).invitation
    assert ApplyEvent(ReportAccepted()) == checks.next_check(reported, POLICY, NOW)


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
        ReportReceived(1, REPORT),
        at=at - SECOND / 2,
    ).invitation
    step = decide(record, answer, at)
    assert (State.COMPLETED, REPORT, (STOP, notify(at))) == (
        step.invitation.state,
        step.invitation.result,
        step.tasks,
    )


@pytest.mark.parametrize(
    ("record", "at", "expected"),
    [
        (CREATING, NOW, DEADLINE + UNREACHABLE_TIMEOUT),
        (INVITED, DEADLINE, DEADLINE + UNREACHABLE_TIMEOUT),
        (INVITED, DEADLINE + UNREACHABLE_TIMEOUT, None),
        (STARTED, DEADLINE, DEADLINE + STARTED_GRACE + UNREACHABLE_TIMEOUT),
        (decide(INVITED, ReportReceived(1, REPORT)).invitation, NOW, NOW + UNREACHABLE_TIMEOUT),
        (
            decide(INVITED, ReportReceived(1, REPORT)).invitation,
            NOW + UNREACHABLE_TIMEOUT,
            DEADLINE + UNREACHABLE_TIMEOUT,
        ),
        (decide(INVITED, ReportReceived(1, None)).invitation, NOW, DEADLINE + UNREACHABLE_TIMEOUT),
        (decide(EXPIRED, ReportReceived(1, REPORT)).invitation, NOW, NOW + UNREACHABLE_TIMEOUT),
        (EXPIRED, NOW, None),
        (COMPLETED, NOW, None),
        (ERASED, NOW, None),
    ],
)
def test_patience_ends(record: Invitation, at: datetime, expected: datetime | None) -> None:
    """Waiting for a silent provider ends with the patience for a report, or shortly after the
    deadline.
    """
    assert expected == timing.unreachable_timeout_at(record, POLICY, at)


# ----------------------------------------------------------------------------------------------------- completions


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
        one.unverified_report,
    )
    assert (STOP, *([notify(NOW + HOUR)] if record.issued else [])) == step.tasks


def test_completion_time_is_when_we_first_learnt_of_it() -> None:
    """A result confirmed later keeps the time of the callback that announced it."""
    record = decide(INVITED, ReportReceived(1, REPORT), NOW + MINUTE).invitation
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
    reported = decide(record, ReportReceived(1, REPORT)).invitation
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


def test_hint_without_report_never_counts() -> None:
    """Silence turns a hint into a result only if it said what the result is."""
    record = decide(INVITED, ReportReceived(1, None)).invitation
    assert Transition(record) == decide(record, ProviderUnreachable(), NOW + HOUR)
    assert Transition(record) == decide(record, ReportAccepted(), NOW + HOUR)


def test_report_on_a_lost_attempt_is_accepted_for_good() -> None:
    """A report that nothing can verify completes the invitation, and no check is left over."""
    record = decide(UNCERTAIN, ReportReceived(1, REPORT)).invitation
    step = decide(record, ReportAccepted(), NOW + SECOND)
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
    record = decide(decide(UNCERTAIN, ReportReceived(1, REPORT)).invitation, CREATED).invitation
    assert (check(NOW + CONFIRMATION_DELAY),) == decide(record, ReportAccepted()).tasks


def test_unconfirmed_result_is_confirmed_silently() -> None:
    """When the provider says the same as the report, softgarden is not told again."""
    step = decide(UNCONFIRMED, ResultConfirmed(REPORT), NOW + HOUR)
    assert (True, None, NOW) == (
        step.invitation.confirmed,
        step.invitation.unverified_report,
        step.invitation.completed_at,
    )
    assert (STOP,) == step.tasks


def test_unconfirmed_result_is_corrected() -> None:
    """When the provider says something else than the report, its word counts and softgarden is told
    again.
    """
    step = decide(UNCONFIRMED, ResultConfirmed(OTHER_REPORT), NOW + HOUR)
    assert (OTHER_REPORT, True, NOW) == (
        step.invitation.result,
        step.invitation.confirmed,
        step.invitation.completed_at,
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
            replace(trait, name="Merkmal", description="(3) Neutral") for trait in REPORT.traits
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
    reported = decide(record, ReportReceived(1, REPORT)).invitation
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
    record = decide(INVITED, ReportReceived(1, REPORT), seen).invitation
    at = DEADLINE
    while record.state in OPEN:
        at = max(at, seen) + SECOND
        record = decide(record, answer, at).invitation
    assert (State.COMPLETED, seen) == (record.state, record.completed_at)
    assert at <= seen + UNREACHABLE_TIMEOUT


def test_hint_without_report_does_not_stop_an_expiry() -> None:
    """Who says only that there is something, while the provider has nothing, does not keep the
    invitation open.
    """
    record = decide(INVITED, ReportReceived(1, None), DEADLINE - SECOND).invitation
    assert State.EXPIRED is decide(record, NoResultYet(), DEADLINE).invitation.state


# ----------------------------------------------------------------------------------------------------------- ids


def test_id_is_noted_before_it_is_given() -> None:
    """Issuing takes over the URL to notify, and repeated it changes nothing."""
    given = decide(UNISSUED, IdIssued("https://acme.softgarden.io/new"), NOW + SECOND)
    assert (True, "https://acme.softgarden.io/new", ()) == (
        given.invitation.issued,
        given.invitation.callback,
        given.tasks,
    )
    assert Transition(INVITED) == decide(INVITED, ISSUED, NOW + SECOND)


@pytest.mark.parametrize(
    "record",
    [LOST_BUT_COMPLETED, LOST_AND_EXPIRED, decide(UNISSUED, ResultConfirmed(REPORT)).invitation],
    ids=["lost but completed", "lost and expired", "completed"],
)
def test_what_came_before_the_id_is_notified_with_it(record: Invitation) -> None:
    """An end of which softgarden could not be told is told once it has the id, with a deadline to
    show.
    """
    given = decide(record, ISSUED, DEADLINE + HOUR)
    assert (notify(DEADLINE + HOUR),) == given.tasks
    assert DEADLINE == given.invitation.deadline
    assert (
        ()
        == decide(
            given.invitation, IdIssued("https://acme.softgarden.io/new"), DEADLINE + HOUR
        ).tasks
    )


def test_refused_order_leaves_nothing_of_the_candidate() -> None:
    """A create that was surely not done keeps neither callback nor application nor the order's key."""
    one = decide(CREATING, CreateFailed(1, "upstream_refused")).invitation
    assert {"id", "customer", "state", "created_at", "updated_at", "attempts", "failure"} | {
        "test_id",
        "test_name",
        "duration",
    } >= empty(one)
    made = decide(CREATING, ApplicationCreated(1, "reference-1", None)).invitation
    forgotten = decide(made, ApplicationAnonymised("reference-1")).invitation
    assert [None] == [attempt.reference_id for attempt in forgotten.attempts]
    assert () == attempts.applications_to_anonymise(forgotten)


# ------------------------------------------------------------------------------------------------------- refreshes


@pytest.mark.parametrize("record", [INVITED, EXPIRED, UNCONFIRMED, UNCERTAIN])
def test_refresh_completes_what_is_not_confirmed(record: Invitation) -> None:
    """What an operator fetches completes or confirms as a CHECK would, with the same completion
    time.
    """
    one = decide(record, ResultRefreshed(OTHER_REPORT, shown=True), NOW + HOUR).invitation
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


# ------------------------------------------------------------------------------------------- shared applications

SHARED = after(
    CreateOutcomeUnknown(1),
    SECOND_ATTEMPT,
    CREATED_2,
    ISSUED,
    ApplicationCreated(1, "reference-2", "https://test.example/2"),
)
"""The provider took both attempts for one application."""


def test_application_of_both_attempts_is_no_orphan() -> None:
    """Where a late answer names the live application, nothing is to be anonymised, and an erasure
    does it once.
    """
    assert () == attempts.applications_to_anonymise(SHARED)
    assert [CreateOutcome.CREATED, CreateOutcome.CREATED] == [
        attempt.outcome for attempt in SHARED.attempts
    ]
    assert ("reference-2",) == attempts.applications_to_anonymise(
        decide(SHARED, ErasureRequested()).invitation
    )


@pytest.mark.parametrize(
    ("record", "reference_id", "expected"),
    [
        (INVITED, "reference-1", True),
        (COMPLETED, "reference-1", True),
        (EXPIRED, "reference-1", True),
        (INVITED, "reference-2", False),
        (ORPHANED, "reference-1", False),
        (ORPHANED, "reference-2", True),
        (ERASED, "reference-1", False),
        (
            decide(CREATING, ApplicationCreated(1, "reference-1", None)).invitation,
            "reference-1",
            False,
        ),
    ],
)
def test_who_holds_an_application(record: Invitation, reference_id: str, expected: bool) -> None:
    """A living invitation holds its applications, but for orphans; erased and failed ones hold
    nothing.
    """
    assert expected is attempts.uses_application(record, reference_id)


@pytest.mark.parametrize(
    ("record", "reference_id"),
    [(ERASED, "reference-1"), (ORPHANED, "reference-1")],
    ids=["tombstone", "orphan"],
)
def test_debt_passes_to_the_other_holder(record: Invitation, reference_id: str) -> None:
    """What another living invitation holds is owed by this one no more, and forgotten."""
    one = decide(record, ApplicationShared(reference_id)).invitation
    assert () == attempts.applications_to_anonymise(one)
    assert reference_id not in [attempt.reference_id for attempt in one.attempts]


def test_own_application_is_not_given_away() -> None:
    """What is not owed stays as it is."""
    assert Transition(ORPHANED, expires=False) == decide(ORPHANED, ApplicationShared("reference-2"))


# -------------------------------------------------------------------------------------------------------- expiries


def test_invited_expires_at_its_deadline() -> None:
    """Not done at the deadline is EXPIRED as of the deadline, and a late completion is looked for."""
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


def test_start_is_noted_and_keeps_the_poll() -> None:
    """A start is kept with its time, and a CHECK is queued whatever ran meanwhile."""
    step = decide(INVITED, AssessmentStarted(NOW + MINUTE), NOW + HOUR)
    assert (State.STARTED, NOW + MINUTE) == (step.invitation.state, step.invitation.started_at)
    assert (check(NOW + HOUR + POLICY.poll_every),) == step.tasks


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


def test_expiry_keeps_a_denied_hint_in_sight() -> None:
    """An invitation that expires just after a hint is asked about again quickly, not only at the
    next poll.
    """
    record = decide(INVITED, ReportReceived(1, None), DEADLINE - SECOND).invitation
    assert check(DEADLINE + SECOND) in decide(record, NoResultYet(), DEADLINE).tasks


def test_expiry_with_a_create_under_way_leaves_its_rescue() -> None:
    """An expiry never takes away the check that a create under way, and a hint about it, wait for."""
    record = decide(TWICE, ReportReceived(2, None)).invitation
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
            decide(EXPIRED, ReportReceived(1, None), DEADLINE + HOUR).invitation,
            DEADLINE + HOUR + LATE_WINDOW,
        ),
    ],
    ids=["invited", "started", "hinted"],
)
def test_late_completion_is_looked_for_during_a_day(record: Invitation, end: datetime) -> None:
    """After an expiry, or a callback after it, we ask for one day more."""
    again = decide(record, NoResultYet(), end - SECOND)
    assert Transition(record, (check(end - SECOND + POLICY.poll_every),)) == again
    assert Transition(record, (STOP,)) == decide(record, NoResultYet(), end)


def test_slow_poll_still_looks_for_a_late_completion_in_time() -> None:
    """With polls further apart than a day, the look after an expiry comes after a day all the same."""
    policy = replace(POLICY, poll_every=timedelta(days=3))
    step = decide(INVITED, NoResultYet(), DEADLINE, policy)
    assert check(DEADLINE + LATE_WINDOW) in step.tasks


# --------------------------------------------------------------------------------------------------------- erasure


@every_record
def test_erasure_leaves_a_tombstone(record: Invitation) -> None:
    """Nothing is left but id, customer, times, secrets' digests and the reference ids to anonymise."""
    one = decide(record, ErasureRequested(), NOW + HOUR).invitation
    allowed = {
        "id",
        "customer",
        "state",
        "created_at",
        "updated_at",
        "attempts",
        "erased_at",
        "version",
    }
    assert allowed >= empty(one)


@pytest.mark.parametrize(
    ("record", "owed"),
    [(INVITED, anonymise(NOW + MIN_CHECK_DELAY)), (UNCERTAIN, CancelTask(TaskKind.ANONYMISE))],
    ids=["known", "lost"],
)
def test_erasure_cancels_all_but_what_is_owed_to_the_candidate(
    record: Invitation, owed: object
) -> None:
    """CHECK and NOTIFY are cancelled with the erasure, and ANONYMISE is queued where there is
    something to anonymise.
    """
    assert (STOP, CancelTask(TaskKind.NOTIFY), owed) == decide(record, ErasureRequested()).tasks


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (CREATING, ()),
        (INVITED, ()),
        (ERASED, ("reference-1",)),
        (ORPHANED, ("reference-1",)),
        (decide(ORPHANED, ErasureRequested()).invitation, ("reference-1", "reference-2")),
        (decide(ORPHANED, ApplicationAnonymised("reference-1")).invitation, ()),
        (FAILED, ()),
    ],
)
def test_to_anonymise(record: Invitation, expected: tuple[str, ...]) -> None:
    """A tombstone owes all its applications, an open invitation its orphans, and nothing twice."""
    assert expected == attempts.applications_to_anonymise(record)


def test_anonymised_tombstone_forgets_the_reference() -> None:
    """Once the provider has confirmed, the tombstone does not even know the reference id."""
    one = decide(ERASED, ApplicationAnonymised("reference-1")).invitation
    assert [(True, None)] == [
        (attempt.anonymised, attempt.reference_id) for attempt in one.attempts
    ]
    assert () == attempts.applications_to_anonymise(one)


def test_anonymised_orphan_is_told_from_a_lost_attempt() -> None:
    """While the record lives, an anonymised orphan keeps its reference id, so that it is never
    asked for again.
    """
    one = decide(ORPHANED, ApplicationAnonymised("reference-1")).invitation
    assert [(True, "reference-1"), (False, "reference-2")] == [
        (attempt.anonymised, attempt.reference_id) for attempt in one.attempts
    ]


def test_erasure_forgets_references_that_are_anonymised_already() -> None:
    """An orphan that was anonymised before the erasure leaves no reference id in the tombstone."""
    one = decide(
        decide(ORPHANED, ApplicationAnonymised("reference-1")).invitation, ErasureRequested()
    ).invitation
    assert [None, "reference-2"] == [attempt.reference_id for attempt in one.attempts]


@pytest.mark.parametrize(
    "make", [lambda: CREATED, lambda: ReportReceived(1, REPORT)], ids=["created", "report"]
)
def test_record_of_before_is_untouched(make: Callable[[], Event]) -> None:
    """A decision works on copies: the record that was decided on stays as it was."""
    before = opening().invitation
    decide(before, make())
    assert opening().invitation == before


def test_open_states_are_those_that_softgarden_sees_as_pending() -> None:
    """OPEN is exactly the states before an end."""
    assert set(State) - OPEN == {State.COMPLETED, State.EXPIRED, State.FAILED, State.ERASED}


def test_rescue_that_comes_too_late_leaves_a_check() -> None:
    """A CHECK that wanted to give up an attempt whose failure was told meanwhile ends, and another
    is queued all the same.
    """
    live = decide(TWICE, CREATED).invitation
    failed = decide(live, CreateFailed(2, "upstream_refused"))
    late = decide(failed.invitation, CreateOutcomeUnknown(2))
    assert () == late.tasks
    assert [TaskKind.CHECK] == [task.kind for task in failed.tasks]


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


def urgency(step: Transition) -> list[bool]:
    return [task.urgent for task in step.tasks if isinstance(task, ScheduleTask)]


def test_reports_and_fresh_results_are_urgent() -> None:
    """The check of a report and the notification of a result go ahead of the backlog; polls and
    expiries do not.
    """
    with_report = decide(INVITED, ReportReceived(1, REPORT))
    assert urgency(with_report) == [True]
    assert urgency(decide(with_report.invitation, NoResultYet())) == [True]
    assert urgency(decide(INVITED, ResultConfirmed(REPORT))) == [True]
    assert urgency(decide(INVITED, NoResultYet())) == [False]
    assert set(urgency(decide(INVITED, NoResultYet(), DEADLINE))) == {False}
