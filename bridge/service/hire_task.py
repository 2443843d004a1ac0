"""Use case: the task HIRE, which tells the provider once that an applicant was hired."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from bridge.core import retry
from bridge.core.customers import Customer
from bridge.core.invitation import HireRecord, HireState, Invitation
from bridge.core.lifecycle.events import HireCallEnded, HireCallStarted
from bridge.core.lifecycle.hires import find_reference_to_hire
from bridge.core.queueing import GiveUpTask, Lease, RetryTask, Settlement, TaskDone
from bridge.errors import (
    OutcomeUnknown,
    UpstreamContractBroken,
    UpstreamError,
    UpstreamRefused,
)
from bridge.ports import ProviderOf, RandomFraction
from bridge.service.call_failures import CallFailures
from bridge.service.commit_loop import CommitLoop
from bridge.service.shared_applications import SharedApplications

LOOKS = 3
"""How often the provider is asked whether a call without an answer was done."""
LOOKS_FOR_APPLICATION = 6
"""How often a task looks whether its application is known, within two minutes: as long as a process
may stand still, or take to start again. What is known later makes the task due by itself.
"""
OUTCOME_UNKNOWN = "outcome_unknown"
APPLICATION_UNKNOWN = "application_unknown"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HireTask:
    """Marks the record before the call, so that no other process, and no restart, makes it again.

    A hire cannot be taken back and starts other processes at the provider.
    """

    records: CommitLoop
    provider_of: ProviderOf
    shared: SharedApplications
    failures: CallFailures
    random_fraction: RandomFraction

    async def perform(self, invitation: Invitation, customer: Customer, lease: Lease) -> Settlement:
        """Hire, or find out whether that was done."""
        hire = invitation.hire
        if hire is None or hire.state is HireState.DONE:
            return TaskDone()
        if hire.state is HireState.UNKNOWN:
            return GiveUpTask(OUTCOME_UNKNOWN, counted=False)
        if hire.state is HireState.SENT:
            return await self._find_out(invitation, customer, hire, lease)
        if find_reference_to_hire(invitation, hire) is None:
            return self._wait_for_application(customer, lease)
        marked = await self.records.apply(invitation, HireCallStarted(lease.revision), customer)
        hire = marked.hire
        if hire is None or hire.sent_by != lease.revision:
            return RetryTask(self.records.clock(), counted=False)
        elsewhere = await self._elsewhere(marked, hire.reference_id)
        if elsewhere is not None:
            return await self._yield_to(elsewhere, marked, customer)
        return await self._call(marked, customer, hire, lease)

    def _wait_for_application(self, customer: Customer, lease: Lease) -> Settlement:
        """There is a result, but the create that made its application is not answered: by a
        process that stands still it may be, soon; an answer that got lost never is.
        """
        if lease.attempt > LOOKS_FOR_APPLICATION:
            return GiveUpTask(APPLICATION_UNKNOWN, counted=False)
        provider = self.provider_of(customer).name
        unknown = OutcomeUnknown(provider, "create", "the application's id is not known")
        return self.failures.retry_for(lease, unknown, time.monotonic())

    async def _call(
        self, invitation: Invitation, customer: Customer, hire: HireRecord, lease: Lease
    ) -> Settlement:
        begun = time.monotonic()
        try:
            await self.provider_of(customer).hire(
                customer,
                hire.reference_id,
                add_to_team=hire.add_to_team,
                start_date=hire.start_date,
            )
        except (OutcomeUnknown, UpstreamContractBroken) as error:
            return self.failures.retry_for(lease, error, begun)
        except UpstreamError as error:
            # Perhaps a user has hired there by hand; then nothing is left to do.
            if isinstance(error, UpstreamRefused) and await self._is_hired(customer, hire):
                return await self._answered(invitation, customer, HireState.DONE)
            await self._answered(invitation, customer, HireState.REQUESTED)
            # Wrong credentials will be corrected; any other refusal needs an operator.
            if isinstance(error, UpstreamRefused) and error.status != 401:
                return GiveUpTask("refused", self.failures.note(error, begun))
            return self.failures.retry_for(lease, error, begun)
        return await self._answered(invitation, customer, HireState.DONE)

    async def _find_out(
        self, invitation: Invitation, customer: Customer, hire: HireRecord, lease: Lease
    ) -> Settlement:
        """The call got no answer, or its process died: only the provider's status can tell."""
        begun = time.monotonic()
        provider = self.provider_of(customer)
        try:
            progress = await provider.get_progress(customer, hire.reference_id)
        except UpstreamError as error:
            if not isinstance(error, UpstreamRefused) or error.status == 401:
                return self.failures.retry_for(lease, error, begun)
        else:
            if progress.hired:
                return await self._answered(invitation, customer, HireState.DONE)
        if lease.attempt <= LOOKS:
            unknown = OutcomeUnknown(provider.name, "hire", "no sign of it yet")
            return self.failures.retry_for(lease, unknown, begun)
        await self._answered(invitation, customer, HireState.UNKNOWN)
        return GiveUpTask(OUTCOME_UNKNOWN, counted=False)

    async def _is_hired(self, customer: Customer, hire: HireRecord) -> bool:
        try:
            progress = await self.provider_of(customer).get_progress(customer, hire.reference_id)
        except UpstreamError:
            return False
        return progress.hired

    async def _elsewhere(self, invitation: Invitation, reference_id: str) -> HireState | None:
        """How far the hire is of another invitation to which the provider gave the same
        application.
        """
        for other_id in await self.shared.others(invitation, reference_id):
            other = await self.records.store.load(other_id)
            if other and other.hire and other.hire.state is not HireState.REQUESTED:
                return other.hire.state
        return None

    async def _yield_to(
        self, state: HireState, invitation: Invitation, customer: Customer
    ) -> Settlement:
        if state is HireState.DONE:
            return await self._answered(invitation, customer, HireState.DONE)
        await self._answered(invitation, customer, HireState.REQUESTED)
        if state is HireState.UNKNOWN:
            return GiveUpTask(OUTCOME_UNKNOWN, counted=False)
        # Two that marked theirs at once both step back, and come again at different times.
        pause = retry.add_jitter(retry.CONTENDED_DELAY, self.random_fraction())
        return RetryTask(self.records.clock() + pause, counted=False)

    async def _answered(
        self, invitation: Invitation, customer: Customer, state: HireState
    ) -> Settlement:
        await self.records.apply(invitation, HireCallEnded(state), customer)
        if state is HireState.DONE:
            log.info("invitation.hired", invitation_id=invitation.id, customer=customer.key)
        return TaskDone()
