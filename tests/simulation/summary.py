"""What a run of worlds came to, in a file to which other runs can be added."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Self

from tests.simulation.world_player import WorldOutcome


@dataclass(slots=True)
class Summary:
    """The sum of all worlds so far."""

    worlds: int = 0
    journeys: int = 0
    seconds: float = 0.0
    """Of virtual time."""
    busy_s: float = 0.0
    """Of one core's time."""
    seeds: list[tuple[int, int]] = field(default_factory=list)
    """First and last of those that follow on each other."""
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    """Seed, promise, and how it was broken."""
    crashed: list[int] = field(default_factory=list)
    """Seeds at which the Python process that played them ended."""
    troubles: Counter[str] = field(default_factory=Counter)
    """How often each kind happened."""
    met: Counter[str] = field(default_factory=Counter)
    """What met what: the cells of the coverage."""

    def add_world(self, outcome: WorldOutcome, busy_s: float) -> None:
        """One more world."""
        self.worlds += 1
        self.journeys += outcome.journeys
        self.seconds += outcome.seconds
        self.busy_s += busy_s
        self._add_seeds(outcome.seed, outcome.seed)
        self.broken += [(outcome.seed, one.promise, one.how) for one in outcome.broken]
        self.troubles.update(outcome.troubles)
        self.met.update(outcome.met)

    def add(self, other: Summary) -> None:
        """All of another run."""
        self.worlds += other.worlds
        self.journeys += other.journeys
        self.seconds += other.seconds
        self.busy_s += other.busy_s
        for first, last in other.seeds:
            self._add_seeds(first, last)
        self.broken += other.broken
        self.crashed += other.crashed
        self.troubles.update(other.troubles)
        self.met.update(other.met)

    def _add_seeds(self, first: int, last: int) -> None:
        merged: list[tuple[int, int]] = []
        for start, end in sorted([*self.seeds, (first, last)]):
            if merged and merged[-1][1] >= start - 1:
                merged[-1] = merged[-1][0], max(merged[-1][1], end)
            else:
                merged.append((start, end))
        self.seeds = merged

    @property
    def broken_seeds(self) -> list[int]:
        """Each once."""
        return list(dict.fromkeys(seed for seed, _, _ in self.broken))

    def describe(self) -> str:
        """One line."""
        worlds = f"{self.worlds} world{'s' * (self.worlds != 1)}"
        crashed = f", {len(self.crashed)} crashed" if self.crashed else ""
        return (
            f"{worlds}, {len(self.broken_seeds)} of them with broken promises{crashed};"
            f" {self.journeys} journeys in {self.busy_s:.1f} s of one core:"
            f" {self.journeys / max(self.busy_s, 0.001):.0f} a second"
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """What a file says; an empty sum if there is none."""
        if not path.exists():
            return cls()
        document = json.loads(path.read_text("utf-8"))
        document["seeds"] = [tuple(one) for one in document["seeds"]]
        document["broken"] = [tuple(one) for one in document["broken"]]
        document["troubles"] = Counter(document["troubles"])
        document["met"] = Counter(document["met"])
        return cls(**document)

    def write(self, path: Path) -> None:
        """Replace the file at once: who reads it sees a whole one."""
        document = {one.name: getattr(self, one.name) for one in fields(self)}
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(json.dumps(document, indent=1), "utf-8")
        beside.replace(path)
