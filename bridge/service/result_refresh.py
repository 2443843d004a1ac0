"""Use case of operators: ask the provider now, also about a completed invitation."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bridge.core import invitation_view
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle import attempts
from bridge.core.lifecycle.events import NoResultYet, ResultRefreshed
from bridge.errors import UnknownInvitation
from bridge.ports import CurrentCustomers, ProviderOf
from bridge.service.commit_loop import CommitLoop

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RefreshOutcome:
    """The outcome. *notified*: the ATS is notified, since what it shows has changed."""

    outcome: str
    """``completed``, ``confirmed``, ``updated``, ``unchanged``, ``not_ready`` or
    ``nothing_to_ask``.
    """
    invitation: Invitation
    notified: bool = False


class ResultRefresh:
    """Fetches a result again whatever the status is: scores may be newer, or the language setting
    may have changed.
    """

    def __init__(
        self, records: CommitLoop, provider_of: ProviderOf, customers: CurrentCustomers
    ) -> None:
        self._records = records
        self._provider_of = provider_of
        self._customers = customers

    async def refresh(self, invitation_id: str) -> RefreshOutcome:
        """Store the provider's current result; the completion time stays.

        Raises ``UnknownInvitation`` and ``UpstreamError``.
        """
        before = await self._records.store.load(invitation_id)
        if before is None:
            raise UnknownInvitation(f"No invitation {invitation_id} is stored.")
        customer = self._customers().get(before.customer)
        if customer is None:
            raise UnknownInvitation(
                f"Its customer {before.customer} is not configured, or its file cannot be used."
            )
        reference_id = attempts.choose_reference_to_check(before)
        if reference_id is None or before.state in (State.ERASED, State.FAILED):
            return RefreshOutcome("nothing_to_ask", before)
        result = await self._provider_of(customer).get_result(customer, reference_id)
        if result is None:
            after = await self._records.apply(before, NoResultYet(), customer)
            return _log_and_return("completed" if _is_new(before, after) else "not_ready", after)
        shown = before.result is None or invitation_view.select_visible_result(
            result, customer
        ) != invitation_view.select_visible_result(before.result, customer)
        after = await self._records.apply(before, ResultRefreshed(result, shown), customer)
        return _log_and_return(_outcome(before, after), after, shown=shown)


def _log_and_return(outcome: str, after: Invitation, *, shown: bool = False) -> RefreshOutcome:
    log.info(
        "invitation.refreshed",
        invitation_id=after.id,
        customer=after.customer,
        state=after.state,
        outcome=outcome,
    )
    return RefreshOutcome(outcome, after, after.issued and (outcome == "completed" or shown))


def _is_new(before: Invitation, after: Invitation) -> bool:
    return after.state is State.COMPLETED and before.state is not State.COMPLETED


def _outcome(before: Invitation, after: Invitation) -> str:
    if _is_new(before, after):
        return "completed"
    if after.result != before.result:
        return "updated"
    return "confirmed" if after.confirmed and not before.confirmed else "unchanged"
