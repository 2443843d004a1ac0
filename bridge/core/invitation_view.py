"""What the ATS is told about an invitation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.core.assessment import Result
from bridge.core.customers import CandidateLinkTarget, Customer, ResultLinkTarget
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle.attempts import choose_reference_to_check
from bridge.core.links import LinkSigner
from bridge.core.score import render_score


class InvitationViewStatus(StrEnum):
    """What the ATS shows of an invitation's state."""

    PENDING = "pending"
    COMPLETED = "completed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class InvitationView:
    """What the ATS is told about an invitation; None leaves a field out."""

    status: InvitationViewStatus
    result_url: str = field(repr=False)
    completed_at: datetime | None = None
    expired_at: datetime | None = None
    report_url: str | None = field(default=None, repr=False)
    share_url: str | None = field(default=None, repr=False)
    score: str | None = None


def build_invitation_view(
    invitation: Invitation, customer: Customer, links: LinkSigner
) -> InvitationView:
    """The three states that an ATS knows; the link to the result is present in each.

    The link leads to the bridge's page, the same in every state; with ``result_url: dashboard`` it
    leads to the provider's page once the invitation is completed.
    """
    page = links.results_url(invitation.id)
    if invitation.state is State.COMPLETED and invitation.result is not None:
        result, policy = invitation.result, customer.results
        score, dashboard = select_visible_result(result, customer)
        return InvitationView(
            status=InvitationViewStatus.COMPLETED,
            completed_at=invitation.completed_at,
            result_url=dashboard or page,
            report_url=links.report_url(invitation.id) if policy.report else None,
            share_url=links.share_url(invitation.id)
            if policy.share and get_completed_application_id(invitation)
            else None,
            score=score,
        )
    if invitation.state is State.EXPIRED:
        return InvitationView(
            status=InvitationViewStatus.EXPIRED, expired_at=invitation.expired_at, result_url=page
        )
    return InvitationView(status=InvitationViewStatus.PENDING, result_url=page)


def select_visible_result(result: Result, customer: Customer) -> tuple[str | None, str | None]:
    """The parts of a result that the ATS shows: the score, and the provider's link if the customer
    wants that.
    """
    policy = customer.results
    dashboard = result.dashboard_url if policy.result_url is ResultLinkTarget.DASHBOARD else None
    return render_score(policy.score, result, customer.provider.locale), dashboard


def choose_candidate_url(invitation: Invitation, customer: Customer, links: LinkSigner) -> str:
    """Where the ATS sends the candidate: the provider's link, or our landing page in front of
    it.

    Without a link it is the page, too: it says that the link is in the candidate's mail, or (where
    the create's answer was lost, but a result was reported) that the test is over.
    """
    landing = customer.test_url is CandidateLinkTarget.LANDING or invitation.assessment_url is None
    return links.start_url(invitation.id) if landing else invitation.assessment_url or ""


def get_completed_application_id(invitation: Invitation) -> str | None:
    """The provider's id of the application that the result belongs to; None: not completed, or the
    id is unknown.
    """
    return choose_reference_to_check(invitation) if invitation.state is State.COMPLETED else None
