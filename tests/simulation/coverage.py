"""Which changes of state were seen during which trouble, and which never: the holes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from bridge.core.invitation import State
from tests.simulation.incidents import WEIGHTS

Cell = tuple[State, State, str]
"""A change of state, from and to, and what went wrong meanwhile; empty: nothing."""


def describe_coverage(seen: Mapping[Cell, int]) -> str:
    """A table of all changes that were seen, and under it what no trouble met."""
    steps = sorted({(before, after) for before, after, _ in seen})
    lines, holes = [], []
    for before, after in steps:
        step = f"{before} -> {after}"
        kinds = {
            kind: count
            for (one, other, kind), count in seen.items()
            if (one, other) == (before, after)
        }
        lines.append(f"{step:<24}{sum(kinds.values()):>7}, undisturbed {kinds.get('', 0)}")
        if missing := [kind for kind in WEIGHTS if kind not in kinds]:
            holes.append(f"{step}: {', '.join(missing)}")
    never = [f"{state}" for state in State if not any(state in (one, two) for one, two, _ in seen)]
    return "\n".join(
        [
            "Changes of state, each counted once for every kind of trouble that it met:",
            *lines,
            f"States that were never seen: {', '.join(never) or 'none'}",
            "Holes, changes that never met",
            *(holes or ["none"]),
        ]
    )


def add_coverage(total: Counter[Cell], outcome: Mapping[Cell, int]) -> None:
    """Add what one world saw."""
    for cell, count in outcome.items():
        total[cell] += count
