"""Use cases behind the bridge's own links: what a colleague, a recruiter or a candidate sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from bridge import tracing
from bridge.core import invitation_view
from bridge.core.customers import Customer
from bridge.core.history import HistoryEntryKind
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle import checks, timing
from bridge.core.lifecycle.checks import CandidateStage
from bridge.core.links import LinkPurpose
from bridge.core.links import LinkSigner as Signer
from bridge.errors import InvitationGone, UnknownInvitation
from bridge.log_context import bind_log_fields
from bridge.ports import CurrentCustomers, ProviderOf
from bridge.service.commit_loop import CommitLoop
from bridge.single_flight import SingleFlight

LINK_CACHE_TIME = timedelta(seconds=60)
"""How long one public link is reused for all who click; promised: at most a minute old."""
_MARGIN_S = 30.0
"""A link that expires within this time is not reused."""


@dataclass(frozen=True, slots=True)
class _Known:
    url: str = field(repr=False)
    reference_id: str
    until: float


class CandidateTestLink(NamedTuple):
    """Behind a landing page: how far the candidate is, until when the test can be begun, whether
    that is over, and the provider's link as long as it leads on.
    """

    invitation: Invitation
    customer: Customer
    stage: CandidateStage
    until: datetime
    overdue: bool
    url: str | None


class ResultLinks(NamedTuple):
    """Where else a result is found, as far as the customer wants that, and until when the bridge's
    links to it work.
    """

    report_url: str | None
    share_url: str | None
    end: datetime


class LinkAccess:
    """The bridge's stable links in front of the provider's short-lived ones, of which at most
    *remembered* are kept.
    """

    def __init__(
        self,
        records: CommitLoop,
        provider_of: ProviderOf,
        customers: CurrentCustomers,
        signer: Signer,
        retention: timedelta,
        *,
        max_age: timedelta | None = None,
        remembered: int = 1024,
    ) -> None:
        self._records = records
        self._provider_of = provider_of
        self._customers = customers
        self._signer = signer
        self._retention = retention
        self._max_age = max_age
        self._most = remembered
        self._known: dict[str, _Known] = {}
        self._flights: SingleFlight[str, str] = SingleFlight()

    async def share(self, token: str) -> str:
        """A public link to the result, at most a minute old; raises ``UnknownInvitation``,
        ``InvitationGone`` or an ``UpstreamError``.

        The provider's link is short-lived, the bridge's is valid as long as the result is kept: so
        the provider's is fetched on a click, once for all who click at the same time, and
        remembered only briefly, in this process.
        """
        invitation, customer, reference_id = await self._shared(token)
        known = self._known.get(invitation.id)
        if (
            known is not None
            and known.reference_id == reference_id
            and self._records.monotonic() < known.until
        ):
            await self._records.note_in_history(invitation, HistoryEntryKind.SHARE_USED)
            return known.url
        url = await self._flights.run(
            f"{invitation.id}/{reference_id}",
            lambda: self._fetch(invitation.id, customer, reference_id),
        )
        try:
            await self._shared(token)  # it may have been deleted while the provider was asked
        except (UnknownInvitation, InvitationGone):
            self._known.pop(invitation.id, None)
            raise
        await self._records.note_in_history(invitation, HistoryEntryKind.SHARE_USED)
        return url

    async def check_shareable(self, token: str) -> None:
        """Return if there is something to share behind this link, without asking the provider;
        raises as ``share`` does.
        """
        await self._shared(token)

    async def open_shared_result(self, token: str) -> tuple[Invitation, Customer] | None:
        """What is behind a share link, for a page of ours in place of the provider's; None: the
        customer does not want that. Raises as ``check_shareable`` does.
        """
        invitation, customer, _ = await self._shared(token)
        if not customer.results.share_fallback:
            return None
        await self._records.note_in_history(invitation, HistoryEntryKind.SHARE_USED)
        return invitation, customer

    async def _shared(self, token: str) -> tuple[Invitation, Customer, str]:
        invitation, customer = await self._open(LinkPurpose.SHARE, token)
        reference_id = invitation_view.get_completed_application_id(invitation)
        if not customer.results.share or reference_id is None:
            raise UnknownInvitation("There is nothing to share behind this link.")
        return invitation, customer, reference_id

    async def _fetch(self, invitation_id: str, customer: Customer, reference_id: str) -> str:
        asked_at = self._records.monotonic()
        link = await self._provider_of(customer).get_public_link(customer, reference_id)
        life_s = LINK_CACHE_TIME.total_seconds()
        if link.life_s is not None:
            life_s = min(life_s, link.life_s - _MARGIN_S)
        if life_s > 0:
            self._remember(invitation_id, _Known(link.url, reference_id, asked_at + life_s))
        return link.url

    def _remember(self, invitation_id: str, known: _Known) -> None:
        now = self._records.monotonic()
        self._known.pop(invitation_id, None)
        # Oldest first, which nearly is the order in which they expire.
        for other, one in tuple(self._known.items()):
            if one.until > now and len(self._known) < self._most:
                break
            del self._known[other]
        self._known[invitation_id] = known

    async def result(
        self, token: str, purpose: str = LinkPurpose.RESULTS
    ) -> tuple[Invitation, Customer]:
        """The invitation behind a results or report link, for the page to show."""
        invitation, customer = await self._open(purpose, token)
        page = purpose == LinkPurpose.RESULTS
        await self._records.note_in_history(
            invitation, HistoryEntryKind.PAGE_OPENED if page else HistoryEntryKind.REPORT_OPENED
        )
        return invitation, customer

    def ends_at(self, invitation: Invitation) -> datetime:
        """When the links to this result end, unless it changes until then."""
        kept_until = invitation.updated_at + self._retention
        if self._max_age is None or invitation.completed_at is None:
            return kept_until
        return min(kept_until, invitation.completed_at + self._max_age)

    def around_result(
        self, invitation: Invitation, customer: Customer, *, shared: bool = False
    ) -> ResultLinks:
        """The other links of a completed invitation; none before it is completed, nor for somebody
        with whom its result is *shared*.
        """
        end = self.ends_at(invitation)
        if shared:
            return ResultLinks(None, None, end)
        view = invitation_view.build_invitation_view(invitation, customer, self._signer)
        return ResultLinks(view.report_url, view.share_url, end)

    async def start(self, token: str, *, followed: bool = False) -> CandidateTestLink:
        """What is behind a landing page; *followed*: the candidate is led to the test."""
        invitation, customer = await self._open(LinkPurpose.START, token)
        policy, now = self._records.policy(customer), self._records.clock()
        stage = checks.decide_candidate_stage(invitation, policy, now)
        until = timing.get_link_expiry(invitation, policy)
        leads_on = stage in (CandidateStage.READY, CandidateStage.BEGUN)
        if leads_on or stage is CandidateStage.MAILED:
            await self._records.note_in_history(
                invitation,
                HistoryEntryKind.LINK_FOLLOWED
                if followed and leads_on
                else HistoryEntryKind.LINK_OPENED,
            )
        url = invitation.assessment_url if leads_on else None
        return CandidateTestLink(invitation, customer, stage, until, now >= until, url)

    async def _open(self, purpose: str, token: str) -> tuple[Invitation, Customer]:
        invitation_id = self._signer.read_token(purpose, token)
        invitation = await self._records.store.load(invitation_id) if invitation_id else None
        if invitation is None or invitation.state is State.FAILED:
            raise UnknownInvitation("There is nothing behind this link.")
        bind_log_fields(customer=invitation.customer)
        tracing.link(invitation.trace)
        if invitation.state is State.ERASED:
            raise InvitationGone("This was deleted.")
        customer = self._customers().find(invitation.customer)
        if customer is None:
            raise InvitationGone("The customer of this link is not served any more.")
        completed_at = invitation.completed_at
        if (
            purpose != LinkPurpose.START
            and self._max_age
            and completed_at
            and self._records.clock() >= completed_at + self._max_age
        ):
            raise InvitationGone("This link is too old.")
        return invitation, customer
