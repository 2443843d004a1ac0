"""An invitation's history as rows in the order of time, for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bridge.core.history import HistoryEntryKind
from bridge.core.history_events import CONFIRMED, UNCONFIRMED
from bridge.core.invitation import CreateOutcome, Invitation


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What happened, once or *count* times until *last*; the rest as in a ``HistoryEntry``."""

    at: datetime
    kind: str
    number: int = 0
    text: str = ""
    status: int | None = None
    latency_ms: int | None = None
    count: int = 1
    last: datetime | None = None


def build_timeline(invitation: Invitation) -> list[TimelineEntry]:
    """All that is known of what happened, in order; where no history is kept, what the record
    itself still says.
    """
    rows = list(_kept(invitation) if invitation.history else _derived(invitation))
    return sorted(rows, key=lambda row: row.at)


def _kept(invitation: Invitation) -> Iterator[TimelineEntry]:
    for entry in invitation.history.entries:
        yield TimelineEntry(
            entry.at, entry.kind, entry.number, entry.text, entry.status, entry.latency_ms
        )
    for one in invitation.history.counts:
        yield TimelineEntry(
            one.first, one.kind, 0, one.text, one.status, count=one.count, last=one.last
        )


def _derived(invitation: Invitation) -> Iterator[TimelineEntry]:
    yield TimelineEntry(invitation.created_at, HistoryEntryKind.ORDERED)
    for attempt in invitation.attempts:
        if attempt.outcome is not CreateOutcome.PENDING:
            outcome = str(attempt.outcome)
            yield TimelineEntry(
                attempt.started_at, HistoryEntryKind.ATTEMPT, attempt.number, outcome
            )
    result = invitation.unconfirmed_result
    how = CONFIRMED if invitation.confirmed else UNCONFIRMED
    hire = invitation.hire
    named = (
        (invitation.started_at, HistoryEntryKind.STARTED, ""),
        (result.seen_at if result else None, HistoryEntryKind.CALLBACK, ""),
        (invitation.completed_at, HistoryEntryKind.COMPLETED, how),
        (invitation.expired_at, HistoryEntryKind.EXPIRED, ""),
        (hire.requested_at if hire else None, HistoryEntryKind.HIRE_REQUESTED, ""),
        (hire.hired_at if hire else None, HistoryEntryKind.HIRED, ""),
        (invitation.erased_at, HistoryEntryKind.ERASED, ""),
    )
    for at, kind, text in named:
        if at is not None:
            yield TimelineEntry(at, kind, text=text)
