"""Worlds that are written down: what a seed draws changes with the code that draws, these do not.

``scenarios/`` has one for each bug that a world has found, and the suite plays them all.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import yaml

from tests.simulation.incidents import WEIGHTS
from tests.simulation.promises import PROMISES
from tests.simulation.world_script import WorldOptions, WorldScript

ABOUT: Final = ("about", "broke", "mended", "seeds")
DRAWN: Final = WorldOptions(journeys=0)
"""Options by which a script is drawn are not written down: what was drawn is."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world of a few journeys that broke a promise once."""

    about: str
    """The bug."""
    broke: str
    """The promise."""
    mended: str
    """The commit since which it holds; empty: none yet."""
    scripts: tuple[WorldScript, ...]
    """The same plans and incidents, by one seed or several."""


def read_scenario(path: Path) -> Scenario:
    """Read a file; raises ``ValueError`` or ``TypeError`` for what no world knows."""
    document = yaml.safe_load(path.read_text("utf-8"))
    about, broke, mended, seeds = (document.pop(name) for name in ABOUT)
    script: WorldScript = _build(WorldScript, {"seed": 0, "options": {}, **document})
    if unknown := {one.kind for one in script.incidents} - {*WEIGHTS}:
        raise ValueError(f"{path.name}: unknown incidents: {', '.join(sorted(unknown))}")
    if broke not in PROMISES:
        raise ValueError(f"{path.name}: unknown promise {broke!r}")
    return Scenario(about, broke, mended, tuple(replace(script, seed=seed) for seed in seeds))


def format_scenario(script: WorldScript, about: str, broke: str) -> str:
    """The text of a file: whatever is not as usual."""
    drawn = {name: getattr(DRAWN, name) for name in ("journeys", "arrivals_s", "troubles")}
    written = _describe(replace(script, options=replace(script.options, **drawn)))
    options = {**written.pop("options"), "journeys": len(script.plans)}
    del written["seed"]
    head = dict(zip(ABOUT, (about, broke, "", [script.seed]), strict=True))
    document = {**head, "options": options, **written}
    return yaml.safe_dump(document, sort_keys=False, width=99, default_flow_style=None)


def _build(kind: Any, value: Any) -> Any:
    """What *value* says, as one of *kind*."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _build(hints[name], member) for name, member in value.items()})
    if isinstance(value, list):
        members = get_args(kind)
        return tuple(_build(members[0], one) for one in value)
    return value


def _describe(one: Any) -> Any:
    """The inverse, without what is as usual."""
    if is_dataclass(one):
        members = {field.name: getattr(one, field.name) for field in fields(one)}
        usual = {field.name: _get_usual(field) for field in fields(one)}
        return {
            name: _describe(member) for name, member in members.items() if member != usual[name]
        }
    if isinstance(one, tuple):
        return [_describe(member) for member in one]
    return one


def _get_usual(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
