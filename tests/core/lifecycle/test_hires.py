"""An applicant is hired once, and what nobody knows is never repeated by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.core.invitation import HireRecord, HireState, Invitation, State
from bridge.core.lifecycle import hires
from bridge.core.lifecycle.events import (
    ErasureRequested,
    HireCallEnded,
    HireCallStarted,
    HireRepeatAllowed,
    HireRequested,
)
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind
from tests.core.build import (
    COMPLETED,
    CREATED,
    CREATING,
    ERASED,
    EXPIRED,
    FAILED,
    HIRED,
    INVITED,
    LOST_BUT_COMPLETED,
    MINUTE,
    MORE_RECORDS,
    NOW,
    PERHAPS_HIRED,
    UNCERTAIN,
    decide,
)

REQUEST = HireRequested(add_to_team=True)
NOT_DONE = HireCallEnded(HireState.REQUESTED)


def hire_of(record: Invitation) -> HireRecord:
    assert record.hire is not None
    return record.hire


def test_a_request_is_a_task() -> None:
    """A hire is noted with the provider's application, and its task is due now."""
    step = decide(COMPLETED, HireRequested(add_to_team=False, start_date="2025-07-01"))
    assert step.invitation.hire == HireRecord("reference-1", NOW, False, "2025-07-01")
    assert step.tasks == (ScheduleTask(TaskKind.HIRE, NOW),)


@pytest.mark.parametrize("record", [CREATING, UNCERTAIN, FAILED, ERASED], ids=lambda one: one.state)
def test_nothing_to_hire(record: Invitation) -> None:
    """Without an application at the provider nothing is noted and nothing queued."""
    step = decide(record, REQUEST)
    assert (step.invitation, step.tasks) == (record, ())
    assert not hires.can_hire_applicant(record)


def test_application_is_not_known_yet() -> None:
    """A result may be there before its application's id is: the hire is kept, no call is begun
    before the id is known, and it is then made with it.
    """
    waits = decide(LOST_BUT_COMPLETED, REQUEST)
    assert waits.tasks == (ScheduleTask(TaskKind.HIRE, NOW),)
    assert hires.find_reference_to_hire(waits.invitation, hire_of(waits.invitation)) is None
    assert decide(waits.invitation, HireCallStarted(7)).invitation == waits.invitation
    step = decide(waits.invitation, CREATED, NOW + MINUTE)
    known = step.invitation
    assert ScheduleTask(TaskKind.HIRE, NOW + MINUTE) in step.tasks
    assert not hires.schedule_waiting_hire(decide(known, HireCallStarted(7)).invitation, NOW)
    sent = hire_of(decide(known, HireCallStarted(7)).invitation)
    assert (sent.state, sent.sent_by, sent.reference_id) == (HireState.SENT, 7, "reference-1")


@pytest.mark.parametrize("name", ["being hired", "perhaps hired", "hired"])
def test_a_repeated_request(name: str) -> None:
    """What was sent is not queued again, however often it is asked for."""
    record = MORE_RECORDS[name]
    step = decide(record, REQUEST, NOW + MINUTE)
    assert (step.invitation, step.tasks) == (record, ())


def test_a_waiting_request() -> None:
    """One that waits, or was refused, is due now, with what was said about it so far."""
    record = MORE_RECORDS["to be hired"]
    step = decide(record, HireRequested(add_to_team=False), NOW + MINUTE)
    assert hire_of(step.invitation) == replace(hire_of(record), add_to_team=False)
    assert step.tasks == (ScheduleTask(TaskKind.HIRE, NOW + MINUTE),)


def test_only_one_sends() -> None:
    """Of two who want to make the call the first one's mark stays."""
    sent = decide(MORE_RECORDS["to be hired"], HireCallStarted(1)).invitation
    assert hire_of(decide(sent, HireCallStarted(2)).invitation).sent_by == 1
    assert decide(COMPLETED, HireCallStarted(1)).invitation == COMPLETED


def test_done() -> None:
    """A hire that was done stays so, at the time of it, and the start date is forgotten."""
    sent = MORE_RECORDS["being hired"]
    step = decide(sent, HIRED, NOW + MINUTE)
    hire = hire_of(step.invitation)
    assert (hire.state, hire.hired_at, hire.start_date) == (HireState.DONE, NOW + MINUTE, None)
    assert step.tasks == (CancelTask(TaskKind.HIRE),)
    for later in (NOT_DONE, PERHAPS_HIRED, HIRED):
        assert decide(step.invitation, later, NOW + 2 * MINUTE).invitation == step.invitation
    assert decide(COMPLETED, HIRED).invitation == COMPLETED


def test_not_done() -> None:
    """What was certainly not done can be sent again; what nobody knows only if somebody says so."""
    sent = MORE_RECORDS["being hired"]
    again = decide(sent, NOT_DONE).invitation
    assert hire_of(again) == hire_of(MORE_RECORDS["to be hired"])
    unknown = decide(sent, PERHAPS_HIRED).invitation
    for event in (NOT_DONE, HireCallStarted(2), REQUEST):
        assert decide(unknown, event).invitation == unknown
    allowed = decide(unknown, HireRepeatAllowed()).invitation
    assert hire_of(allowed).state is HireState.REQUESTED
    assert hire_of(decide(unknown, HIRED).invitation).state is HireState.DONE
    assert decide(sent, HireRepeatAllowed()).invitation == sent


def test_erasure() -> None:
    """A deletion ends it, and nothing of it stays."""
    step = decide(MORE_RECORDS["to be hired"], ErasureRequested())
    assert step.invitation.hire is None
    assert CancelTask(TaskKind.HIRE) in step.tasks


def test_which_are_hired() -> None:
    """Of an application every test counts that is open or completed; an expired one does not, nor
    an open repetition of a completed one.
    """
    other_test = replace(INVITED, id="iv_7" + "b" * 24, order_key="order-2")
    repeated = replace(INVITED, id="iv_7" + "c" * 24)
    found = (EXPIRED, COMPLETED, repeated, other_test, FAILED, ERASED)
    assert hires.select_invitations_to_hire(found) == (COMPLETED, other_test)
    assert hires.select_invitations_to_hire((EXPIRED, repeated)) == (repeated,)
    assert hires.can_hire_applicant(EXPIRED)
    assert EXPIRED.state is State.EXPIRED
