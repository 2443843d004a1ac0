"""The drawing of all states and transitions, compared with what ``decide`` does."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.core.invitation import State
from bridge.core.lifecycle.events import Event
from tests.core.build import DAY, DEADLINE, EVENTS, HOUR, MORE_RECORDS, NOW, decide

STATES = (Path(__file__).parents[3] / ".github" / "STATES.md").read_text("utf-8")
ARROW = re.compile(r"^ +(?P<before>[A-Z]+) --> (?P<after>[A-Z]+): (?P<events>.+)$", re.MULTILINE)
TIMES = (NOW, NOW + HOUR, DEADLINE + 2 * DAY)

Transitions = set[tuple[State, str, State]]


def drawn() -> Transitions:
    """The arrows of the drawing, one for every event on them."""
    return {
        (State[arrow["before"]], event, State[arrow["after"]])
        for arrow in ARROW.finditer(STATES)
        for event in arrow["events"].split(", ")
    }


def decided() -> Transitions:
    """What events at any time make of records to which anything may just have happened."""
    records = list(MORE_RECORDS.values())
    records += [
        decide(record, event, at).invitation
        for record in records
        for event in EVENTS.values()
        for at in TIMES
    ]
    return {
        (record.state, type(event).__name__, changed.state)
        for record in set(records)
        for event in EVENTS.values()
        for at in TIMES
        if (changed := decide(record, event, at).invitation).state is not record.state
    }


def test_drawing_shows_every_transition_and_no_other() -> None:
    """The drawing and ``decide`` know the same transitions."""
    assert drawn() == decided()


def test_drawing_names_every_event() -> None:
    """Every event is on an arrow, or named as one that moves no state."""
    assert [] == [kind.__name__ for kind in Event.__args__ if kind.__name__ not in STATES]


def test_drawing_has_no_way_back() -> None:
    """Along the arrows no state is ever reached twice."""
    after = {state: {end for begin, _, end in drawn() if begin is state} for state in State}
    while after:
        ends = {state for state, nexts in after.items() if not nexts & set(after)}
        assert ends, f"a circle among {sorted(after)}"
        after = {state: nexts for state, nexts in after.items() if state not in ends}
