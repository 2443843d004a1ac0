"""Use cases behind the bridge's own links: what a colleague, a recruiter or a candidate gets to see."""

from __future__ import annotations

from datetime import timedelta

from bridge.core import lifecycle, translate
from bridge.core.customers import Customer
from bridge.core.links import Links as Signer
from bridge.core.links import Purpose
from bridge.core.models import Invitation, State
from bridge.errors import Gone, UnknownInvitation
from bridge.ports import AssessmentProvider, Customers
from bridge.service.records import Records


class Links:
    """Stable links of ours in front of short-lived ones of the provider."""

    def __init__(
        self,
        records: Records,
        provider: AssessmentProvider,
        customers: Customers,
        signer: Signer,
        max_age: timedelta | None = None,
    ) -> None:
        self._records = records
        self._provider = provider
        self._customers = customers
        self._signer = signer
        self._max_age = max_age

    async def share(self, token: str) -> str:
        """A fresh public link to the result; raises ``UnknownInvitation``, ``Gone`` or an ``UpstreamError``.

        Equalture's link lives two hours (introduction, section 5a), ours as long as the result is kept: so a new one is
        fetched on every click and none is stored.
        """
        invitation, customer = await self._open(Purpose.SHARE, token)
        reference_id = translate.result_reference(invitation)
        if customer is None or not customer.results.share or reference_id is None:
            raise UnknownInvitation("There is nothing to share behind this link.")
        return (await self._provider.get_public_link(customer, reference_id)).url

    async def result(self, token: str, purpose: str = Purpose.RESULTS) -> tuple[Invitation, Customer | None]:
        """The invitation behind a results or report link, for the page to show."""
        return await self._open(purpose, token)

    async def start(self, token: str) -> tuple[Invitation, str | None]:
        """The invitation behind a landing page, and the provider's link while the test can be taken."""
        invitation, customer = await self._open(Purpose.START, token)
        open_now = lifecycle.can_be_taken(invitation, self._records.policy(customer), self._records.clock())
        return invitation, invitation.assessment_url if open_now else None

    async def _open(self, purpose: str, token: str) -> tuple[Invitation, Customer | None]:
        invitation_id = self._signer.read(purpose, token)
        invitation = await self._records.store.load(invitation_id) if invitation_id else None
        if invitation is None or invitation.state is State.FAILED:
            raise UnknownInvitation("There is nothing behind this link.")
        if invitation.state is State.ERASED:
            raise Gone("This was deleted.")
        completed_at = invitation.completed_at
        if (
            purpose != Purpose.START
            and self._max_age
            and completed_at
            and self._records.clock() >= completed_at + self._max_age
        ):
            raise Gone("This link is too old.")
        return invitation, self._customers().get(invitation.customer)
