"""Use case: delete a candidate's data, here at once, at the provider however long it takes."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import structlog

from bridge.core.customers import Customer
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle import attempts
from bridge.core.lifecycle.events import ErasureRequested
from bridge.core.queueing import TaskKind
from bridge.errors import NotConfirmed, UnknownInvitation
from bridge.ports import Pause, ReferenceIndex
from bridge.service.commit_loop import CommitLoop, not_found
from bridge.service.task_handlers import TaskHandlers
from bridge.single_flight import SingleFlight

_LOOK_EVERY_S = 0.1
_NOT_YET = (
    "Erased here; the provider has not confirmed yet. The bridge goes on by itself; where the"
    " provider refuses, the operator finds it among the dead letters, and a repeat of"
    " this call tries again."
)
_NOT_SERVED = (
    "Erased here, but not anonymised at the provider: that takes the account of customer {}, which"
    " this command cannot use, since the file is missing or wrong. It stays open (`invitations list"
    " --owed`) until a daemon that serves the customer does it."
)

log = structlog.get_logger()


class Erasure:
    """Tombstone first, then the provider: the ATS gets its success only when both are done."""

    def __init__(
        self,
        records: CommitLoop,
        tasks: TaskHandlers,
        references: ReferenceIndex,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._records = records
        self._tasks = tasks
        self._references = references
        self._pause = pause
        self._flights: SingleFlight[str, bool] = SingleFlight()

    async def erase(self, customer: Customer, invitation_id: str) -> None:
        """Erase the customer's invitation; also fine the second time.

        Raises ``UnknownInvitation`` (never issued to this customer) and ``NotConfirmed`` (erased
        here, a task goes on asking the provider). The provider is waited for no longer than one
        call to it may take, however many there are to make.
        """
        give_up_at = self._records.monotonic() + customer.provider.timeout.total_seconds()
        invitation = await self._erase_locally(
            await self._records.load_owned(customer, invitation_id), customer
        )
        invitation = await self._wait_for_create(invitation, customer, give_up_at)
        if not attempts.applications_to_anonymise(invitation):
            return
        # A dead letter is tried again at once: whoever asks a second time has a reason to.
        await self._tasks.revive(invitation.id, TaskKind.ANONYMISE)
        await self._anonymise(invitation, give_up_at)
        if attempts.applications_to_anonymise(await self._latest(invitation)):
            raise NotConfirmed(_NOT_YET)

    async def erase_unserved(
        self, invitation: Invitation, patience: timedelta = timedelta(0)
    ) -> None:
        """The same for an operator who cannot use the customer's account, so that others have to
        ask the provider.

        *patience*: how long to wait for them. Raises ``NotConfirmed`` where nobody has done it by
        then; it still has to be done.
        """
        invitation = await self._erase_locally(invitation, None)
        await self._wait_for_others(
            invitation, self._records.monotonic() + patience.total_seconds()
        )
        if attempts.applications_to_anonymise(await self._latest(invitation)):
            raise NotConfirmed(_NOT_SERVED.format(invitation.customer))

    async def _erase_locally(self, invitation: Invitation, customer: Customer | None) -> Invitation:
        """The tombstone; raises ``UnknownInvitation`` for what nobody was ever given."""
        if invitation.state is State.FAILED:
            raise not_found()
        before = invitation
        if invitation.state is not State.ERASED:
            await self._erase_expired(invitation.replaces, customer)
            invitation = await self._tombstone(invitation, customer)
            log.info("invitation.erased", invitation_id=invitation.id, customer=invitation.customer)
        # Only now: while it lives it must be found by whoever wants to anonymise what it holds.
        # Also of a tombstone, should that have failed before; what is anonymised is forgotten by
        # its task.
        await self._forget(before)
        return invitation

    async def _forget(self, invitation: Invitation) -> None:
        for reference_id in {
            attempt.reference_id for attempt in invitation.attempts if attempt.reference_id
        }:
            await self._references.remove(invitation.customer, reference_id, invitation.id)

    async def _erase_expired(self, invitation_id: str | None, customer: Customer | None) -> None:
        """Erase expired invitations of the same order too: perhaps their answer never reached
        the ATS, and nobody but us has their ids. Their anonymisation goes on by itself.
        """
        found: list[Invitation] = []
        while invitation_id is not None:
            earlier = await self._records.store.load(invitation_id)
            if earlier is None or earlier.state is not State.EXPIRED:
                break
            found.append(earlier)
            invitation_id = earlier.replaces
        # The oldest first: a tombstone does not say whom it replaced, so who is cut off half-way
        # could find no older ones.
        for earlier in reversed(found):
            await self._records.apply(earlier, ErasureRequested(), customer)
            await self._forget(earlier)

    async def _tombstone(self, invitation: Invitation, customer: Customer | None) -> Invitation:
        try:
            return await self._records.apply(invitation, ErasureRequested(), customer)
        except UnknownInvitation:
            # Gone between two of our looks, and with it all but what we hold: enough to have it
            # anonymised.
            buried = await self._records.recreate_as_tombstone(invitation, customer)
            log.error(
                "record.lost",
                invitation_id=invitation.id,
                customer=invitation.customer,
                during="erase",
            )
            if buried is None:
                raise
            return buried

    async def _wait_for_create(
        self, invitation: Invitation, customer: Customer, give_up_at: float
    ) -> Invitation:
        """The invitation once a create that was under way when it was erased is through: only then
        is known what to erase.
        """
        policy = self._records.policy(customer)
        while attempts.create_in_progress(invitation, policy, self._records.clock()):
            if self._records.monotonic() >= give_up_at:
                raise NotConfirmed(_NOT_YET)
            await self._pause(_LOOK_EVERY_S)
            invitation = await self._latest(invitation)
        return invitation

    async def _anonymise(self, invitation: Invitation, give_up_at: float) -> None:
        """Have it done now, here or by the worker that is at it; what takes too long goes on
        without us.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, give_up_at - self._records.monotonic())):
                if await self._flights.run(
                    invitation.id,
                    lambda: self._tasks.perform_now(invitation.id, TaskKind.ANONYMISE),
                ):
                    return
        await self._wait_for_others(invitation, give_up_at)

    async def _wait_for_others(self, invitation: Invitation, give_up_at: float) -> None:
        while (
            attempts.applications_to_anonymise(await self._latest(invitation))
            and self._records.monotonic() < give_up_at
        ):
            await self._pause(_LOOK_EVERY_S)

    async def _latest(self, invitation: Invitation) -> Invitation:
        return await self._records.store.load(invitation.id) or invitation
