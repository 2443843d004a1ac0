"""What the ledger of a run finds: planted losses, doubles, and calls that nobody asked for."""

from __future__ import annotations

from tests.bench.ledger import Ledger


def fill() -> Ledger:
    """Two journeys in which everything happened once."""
    ledger = Ledger("candidate")
    for order in (1, 2):
        ledger.add_create(order, f"/callbacks/iv_{order}/secret")
        ledger.invitations[order] = f"iv_{order}"
        ledger.reported.append(f"iv_{order}")
        ledger.add_notification(f"iv_{order}")
    return ledger


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    """A run in which everything happened once has no loss, no double and no stranger."""
    ledger = fill()
    assert (ledger.find_losses(), ledger.find_duplicates(), ledger.find_strangers()) == ([], [], [])


def test_losses_are_found() -> None:
    """An answered order without a create, and an answered callback without a notification, are
    named.
    """
    ledger = fill()
    del ledger.creates[1], ledger.notifications["iv_2"]
    assert ledger.find_losses() == ["order 1: no create", "iv_2: no notification"]


def test_doubles_are_found() -> None:
    """A second create, a second notification and an id that was given twice are named."""
    ledger = fill()
    ledger.add_create(1, "/callbacks/iv_1/secret")
    ledger.add_notification("iv_2")
    ledger.invitations[3] = "iv_1"
    assert ledger.find_duplicates() == [
        "order 1: 2 creates",
        "iv_1: the invitation of 2 orders",
        "iv_2: 2 notifications",
    ]


def test_strangers_are_found() -> None:
    """A notification that nothing was reported for is named."""
    ledger = fill()
    ledger.add_notification("iv_9")
    assert ledger.find_strangers() == ["iv_9: notified without a report"]
