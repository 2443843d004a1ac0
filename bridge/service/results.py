"""Use cases: softgarden reads a result; the provider reports one."""

from __future__ import annotations

import hmac

import structlog

from bridge.core import ids, translate
from bridge.core.customers import Customer
from bridge.core.lifecycle import HintSeen, Issued
from bridge.core.links import Links
from bridge.core.models import Attempt, Invitation, Result, State
from bridge.core.translate import View
from bridge.ports import Customers
from bridge.service.records import Records, unknown_invitation

log = structlog.get_logger()


class Results:
    """What is known of an invitation, and hints that there is more to know."""

    def __init__(self, records: Records, customers: Customers, links: Links) -> None:
        self._records = records
        self._customers = customers
        self._links = links

    async def read(self, customer: Customer, invitation_id: str) -> View:
        """The invitation as softgarden sees it; raises ``UnknownInvitation`` for foreign, failed and erased ones too."""
        invitation = await self._records.owned(customer, invitation_id)
        if invitation.state in (State.FAILED, State.ERASED):
            raise unknown_invitation()
        if not invitation.issued:
            # Whoever asks for it has its id after all: Redis may have lost the note of it in a power cut.
            invitation = await self._records.apply(invitation, Issued(invitation.callback), customer)
        return translate.view(invitation, customer, self._links)

    async def recognise(self, invitation_id: str, secret: str, credentials: str | None) -> tuple[Invitation, Attempt]:
        """Which attempt's callback URL this is; raises the same ``UnknownInvitation`` for a wrong id, secret or token.

        ``CustomerSetAside`` is for those alone who know the secret: which token belongs to it cannot be told then.
        *credentials*: what came in ``Authorization`` behind ``Bearer`` or ``Token``; needed where the customer set a
        ``callback_token`` (Equalture arranges it by personal contact).
        """
        invitation = await self._records.store.load(invitation_id)
        given = ids.digest(secret)
        attempts = invitation.attempts if invitation is not None else ()
        mine = [attempt for attempt in attempts if ids.same(attempt.secret_digest, given)]
        customer = self._customers().find(invitation.customer) if invitation is not None and mine else None
        if invitation is None or customer is None or not _token_fits(customer, credentials):
            raise unknown_invitation()
        return invitation, mine[0]

    async def take_hint(self, invitation: Invitation, attempt: Attempt, report: Result | None) -> None:
        """Keep a report durably and make its check due; returns only after Redis has it. Erased ones keep nothing."""
        customer = self._customers().get(invitation.customer)
        before = invitation.state
        invitation = await self._records.apply(invitation, HintSeen(attempt.number, report), customer)
        log.info(
            "callback.received",
            invitation_id=invitation.id,
            customer=invitation.customer,
            attempt=attempt.number,
            state=before,
            readable=report is not None,
        )


def _token_fits(customer: Customer, credentials: str | None) -> bool:
    wanted = customer.equalture.callback_token
    if not wanted:
        return True
    return hmac.compare_digest(wanted.reveal().encode(), (credentials or "").encode("utf-8", "surrogatepass"))
