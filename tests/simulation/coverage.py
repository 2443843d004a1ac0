"""What met what in worlds, and what never did: changes of state, events of the rules and calls,
each by the state that it met and by what went wrong meanwhile.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from bridge.core.invitation import State
from bridge.core.lifecycle.decide import HANDLERS
from tests.core.build import DEADLINE, EVENTS, MORE_RECORDS, NOW, decide
from tests.simulation.coverage_watch import CALL, CHANGE, NOTHING, RULE, Cell
from tests.simulation.incidents import WEIGHTS
from tests.simulation.summary import Summary

PLURALS: Final = {CHANGE: "changes of state", RULE: "events of the rules", CALL: "calls"}
TIMES: Final = (NOW, DEADLINE, DEADLINE + timedelta(days=60))
STATES: Final = (NOTHING, *(f"{state}" for state in State))
TROUBLES: Final = (NOTHING, *WEIGHTS)


def sum_up(met: Mapping[str, int]) -> Counter[Cell]:
    """The cells of such keys."""
    cells: Counter[Cell] = Counter()
    for key, count in met.items():
        cells[Cell(*key.split("|"))] += count
    return cells


def list_effective() -> set[tuple[str, str]]:
    """Events of the rules and states in which they change anything, by the rules themselves: tried
    on records of every state to which anything may just have happened.
    """
    records = list(MORE_RECORDS.values())
    records += [
        decide(record, event, at).invitation
        for record in records
        for event in EVENTS.values()
        for at in TIMES
    ]
    found = set()
    for record in set(records):
        for event in EVENTS.values():
            pair = type(event).__name__, f"{record.state}"
            if pair not in found:
                steps = (decide(record, event, at) for at in TIMES)
                if any(step.invitation is not record or step.tasks for step in steps):
                    found.add(pair)
    return found


def describe_coverage(summary: Summary) -> str:
    """Tables of what met which state and which trouble, and the holes, in Markdown."""
    cells = sum_up(summary.met)
    groups = (CHANGE, RULE, CALL)
    seeds = ", ".join(
        f"{first}" if first == last else f"{first} to {last}" for first, last in summary.seeds
    )
    parts = [
        "# What worlds met",
        "Written by `python -m tests.simulation --coverage-file FILE`, from"
        f" {summary.worlds} worlds with {summary.journeys} journeys: seeds {seeds}.",
        *(_describe_group(cells, group) for group in groups),
        _describe_troubles(cells, groups),
        _describe_holes(cells),
    ]
    return "\n\n".join(parts) + "\n"


def _describe_group(cells: Counter[Cell], group: str) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    troubles: defaultdict[str, set[str]] = defaultdict(set)
    for cell, count in cells.items():
        if cell.group == group:
            counts[cell.event, cell.state] += count
            troubles[cell.event].add(cell.trouble)
    states = [one for one in STATES if any(state == one for _, state in counts)]
    rows = [
        (
            event,
            *(counts.get((event, state), "") for state in states),
            f"{len(troubles[event] - {NOTHING})} of {len(WEIGHTS)}",
        )
        for event in sorted(troubles)
    ]
    head = (group, *states, "troubles met")
    return f"## Each {group} by the state that it met\n\n{_draw_table(head, rows)}"


def _describe_troubles(cells: Counter[Cell], groups: Sequence[str]) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    pairs: defaultdict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for cell, count in cells.items():
        counts[cell.trouble, cell.group] += count
        pairs[cell.trouble].add((cell.group, cell.event, cell.state))
    every = len({pair for some in pairs.values() for pair in some})
    rows = [
        (one, *(counts[one, group] for group in groups), f"{len(pairs[one])} of {every}")
        for one in TROUBLES
    ]
    head = ("during", *(PLURALS[group] for group in groups), "pairs of event and state")
    return f"## What each trouble met\n\n{_draw_table(head, rows)}"


def _describe_holes(cells: Counter[Cell]) -> str:
    seen: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for cell in cells:
        seen[cell.group, cell.event, cell.state].add(cell.trouble)
    effective = list_effective()
    unseen = [
        (kind.__name__, f"{state}")
        for kind in HANDLERS
        for state in State
        if (RULE, kind.__name__, f"{state}") not in seen
    ]
    lines = [
        "## Holes",
        "",
        "Events of the rules that no world saw, in states where they change nothing whatever the"
        " record (tried on the records of the rules' own tests):",
        "",
        *_list_pairs([pair for pair in unseen if pair not in effective]),
        "",
        "Events of the rules that no world saw, though they would change something:",
        "",
        *_list_pairs([pair for pair in unseen if pair in effective]),
        "",
        "Seen, but never during these troubles (undisturbed: with no trouble at all):",
        "",
    ]
    for (_, event, state), troubles in sorted(seen.items()):
        missing = [one for one in TROUBLES if one not in troubles]
        if missing:
            lines.append(f"* {event}, {state}: {_list_shortest(missing, troubles)}")
    return "\n".join(lines)


def _list_pairs(pairs: Iterable[tuple[str, str]]) -> list[str]:
    by_event: defaultdict[str, list[str]] = defaultdict(list)
    for event, state in pairs:
        by_event[event].append(state)
    lines = [f"* {event}: {', '.join(states)}" for event, states in by_event.items()]
    return lines or ["* none"]


def _list_shortest(missing: Sequence[str], met: set[str]) -> str:
    if len(missing) <= len(met):
        return ", ".join("undisturbed" if one == NOTHING else one for one in missing)
    few = ", ".join("undisturbed" if one == NOTHING else one for one in TROUBLES if one in met)
    return f"all but {few}"


def _draw_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
