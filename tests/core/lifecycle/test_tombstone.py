"""Erasure, and applications to anonymise."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from bridge.core.history import NO_HISTORY
from bridge.core.invitation import (
    CreateOutcome,
    Invitation,
    Transition,
)
from bridge.core.lifecycle import attempts
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ApplicationCreated,
    ApplicationShared,
    CreateOutcomeUnknown,
    ErasureRequested,
    Event,
)
from bridge.core.lifecycle.policy import (
    MIN_CHECK_DELAY,
)
from bridge.core.queueing import CancelTask, TaskKind
from tests.core.build import (
    CREATED_2,
    DAY,
    DEADLINE,
    ERASED,
    EVENTS,
    HOUR,
    INVITED,
    ISSUED,
    MINUTE,
    MORE_RECORDS,
    NOW,
    ORPHANED,
    SECOND_ATTEMPT,
    STOP,
    UNCERTAIN,
    after,
    anonymise,
    decide,
)


def empty(invitation: Invitation) -> set[str]:
    """The fields that say something."""
    return {
        one.name
        for one in fields(invitation)
        if getattr(invitation, one.name) not in ("", None, False, 0, (), NO_HISTORY)
    }


TIMES = (NOW, NOW + MINUTE, DEADLINE, NOW + 60 * DAY)
every_record = pytest.mark.parametrize("record", MORE_RECORDS.values(), ids=MORE_RECORDS.keys())
every_event = pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())


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
    assert () == attempts.list_applications_to_anonymise(SHARED)
    assert [CreateOutcome.CREATED, CreateOutcome.CREATED] == [
        attempt.outcome for attempt in SHARED.attempts
    ]
    assert ("reference-2",) == attempts.list_applications_to_anonymise(
        decide(SHARED, ErasureRequested()).invitation
    )


@pytest.mark.parametrize(
    ("record", "reference_id"),
    [(ERASED, "reference-1"), (ORPHANED, "reference-1")],
    ids=["tombstone", "orphan"],
)
def test_other_holder_has_it_anonymised(record: Invitation, reference_id: str) -> None:
    """What another living invitation uses is anonymised with that one, and forgotten here."""
    one = decide(record, ApplicationShared(reference_id)).invitation
    assert () == attempts.list_applications_to_anonymise(one)
    assert reference_id not in [attempt.reference_id for attempt in one.attempts]


def test_own_application_is_not_given_away() -> None:
    """What does not have to be anonymised stays as it is."""
    assert Transition(ORPHANED, expires=False) == decide(ORPHANED, ApplicationShared("reference-2"))


@every_record
def test_erasure_leaves_a_tombstone(record: Invitation) -> None:
    """Nothing is left but id, customer, times, secrets' digests and the reference ids to
    anonymise.
    """
    one = decide(record, ErasureRequested(), NOW + HOUR).invitation
    alltask = {
        "id",
        "customer",
        "state",
        "created_at",
        "updated_at",
        "attempts",
        "erased_at",
        "version",
    }
    assert alltask >= empty(one)


@pytest.mark.parametrize(
    ("record", "task"),
    [(INVITED, anonymise(NOW + MIN_CHECK_DELAY)), (UNCERTAIN, CancelTask(TaskKind.ANONYMISE))],
    ids=["known", "lost"],
)
def test_erasure_cancels_all_but_the_anonymisation(record: Invitation, task: object) -> None:
    """CHECK, NOTIFY and HIRE are cancelled with the erasure, and ANONYMISE is queued where there is
    something to anonymise.
    """
    cancelled = (STOP, CancelTask(TaskKind.NOTIFY), CancelTask(TaskKind.HIRE))
    assert (*cancelled, task) == decide(record, ErasureRequested()).tasks


def test_anonymised_tombstone_forgets_the_reference() -> None:
    """Once the provider has confirmed, the tombstone does not even know the reference id."""
    one = decide(ERASED, ApplicationAnonymised("reference-1")).invitation
    assert [(True, None)] == [
        (attempt.anonymised, attempt.reference_id) for attempt in one.attempts
    ]
    assert () == attempts.list_applications_to_anonymise(one)


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
