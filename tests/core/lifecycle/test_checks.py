"""What a CHECK has to find out, and how far a candidate is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from bridge.core.history import History, HistoryCounter, HistoryEntryKind
from bridge.core.invitation import Invitation
from bridge.core.lifecycle import checks
from bridge.core.lifecycle.checks import ApplyEvent, AskProvider, WaitUntil
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    CreateOutcomeUnknown,
    NoResultYet,
    ReportedResultAccepted,
    ResultReported,
)
from bridge.core.queueing import TaskKind
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
FOLLOWED = replace(
    INVITED, history=History(counts=(HistoryCounter(HistoryEntryKind.LINK_FOLLOWED, NOW, NOW),))
)
Stage = checks.CandidateStage


@pytest.mark.parametrize(
    ("record", "at", "expected"),
    [
        (CREATING, NOW, Stage.NOT_READY),
        (UNCERTAIN, NOW, Stage.NOT_READY),
        (UNCERTAIN, DEADLINE, Stage.EXPIRED),
        (INVITED, DEADLINE - SECOND, Stage.READY),
        (INVITED, DEADLINE, Stage.EXPIRED),
        (FOLLOWED, NOW, Stage.BEGUN),
        (FOLLOWED, DEADLINE, Stage.EXPIRED),
        (STARTED, NOW, Stage.BEGUN),
        (STARTED, DEADLINE, Stage.BEGUN),
        (STARTED, DEADLINE + DAY, Stage.EXPIRED),
        (MAILED, NOW, Stage.MAILED),
        (replace(STARTED, assessment_url=None), NOW, Stage.MAILED),
        (MAILED, DEADLINE, Stage.EXPIRED),
        (decide(INVITED, ResultReported(1, None)).invitation, NOW, Stage.READY),
        (decide(INVITED, ResultReported(1, REPORT)).invitation, NOW, Stage.FINISHED),
        (decide(UNCERTAIN, ResultReported(1, REPORT)).invitation, NOW, Stage.FINISHED),
        (decide(EXPIRED, ResultReported(1, REPORT)).invitation, DEADLINE, Stage.FINISHED),
        (EXPIRED, NOW, Stage.EXPIRED),
        (COMPLETED, NOW, Stage.FINISHED),
    ],
)
def test_how_far_a_candidate_is(
    record: Invitation, at: datetime, expected: checks.CandidateStage
) -> None:
    """A candidate is led to the test while it is open, has a link and is not past its end; a
    report that waits for its confirmation is an end, too, and a start postpones it.
    """
    assert expected is checks.decide_candidate_stage(record, POLICY, at)


@pytest.mark.parametrize(
    ("record", "kinds"),
    [
        (INVITED, [TaskKind.CHECK]),
        (EXPIRED, []),
        (COMPLETED, []),
        (replace(COMPLETED, confirmed=False), [TaskKind.CHECK]),
        (ERASED, [TaskKind.ANONYMISE]),
    ],
)
def test_tasks_of_an_older_record(record: Invitation, kinds: list[TaskKind]) -> None:
    """A record that lists no tasks needs those that its state says: a check while something is
    still to be found out, an anonymisation while an application is left.
    """
    assert checks.infer_tasks_of_older_record(record) == kinds
