"""What is kept of calls, and for whom."""

from __future__ import annotations

from datetime import datetime

from bridge.call_observer import CallObserver, WatchedCallQueue
from tests.core.build import NOW


def observer() -> CallObserver:
    """One with a clock that stands."""
    return CallObserver(lambda: NOW)


def called(seen: CallObserver, party: str = "softgarden", status: int = 200) -> None:
    """One more request."""
    seen.record_incoming(party, "/x", method="GET", status=status, ms=1.0)


def test_who_is_slow_holds_nobody_up() -> None:
    """More calls than a watcher's limit are lost to that watcher, who is marked; others see all."""
    seen, slow = observer(), WatchedCallQueue(limit=2)
    for _ in range(3):
        called(seen)
    with seen.watch_calls() as quick:
        for _ in range(3):
            called(seen)
        taken = quick.take()
        for one in taken:
            slow.add(one)
    assert (len(taken), quick.overflown) == (3, False)
    assert (len(slow.take()), slow.overflown) == (2, True)


def test_machinery_is_not_shown() -> None:
    """Health checks and the admin listener's own calls are left out."""
    seen = observer()
    with seen.watch_calls() as watcher:
        for party in ("health", "operators", "docs", "pages"):
            called(seen, party)
        assert [one.party for one in watcher.take()] == ["pages"]


def test_what_was_not_kept_is_given_again() -> None:
    """Contacts that could not be kept are given once more, unless there are newer ones."""
    seen = observer()
    call = seen.track_outgoing("equalture", "acme", "jobs", lambda: 0.0)
    call.status = 200
    call.end()
    taken: dict[tuple[str, str], datetime] = seen.contacts.take_unsaved_contacts()
    assert taken == {("acme", "equalture"): NOW}
    assert seen.contacts.take_unsaved_contacts() == {}
    seen.contacts.put_back_contacts(taken)
    assert seen.contacts.take_unsaved_contacts() == taken
