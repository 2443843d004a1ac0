"""Damaged entries are put aside, said once and counted, and nothing else is."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from bridge.core import ids
from bridge.store.key_names import PartitionKeyNames, decode_name, split_key
from tests.simulation.closed_world import START
from tests.simulation.damaged_entries import Damage
from tests.simulation.stage_settings import load_settings

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

Owed = tuple[str, str, int]
_MENDS_S: Final = 45.0
"""How long after the damage is harmless the sweep may still find what it took with it."""


def list_unmended(simulation: Simulation) -> list[Owed]:
    """What the bridge has not put aside or found again yet."""
    done = simulation.trouble.damaged.done
    if not done:
        return []
    notes = _list_notes(simulation)
    owed: list[Owed] = [
        ("nothing in silence", f"{one.note} was not put aside", -1)
        for one in done
        if one.is_noted and one.note not in notes and not _is_note_lost(done, one)
    ]
    owed += [
        ("nothing in silence", f"{one.note} is still put aside, and can be read", -1)
        for one in done
        if one.invitation_id and one.note.endswith(f"/{one.invitation_id}") and one.note in notes
    ]
    for one in done:
        lanes = one.strange_lane.rpartition(":")
        if one.strange_lane and simulation.redis.execute(("ZSCORE", f"{lanes[0]}:lanes", lanes[2])):
            owed.append(("task", f"{one.strange_lane} has no queue", -1))
        if (one.partition >= 0 or one.letters) and simulation.time.seconds < _mends_by(
            simulation, one
        ):
            owed.append(("task", f"what was lost with {one.note} may not be found yet", -1))
    return owed


def _is_note_lost(done: list[Damage], noted: Damage) -> bool:
    """Whether somebody damaged the notes of that partition, later."""
    of_notes = f"{noted.note.partition('/')[0]}/key:quarantine"
    return any(one.note == of_notes and one.at >= noted.at for one in done)


def check_quarantine(simulation: Simulation) -> None:
    """When all is over: what was put aside was damaged, and was said as often as it was damaged."""
    may = Counter(one.note for one in simulation.trouble.damaged.done)
    for note in _list_notes(simulation):
        if not may[note]:
            simulation.complain("nothing in silence", f"{note} was put aside, and was in order")
    said = Counter(map(_name_note, _read_log(simulation, "quarantine.added")))
    for note, count in said.items():
        allowed = sum(times for name, times in may.items() if _same(name, note))
        allowed += may[f"{note.partition('/')[0]}/key:quarantine"]  # it forgets what was said
        if count > allowed:
            how = f"{note} was said {count}, not {allowed} times"
            simulation.complain("nothing in silence", how)


def check_repairs(simulation: Simulation) -> None:
    """What the sweep repaired was lost with a damaged key (a dead letter, too), was a lane without
    a queue, or was done while its record was damaged: the record that was put back still asks for
    it.
    """
    damaged = simulation.trouble.damaged
    for line in _read_log(simulation, "sweep.repaired"):
        at = (datetime.fromisoformat(line["timestamp"]) - START).total_seconds()
        before = [one for one in damaged.done if one.at <= at <= _mends_by(simulation, one)]
        lost = [
            one
            for one in before
            if one.partition >= 0 or one.strange_lane or one.invitation_id or one.letters
        ]
        known = [task for task in line["task_ids"] if _was_lost(lost, task)]
        if len(known) < len(line["task_ids"]) or not lost:
            simulation.complain("task", f"the sweep had something to repair: {line}")


def _was_lost(lost: list[Damage], task_id: str) -> bool:
    invitation_id, _, _ = task_id.partition(":")
    partition = ids.read_partition(invitation_id)
    return any(
        one.partition == partition
        or (_is_of_record(one) and one.invitation_id == invitation_id)
        or task_id in one.letters
        for one in lost
    )


def _mends_by(simulation: Simulation, damage: Damage) -> float:
    return simulation.trouble.damaged.heals_by(damage) + _MENDS_S


def _is_of_record(damage: Damage) -> bool:
    return bool(damage.invitation_id) and damage.note.endswith(damage.invitation_id)


def _list_notes(simulation: Simulation) -> list[str]:
    prefix = load_settings().redis.key_prefix
    found = []
    for names in PartitionKeyNames(prefix):
        listed = simulation.redis.execute(("HKEYS", names.quarantine))
        if isinstance(listed, list):
            found += [f"{names.partition}/{decode_name(name)}" for name in listed]
    return found


def _read_log(simulation: Simulation, event: str) -> list[dict[str, Any]]:
    wanted = f'"{event}"'
    lines = simulation.log.getvalue().splitlines()
    return [json.loads(line) for line in lines if wanted in line]


def _name_note(line: dict[str, Any]) -> str:
    """The note that a line of the log is about."""
    if "key" in line:
        names, name = split_key(line["key"]) or (None, line["key"])
        return f"{names.partition if names else '?'}/key:{name}"
    if line["what"] == "task":
        return f"?/{line['task_id']}"
    return f"{line['partition']}/{line['name']}"


def _same(note: str, said: str) -> bool:
    """Whether a line of the log is about a note; that on a task names no partition."""
    return said == note or said == f"?/{note.partition('/')[2]}"
