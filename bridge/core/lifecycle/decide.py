"""``decide``: the only place where an invitation changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from bridge.core.copying import copy_with
from bridge.core.invitation import Invitation, State, Transition
from bridge.core.lifecycle import completion, creates, events, hires, tombstone
from bridge.core.lifecycle.attempts import list_applications_to_anonymise
from bridge.core.lifecycle.events import Event
from bridge.core.lifecycle.policy import LifecyclePolicy
from bridge.core.lifecycle.timing import keep_check_of_create
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind

_E = TypeVar("_E", bound=Event)
_Handler = Callable[[Invitation, Any, LifecyclePolicy, datetime], Transition]


def _on(
    event: type[_E], handler: Callable[[Invitation, _E, LifecyclePolicy, datetime], Transition]
) -> tuple[type, _Handler]:
    """A row of the table; the type checker compares the event with what its handler accepts."""
    return event, handler


HANDLERS: Mapping[type, _Handler] = dict(
    (
        _on(events.CreateAttemptStarted, creates.on_create_attempt_started),
        _on(events.ApplicationCreated, creates.on_application_created),
        _on(events.CreateFailed, creates.on_create_failed),
        _on(events.CreateOutcomeUnknown, creates.on_create_outcome_unknown),
        _on(events.InvitationIdIssued, creates.on_invitation_id_issued),
        _on(events.AssessmentStarted, completion.on_assessment_started),
        _on(events.ResultReported, completion.on_result_reported),
        _on(events.ResultConfirmed, completion.on_result_confirmed),
        _on(events.ResultRefreshed, completion.on_result_refreshed),
        _on(events.NoResultYet, completion.on_no_result_yet),
        _on(events.ProviderUnreachable, completion.on_provider_unreachable),
        _on(events.ReportedResultAccepted, completion.on_reported_result_accepted),
        _on(events.ErasureRequested, tombstone.on_erasure_requested),
        _on(events.ApplicationAnonymised, tombstone.on_application_anonymised),
        _on(events.ApplicationShared, tombstone.on_application_shared),
        _on(events.HireRequested, hires.on_hire_requested),
        _on(events.HireCallStarted, hires.on_hire_call_started),
        _on(events.HireCallEnded, hires.on_hire_call_ended),
        _on(events.HireRepeatAllowed, hires.on_hire_repeat_allowed),
    )
)


def decide(
    invitation: Invitation, event: Event, policy: LifecyclePolicy, now: datetime
) -> Transition:
    """The transition that *event* causes: defined for every state and event, without I/O.

    An event that changes nothing returns the same record, with tasks only if one has to be queued
    or cancelled nevertheless.
    """
    step = HANDLERS[type(event)](invitation, event, policy, now)
    after = step.invitation
    if after is not invitation:
        after = invitation if after == invitation else copy_with(after, updated_at=now)
    # An application that is still to be anonymised must not be forgotten, however long it takes.
    expires = not list_applications_to_anonymise(after)
    tasks = _prioritise(after, keep_check_of_create(after, step.tasks, policy, now))
    return copy_with(step, invitation=after, tasks=tasks, expires=expires)


def _prioritise(
    invitation: Invitation, tasks: tuple[ScheduleTask | CancelTask, ...]
) -> tuple[ScheduleTask | CancelTask, ...]:
    """The check of a report, and the notification of a result, go ahead of the customer's
    backlog.
    """
    urgent = {
        TaskKind.CHECK: invitation.unconfirmed_result is not None,
        TaskKind.NOTIFY: invitation.state is State.COMPLETED,
    }
    return tuple(
        ScheduleTask(task.kind, task.at, urgent=True)
        if isinstance(task, ScheduleTask) and urgent.get(task.kind)
        else task
        for task in tasks
    )
