"""What an operator has to look at, in words, and the command that helps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bridge.vendor_contacts import OpenCircuit
from bridge.web.health import Readiness
from bridge.web.status_page import ConfigurationState, StoredState, Trouble

_LATE_S = 60.0
"""Work that is due for longer than this is a trouble."""


def list_troubles(
    stored: StoredState | None,
    failure: str,
    durability: Sequence[str] | None,
    readiness: Readiness,
    configuration: ConfigurationState,
) -> Iterable[Trouble]:
    """All that is wrong, gravest first; *failure*: why nothing is known of what is stored."""
    for reason in readiness.reasons.values():
        yield Trouble(f"Not ready to take work: {reason}")
    missing = readiness.details.get("missing_partitions")
    for name, reason in missing.items() if isinstance(missing, dict) else ():
        yield Trouble(f"A part of Redis does not take writes: {name}, {reason}")
    if stored is None:
        yield Trouble(f"Redis: {failure}")
    else:
        yield from _of_store(stored)
    yield from _of_configuration(configuration)
    for risk in durability or ():
        yield Trouble(risk, grave=False)


def describe_open_circuit(circuit: OpenCircuit) -> Trouble:
    """A vendor does not answer."""
    return Trouble(
        f"{circuit.vendor} has not answered for {circuit.customer} since"
        f" {circuit.since:%H:%M:%S} UTC; it is asked again every 30 s at most",
        "assessment-bridge check --online",
    )


def _of_store(stored: StoredState) -> Iterable[Trouble]:
    if stored.dead_count:
        given_up = "1 task was" if stored.dead_count == 1 else f"{stored.dead_count} tasks were"
        yield Trouble(
            f"{given_up} given up: what it is about stands still until somebody replays it",
            "assessment-bridge dead replay --all",
        )
    if stored.quarantine_count:
        yield Trouble(
            f"What could not be read in Redis was put aside ({stored.quarantine_count} of them)",
            "assessment-bridge quarantine list",
        )
    if stored.oldest_due_s > _LATE_S:
        yield Trouble(
            f"Work has been due for {stored.oldest_due_s:.0f} s: nobody performs it, or too few do"
        )


def _of_configuration(state: ConfigurationState) -> Iterable[Trouble]:
    for key in state.set_aside:
        yield Trouble(f"{key} is not served: its file cannot be used", "assessment-bridge check")
    if state.refused:
        yield Trouble(
            "The last reload was refused; what was in force before stays so",
            "assessment-bridge check",
        )
    if state.restart_needed:
        yield Trouble("bridge.yaml has changed since the start: restart the daemon", grave=False)
