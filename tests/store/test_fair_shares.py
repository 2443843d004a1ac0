"""Places are dealt in turn."""

from __future__ import annotations

from collections import Counter

from bridge.core.queueing import Lane, TaskKind
from bridge.store.fair_shares import FairShares

A, B, C = (Lane(name, TaskKind.CHECK) for name in "abc")


def total(asked: dict[int, dict[Lane, int]]) -> Counter[Lane]:
    counts: Counter[Lane] = Counter()
    for wanted in asked.values():
        counts.update(wanted)
    return counts


def test_spread_over_partitions() -> None:
    """The places of one lane are spread over the partitions where it has something."""
    shares = FairShares({A: [3, 5]}, count=10, per_lane=5, turn=0)
    assert shares.allocate() == {3: {A: 3}, 5: {A: 2}}


def test_in_turn() -> None:
    """Lanes get their places in turn, each at most its share."""
    shares = FairShares({A: [0], B: [0], C: [1]}, count=5, per_lane=3, turn=0)
    assert total(shares.allocate()) == {A: 2, B: 2, C: 1}


def test_turns_rotate() -> None:
    """Over as many calls as there are lanes, a worker with a single free place serves each lane and
    partition once.
    """
    due = {A: [0, 1, 2], B: [0, 1, 2], C: [0, 1, 2]}
    asked = [FairShares(due, count=1, per_lane=1, turn=turn).allocate() for turn in range(3)]
    assert {lane for one in asked for wanted in one.values() for lane in wanted} == {A, B, C}
    assert sorted(partition for one in asked for partition in one) == [0, 1, 2]


def test_unused_places_are_dealt_again() -> None:
    """Places that a partition could not use go to one that used all of its."""
    shares = FairShares({A: [0, 1]}, count=8, per_lane=8, turn=0)
    assert shares.allocate() == {0: {A: 4}, 1: {A: 4}}
    shares.record(0, [A])
    shares.record(1, [A] * 4)
    assert shares.allocate() == {1: {A: 3}}
    shares.record(1, [A] * 3)
    assert shares.allocate() == {}


def test_nobody_left() -> None:
    """When every partition gave less than asked for, or there is none, there is nobody to ask."""
    shares = FairShares({A: [0]}, count=8, per_lane=8, turn=0)
    shares.allocate()
    shares.record(0, [])
    assert shares.allocate() == {}
    assert FairShares({}, count=8, per_lane=8, turn=1).allocate() == {}
