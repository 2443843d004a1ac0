"""What becomes of an invitation whose candidate was hired: told to the provider once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bridge.core.copying import copy_with
from bridge.core.invitation import HireRecord, HireState, Invitation, State, Transition
from bridge.core.lifecycle.attempts import choose_reference_to_check
from bridge.core.lifecycle.events import (
    HireCallEnded,
    HireCallStarted,
    HireRepeatAllowed,
    HireRequested,
)
from bridge.core.lifecycle.policy import LifecyclePolicy
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind

_NOT_HIREABLE = frozenset({State.CREATING, State.UNCERTAIN, State.FAILED, State.ERASED})


def can_hire_applicant(invitation: Invitation) -> bool:
    """Whether there is an application at the provider whose applicant can be hired."""
    return (
        invitation.state not in _NOT_HIREABLE and choose_reference_to_check(invitation) is not None
    )


def _is_hire_kept(invitation: Invitation) -> bool:
    """Whether a request is kept: there is an application to hire, or a result of one whose id is
    not known yet, or never will be.
    """
    return can_hire_applicant(invitation) or invitation.state is State.COMPLETED


def select_invitations_to_hire(found: Sequence[Invitation]) -> tuple[Invitation, ...]:
    """Of one application's invitations those whose applicant is to be hired at the provider.

    Each test has an application of its own there. An expired one was never taken; one that was
    ordered again counts as long as no other of the same order was completed.
    """
    able = [one for one in found if _is_hire_kept(one) and one.state is not State.EXPIRED]
    completed = {one.order_key for one in able if one.state is State.COMPLETED}
    return tuple(
        one for one in able if one.state is State.COMPLETED or one.order_key not in completed
    )


def on_hire_requested(
    invitation: Invitation, event: HireRequested, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """A HIRE is queued, unless it was sent already; one that waits, or was refused, is due now.

    A result may be there before the answer to the create that made its application: its id is then
    left empty until the call.
    """
    known, reference_id = invitation.hire, choose_reference_to_check(invitation) or ""
    if not _is_hire_kept(invitation):
        return Transition(invitation)
    if known is not None and known.state is not HireState.REQUESTED:
        return Transition(invitation)
    hire = known or HireRecord(reference_id, now, event.add_to_team, event.start_date)
    hire = replace(
        hire,
        add_to_team=hire.add_to_team and event.add_to_team,
        start_date=event.start_date or hire.start_date,
    )
    return Transition(copy_with(invitation, hire=hire), (ScheduleTask(TaskKind.HIRE, now),))


def find_reference_to_hire(invitation: Invitation, hire: HireRecord) -> str | None:
    """The provider's application that is to be hired; None: its id is not known."""
    return hire.reference_id or choose_reference_to_check(invitation)


def schedule_waiting_hire(invitation: Invitation, now: datetime) -> tuple[ScheduleTask, ...]:
    """A HIRE that waited for the application's id is due once that is known."""
    hire = invitation.hire
    waits = hire is not None and hire.state is HireState.REQUESTED and not hire.reference_id
    if not waits or not can_hire_applicant(invitation):
        return ()
    return (ScheduleTask(TaskKind.HIRE, now),)


def on_hire_call_started(
    invitation: Invitation, event: HireCallStarted, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """From here on the call may have been made; only the process that marked it makes it."""
    hire = invitation.hire
    if hire is None or hire.state is not HireState.REQUESTED:
        return Transition(invitation)
    reference_id = find_reference_to_hire(invitation, hire)
    if reference_id is None:
        return Transition(invitation)
    sent = replace(hire, state=HireState.SENT, sent_by=event.lease, reference_id=reference_id)
    return Transition(copy_with(invitation, hire=sent))


def on_hire_call_ended(
    invitation: Invitation, event: HireCallEnded, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """What became of the call; once done it stays so, and nothing but the time of it is kept."""
    hire = invitation.hire
    if hire is None or hire.state is HireState.DONE:
        return Transition(invitation)
    if event.state is HireState.DONE:
        done = replace(hire, state=HireState.DONE, hired_at=now, start_date=None, sent_by=None)
        return Transition(copy_with(invitation, hire=done), (CancelTask(TaskKind.HIRE),))
    if hire.state is not HireState.SENT:
        return Transition(invitation)
    return Transition(copy_with(invitation, hire=replace(hire, state=event.state, sent_by=None)))


def on_hire_repeat_allowed(
    invitation: Invitation, event: HireRepeatAllowed, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """An operator has looked at the provider: a call without an answer may be made once more."""
    hire = invitation.hire
    if hire is None or hire.state is not HireState.UNKNOWN:
        return Transition(invitation)
    return Transition(copy_with(invitation, hire=replace(hire, state=HireState.REQUESTED)))
