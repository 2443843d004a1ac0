"""One order of softgarden's in a journey, and what softgarden read of its result."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.simulation.closed_world import START
from tests.simulation.equalture_machine import EqualtureApplication
from tests.simulation.stage_settings import LINK_LIFE_S


@dataclass(frozen=True, slots=True)
class Reading:
    """A result as softgarden read it."""

    began: float
    ended: float
    status: str
    completed_at: str
    score: str = ""


@dataclass(slots=True)
class OrderRound:
    """One order of softgarden's, and what became of it as far as everybody but the bridge knows."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    """Every answer with 200."""
    answered_at: float | None = None
    """When softgarden got the id."""
    ordered: list[float] = field(default_factory=list)
    """When softgarden got an answer to its order, or gave up."""
    application: EqualtureApplication | None = None
    """The one behind the link that softgarden got."""
    acknowledged_at: float | None = None
    """When a report of it was answered 200 for the first time."""
    began: float = 0.0
    """When softgarden sent the order."""
    told: list[tuple[float, str]] = field(default_factory=list)
    """When softgarden was notified, and what it read; empty texts: it did not look."""
    unanswered: bool = False
    """An order of softgarden's got no answer, or an error."""
    read: list[Reading] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    """Where the result, or what there is of it, can be seen."""
    hire_began: bool = False
    hired: bool = False
    """softgarden was told 200 for its export."""
    deletion_began: bool = False
    deleted: bool = False
    """softgarden was told 204."""
    refused_at: float | None = None
    """When a report of it was answered 400 for the first time; that there was one counts."""
    given_up_at: float | None = None
    """When Equalture gave up its last report, which nobody took."""
    set_back_at: float | None = None
    """When Redis went back to an earlier state of it."""
    is_gone: bool = False
    """That was before it was, so that the bridge knows no such invitation."""
    is_unknown: bool = False
    """Redis has forgotten what the bridge would have to know to keep its promises."""
    forgotten_hires: int = 0
    """How often Redis has forgotten that its hire was ordered, or begun."""
    life_s: float = LINK_LIFE_S
    """How long its link lives, by the deadline that softgarden was given."""
    errands: list[asyncio.Future[None]] = field(default_factory=list)
    """What Equalture sends by itself meanwhile."""
    is_landing: bool = False
    """Its customer wants the bridge's page in front of the test."""
    ended: bool = False
    """Everybody but the bridge is done with it."""
    wants: str = ""
    """What softgarden has to be told in the end; empty: nothing."""

    @property
    def is_nameless(self) -> bool:
        """Whether the bridge did not know the id of its application when it answered: the create's
        answer was lost, or lies in a process that stands still, and the report came before
        softgarden had a link.
        """
        links = {one["testUrl"] for one in self.answers if "/start/" not in one["testUrl"]}
        is_linked = self.application.link in links if self.application is not None else links
        return self.has_page and not is_linked and not self.is_landing

    @property
    def has_page(self) -> bool:
        """Whether the candidate's link leads to the bridge's page."""
        return bool(self.answers) and "/start/" in self.answers[0]["testUrl"]

    @property
    def deadline(self) -> float:
        """The latest that softgarden was given for this invitation."""
        given = [one["deadline"] for one in self.answers if self._is_of_first(one)]
        return max((datetime.fromisoformat(one) - START).total_seconds() for one in given)

    def _is_of_first(self, answer: dict[str, Any]) -> bool:
        return bool(answer["invitationId"] == self.invitation_id)

    @property
    def invitation_id(self) -> str:
        """As softgarden knows it; empty: it got none."""
        return str(self.answers[0]["invitationId"]) if self.answers else ""
