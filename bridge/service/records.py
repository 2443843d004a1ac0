"""Decide and commit: the one loop through which every use case changes an invitation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from bridge.core import lifecycle
from bridge.core.customers import Customer
from bridge.core.lifecycle import Event, Policy
from bridge.core.models import Due, Invitation, Step
from bridge.errors import Busy, UnknownInvitation
from bridge.ports import Clock, InvitationStore

CREATE_MARGIN = timedelta(seconds=5)
"""Added to the provider's time-out, for the wait for a turn (``targets.PATIENCE``) and the commits.

After that a create which nobody reported on is given up as unknown.
"""

_TRIES = 50
_DEFAULTS = Policy(timedelta(days=7), timedelta(minutes=30), timedelta(seconds=10))


class Records:
    """Loads invitations and applies events to them; *wake* is told when something is due now."""

    def __init__(self, store: InvitationStore, clock: Clock, wake: Callable[[], None]) -> None:
        self.store = store
        self.clock = clock
        self._wake = wake

    @staticmethod
    def policy(customer: Customer | None) -> Policy:
        """The customer's settings as decisions need them; defaults for a customer that is no longer configured."""
        if customer is None:
            return _DEFAULTS
        access = customer.equalture
        return Policy(
            link_life=access.link_life,
            poll_every=access.poll_every,
            create_bound=access.timeout + CREATE_MARGIN,
            after_completed=customer.results.after_completed,
        )

    async def owned(self, customer: Customer, invitation_id: str) -> Invitation:
        """The customer's own invitation; raises ``UnknownInvitation``, the same for missing and for foreign ones."""
        invitation = await self.store.load(invitation_id)
        if invitation is None or invitation.customer != customer.key:
            raise unknown_invitation()
        return invitation

    async def commit(self, step: Step) -> bool:
        """Commit one step; False: somebody was faster."""
        committed = await self.store.commit(step)
        if committed and any(isinstance(task, Due) and task.at <= self.clock() for task in step.tasks):
            self._wake()
        return committed

    async def apply(self, invitation: Invitation, event: Event, customer: Customer | None) -> Invitation:
        """Decide on *event* and commit, on the newest record, however many others are doing the same.

        Returns the record as it is afterwards (with the version it has in the store). Raises ``Busy`` where others were
        faster too often, ``UnknownInvitation`` where the record is gone.
        """
        policy = self.policy(customer)
        for _ in range(_TRIES):
            step = lifecycle.decide(invitation, event, policy, self.clock())
            if step.invitation == invitation and not step.tasks:
                return invitation
            if await self.commit(step):
                return committed_record(step)
            latest = await self.store.load(invitation.id)
            if latest is None:
                raise unknown_invitation()
            invitation = latest
        msg = "too many changes to this invitation at once"
        raise Busy(msg)


def committed_record(step: Step) -> Invitation:
    """The record of a committed step, with the version that the commit gave it."""
    return replace(step.invitation, version=step.invitation.version + 1)


def unknown_invitation() -> UnknownInvitation:
    """The same words for every id that is not the caller's."""
    return UnknownInvitation("No invitation with this id was issued to this customer.")
