"""What an event adds to the history of an invitation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bridge.core.customers import Customer
from bridge.core.history import COUNT_PAUSE, LONGEST_TEXT, HistoryEntry, HistoryEntryKind
from bridge.core.invitation import HireState, Invitation, State
from bridge.core.lifecycle import events
from bridge.core.lifecycle.events import Event
from bridge.core.score import choose_score_pattern

OF_TOMBSTONES: Final = frozenset(
    {
        *(HistoryEntryKind.ERASED, HistoryEntryKind.ANONYMISED, HistoryEntryKind.PASSED_ON),
        *(HistoryEntryKind.GIVEN_UP, HistoryEntryKind.ATTEMPT),
    }
)
"""All that is noted once the candidate's data is deleted."""

CONFIRMED: Final = "confirmed"
UNCONFIRMED: Final = "unconfirmed"
BY_WEBHOOK: Final = "webhook"


@dataclass(frozen=True, slots=True)
class EventDetail:
    """What only the caller knows of an event: a word of ours (``BY_WEBHOOK``, or on whose behalf
    something is deleted), status and latency of a call.
    """

    text: str = ""
    status: int | None = None
    latency_ms: int | None = None


_RANDOM_ID: Final = re.compile(r"([0-9a-f]{8})(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")
NO_DETAIL: Final = EventDetail()


@dataclass(frozen=True, slots=True)
class _Change:
    """An event, and the record before and after it."""

    before: Invitation
    event: Any
    after: Invitation
    customer: Customer | None
    detail: EventDetail
    now: datetime

    def entry(self, kind: HistoryEntryKind, number: int = 0, text: str = "") -> HistoryEntry:
        return HistoryEntry(
            kind=kind,
            at=self.now,
            number=number,
            text=(text or self.detail.text)[:LONGEST_TEXT],
            status=self.detail.status,
            latency_ms=self.detail.latency_ms,
        )


def entry_for_order(request_id: str, now: datetime) -> HistoryEntry:
    """The first entry: with the beginning of the request's id, by which the log has more; only of
    one that is random, since a caller may send any.
    """
    match = _RANDOM_ID.fullmatch(request_id)
    return HistoryEntry(HistoryEntryKind.ORDERED, now, text=match[1] if match else "")


def entries_for_event(
    before: Invitation,
    event: Event,
    after: Invitation,
    *,
    customer: Customer | None,
    now: datetime,
    detail: EventDetail = NO_DETAIL,
) -> tuple[HistoryEntry, ...]:
    """What *event*, which made *after* of *before*, adds; may be nothing."""
    change = _Change(before, event, after, customer, detail, now)
    found = RULES[type(event)](change)
    gone = before.state is State.ERASED
    return tuple(entry for entry in found if not gone or entry.kind in OF_TOMBSTONES)


def is_count_worth_writing(invitation: Invitation, kind: str, now: datetime) -> bool:
    """Whether counting one more of *kind* is worth a write of its own: the first one, the first one
    since there is an end, and then one in ``COUNT_PAUSE``.
    """
    known = invitation.history.count(kind)
    if known is None or now >= known.last + COUNT_PAUSE or now < known.last:
        return True
    ended_at = invitation.completed_at or invitation.expired_at
    return ended_at is not None and known.last < ended_at


def _opened(change: _Change) -> tuple[HistoryEntry, ...]:
    repeated = len(change.after.attempts) > len(change.before.attempts)
    return (change.entry(HistoryEntryKind.REPEATED),) if repeated else ()


def _created(change: _Change) -> tuple[HistoryEntry, ...]:
    number = change.event.attempt
    outcome = change.after.attempts[number - 1].outcome
    changed = change.before.attempts[number - 1] != change.after.attempts[number - 1]
    return (change.entry(HistoryEntryKind.ATTEMPT, number, str(outcome)),) if changed else ()


def _not_created(change: _Change) -> tuple[HistoryEntry, ...]:
    number = change.event.attempt
    if change.before.attempts[number - 1] == change.after.attempts[number - 1]:
        return ()
    return (
        change.entry(HistoryEntryKind.ATTEMPT, number, getattr(change.event, "code", "unknown")),
    )


def _issued(change: _Change) -> tuple[HistoryEntry, ...]:
    first = change.after.issued and not change.before.issued
    return (change.entry(HistoryEntryKind.ISSUED),) if first else ()


def _started(change: _Change) -> tuple[HistoryEntry, ...]:
    begun = change.after.state is not change.before.state
    return (change.entry(HistoryEntryKind.STARTED),) if begun else ()


