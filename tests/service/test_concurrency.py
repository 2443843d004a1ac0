"""How many tasks run at once: more where that helps, fewer where it hurts."""

from __future__ import annotations

from bridge.concurrency import (
    BUSY_S,
    CALM_S,
    LEASE_BATCH,
    MOST_PER_LANE,
    MOST_SLOTS,
    PER_LANE,
    SLOTS,
    AdaptiveConcurrency,
)
from bridge.core.queueing import Lane, TaskKind

LANE = Lane("acme", TaskKind.CHECK, urgent=True)
BACKLOG = Lane("acme", TaskKind.CHECK)


def fill(concurrency: AdaptiveConcurrency, lane: Lane) -> int:
    """Begin what may begin."""
    room = concurrency.get_room(lane)
    for _ in range(room):
        concurrency.begin(lane)
    return room


def test_a_lane_widens_while_its_tasks_go_well() -> None:
    """A customer whose vendor answers gets ever more at once, up to a bound."""
    concurrency, running = AdaptiveConcurrency(), 0
    for _ in range(30):
        running += fill(concurrency, LANE)
        for _ in range(running):
            concurrency.end(LANE, well=True)
        running = 0
    assert fill(concurrency, LANE) == MOST_PER_LANE


def test_a_vendor_that_fails_is_asked_less() -> None:
    """Tasks that do not go well bring a wide lane back to where it began, never below."""
    concurrency = AdaptiveConcurrency()
    for well, times in ((True, 100), (False, 10)):
        for _ in range(times):
            fill(concurrency, LANE)
            concurrency.end(LANE, well=well)
    while concurrency.list_crowded():
        concurrency.end(LANE, well=None)
    assert concurrency.get_room(LANE) <= PER_LANE


def test_requests_before_tasks() -> None:
    """While the event loop is late fewer tasks begin, but each lane always gets some; once it is on
    time again all is as before.
    """
    concurrency = AdaptiveConcurrency()
    for _ in range(10):
        concurrency.notice_delay(BUSY_S * 2)
    assert concurrency.get_room(LANE) == LEASE_BATCH
    assert concurrency.get_free_slots()[0] == SLOTS // 4
    for _ in range(20):
        concurrency.notice_delay(CALM_S / 2)
    assert concurrency.get_room(LANE) == PER_LANE
    assert concurrency.get_free_slots()[0] == SLOTS


def test_more_slots_only_if_they_are_needed() -> None:
    """The total grows while all slots are taken and the event loop is on time."""
    concurrency = AdaptiveConcurrency()
    for _ in range(20):
        for number in range(MOST_SLOTS):
            lane = Lane(f"customer-{number}", TaskKind.NOTIFY, urgent=True)
            if concurrency.get_room(lane):
                concurrency.begin(lane)
        concurrency.notice_delay(0)
    for number in range(MOST_SLOTS):
        concurrency.end(Lane(f"customer-{number}", TaskKind.NOTIFY, urgent=True), well=True)
    assert concurrency.get_free_slots()[0] <= MOST_SLOTS


def test_a_backlog_leaves_slots_for_what_is_urgent() -> None:
    """However much is due, a quarter of the slots is left for new results."""
    concurrency = AdaptiveConcurrency()
    for number in range(SLOTS):
        fill(concurrency, Lane(f"customer-{number}", TaskKind.CHECK))
    assert concurrency.get_free_slots() == (SLOTS // 4, 0)
    assert concurrency.get_room(BACKLOG) == 0
    assert concurrency.get_room(LANE) == PER_LANE
