"""Use case: the task ANONYMISE, which has the provider anonymise deleted applications."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from bridge.core.customers import Customer
from bridge.core.invitation import Invitation
from bridge.core.lifecycle import attempts
from bridge.core.lifecycle.events import ApplicationAnonymised, ApplicationShared
from bridge.core.queueing import GiveUpTask, Lease, Settlement, TaskDone
from bridge.errors import UpstreamError, UpstreamRefused
from bridge.ports import ProviderOf, ReferenceIndex
from bridge.service.call_failures import CallFailures
from bridge.service.commit_loop import CommitLoop
from bridge.service.shared_applications import SharedApplications

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymiseTask:
    """Anonymises one application after the other, but none that another invitation uses."""

    records: CommitLoop
    provider_of: ProviderOf
    references: ReferenceIndex
    shared: SharedApplications
    failures: CallFailures

    async def perform(self, invitation: Invitation, customer: Customer, lease: Lease) -> Settlement:
        """Anonymise all that remain; stops at the first failure."""
        for reference_id in attempts.list_applications_to_anonymise(invitation):
            begun = time.monotonic()
            if others := await self.shared.others(invitation, reference_id):
                log.warning(
                    "anonymisation.left_to_other_invitation",
                    invitation_id=invitation.id,
                    customer=customer.key,
                    others=list(others),
                    text=(
                        "other invitations have the same application; deleting the last of them"
                        " has it anonymised"
                    ),
                )
                invitation = await self.records.apply(
                    invitation, ApplicationShared(reference_id), customer
                )
                await self.references.remove(customer.key, reference_id, invitation.id)
                continue
            try:
                await self.provider_of(customer).anonymise(customer, reference_id)
            except UpstreamError as error:
                if isinstance(error, UpstreamRefused) and error.is_permanent:
                    # The provider refuses for good; an operator has to look at it.
                    return GiveUpTask("refused", self.failures.note(error, begun))
                return self.failures.retry_for(lease, error, begun)
            invitation = await self.records.apply(
                invitation, ApplicationAnonymised(reference_id), customer
            )
            await self.references.remove(customer.key, reference_id, invitation.id)
        return TaskDone()
