"""What a journey and a world do; everything here follows from the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final, Literal

from tests.simulation.stage_settings import HASTY, QUICK, SAME_AGAIN, THINKS_S
from tests.simulation.vendor_quirks import NO_QUIRKS, VendorQuirks, draw_quirks
from tests.simulation.webhooks import NO_WEBHOOKS, WebhookPlan

Ending = Literal["callback", "silent", "expire", "late", "late silent"]
"""How the test ends: reported by callback; with every callback lost, so that only the poll finds
it; never; or after the deadline, with or without a callback.
"""
Deletion = Literal["never", "before", "after", "again"]
"""Not at all, before or after completion, or before completion with a new invitation of the same
candidate afterwards.
"""
KILLED = 0.025
"""In how many journeys a process is killed at the very instant at which an answer has arrived."""
MARK = "Simulperson"
"""Part of every candidate's name; no random text holds it by accident."""
MAIL = "simulation.example"


@dataclass(frozen=True, slots=True)
class CandidateHabits:
    """What a candidate does with a link to the bridge's page; by itself a field is as usual."""

    presses: int = 1
    """How often she presses the button before she is done."""
    scanned: bool = False
    """Something else opens the link first."""
    returns: bool = False
    """She opens the page again whenever something has happened."""


USUAL_HABITS: Final = CandidateHabits()


@dataclass(frozen=True, slots=True)
class JourneyPlan:
    """One candidate's journey; what a field is by itself is what happens least in it."""

    number: int
    customer: str = QUICK[0]
    begins_at: float = 0.0
    ending: Ending = "callback"
    deletion: Deletion = "never"
    parallel: int = 1
    """To how many processes softgarden sends the order at the same time."""
    repeats: bool = False
    """softgarden sends the order once more although it was answered."""
    reports: int = 1
    """How often Equalture sends its report, if the first is answered."""
    early: bool = False
    """The report comes before the create is answered, as far as that can be."""
    wordless: bool = False
    """Equalture's status never says that it is done; only where it reports the result."""
    fit: str = "high"
    thinks_s: float = 1.0
    """How long the candidate takes."""
    killed_at: int = 0
    """The process that gives this answer, of those that acknowledge something, is killed at that
    very instant; 0: none.
    """
    crowded: bool = False
    """One of a crowd that is done at the same time."""
    quirks: VendorQuirks = NO_QUIRKS
    webhooks: WebhookPlan = NO_WEBHOOKS
    habits: CandidateHabits = USUAL_HABITS

    @property
    def email(self) -> str:
        """The candidate's, by which Equalture knows her."""
        return f"c{self.number:05}@{MAIL}"

    @property
    def candidate(self) -> str:
        """softgarden's id of the application."""
        return f"candidate-{self.number:05}-x"


def draw_plan(draws: Random, number: int, begins_at: float) -> JourneyPlan:
    """The next journey."""
    hasty = draws.random() < 0.15
    endings: list[Ending] = ["expire", "late", "late silent"] if hasty else ["callback", "silent"]
    ending = draws.choices(endings, [50, 30, 20] if hasty else [80, 20])[0]
    deletions: list[Deletion] = (
        ["never", "after"] if hasty else ["never", "before", "after", "again"]
    )
    customer = HASTY if hasty else draws.choice(QUICK)
    return JourneyPlan(
        number=number,
        customer=customer,
        begins_at=begins_at,
        ending=ending,
        deletion=draws.choices(deletions, [85, 15] if hasty else [70, 10, 14, 6])[0],
        parallel=draws.choice((2, 3)) if draws.random() < 0.15 and not hasty else 1,
        repeats=draws.random() < 0.15 and not hasty,
        reports=draws.choices((1, 2, 3), (80, 15, 5))[0],
        early=draws.random() < 0.1 and customer == SAME_AGAIN,
        wordless=ending == "callback" and draws.random() < 0.2,
        fit=draws.choice(("low", "high")),
        thinks_s=draws.uniform(0.2, THINKS_S),
        killed_at=draws.choice((1, 1, 2, 2, 3)) if draws.random() < KILLED else 0,
        quirks=draw_quirks(draws),
    )


def draw_habits(draws: Random, plan: JourneyPlan) -> JourneyPlan:
    """The same journey with what the candidate does with her link."""
    habits = CandidateHabits(
        presses=draws.choices((1, 2), (80, 20))[0],
        scanned=draws.random() < 0.2,
        returns=draws.random() < 0.3,
    )
    return replace(plan, habits=habits)
