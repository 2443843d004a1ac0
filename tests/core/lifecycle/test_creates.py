"""Creates and what is known of them, and the id that is given away."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from bridge.core.history import NO_HISTORY
from bridge.core.invitation import (
    CreateOutcome,
    Invitation,
    State,
    Transition,
)
from bridge.core.lifecycle import attempts, checks
from bridge.core.lifecycle.checks import ApplyEvent, AskProvider, WaitUntil
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ApplicationCreated,
    CreateAttemptStarted,
    CreateFailed,
    CreateOutcomeUnknown,
    ErasureRequested,
    InvitationIdIssued,
    ReportedResultAccepted,
    ResultConfirmed,
    ResultReported,
)
from bridge.core.lifecycle.policy import ANSWER_ARRIVES_WITHIN
from bridge.core.queueing import TaskKind
from tests.core.build import (
    CREATED,
    CREATED_2,
    CREATING,
    DEADLINE,
    ERASED,
    FAILED,
    GIVEN_UP,
    HOUR,
    INVITED,
    ISSUED,
    LOST_AND_EXPIRED,
    LOST_BUT_COMPLETED,
    MINUTE,
    NOW,
    POLICY,
    POLL,
    REPORT,
    SECOND,
    SECOND_ATTEMPT,
    STOP,
    TWICE,
    UNCERTAIN,
    UNISSUED,
    after,
    anonymise,
    check,
    decide,
    notify,
)


def empty(invitation: Invitation) -> set[str]:
    """The fields that say something."""
    return {
        one.name
        for one in fields(invitation)
        if getattr(invitation, one.name) not in ("", None, False, 0, (), NO_HISTORY)
    }


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


def test_created_after_a_report_is_checked_at_once() -> None:
    """A report that overtook the create's answer is looked into as soon as there is something to
    ask about.
    """
    record = decide(CREATING, ResultReported(1, REPORT)).invitation
    assert (check(NOW + SECOND),) == decide(record, CREATED, NOW + SECOND).tasks


def test_created_without_link_fails_and_is_anonymised() -> None:
    """An application without a link for the candidate is worth nothing, so it fails and is
    anonymised.
    """
    step = decide(CREATING, ApplicationCreated(1, "reference-1", None))
    assert (State.FAILED, "upstream_broken") == (step.invitation.state, step.invitation.failure)
    assert (STOP, anonymise(NOW)) == step.tasks
    assert ("reference-1",) == attempts.list_applications_to_anonymise(step.invitation)


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
    assert AskProvider("reference-1", record is LOST_BUT_COMPLETED) == checks.decide_next_check(
        step.invitation, POLICY, NOW + MINUTE
    )


def test_late_created_of_a_confirmed_result_asks_nothing() -> None:
    """A confirmed completion learns the reference id, and there is nothing to do."""
    record = decide(UNCERTAIN, ResultConfirmed(REPORT)).invitation
    step = decide(record, CREATED)
    assert ("reference-1", ()) == (attempts.choose_reference_to_check(step.invitation), step.tasks)


def test_created_after_erasure_is_anonymised() -> None:
    """What a create in flight made for an erased candidate is anonymised at once."""
    step = decide(after(ErasureRequested()), CREATED)
    assert (State.ERASED, (anonymise(NOW),)) == (step.invitation.state, step.tasks)
    assert ("reference-1",) == attempts.list_applications_to_anonymise(step.invitation)


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
    assert ("reference-1",) == attempts.list_applications_to_anonymise(step.invitation)


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
    assert ("reference-1",) == attempts.list_applications_to_anonymise(step.invitation)


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
    """A second attempt of which nobody reports is given up, and the polls for the first one go
    on.
    """
    step = decide(TWICE, CREATED)
    assert (check(GIVEN_UP),) == step.tasks
    assert ApplyEvent(CreateOutcomeUnknown(2)) == checks.decide_next_check(
        step.invitation, POLICY, GIVEN_UP
    )
    given_up = decide(step.invitation, CreateOutcomeUnknown(2), GIVEN_UP)
    assert (check(GIVEN_UP + POLICY.poll_every),) == given_up.tasks
    assert AskProvider("reference-1") == checks.decide_next_check(
        given_up.invitation, POLICY, GIVEN_UP
    )


def test_sure_failure_frees_the_order() -> None:
    """A create that surely was not done fails the invitation, keeps the code and stops the
    rescue.
    """
    step = decide(CREATING, CreateFailed(1, "upstream_unavailable"))
    assert (State.FAILED, "upstream_unavailable") == (
        step.invitation.state,
        step.invitation.failure,
    )
    assert (STOP,) == step.tasks


def test_failed_second_attempt_leaves_the_first_uncertain() -> None:
    """While one attempt may exist the invitation stays UNCERTAIN, though another one surely
    failed.
    """
    step = decide(TWICE, CreateFailed(2, "upstream_refused"))
    assert (State.UNCERTAIN, (check(DEADLINE),)) == (step.invitation.state, step.tasks)


def test_report_waiting_for_a_second_attempt_is_looked_into_when_that_fails() -> None:
    """A report on a lost attempt does not wait until the deadline when the attempt after it
    fails.
    """
    record = decide(TWICE, ResultReported(1, REPORT)).invitation
    step = decide(record, CreateFailed(2, "upstream_refused"))
    assert (check(NOW),) == step.tasks
    assert ApplyEvent(ReportedResultAccepted()) == checks.decide_next_check(
        step.invitation, POLICY, NOW
    )


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
    assert WaitUntil(DEADLINE) == checks.decide_next_check(step.invitation, POLICY, NOW)


def test_unknown_outcome_after_a_report_is_checked_at_once() -> None:
    """A report that came while the create was under way is looked into as soon as that is given
    up.
    """
    record = decide(CREATING, ResultReported(1, REPORT)).invitation
    assert (check(NOW + SECOND),) == decide(record, CreateOutcomeUnknown(1), NOW + SECOND).tasks


def test_unknown_outcome_after_erasure_is_only_noted() -> None:
    """A tombstone whose create got lost has nothing to anonymise."""
    step = decide(after(ErasureRequested()), CreateOutcomeUnknown(1))
    assert (State.ERASED, CreateOutcome.UNKNOWN, ()) == (
        step.invitation.state,
        step.invitation.attempts[0].outcome,
        step.tasks,
    )


def test_repeated_order_refreshes_only_the_callback() -> None:
    """A repeat of an open order changes the URL to notify and nothing else."""
    step = decide(INVITED, InvitationIdIssued("https://acme.softgarden.io/new"), NOW + HOUR)
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
    assert (check(NOW + MINUTE + POLICY.create_timeout),) == step.tasks


def test_second_attempt_keeps_what_failed_as_failed() -> None:
    """An attempt that surely failed does not become unknown by the next one."""
    record = decide(TWICE, CreateFailed(2, "x")).invitation
    opened = decide(
        record, CreateAttemptStarted("digest-3", "https://acme.softgarden.io/3")
    ).invitation
    assert [CreateOutcome.UNKNOWN, CreateOutcome.FAILED, CreateOutcome.PENDING] == [
        attempt.outcome for attempt in opened.attempts
    ]


def test_id_is_noted_before_it_is_given() -> None:
    """Issuing takes over the URL to notify, and repeated it changes nothing."""
    given = decide(UNISSUED, InvitationIdIssued("https://acme.softgarden.io/new"), NOW + SECOND)
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
def test_what_came_before_the_id_is_notified_after_it(record: Invitation) -> None:
    """An end of which softgarden could not be told is told once the answer with the id has arrived,
    with a deadline to show: a notification of an id that it does not know would be lost. A repeat
    says that the answer may have been lost, too: it is told again.
    """
    given = decide(record, ISSUED, DEADLINE + HOUR)
    assert (notify(DEADLINE + HOUR + ANSWER_ARRIVES_WITHIN),) == given.tasks
    assert DEADLINE == given.invitation.deadline
    repeated = InvitationIdIssued("https://acme.softgarden.io/new")
    again = decide(given.invitation, repeated, DEADLINE + 2 * HOUR)
    assert (notify(DEADLINE + 2 * HOUR + ANSWER_ARRIVES_WITHIN),) == again.tasks


def test_refused_order_leaves_nothing_of_the_candidate() -> None:
    """A create that was surely not done keeps neither callback nor application nor the order's
    key.
    """
    one = decide(CREATING, CreateFailed(1, "upstream_refused")).invitation
    assert {"id", "customer", "state", "created_at", "updated_at", "attempts", "failure"} | {
        "test_id",
        "test_name",
        "duration",
    } >= empty(one)
    made = decide(CREATING, ApplicationCreated(1, "reference-1", None)).invitation
    forgotten = decide(made, ApplicationAnonymised("reference-1")).invitation
    assert [None] == [attempt.reference_id for attempt in forgotten.attempts]
    assert () == attempts.list_applications_to_anonymise(forgotten)


def test_mailed_link() -> None:
    """Where the provider mails the link, an application without one is as good as any other."""
    step = decide(CREATING, ApplicationCreated(1, "reference-1", None, mailed=True))
    assert (step.invitation.state, step.invitation.assessment_url) == (State.INVITED, None)
    assert step.invitation.deadline == DEADLINE