def _reported(change: _Change) -> tuple[HistoryEntry, ...]:
    if change.detail.text == BY_WEBHOOK:
        return (HistoryEntry(HistoryEntryKind.WEBHOOK, change.now, change.event.attempt),)
    text = "" if change.event.report is not None else "without a result"
    return (change.entry(HistoryEntryKind.CALLBACK, change.event.attempt, text),)


def _asked(change: _Change) -> tuple[HistoryEntry, ...]:
    """What the provider's answer, or its silence, led to."""
    before, after = change.before, change.after
    if after.state is not before.state and after.state is State.COMPLETED:
        kind = CONFIRMED if after.confirmed else UNCONFIRMED
        return (
            HistoryEntry(HistoryEntryKind.COMPLETED, change.now, text=f"{kind}{_pattern(change)}"),
        )
    if after.state is not before.state and after.state is State.EXPIRED:
        return (HistoryEntry(HistoryEntryKind.EXPIRED, change.now),)
    if after.result != before.result:
        return (
            HistoryEntry(HistoryEntryKind.CORRECTED, change.now, text=_pattern(change).strip()),
        )
    if after.confirmed and not before.confirmed:
        return (HistoryEntry(HistoryEntryKind.CONFIRMED, change.now),)
    unanswered = isinstance(change.event, events.ProviderUnreachable)
    return (change.entry(HistoryEntryKind.UNANSWERED if unanswered else HistoryEntryKind.CHECKED),)


def _pattern(change: _Change) -> str:
    """The pattern that the score is computed by, behind a blank."""
    result, customer = change.after.result, change.customer
    if result is None or customer is None:
        return ""
    found = choose_score_pattern(customer.results.score, result, customer.provider.locale)
    return f" {found[0]}"[: LONGEST_TEXT - 12] if found else ""


def _erased(change: _Change) -> tuple[HistoryEntry, ...]:
    if change.before.state is State.ERASED:
        return ()
    before = change.before
    deleted = {
        "application": before.application_id,
        "callback": before.callback,
        "link": before.assessment_url,
        "report": before.unconfirmed_result,
        "result": before.result,
        "history": before.history.entries,
    }
    what = " ".join(name for name, value in deleted.items() if value)
    by = f"{change.detail.text}: " if change.detail.text else ""
    return (HistoryEntry(HistoryEntryKind.ERASED, change.now, text=f"{by}{what}"[:LONGEST_TEXT]),)


def _anonymised(change: _Change) -> tuple[HistoryEntry, ...]:
    return tuple(
        change.entry(HistoryEntryKind.ANONYMISED, new.number)
        for old, new in zip(change.before.attempts, change.after.attempts, strict=True)
        if new.anonymised and not old.anonymised
    )


def _passed_on(change: _Change) -> tuple[HistoryEntry, ...]:
    return (change.entry(HistoryEntryKind.PASSED_ON),) if change.after != change.before else ()


def _hire_requested(change: _Change) -> tuple[HistoryEntry, ...]:
    first = change.before.hire is None and change.after.hire is not None
    return (change.entry(HistoryEntryKind.HIRE_REQUESTED),) if first else ()


def _hire_answered(change: _Change) -> tuple[HistoryEntry, ...]:
    before, after = change.before.hire, change.after.hire
    done = after is not None and after.state is HireState.DONE
    return (change.entry(HistoryEntryKind.HIRED),) if done and after != before else ()


def _nothing(change: _Change) -> tuple[HistoryEntry, ...]:
    return ()


RULES: Final[Mapping[type, Callable[[_Change], tuple[HistoryEntry, ...]]]] = {
    events.CreateAttemptStarted: _opened,
    events.ApplicationCreated: _created,
    events.CreateFailed: _not_created,
    events.CreateOutcomeUnknown: _not_created,
    events.InvitationIdIssued: _issued,
    events.AssessmentStarted: _started,
    events.ResultReported: _reported,
    events.ResultConfirmed: _asked,
    events.ResultRefreshed: _asked,
    events.NoResultYet: _asked,
    events.ProviderUnreachable: _asked,
    events.ReportedResultAccepted: _asked,
    events.ErasureRequested: _erased,
    events.ApplicationAnonymised: _anonymised,
    events.ApplicationShared: _passed_on,
    events.HireRequested: _hire_requested,
    events.HireCallStarted: _nothing,
    events.HireCallEnded: _hire_answered,
    events.HireRepeatAllowed: _nothing,
}
