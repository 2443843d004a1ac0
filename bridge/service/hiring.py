"""Use case: an applicant was hired, so the provider is told, once for each application there."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import structlog

from bridge.core.customers import Customer
from bridge.core.invitation import HireState, Invitation
from bridge.core.lifecycle import hires
from bridge.core.lifecycle.events import HireRequested
from bridge.core.queueing import TaskKind
from bridge.ports import Pause
from bridge.service.commit_loop import CommitLoop
from bridge.service.task_handlers import TaskHandlers

_LOOK_EVERY_S = 0.1

log = structlog.get_logger()


class HireOutcome(enum.StrEnum):
    """The outcome of an operator's request to hire."""

    HIRED = "hired"
    ALREADY_HIRED = "already_hired"
    NOTHING_TO_HIRE = "nothing_to_hire"
    """There is no application at the provider."""
    UNKNOWN = "outcome_unknown"
    """Sent before, without an answer: an operator has to look at the provider."""
    WAITING = "waiting"
    """Not done: refused, which is a dead letter then, or tried again by the daemon."""


@dataclass(frozen=True, slots=True)
class Hiring:
    """Requests are durable: what cannot be done now is done later, by the task HIRE."""

    records: CommitLoop
    tasks: TaskHandlers
    pause: Pause

    async def applicant_hired(self, customer: Customer, application_id: str) -> None:
        """The ATS has exported an applicant: every test of this application counts, once.

        It is no error that there is none: most applicants are hired without a test.
        """
        found = await self.records.store.find_by_application(customer.key, application_id)
        chosen = hires.select_invitations_to_hire(found)
        request = HireRequested(customer.hire.add_to_team)
        for invitation in chosen:
            await self.records.apply(invitation, request, customer)
        log.info(
            "hire.exported",
            customer=customer.key,
            invitation_ids=[invitation.id for invitation in chosen],
            found=len(found),
        )

    async def hire(
        self, customer: Customer, invitation: Invitation, *, team: bool, start_date: str | None
    ) -> tuple[Invitation, HireOutcome]:
        """Hire now, for an operator; gives the record afterwards and what became of it."""
        if invitation.hire is not None and invitation.hire.state is HireState.DONE:
            return invitation, HireOutcome.ALREADY_HIRED
        if not hires.can_hire_applicant(invitation):
            return invitation, HireOutcome.NOTHING_TO_HIRE
        give_up_at = self.records.monotonic() + customer.provider.timeout.total_seconds()
        event = HireRequested(team and customer.hire.add_to_team, start_date)
        invitation = await self.records.apply(invitation, event, customer)
        performed = await self.tasks.perform_now(invitation.id, TaskKind.HIRE)
        while True:
            invitation = await self.records.store.load(invitation.id) or invitation
            state = invitation.hire.state if invitation.hire else None
            if state is HireState.DONE:
                return invitation, HireOutcome.HIRED
            if state is HireState.UNKNOWN:
                return invitation, HireOutcome.UNKNOWN
            if performed or state is None or self.records.monotonic() >= give_up_at:
                return invitation, HireOutcome.WAITING
            await self.pause(_LOOK_EVERY_S)
