"""Finds a small world that still breaks the same promise, within a given time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from time import perf_counter
from typing import Final, TypeVar

from tests.simulation.journey_plan import JourneyPlan
from tests.simulation.world import WorldLimits
from tests.simulation.world_player import WorldOutcome, play_world
from tests.simulation.world_script import WorldScript

T = TypeVar("T")

LATER_S: Final = 30.0
"""How much later than in the first world the promise may break: what happens first may change."""
FEW: Final = 8
"""From so few journeys on a world costs so little that chance is given more than one."""
CHANCES: Final = 3
SHORTEST_S: Final = 0.5
"""No incident is made shorter than this."""
PARTS: Final = ("quirks", "webhooks", "habits")
"""Parts of a journey's plan whose members are simplified one by one."""
KEPT: Final = ("number", "customer")
"""What is not simplified of a journey: who is concerned belongs to the story."""


@dataclass(slots=True)
class Shrinking:
    """Plays ever smaller worlds for *budget_s* seconds; *tell* hears of every one that is smaller
    and still breaks the promise.
    """

    promise: str
    budget_s: float
    tell: Callable[[str], None] = lambda line: None
    tries: int = 0
    _began: float = field(default_factory=perf_counter)
    _smallest: WorldScript = field(init=False)
    _limit_s: float = 0.0

    def run(self, script: WorldScript, outcome: WorldOutcome) -> WorldScript:
        """The smallest world that was found; *script* if none is smaller."""
        broken = [one for one in outcome.broken if one.promise == self.promise]
        self._smallest = script
        self._limit_s = broken[0].at + LATER_S
        named = {one.journey for one in broken if one.journey >= 0}
        self._leave_out_journeys(named)
        self._leave_out_processes()  # first: they all cost time while a world waits
        self._leave_out_incidents()
        # What is left may be needed no longer, now that the rest is gone.
        self._leave_out_journeys(set())
        self._calm()
        self._leave_out_incidents()
        return self._smallest

    @property
    def took_s(self) -> float:
        """So far."""
        return perf_counter() - self._began

    def _leave_out_journeys(self, named: set[int]) -> None:
        if named:
            few = [one for one in self._smallest.plans if one.number in named]
            if not self._try(replace(self._smallest, plans=tuple(few[:1]))):
                self._try(replace(self._smallest, plans=tuple(few)))
        self._drop(
            self._smallest.plans,
            lambda some: replace(self._smallest, plans=tuple(some)),
            least=1,
        )

    def _leave_out_incidents(self) -> None:
        calm = replace(self._smallest, incidents=())
        if self._smallest.incidents and not self._try(calm):
            self._drop(
                self._smallest.incidents,
                lambda some: replace(self._smallest, incidents=tuple(some)),
                least=1,
            )

    def _leave_out_processes(self) -> None:
        for count in range(1, self._smallest.options.processes):
            options = replace(self._smallest.options, processes=count)
            if self._try(replace(self._smallest, options=options)):
                return

    def _calm(self) -> None:
        """Right clocks, shorter incidents, and journeys in which less happens."""
        if any(self._smallest.clocks):
            self._try(replace(self._smallest, clocks=()))
        for at in range(len(self._smallest.plans)):
            for name, usual in _list_usual():
                plans = list(self._smallest.plans)
                if getattr(plans[at], name) != usual:
                    plans[at] = replace(plans[at], **{name: usual})
                    self._try(replace(self._smallest, plans=tuple(plans)))
            self._treat_as_usual(at)
        for at in range(len(self._smallest.incidents)):
            while self._shorten(at):
                pass
        incidents = [replace(one, at=round(one.at, 1)) for one in self._smallest.incidents]
        self._try(replace(self._smallest, incidents=tuple(incidents)))

    def _treat_as_usual(self, at: int) -> None:
        """One oddity of the vendors less after the other."""
        for part in PARTS:
            for quirk in fields(getattr(self._smallest.plans[at], part)):
                plan = self._smallest.plans[at]
                calmer = replace(getattr(plan, part), **{quirk.name: quirk.default})
                usual = replace(plan, **{part: calmer})
                if usual != plan:
                    plans = [*self._smallest.plans[:at], usual, *self._smallest.plans[at + 1 :]]
                    self._try(replace(self._smallest, plans=tuple(plans)))

    def _shorten(self, at: int) -> bool:
        incidents = list(self._smallest.incidents)
        lasts_s = round(incidents[at].lasts_s / 2, 1)
        if lasts_s < SHORTEST_S:
            return False
        incidents[at] = replace(incidents[at], lasts_s=lasts_s)
        return self._try(replace(self._smallest, incidents=tuple(incidents)))

    def _drop(
        self, items: Sequence[T], build: Callable[[Sequence[T]], WorldScript], least: int
    ) -> None:
        """Leave out ever smaller parts of *items*, as long as the promise still breaks."""
        size = max(1, len(items) // 2)
        while size and len(items) > least:
            for fewer in _leave_out(items, size):
                if len(fewer) >= least and self._try(build(fewer)):
                    items = fewer
                    size = min(size, max(1, len(items) // 2))
                    break
            else:
                size //= 2

    def _try(self, script: WorldScript) -> bool:
        """Whether a smaller world still breaks the promise, by one chance or another."""
        chances = CHANCES if len(script.plans) <= FEW else 1
        for seed in range(script.seed, script.seed + chances):
            if self.took_s >= self.budget_s:
                return False
            self.tries += 1
            limits = WorldLimits(self.promise, self._limit_s, self._began + self.budget_s)
            tried = replace(script, seed=seed)
            outcome = play_world(tried, limits)
            if any(one.promise == self.promise for one in outcome.broken):
                self._smallest = tried
                self.tell(f"  {self.took_s:4.0f} s, try {self.tries}: {describe_size(tried)}")
                return True
        return False


def describe_size(script: WorldScript) -> str:
    """How large a world is, in words."""
    counts = (
        (len(script.plans), "journey"),
        (len(script.incidents), "incident"),
        (script.options.processes, "process"),
    )
    plurals = {"process": "processes"}
    return ", ".join(
        f"{count} {word if count == 1 else plurals.get(word, f'{word}s')}" for count, word in counts
    )


def _leave_out(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield [*items[:start], *items[start + size :]]


def _list_usual() -> list[tuple[str, object]]:
    return [(one.name, one.default) for one in fields(JourneyPlan) if one.name not in KEPT]
