"""Use case: delete a candidate's data: here at once, at the provider as soon as it answers."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import structlog

from bridge.core.customers import Customer
from bridge.core.history_events import EventDetail
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle import attempts
from bridge.core.lifecycle.events import ErasureRequested
from bridge.core.queueing import TaskKind
from bridge.errors import UnknownInvitation, UpstreamNotConfirmed
from bridge.ports import Pause, ReferenceIndex
from bridge.service.commit_loop import CommitLoop, create_unknown_invitation_error
from bridge.service.task_handlers import TaskHandlers
from bridge.single_flight import SingleFlight

_POLL_INTERVAL_S = 0.1
_NOT_YET = (
    "Erased here; the provider has not confirmed yet. The bridge keeps trying; if the provider"
    " refuses, the operator finds it among the dead letters, and repeating this call tries again."
)
_NOT_SERVED = (
    "Erased here, but not anonymised at the provider: that needs the account of customer {}, which"
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

    async def erase(self, customer: Customer, invitation_id: str, *, by: str = "ats") -> None:
        """Erase the customer's invitation; may be repeated. *by*: on whose behalf.

        Raises ``UnknownInvitation`` (never issued to this customer) and ``UpstreamNotConfirmed``
        (erased here, a task keeps asking the provider). Waits for the provider no longer than one
        call may take, even if several calls are needed.
        """
        give_up_at = self._records.monotonic() + customer.provider.timeout.total_seconds()
        invitation = await self._records.load_owned(customer, invitation_id)
        invitation = await self._erase_locally(invitation, customer, EventDetail(by))
        invitation = await self._wait_for_create(invitation, customer, give_up_at)
        if not attempts.list_applications_to_anonymise(invitation):
            return
        # A dead letter is tried again at once: the repeated request is the reason to.
        await self._tasks.revive(invitation.id, TaskKind.ANONYMISE)
        await self._anonymise(invitation, give_up_at)
        if attempts.list_applications_to_anonymise(await self._latest(invitation)):
            raise UpstreamNotConfirmed(_NOT_YET)

    async def erase_unserved(
        self, invitation: Invitation, timeout: timedelta = timedelta(0)
    ) -> None:
        """Erase for an operator who cannot use the customer's account, so that another process has
        to ask the provider.

        *timeout*: how long to wait for that. Raises ``UpstreamNotConfirmed`` if it is not done by
        then; it still has to be done.
        """
        invitation = await self._erase_locally(invitation, None, EventDetail("operator"))
        await self._wait_for_others(invitation, self._records.monotonic() + timeout.total_seconds())
        if attempts.list_applications_to_anonymise(await self._latest(invitation)):
            raise UpstreamNotConfirmed(_NOT_SERVED.format(invitation.customer))

    async def _erase_locally(
        self, invitation: Invitation, customer: Customer | None, by: EventDetail
    ) -> Invitation:
        """Replace the record by its tombstone; raises ``UnknownInvitation`` for one that was
        never issued.
        """
        if invitation.state is State.FAILED:
            raise create_unknown_invitation_error()
        before = invitation
        if invitation.state is not State.ERASED:
            await self._erase_expired(invitation.replaces, customer, by)
            invitation = await self._tombstone(invitation, customer, by)
            log.info("invitation.erased", invitation_id=invitation.id, customer=invitation.customer)
        # Only now: while it lives, other deletions must find it by its application. Repeated for a
        # tombstone, in case it failed before; the task removes what it has had anonymised.
        await self._forget(before)
        return invitation

    async def _forget(self, invitation: Invitation) -> None:
        for reference_id in {
            attempt.reference_id for attempt in invitation.attempts if attempt.reference_id
        }:
            await self._references.remove(invitation.customer, reference_id, invitation.id)

    async def _erase_expired(
        self, invitation_id: str | None, customer: Customer | None, by: EventDetail
    ) -> None:
        """Erase expired invitations of the same order too: perhaps their answer never reached the
        ATS, so only the bridge has their ids. Their tasks have them anonymised.
        """
        found: list[Invitation] = []
        while invitation_id is not None:
            earlier = await self._records.store.load(invitation_id)
            if earlier is None or earlier.state is not State.EXPIRED:
                break
            found.append(earlier)
            invitation_id = earlier.replaces
        # The oldest first: a tombstone does not say which invitation it replaced, so after a crash
        # half-way no older ones could be found.
        for earlier in reversed(found):
            await self._records.apply(earlier, ErasureRequested(), customer, by)
            await self._forget(earlier)

    async def _tombstone(
        self, invitation: Invitation, customer: Customer | None, by: EventDetail
    ) -> Invitation:
        try:
            return await self._records.apply(invitation, ErasureRequested(), customer, by)
        except UnknownInvitation:
            # The stored record vanished since it was read; this copy is enough to have it
            # anonymised.
            tombstone = await self._records.recreate_as_tombstone(invitation, customer)
            log.error(
                "record.lost",
                invitation_id=invitation.id,
                customer=invitation.customer,
                during="erase",
            )
            if tombstone is None:
                raise
            return tombstone

    async def _wait_for_create(
        self, invitation: Invitation, customer: Customer, give_up_at: float
    ) -> Invitation:
        """The invitation once a create that was under way has ended: only then is it known what to
        anonymise.
        """
        policy = self._records.policy(customer)
        while attempts.is_create_in_progress(invitation, policy, self._records.clock()):
            if self._records.monotonic() >= give_up_at:
                raise UpstreamNotConfirmed(_NOT_YET)
            await self._pause(_POLL_INTERVAL_S)
            invitation = await self._latest(invitation)
        return invitation

    async def _anonymise(self, invitation: Invitation, give_up_at: float) -> None:
        """Anonymise now, here or by the worker that has the task; what takes too long goes on in
        the background.
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
            attempts.list_applications_to_anonymise(await self._latest(invitation))
            and self._records.monotonic() < give_up_at
        ):
            await self._pause(_POLL_INTERVAL_S)

    async def _latest(self, invitation: Invitation) -> Invitation:
        return await self._records.store.load(invitation.id) or invitation
