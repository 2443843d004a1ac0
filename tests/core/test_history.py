"""The history of an invitation: what it keeps, how small it stays, and that changes of it show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest

from bridge.core import history_events
from bridge.core.assessment import Result
from bridge.core.history import (
    COUNT_PAUSE,
    COUNTED,
    MOST_ENTRIES,
    MOST_OF_A_KIND,
    NO_HISTORY,
    ONCE,
    HistoryEntry,
    HistoryEntryKind,
)
from bridge.core.history_chain import (
    append_history_entries,
    derive_history_keys,
    find_history_faults,
)
from bridge.core.history_events import EventDetail, entries_for_event, is_count_worth_writing
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ApplicationCreated,
    ApplicationShared,
    AssessmentStarted,
    CreateAttemptStarted,
    CreateFailed,
    CreateOutcomeUnknown,
    ErasureRequested,
    Event,
    InvitationIdIssued,
    NoResultYet,
    ProviderUnreachable,
    ReportedResultAccepted,
    ResultConfirmed,
    ResultRefreshed,
    ResultReported,
)
from bridge.core.timeline import build_timeline
from tests.core.build import (
    CREATED,
    CREATED_2,
    DAY,
    DEADLINE,
    HOUR,
    MINUTE,
    NOW,
    OTHER_REPORT,
    REPORT,
    SECOND,
    SECOND_ATTEMPT,
    customer,
    decide,
    opening,
)

OLD, NEW = b"o" * 32, b"n" * 32
KEYS = derive_history_keys([OLD])
ISSUED = InvitationIdIssued("https://acme.softgarden.io/notify")


def committed(invitation: Invitation) -> Invitation:
    """As it comes back from the store."""
    return replace(invitation, version=invitation.version + 1)


def noted(
    invitation: Invitation, *kinds: HistoryEntryKind, keys: tuple[bytes, ...] = KEYS, times: int = 1
) -> Invitation:
    """*invitation* once these were noted, a second after each other."""
    for number, kind in enumerate(kinds):
        entry = HistoryEntry(kind, NOW + number * SECOND, number=1, text="word", status=200)
        changed = append_history_entries(invitation, invitation, [entry], keys, times=times)
        invitation = committed(changed)
    return invitation


def happened(*events: Event, at: timedelta = HOUR, detail: EventDetail | None = None) -> Invitation:
    """A new invitation to which *events* happened, with its history."""
    opened = opening().invitation
    ordered = HistoryEntry(HistoryEntryKind.ORDERED, NOW)
    invitation = committed(append_history_entries(None, opened, [ordered], KEYS))
    for event in events:
        after = decide(invitation, event, NOW + at).invitation
        new = entries_for_event(
            invitation,
            event,
            after,
            customer=customer(),
            now=NOW + at,
            detail=detail or history_events.NO_DETAIL,
        )
        invitation = committed(append_history_entries(invitation, after, new, KEYS))
    return invitation


def kinds(invitation: Invitation) -> list[str]:
    return [entry.kind for entry in invitation.history.entries]


FULL = noted(
    happened(CREATED, ISSUED, AssessmentStarted(NOW), ResultConfirmed(REPORT)),
    *(
        HistoryEntryKind.NOTIFIED,
        HistoryEntryKind.READ,
        HistoryEntryKind.READ,
        HistoryEntryKind.PAGE_OPENED,
    ),
)
"""Five entries and one of a notification, two kinds of counts."""


def test_an_untouched_history_holds() -> None:
    """Of what nobody touched every signature holds."""
    assert kinds(FULL) == ["ordered", "attempt", "issued", "started", "completed", "notified"]
    assert [(one.kind, one.count) for one in FULL.history.counts] == [
        ("read", 2),
        ("page_opened", 1),
    ]
    assert find_history_faults(FULL, KEYS) == ()


def _entry(place: int, **changes: object) -> Callable[[Invitation], Invitation]:
    def change(one: Invitation) -> Invitation:
        entries = list(one.history.entries)
        entries[place - 1] = entries[place - 1]._replace(**changes)  # type: ignore[arg-type]
        return replace(one, history=replace(one.history, entries=tuple(entries)))

    return change


def _entries(
    pick: Callable[[tuple[HistoryEntry, ...]], tuple[HistoryEntry, ...]],
) -> Callable[[Invitation], Invitation]:
    def change(one: Invitation) -> Invitation:
        return replace(one, history=replace(one.history, entries=pick(one.history.entries)))

    return change


def _count(**changes: object) -> Callable[[Invitation], Invitation]:
    def change(one: Invitation) -> Invitation:
        first, *others = one.history.counts
        counts = (replace(first, **changes), *others)  # type: ignore[arg-type]
        return replace(one, history=replace(one.history, counts=counts))

    return change


EARLIER = noted(happened(CREATED, ISSUED), HistoryEntryKind.NOTIFIED)


@pytest.mark.parametrize(
    ("change", "entries"),
    [
        (_entry(2, kind="expired"), {2}),
        (_entry(3, at=NOW), {3}),
        (_entry(2, number=2), {2}),
        (_entry(6, text="delivered"), {6}),
        (_entry(6, status=204), {6}),
        (_entry(6, latency_ms=1), {6}),
        (_entry(4, mac="AAAAAAAAAAAAAAAA"), {4, 5}),
        (_entry(6, mac="AAAAAAAAAAAAAAAA"), {6, 0}),
        (_entry(4, mac=""), {4, 5}),
        (_entries(lambda all_of: all_of[1:]), {1, 0}),
        (_entries(lambda all_of: (*all_of[:2], *all_of[3:])), {3, 0}),
        (_entries(lambda all_of: all_of[:-1]), {0}),
        (_entries(lambda all_of: ()), {0}),
        (_entries(lambda all_of: (all_of[1], all_of[0], *all_of[2:])), {1, 2, 3}),
        (_entries(lambda all_of: (*all_of, all_of[-1])), {7, 0}),
        (_count(count=1), {0}),
        (_count(last=NOW), {0}),
        (_count(first=NOW - DAY), {0}),
        (_count(kind="checked"), {0}),
        (_count(text="other"), {0}),
        (_count(status=None), {0}),
        (lambda one: replace(one, history=replace(one.history, counts=())), {0}),
        (lambda one: replace(one, history=replace(one.history, seal="")), {0}),
        (lambda one: replace(one, history=replace(one.history, before="x")), {1}),
        (lambda one: replace(one, id="iv_7" + "b" * 24), {1}),
        (lambda one: replace(one, history=EARLIER.history), {0}),
        (lambda one: replace(one, history=NO_HISTORY), {0}),
        (lambda one: replace(one, state=State.EXPIRED), {0}),
        (lambda one: replace(one, completed_at=NOW), {0}),
        (lambda one: replace(one, created_at=NOW - DAY), {0}),
        (lambda one: replace(one, erased_at=NOW), {0}),
    ],
)
def test_a_change_shows(change: Callable[[Invitation], Invitation], entries: set[int]) -> None:
    """Whatever is changed, added, left out, cut off or put back shows, and at which entry."""
    faults = find_history_faults(change(FULL), KEYS)
    assert {fault.entry for fault in faults} == entries
    assert all(fault.what for fault in faults)


def test_nobody_signs_without_the_key() -> None:
    """A history that somebody else signed throughout does not hold anywhere."""
    forged = noted(
        opening().invitation, HistoryEntryKind.ISSUED, keys=derive_history_keys([b"f" * 32])
    )
    assert {fault.entry for fault in find_history_faults(forged, KEYS)} == {0, 1, 2}


def test_keys_rotate() -> None:
    """The newest key signs, each listed one verifies, and what is no longer listed does not."""
    both = derive_history_keys([NEW, OLD])
    renewed = noted(FULL, HistoryEntryKind.NOTIFIED, keys=both)
    assert find_history_faults(renewed, both) == ()
    assert {fault.entry for fault in find_history_faults(renewed, KEYS)} == {7, 0}
    assert {fault.entry for fault in find_history_faults(renewed, both[:1])} == set(range(1, 7))


def test_what_was_broken_stays_broken() -> None:
    """A change that came before the next entry is marked for good, though the seal is renewed."""
    cut = _entries(lambda all_of: all_of[:-1])(FULL)
    later = noted(cut, HistoryEntryKind.NOTIFIED, HistoryEntryKind.READ)
    assert kinds(later)[-2:] == ["disturbed", "notified"]
    assert {fault.entry for fault in find_history_faults(later, KEYS)} == {6}
    moved = committed(append_history_entries(cut, cut, [], KEYS))
    assert {fault.entry for fault in find_history_faults(moved, KEYS)} == {0}


def test_a_commit_without_news_keeps_the_seal_fitting() -> None:
    """A change of the record that is no news has a seal for its new version."""
    moved = committed(append_history_entries(FULL, replace(FULL, updated_at=NOW + DAY), [], KEYS))
    assert find_history_faults(moved, KEYS) == ()


def test_unsigned() -> None:
    """What was written without a key says so, and is noticed by the next who has one."""
    unsigned = noted(FULL, HistoryEntryKind.NOTIFIED, keys=())
    faults = find_history_faults(unsigned, KEYS)
    assert [(fault.entry, fault.what) for fault in faults] == [(7, "not signed"), (0, "not signed")]
    signed = noted(unsigned, HistoryEntryKind.NOTIFIED)
    assert kinds(signed)[-3:] == ["notified", "disturbed", "notified"]
    assert {fault.entry for fault in find_history_faults(signed, KEYS)} == {7, 8}


def test_a_record_of_a_version_without_history() -> None:
    """Its empty history is said to be none, and what is kept from then on begins with that."""
    older = replace(decide(opening().invitation, CREATED).invitation, version=2)
    (fault,) = find_history_faults(older, KEYS)
    assert (fault.entry, "no history" in fault.what) == (0, True)
    assert [row.kind for row in build_timeline(older)] == ["ordered", "attempt"]
    later = noted(older, HistoryEntryKind.NOTIFIED)
    assert kinds(later) == ["begun", "notified"]
    assert find_history_faults(later, KEYS) == ()
    assert append_history_entries(older, older, [], KEYS).history == NO_HISTORY


def test_a_tombstone_proves_the_deletion_and_nothing_else() -> None:
    """After a deletion is kept what was deleted and when, and that a history was there."""
    gone = happened(
        CREATED,
        ISSUED,
        ResultConfirmed(REPORT),
        ErasureRequested(),
        ResultReported(1, REPORT),
        ApplicationAnonymised("reference-1"),
    )
    erased, anonymised = gone.history.entries
    assert (erased.kind, erased.text) == ("erased", "application callback link result history")
    assert (anonymised.kind, anonymised.number) == ("anonymised", 1)
    assert (
        gone.history.before
        == happened(CREATED, ISSUED, ResultConfirmed(REPORT)).history.entries[-1].mac
    )
    assert (gone.history.counts, find_history_faults(gone, KEYS)) == ((), ())


@pytest.mark.parametrize(
    ("events", "new"),
    [
        ((CREATED,), [("attempt", 1, "created")]),
        ((ApplicationCreated(1, "ref", None),), [("attempt", 1, "created")]),
        ((CREATED, CREATED), []),
        ((CreateFailed(1, "upstream_refused"),), [("attempt", 1, "upstream_refused")]),
        ((CREATED, CreateFailed(1, "upstream_refused")), []),
        ((CreateOutcomeUnknown(1),), [("attempt", 1, "unknown")]),
        ((CreateOutcomeUnknown(1), SECOND_ATTEMPT), [("repeated", 0, "")]),
        ((CREATED, CreateAttemptStarted("digest", "callback")), []),
        ((CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2, CREATED), [("attempt", 1, "orphan")]),
        ((CREATED, ISSUED), [("issued", 0, "")]),
        ((CREATED, ISSUED, ISSUED), []),
        ((CREATED, AssessmentStarted(NOW)), [("started", 0, "")]),
        ((CREATED, ResultReported(1, REPORT)), [("callback", 1, "")]),
        ((CREATED, ResultReported(1, None)), [("callback", 1, "without a result")]),
        ((CREATED, NoResultYet()), [("checked", 0, "")]),
        ((CREATED, ProviderUnreachable()), [("unanswered", 0, "")]),
        ((CREATED, ResultConfirmed(OTHER_REPORT)), [("completed", 0, "confirmed")]),
        (
            (CREATED, ResultConfirmed(REPORT)),
            [("completed", 0, "confirmed {fit_label} ({in_range}/{traits})")],
        ),
        (
            (CREATED, ResultReported(1, OTHER_REPORT), ReportedResultAccepted()),
            [("completed", 0, "unconfirmed")],
        ),
        (
            (
                *(CREATED, ResultReported(1, REPORT), ReportedResultAccepted()),
                ResultConfirmed(OTHER_REPORT),
            ),
            [("corrected", 0, "")],
        ),
        (
            (
                *(CREATED, ResultReported(1, REPORT), ReportedResultAccepted()),
                ResultConfirmed(REPORT),
            ),
            [("confirmed", 0, "")],
        ),
        (
            (CREATED, ResultConfirmed(OTHER_REPORT), ResultRefreshed(REPORT, visible_changed=True)),
            [("corrected", 0, "{fit_label} ({in_range}/{traits})")],
        ),
        ((CREATED, ErasureRequested()), [("erased", 0, "application callback link history")]),
        ((CREATED, ErasureRequested(), ErasureRequested()), []),
        (
            (CREATED, ErasureRequested(), ApplicationAnonymised("reference-1")),
            [("anonymised", 1, "")],
        ),
        ((CREATED, ErasureRequested(), ApplicationShared("reference-1")), [("passed_on", 0, "")]),
        ((CREATED, ApplicationShared("reference-1")), []),
    ],
)
def test_what_an_event_adds(events: tuple[Event, ...], new: list[tuple[str, int, str]]) -> None:
    """Each event adds what it changed, and one that changed nothing adds nothing."""
    before, after = happened(*events[:-1]).history, happened(*events).history
    told = [(one.kind, one.number, one.text) for one in after.entries if one not in before.entries]
    counted = [(one.kind, 0, one.text) for one in after.counts if one not in before.counts]
    assert told + counted == new


def test_every_event_is_known() -> None:
    """No event is forgotten by the history."""
    assert set(history_events.RULES) == set(get_args(Event))


def test_expiry() -> None:
    """An expiry is an entry."""
    late = happened(CREATED, NoResultYet(), at=DEADLINE - NOW + DAY)
    assert kinds(late)[-1] == "expired"


def test_the_way_a_report_came() -> None:
    """A webhook's report is told from a callback's, and a deletion says on whose behalf."""
    webhook = EventDetail(history_events.BY_WEBHOOK)
    assert kinds(happened(ResultReported(1, None), detail=webhook))[-1] == "webhook"
    gone = happened(ErasureRequested(), detail=EventDetail("operator"))
    assert gone.history.entries[0].text == "operator: application callback history"


def test_without_a_customer() -> None:
    """A result of a customer who is gone is kept without a pattern."""
    before = happened(CREATED)
    after = decide(before, ResultConfirmed(REPORT)).invitation
    (entry,) = entries_for_event(before, ResultConfirmed(REPORT), after, customer=None, now=NOW)
    assert entry.text == "confirmed"


def test_a_history_stays_small() -> None:
    """However often something happens, a history has a bound, and what happens once finds room."""
    repeated = [
        one for one in HistoryEntryKind if one not in (*COUNTED, *ONCE, HistoryEntryKind.DISTURBED)
    ]
    crowded = noted(FULL, *repeated * 30, HistoryEntryKind.EXPIRED, HistoryEntryKind.HIRED)
    entries = crowded.history.entries
    assert len(entries) <= MOST_ENTRIES + 2
    assert [entry.kind for entry in entries[-2:]] == ["expired", "hired"]
    notified = crowded.history.count(HistoryEntryKind.NOTIFIED)
    assert sum(entry.kind == "notified" for entry in entries) <= MOST_OF_A_KIND
    assert notified is not None
    assert notified.count == 31 - sum(entry.kind == "notified" for entry in entries)
    assert find_history_faults(crowded, KEYS) == ()
    assert crowded.history.last(HistoryEntryKind.HIRED) is entries[-1]


def test_which_counts_are_written() -> None:
    """The first of a kind, the first after the end, and then one in ten minutes is worth a
    write.
    """
    one = noted(happened(CREATED), HistoryEntryKind.READ)
    assert is_count_worth_writing(one, HistoryEntryKind.PAGE_OPENED, NOW)
    assert not is_count_worth_writing(one, HistoryEntryKind.READ, NOW + MINUTE)
    assert is_count_worth_writing(one, HistoryEntryKind.READ, NOW + COUNT_PAUSE)
    assert is_count_worth_writing(one, HistoryEntryKind.READ, NOW - MINUTE)
    done = replace(one, completed_at=NOW + SECOND)
    assert is_count_worth_writing(done, HistoryEntryKind.READ, NOW + MINUTE)


def test_the_rows_of_a_timeline() -> None:
    """Entries and counts are rows in the order of time; of an older record what it still says."""
    rows = build_timeline(FULL)
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert ("read", 2, NOW + 2 * SECOND) in [(row.kind, row.count, row.last) for row in rows]
    older = replace(
        FULL,
        history=NO_HISTORY,
        attempts=(*FULL.attempts, *opening().invitation.attempts),
        result=Result(),
    )
    assert [row.kind for row in build_timeline(older)] == [
        "ordered",
        "attempt",
        "started",
        "completed",
    ]
    reported = replace(
        decide(FULL, ErasureRequested()).invitation,
        unconfirmed_result=happened(ResultReported(1, None)).unconfirmed_result,
    )
    assert [row.kind for row in build_timeline(reported)] == [
        "ordered",
        "attempt",
        "erased",
        "callback",
    ]
