"""Finds a small world that still breaks the same promise: fewer incidents, fewer journeys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tests.simulation.world import WorldOptions, WorldOutcome, play_world

T = TypeVar("T")


@dataclass(slots=True)
class Shrinking:
    """Plays a world of this seed again and again, at most *tries* times."""

    seed: int
    promise: str
    tries: int = 60

    def run(self, options: WorldOptions) -> tuple[WorldOptions, WorldOutcome]:
        """The smallest world that was found, and what came of it."""
        outcome = play_world(self.seed, options)
        journeys = sorted({one.journey for one in outcome.broken if one.journey >= 0})
        if journeys:
            alone = replace(options, only=frozenset(journeys))
            options = alone if self._breaks(alone) else options
        kept = self._drop(
            range(outcome.incidents),
            lambda some: replace(options, incidents=frozenset(some)),
        )
        options = replace(options, incidents=frozenset(kept))
        played = sorted(options.only if options.only is not None else range(options.journeys))
        left = self._drop(played, lambda some: replace(options, only=frozenset(some)))
        options = replace(options, only=frozenset(left))
        return options, play_world(self.seed, options)

    def _drop(
        self, items: Sequence[T], build: Callable[[Sequence[T]], WorldOptions]
    ) -> Sequence[T]:
        """Leave out ever smaller parts of *items*, as long as the promise still breaks."""
        size = max(1, len(items) // 2)
        while items and size:
            for start in range(0, len(items), size):
                fewer = [*items[:start], *items[start + size :]]
                if self._breaks(build(fewer)):
                    items = fewer
                    break
            else:
                size = size // 2
        return items

    def _breaks(self, options: WorldOptions) -> bool:
        if self.tries <= 0:
            return False
        self.tries -= 1
        outcome = play_world(self.seed, options)
        return any(one.promise == self.promise for one in outcome.broken)
