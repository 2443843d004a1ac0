"""Which situation an invitation is in."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from bridge.core.diagnosis import InvitationSituation, diagnose_dead_letter, list_situations
from bridge.core.history import HistoryCounter, HistoryEntryKind
from bridge.core.invitation import HireState, Invitation, State
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ApplicationCreated,
    AssessmentStarted,
    CreateFailed,
    CreateOutcomeUnknown,
    ErasureRequested,
    Event,
    HireCallEnded,
    HireCallStarted,
    HireRequested,
    NoResultYet,
    ResultConfirmed,
    ResultReported,
)
from bridge.core.queueing import DeadLetter, TaskKind
from tests.core.build import COMPLETED, CREATED, DAY, DEADLINE, NOW, REPORT, decide
from tests.core.test_history import ISSUED, happened, noted

DONE = happened(CREATED, ISSUED, ResultConfirmed(REPORT))


def letter(kind: str, reason: str) -> DeadLetter:
    return DeadLetter(DONE.id, kind, "acme", 1, reason, NOW)  # type: ignore[arg-type]


def notified(text: str, *others: HistoryEntryKind) -> Invitation:
    """One whose last notification was answered so."""
    one = noted(DONE, HistoryEntryKind.NOTIFIED, *others)
    entries = [
        entry._replace(text=text) if entry.kind == HistoryEntryKind.NOTIFIED else entry
        for entry in one.history.entries
    ]
    return replace(one, history=replace(one.history, entries=tuple(entries)))


@pytest.mark.parametrize(
    ("kind", "reason", "situation"),
    [
        ("notify", "rejected", InvitationSituation.NOTIFY_REJECTED),
        ("notify", "unauthorized", InvitationSituation.NOTIFY_UNAUTHORIZED),
        ("notify", "callback_not_allowed", InvitationSituation.NOTIFY_NOT_ALLOWED),
        ("notify", "upstream_unavailable", InvitationSituation.NOTIFY_UNREACHABLE),
        ("notify", "outcome_unknown", InvitationSituation.NOTIFY_UNREACHABLE),
        ("notify", "http_503", InvitationSituation.NOTIFY_STATUS),
        ("notify", "upstream_error", InvitationSituation.NOTIFY_GIVEN_UP),
        ("notify", "poisoned", InvitationSituation.POISONED),
        ("anonymise", "refused", InvitationSituation.ANONYMISE_REFUSED),
        ("anonymise", "poisoned", InvitationSituation.POISONED),
        ("check", "poisoned", InvitationSituation.POISONED),
        ("check", "of a newer version", InvitationSituation.GIVEN_UP),
        ("hire", "refused", InvitationSituation.HIRE_REFUSED),
        ("hire", "outcome_unknown", InvitationSituation.HIRE_UNKNOWN),
        ("hire", "application_unknown", InvitationSituation.HIRE_WITHOUT_APPLICATION),
        ("hire", "poisoned", InvitationSituation.POISONED),
    ],
)
def test_dead_letters(kind: str, reason: str, situation: InvitationSituation) -> None:
    """Every reason for which a task is given up has its situation, and it explains most."""
    assert diagnose_dead_letter(letter(kind, reason)) is situation
    found = list_situations(DONE, [letter(kind, reason)], served=False, set_aside=True, now=NOW)
    assert found[0] is situation


OWED = happened(CREATED, ErasureRequested())
CLOSED = happened(CREATED, ErasureRequested(), ApplicationAnonymised("reference-1"))
UNANSWERED = noted(happened(CREATED, ISSUED), HistoryEntryKind.UNANSWERED)


@pytest.mark.parametrize(
    ("record", "situation"),
    [
        (happened(), InvitationSituation.CREATING),
        (happened(CreateOutcomeUnknown(1)), InvitationSituation.UNCERTAIN),
        (happened(CreateFailed(1, "upstream_refused")), InvitationSituation.CREATE_REFUSED),
        (happened(CreateFailed(1, "upstream_unavailable")), InvitationSituation.CREATE_UNAVAILABLE),
        (happened(ApplicationCreated(1, "ref", None)), InvitationSituation.CREATE_BROKEN),
        (happened(CREATED, ISSUED), InvitationSituation.INVITED),
        (happened(CREATED, ISSUED, AssessmentStarted(NOW)), InvitationSituation.STARTED),
        (happened(CREATED, ISSUED, ResultReported(1, None)), InvitationSituation.REPORTED),
        (UNANSWERED, InvitationSituation.PROVIDER_SILENT),
        (
            noted(UNANSWERED, HistoryEntryKind.ISSUED, HistoryEntryKind.CHECKED),
            InvitationSituation.INVITED,
        ),
        (happened(CREATED, ResultConfirmed(REPORT)), InvitationSituation.NOT_ISSUED),
        (DONE, InvitationSituation.NOTIFY_DUE),
        (COMPLETED, InvitationSituation.UNREAD),
        (notified("http_503"), InvitationSituation.NOTIFY_RETRIED),
        (notified("unauthorized"), InvitationSituation.NOTIFY_RETRIED_UNAUTHORIZED),
        (notified("delivered"), InvitationSituation.UNREAD),
        (notified("delivered", HistoryEntryKind.READ), InvitationSituation.DELIVERED),
        (
            replace(notified("delivered", HistoryEntryKind.READ), state=State.EXPIRED),
            InvitationSituation.EXPIRED_DELIVERED,
        ),
        (OWED, InvitationSituation.ERASED_OWED),
        (CLOSED, InvitationSituation.ERASED),
    ],
)
def test_situations(record: Invitation, situation: InvitationSituation) -> None:
    """Every state, with what its history says, has its situation."""
    assert list_situations(record, [], served=True, set_aside=False, now=NOW) == (situation,)


@pytest.mark.parametrize("now", [DEADLINE, DEADLINE + DAY])
def test_overdue(now: datetime) -> None:
    """What is open past its deadline is told from what waits."""
    one = happened(CREATED, ISSUED)
    assert list_situations(one, [], served=True, set_aside=False, now=now) == (
        InvitationSituation.OVERDUE,
    )


def test_expired() -> None:
    """An expired one whose notification is due says so."""
    one = happened(CREATED, ISSUED, NoResultYet(), at=DEADLINE - NOW + DAY)
    assert list_situations(one, [], served=True, set_aside=False, now=NOW) == (
        InvitationSituation.NOTIFY_DUE,
    )


ERASED_OWED = (InvitationSituation.SET_ASIDE, InvitationSituation.ERASED_OWED)


@pytest.mark.parametrize(
    ("record", "aside", "removed"),
    [
        (DONE, (InvitationSituation.SET_ASIDE,), (InvitationSituation.REMOVED,)),
        (
            happened(CREATED, ISSUED),
            (InvitationSituation.SET_ASIDE,),
            (InvitationSituation.REMOVED,),
        ),
        (OWED, ERASED_OWED, (InvitationSituation.REMOVED,)),
        (CLOSED, (InvitationSituation.ERASED,), (InvitationSituation.ERASED,)),
        (
            notified("unauthorized"),
            (InvitationSituation.SET_ASIDE, InvitationSituation.NOTIFY_RETRIED_UNAUTHORIZED),
            (InvitationSituation.REMOVED,),
        ),
        (
            notified("delivered"),
            (InvitationSituation.UNREAD, InvitationSituation.SET_ASIDE),
            (InvitationSituation.REMOVED, InvitationSituation.UNREAD),
        ),
        (
            notified("delivered", HistoryEntryKind.READ),
            (InvitationSituation.DELIVERED, InvitationSituation.SET_ASIDE),
            (InvitationSituation.REMOVED,),
        ),
    ],
)
def test_customers_away(
    record: Invitation,
    aside: tuple[InvitationSituation, ...],
    removed: tuple[InvitationSituation, ...],
) -> None:
    """A customer who is not served explains why nothing goes on, but not what is over: the file may
    only lack a secret here, which the daemon has.
    """
    found = list_situations(record, [], served=False, set_aside=True, now=NOW)
    assert found == aside
    found = list_situations(record, [], served=False, set_aside=False, now=NOW)
    assert found == removed


WAITING = (HireRequested(True),)
TOLD = (*WAITING, HireCallStarted(7))
UNSURE = (*TOLD, HireCallEnded(HireState.UNKNOWN))
READ = notified("delivered", HistoryEntryKind.READ)


@pytest.mark.parametrize(
    ("events", "situation"),
    [
        (WAITING, InvitationSituation.HIRE_WAITING),
        (TOLD, InvitationSituation.HIRE_UNCONFIRMED),
        (UNSURE, InvitationSituation.HIRE_FORGOTTEN),
        ((*TOLD, HireCallEnded(HireState.DONE)), InvitationSituation.DELIVERED),
    ],
)
def test_hires(events: tuple[Event, ...], situation: InvitationSituation) -> None:
    """A hire that is not done explains what waits, beside what else is amiss, and a done one
    nothing.
    """

    def found(one: Invitation, *letters: DeadLetter, served: bool = True) -> object:
        for event in events:
            one = decide(one, event, NOW).invitation
        return list_situations(one, letters, served=served, set_aside=False, now=NOW)

    assert found(READ) == (situation,)
    refused = letter("hire", "refused")
    assert found(READ, refused) == (InvitationSituation.HIRE_REFUSED,)
    assert found(READ, served=False) == (InvitationSituation.REMOVED,)
    done = situation is InvitationSituation.DELIVERED
    late = InvitationSituation.NOTIFY_RETRIED
    assert found(notified("http_503")) == ((late,) if done else (late, situation))
    assert found(notified("http_503"), refused) == (InvitationSituation.HIRE_REFUSED, late)
    rejected = letter("notify", "rejected")
    first = (InvitationSituation.NOTIFY_REJECTED,)
    assert found(READ, rejected) == (first if done else (*first, situation))


def test_the_last_of_many_notifications() -> None:
    """The last notification decides, also where there were so many that it is only counted."""
    one = notified("http_503")
    later = HistoryCounter(HistoryEntryKind.NOTIFIED, NOW + DAY, NOW + DAY, 3, "delivered", 204)
    one = replace(one, history=replace(one.history, counts=(later,)))
    assert list_situations(one, [], served=True, set_aside=False, now=NOW) == (
        InvitationSituation.UNREAD,
    )
    assert TaskKind.NOTIFY == "notify"
