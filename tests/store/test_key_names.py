"""Key names: what belongs together lies together."""

from __future__ import annotations

import fnmatch

import pytest
from redis.crc import key_slot

from bridge.core.queueing import Lane, TaskKind, format_task_id, parse_task_id
from bridge.store import key_names


@pytest.mark.parametrize("prefix", ["bridge", "", "a:b", "straße"])
def test_one_slot_for_a_partition(prefix: str) -> None:
    """All keys of a partition share a cluster slot, whatever customers are called, and no two
    partitions do.
    """
    slots = set()
    for names in key_names.PartitionKeyNames(prefix):
        lane = key_names.build_lane_name("odd}{name", TaskKind.CHECK)
        every = (
            names.invitation("iv_x"),
            names.order("o"),
            names.application("a"),
            names.lanes,
            names.tasks,
            names.dead,
            names.unserved,
        )
        every += (names.due(lane), names.dead_letter("iv_x:check"), names.base + "due:" + lane)
        assert len({key_slot(key.encode()) for key in every}) == 1
        slots.add(key_slot(every[0].encode()))
    assert len(slots) == 16


def test_names_are_read_back() -> None:
    """Lanes, task ids and record keys give back what they were made of."""
    names = key_names.KeyNames("bridge", 7)
    assert names.invitation("iv_7x") == "bridge:{p7}:iv:iv_7x"
    assert key_names.get_invitation_id(names.invitation("iv_7x")) == "iv_7x"
    for lane in (Lane("a/b", TaskKind.NOTIFY), Lane("a", TaskKind.CHECK, urgent=True)):
        assert key_names.parse_lane_name(key_names.get_lane_name(lane)) == lane
    assert key_names.split_key(names.lanes)[1] == "lanes"
    assert key_names.split_key("bridge:ref:x") is None
    assert parse_task_id(format_task_id("iv_7x", TaskKind.CHECK)) == ("iv_7x", TaskKind.CHECK)


@pytest.mark.parametrize(
    "name",
    [b"", b"acme", b"/check", b"\xff/check", b"a\n/check", b"a/CHECK", b"a" * 300 + b"/check"],
)
def test_what_is_no_lane(name: bytes) -> None:
    """Only a customer's name and a kind make a lane, of whatever version."""
    assert not key_names.is_lane_name(name)


def test_lanes_of_another_version() -> None:
    """A lane of an unknown kind is one, if not one that this version reads."""
    assert key_names.is_lane_name(b"acme/unheard_of")
    for name in ("acme/unheard_of", "acme", ""):
        with pytest.raises(ValueError):  # noqa: PT011
            key_names.parse_lane_name(name)


def test_pattern() -> None:
    """The scan's pattern matches records only, and takes the prefix literally."""
    pattern = key_names.build_scan_pattern("bridge")
    names = key_names.KeyNames("bridge", 15)
    assert fnmatch.fnmatchcase(names.invitation("iv_f1"), pattern)
    assert not fnmatch.fnmatchcase(names.order("iv"), pattern)
    assert key_names.build_scan_pattern("a*[b]") == r"a\*\[b\]:{p?}:iv:*"


def test_braces_in_the_prefix() -> None:
    """A prefix with braces, which would move the keys of a partition apart, is refused."""
    with pytest.raises(ValueError, match="braces"):
        key_names.PartitionKeyNames("{mine}")
