"""What the ATS is told about an invitation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.core.assessment import Result
from bridge.core.customers import CandidateLink, Customer, ResultLink
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle.attempts import current_reference
from bridge.core.links import LinkSigner
from bridge.core.score import score_text


class ViewStatus(StrEnum):
    """What the ATS shows of an invitation's state."""

    PENDING = "pending"
    COMPLETED = "completed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class InvitationView:
    """What the ATS is told about an invitation; None leaves a field out."""

    status: ViewStatus
    result_url: str = field(repr=False)
    completed_at: datetime | None = None
    expired_at: datetime | None = None
    report_url: str | None = field(default=None, repr=False)
    share_url: str | None = field(default=None, repr=False)
    score: str | None = None


def view_of(invitation: Invitation, customer: Customer, links: LinkSigner) -> InvitationView:
    """The three states that an ATS knows; the link to the result is present in each.

    The link leads to the bridge's page, the same in every state; with ``result_url: dashboard`` it
    leads to the provider's page once the invitation is completed.
    """
    page = links.results(invitation.id)
    if invitation.state is State.COMPLETED and invitation.result is not None:
        result, policy = invitation.result, customer.results
        score, dashboard = visible_result(result, customer)
        return InvitationView(
            status=ViewStatus.COMPLETED,
            completed_at=invitation.completed_at,
            result_url=dashboard or page,
            report_url=links.report(invitation.id) if policy.report else None,
            share_url=links.share(invitation.id)
            if policy.share and completed_application_id(invitation)
            else None,
            score=score,
        )
    if invitation.state is State.EXPIRED:
        return InvitationView(
            status=ViewStatus.EXPIRED, expired_at=invitation.expired_at, result_url=page
        )
    return InvitationView(status=ViewStatus.PENDING, result_url=page)


def visible_result(result: Result, customer: Customer) -> tuple[str | None, str | None]:
    """The parts of a result that the ATS shows: the score, and the provider's link if the customer
    wants that.
    """
    policy = customer.results
    dashboard = result.dashboard_url if policy.result_url is ResultLink.DASHBOARD else None
    return score_text(policy.score, result, customer.provider.locale), dashboard


def candidate_url(invitation: Invitation, customer: Customer, links: LinkSigner) -> str:
    """Where the ATS sends the candidate: the provider's link, or our landing page in front of
    it.

    Without a link it is the page, too: it says that the link is in the candidate's mail, or (where
    the create's answer was lost, but a result was reported) that the test is over.
    """
    landing = customer.test_url is CandidateLink.LANDING or invitation.assessment_url is None
    return links.start(invitation.id) if landing else invitation.assessment_url or ""


def completed_application_id(invitation: Invitation) -> str | None:
    """The provider's id of the application that the result belongs to; None: not completed, or the
    id is unknown.
    """
    return current_reference(invitation) if invitation.state is State.COMPLETED else None
