"""Which application is asked about, used, and to be anonymised."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.core.invitation import (
    Invitation,
)
from bridge.core.lifecycle import attempts
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ApplicationCreated,
    CreateOutcomeUnknown,
    ErasureRequested,
    ResultReported,
)
from tests.core.build import (
    COMPLETED,
    CREATED,
    CREATED_2,
    CREATING,
    ERASED,
    EXPIRED,
    FAILED,
    INVITED,
    ORPHANED,
    REPORT,
    SECOND_ATTEMPT,
    after,
    decide,
)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (CREATING, None),
        (INVITED, "reference-1"),
        (ORPHANED, "reference-2"),
        (decide(ORPHANED, ResultReported(1, None)).invitation, "reference-1"),
        (decide(ORPHANED, ResultReported(1, REPORT)).invitation, "reference-1"),
        (
            after(CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2, ResultReported(1, None)),
            "reference-2",
        ),
        (
            after(CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2, ResultReported(1, REPORT)),
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
    assert expected == attempts.choose_reference_to_check(record)


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
    """All applications of a tombstone, the orphans of an open invitation, and nothing twice."""
    assert expected == attempts.list_applications_to_anonymise(record)
