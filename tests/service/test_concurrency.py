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
    begun = 0
    while concurrency.may_begin(lane):
        concurrency.begin(lane)
        begun += 1
    return begun


def test_a_lane_widens_while_its_tasks_go_well() -> None:
    """A customer whose vendor answers gets ever more at once, up to a bound."""
    concurrency = AdaptiveConcurrency()
    assert fill(concurrency, LANE) == PER_LANE - LEASE_BATCH
    for _ in range(2 * MOST_PER_LANE):
        concurrency.end(LANE, well=True)
        fill(concurrency, LANE)
    assert not concurrency.may_begin(LANE)
    for _ in range(MOST_PER_LANE - LEASE_BATCH):
        concurrency.end(LANE, well=True)
    assert fill(concurrency, LANE) == MOST_PER_LANE - LEASE_BATCH


def test_a_vendor_that_fails_is_asked_less() -> None:
    """Tasks that do not go well bring a wide lane back to where it began, never below."""
    concurrency = AdaptiveConcurrency()
    begun = fill(concurrency, LANE)
    for well, times in ((True, 100), (False, 10)):
        for _ in range(times):
            concurrency.end(LANE, well=well)
            begun += fill(concurrency, LANE) - 1
    while begun:
        concurrency.end(LANE, well=False)
        begun -= 1
    assert fill(concurrency, LANE) == PER_LANE - LEASE_BATCH


def test_what_was_handed_over_leaves_room_for_older_tasks() -> None:
    """A lane full of tasks that were handed over still takes a batch of the queue's."""
    concurrency = AdaptiveConcurrency()
    fill(concurrency, LANE)
    assert concurrency.list_crowded() == []
    for _ in range(LEASE_BATCH):
        concurrency.begin(LANE)
    assert concurrency.list_crowded() == [LANE]


def test_requests_before_tasks() -> None:
    """While the event loop is busy fewer tasks run in all; once it is not all is as before."""
    concurrency = AdaptiveConcurrency()
    for _ in range(10):
        concurrency.notice_turn(BUSY_S * 2)
    assert concurrency.get_free_slots()[0] == SLOTS // 4
    for _ in range(20):
        concurrency.notice_turn(CALM_S / 2)
    assert concurrency.get_free_slots()[0] == SLOTS


def test_more_slots_only_if_they_are_needed() -> None:
    """The total grows while all slots are taken and the event loop has time."""
    concurrency = AdaptiveConcurrency()
    lanes = [Lane(f"customer-{number}", TaskKind.NOTIFY, urgent=True) for number in range(200)]
    begun = 0
    for _ in range(20):
        begun += sum(fill(concurrency, lane) for lane in lanes)
        concurrency.notice_turn(0)
    assert begun == MOST_SLOTS
    for _ in range(20):
        concurrency.notice_turn(BUSY_S * 2)
    assert concurrency.get_free_slots()[0] == 0


def test_a_backlog_leaves_slots_for_what_is_urgent() -> None:
    """However much is due, a quarter of the slots is left for new results."""
    concurrency = AdaptiveConcurrency()
    for number in range(SLOTS):
        fill(concurrency, Lane(f"customer-{number}", TaskKind.CHECK))
    assert concurrency.get_free_slots() == (SLOTS // 4, 0)
    assert not concurrency.may_begin(BACKLOG)
    assert concurrency.may_begin(LANE)
