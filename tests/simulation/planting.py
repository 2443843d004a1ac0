"""How a bug is planted in a copy of the bridge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces *old* by *new* in one file below ``bridge/``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A mistake that somebody could have made."""

    name: str
    edits: tuple[Edit, ...]
    troubles: tuple[str, ...] = ()
    """What it takes to see it; worlds of this alone are played if those of all troubles, of which
    few have it, do not find the bug.
    """

    def plant(self, bridge: Path) -> None:
        """Make the edits; raises ``ValueError`` if the code is no longer what they expect."""
        for edit in self.edits:
            path = bridge / edit.file
            text = path.read_text("utf-8")
            if text.count(edit.old) != 1:
                raise ValueError(f"{self.name}: {edit.file} has not exactly one {edit.old!r}")
            path.write_text(text.replace(edit.old, edit.new), "utf-8")


def build_bug(
    name: str, *edits: tuple[str, str, str], troubles: tuple[str, ...] = ()
) -> PlantedBug:
    """A bug with these edits: file, what is replaced, and by what."""
    return PlantedBug(name, tuple(Edit(*edit) for edit in edits), troubles)
