"""What a run is asked for, and what each of its journeys does; everything here follows from the
seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Ending = Literal["callback", "silent", "expire", "late", "late_silent"]
"""How the test ends: reported by callback; with every callback lost, so that only the poll finds
it; never; or after the deadline, with or without a callback.
"""
Deletion = Literal["never", "before", "after", "again"]
"""Not at all, before or after completion, or before completion with a new invitation of the same
candidate afterwards.
"""

QUICK = ("acme", "globex", "initech")
"""Customers whose links live long."""
HASTY = "hasty"
"""The customer whose links live only ``HASTY_LIFE_S``."""
GUEST = "guest"
"""The customer who is removed and comes back; nobody else's journeys are hers."""
CUSTOMERS = (*QUICK, HASTY, GUEST)
HASTY_LIFE_S = 4
LINK_LIFE_S = 7 * 86_400

MARK = "Chaosperson"
"""Part of every candidate's name; no random text holds it by accident."""
MAIL = "chaos.example"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; counts that are None follow from the number of journeys."""

    journeys: int = 2000
    seed: int = 1
    processes: int = 2
    minutes: float = 10.0
    abreast: int = 90
    bridge_kills: int | None = None
    redis_kills: int | None = None
    settle_s: float = 60.0
    scenario: str = "standard"
    """See ``scenarios``."""

    @property
    def kills(self) -> int:
        """How often a bridge process is killed."""
        return max(1, self.journeys // 130) if self.bridge_kills is None else self.bridge_kills

    @property
    def outages(self) -> int:
        """How often Redis is killed."""
        return max(1, self.journeys // 330) if self.redis_kills is None else self.redis_kills

    @property
    def extras(self) -> int:
        """How often, besides, Redis hangs, a bridge restarts in good order, and all bridges die at
        once.
        """
        return self.journeys // 650

    @property
    def later(self) -> int:
        """How often, besides, each of the other troubles comes about."""
        return max(1, self.journeys // 1000)


@dataclass(frozen=True, slots=True)
class Plan:
    """One journey."""

    number: int
    seed: int
    customer: str
    ending: Ending
    deletion: Deletion
    parallel: bool
    """softgarden asks all processes at the same time (not where the answer may have expired when
    the next one comes).
    """
    repeats: bool
    """softgarden asks once more although it was answered."""
    fit: str

    @property
    def random_fraction(self) -> random.Random:
        """The journey's own dice, for pauses."""
        return random.Random(f"{self.seed}/{self.number}/pauses")


def draw(seed: int, number: int) -> Plan:
    """The journey of this number."""
    random_fraction = random.Random(f"{seed}/{number}")
    hasty = random_fraction.random() < 0.14
    endings: list[Ending] = ["expire", "late", "late_silent"] if hasty else ["callback", "silent"]
    deletions: list[Deletion] = (
        ["never", "after"] if hasty else ["never", "before", "after", "again"]
    )
    return Plan(
        number=number,
        seed=seed,
        customer=HASTY if hasty else random_fraction.choice(QUICK),
        ending=random_fraction.choices(endings, [50, 30, 20] if hasty else [70, 30])[0],
        deletion=random_fraction.choices(deletions, [85, 15] if hasty else [70, 10, 14, 6])[0],
        parallel=random_fraction.random() < 0.2 and not hasty,
        repeats=random_fraction.random() < 0.15 and not hasty,
        fit=random_fraction.choice(("low", "high")),
    )
