"""What a strike has at hand, and where it notes what it saw."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter

from tests.chaos.actors import Journey, Round
from tests.chaos.stage import Bridge, Stage

STEP_S = 0.02
PATIENCE_S = 60.0
"""For what must come about: long, since it is no promise about time, and machines may be busy."""


@dataclass(slots=True)
class Scene:
    """A run, as strikes see it."""

    stage: Stage
    journeys: list[Journey]
    """All, also those that have not begun."""
    progress: Callable[[], int]
    """How many journeys are over."""
    random_fraction: random.Random
    guests: list[Journey] = field(default_factory=list)
    """Journeys that strikes play themselves."""
    unkept: list[str] = field(default_factory=list)
    """Promises that a strike saw broken while it lasted."""
    planted: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Partitions, and names that the quarantine must have for what was damaged there so often."""
    mended: set[str] = field(default_factory=set)
    """Invitations whose records were damaged for a while."""
    restored: tuple[float, float] | None = None
    """When the backup was made that was restored, and when Redis was back with it."""
    is_over: bool = False
    """No more faults."""

    def rounds(self) -> Iterator[Round]:
        """All that have begun."""
        for journey in (*self.journeys, *self.guests):
            yield from journey.rounds

    async def await_true(
        self, check: Callable[[], Awaitable[object]], promise: str, within_s: float = PATIENCE_S
    ) -> bool:
        """Wait until *check* gives something true; else note that *promise* was broken."""
        deadline = perf_counter() + within_s
        while not await check():
            if perf_counter() > deadline:
                self.unkept.append(f"not within {within_s:.0f} s: {promise}")
                return False
            await asyncio.sleep(0.1)
        return True

    async def hold(
        self, check: Callable[[], Awaitable[object]], promise: str, within_s: float = PATIENCE_S
    ) -> None:
        """As ``await_true``, for what other journeys have to do meanwhile: none of them waits for
        another strike, and none loses its patience with this one.
        """
        self.stage.holds = True
        await self.await_true(check, promise, within_s)
        self.stage.holds = False

    async def await_ready(self) -> None:
        """Return once every bridge takes work."""
        stage = self.stage
        await asyncio.gather(*(bridge.ready(stage.session) for bridge in stage.bridges))

    async def readiness(self) -> list[int]:
        """What each bridge answers to whoever asks whether it is ready."""
        stage = self.stage
        asked = (bridge.ask(stage.session, "/readyz") for bridge in stage.bridges)
        return [status for status, _ in await asyncio.gather(*asked)]


Strike = Callable[[Scene, Bridge, float], Awaitable[tuple[int, ...]]]
"""Has something fail: a *victim* among the bridges, if it needs one, and a *pause* in seconds until
it is mended. Gives the numbers of the processes that were killed.
"""
