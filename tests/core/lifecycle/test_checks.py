"""What a CHECK has to find out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from bridge.core.invitation import (
    Invitation,
    State,
)
from bridge.core.lifecycle import checks
from bridge.core.lifecycle.checks import ApplyEvent, AskProvider, WaitUntil
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    CreateOutcomeUnknown,
    NoResultYet,
    ReportedResultAccepted,
    ResultReported,
)
from tests.core.build import (
    COMPLETED,
    CREATED,
    CREATED_2,
    CREATING,
    DEADLINE,
    ERASED,
    EXPIRED,
    FAILED,
    GIVEN_UP,
    INVITED,
    LOST_AND_EXPIRED,
    LOST_BUT_COMPLETED,
    NOW,
    ORPHANED,
    POLICY,
    REPORT,
    SECOND,
    SECOND_ATTEMPT,
    STARTED,
    TWICE,
    UNCERTAIN,
    UNCONFIRMED,
    after,
    decide,
)


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
        (decide(UNCERTAIN, ResultReported(1, None)).invitation, NOW, WaitUntil(DEADLINE)),
        (
            decide(UNCERTAIN, ResultReported(1, REPORT)).invitation,
            NOW,
            ApplyEvent(ReportedResultAccepted()),
        ),
        (
            decide(LOST_AND_EXPIRED, ResultReported(1, REPORT)).invitation,
            NOW,
            ApplyEvent(ReportedResultAccepted()),
        ),
        (INVITED, NOW, AskProvider("reference-1")),
        (STARTED, NOW, AskProvider("reference-1")),
        (EXPIRED, DEADLINE, AskProvider("reference-1")),
        (UNCONFIRMED, NOW, AskProvider("reference-1", with_result=True)),
        (
            decide(INVITED, ResultReported(1, None)).invitation,
            NOW,
            AskProvider("reference-1", with_result=True),
        ),
        (LOST_BUT_COMPLETED, NOW, None),
        (LOST_AND_EXPIRED, DEADLINE, None),
        (ORPHANED, NOW, AskProvider("reference-2")),
        (
            decide(ORPHANED, ResultReported(1, REPORT)).invitation,
            NOW,
            AskProvider("reference-1", with_result=True),
        ),
    ],
)
def test_question(record: Invitation, at: datetime, expected: object) -> None:
    """A CHECK waits for a create, asks about the attempt that counts, acts where nothing can be
    asked, and ends.
    """
    assert expected == checks.decide_next_check(record, POLICY, at)


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
    assert expected is checks.can_start_assessment(record, POLICY, at)


def test_report_on_an_anonymised_orphan_counts_as_it_is() -> None:
    """Once an orphan is anonymised the provider knows nothing of it, so a report on it is
    accepted.
    """
    record = after(
        CreateOutcomeUnknown(1),
        SECOND_ATTEMPT,
        CREATED_2,
        CREATED,
        ApplicationAnonymised("reference-1"),
    )
    reported = decide(record, ResultReported(1, REPORT)).invitation
    assert ApplyEvent(ReportedResultAccepted()) == checks.decide_next_check(reported, POLICY, NOW)


MAILED = replace(INVITED, assessment_url=None)


@pytest.mark.parametrize(
    ("record", "at", "expected"),
    [
        (MAILED, NOW, True),
        (MAILED, DEADLINE, False),
        (INVITED, NOW, False),
        (replace(MAILED, state=State.COMPLETED), NOW, False),
    ],
    ids=["mailed", "too late", "with a link", "completed"],
)
def test_link_in_the_mailbox(record: Invitation, at: datetime, expected: bool) -> None:
    """A candidate is asked to look into the mail while the link there is good."""
    assert expected is checks.is_link_in_mailbox(record, POLICY, at)
