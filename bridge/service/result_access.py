"""Use cases: the ATS reads a result; the provider reports one."""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from collections.abc import Callable

import structlog

from bridge import tracing
from bridge.core import ids, invitation_view
from bridge.core.assessment import Result
from bridge.core.customers import Customer
from bridge.core.history import HistoryEntryKind
from bridge.core.invitation import OPEN, CreateAttempt, Invitation, State
from bridge.core.invitation_view import InvitationView
from bridge.core.lifecycle import checks
from bridge.core.lifecycle.checks import AskProvider
from bridge.core.lifecycle.events import InvitationIdIssued, ResultReported
from bridge.core.lifecycle.policy import READ_CHECK_PAUSE
from bridge.core.links import LinkSigner
from bridge.core.queueing import TaskKind
from bridge.errors import StoreUnavailable
from bridge.meter import NO_METER, STRANGER, Meter, count_callback_errors
from bridge.ports import CurrentCustomers, TaskQueue
from bridge.service.commit_loop import CommitLoop, create_unknown_invitation_error

REMEMBERED_READS = 10_000
"""How many invitations this process remembers as recently checked."""

log = structlog.get_logger()


class ResultAccess:
    """Reads an invitation for the ATS, and stores results that the provider reports."""

    def __init__(
        self,
        records: CommitLoop,
        queue: TaskQueue,
        customers: CurrentCustomers,
        links: LinkSigner,
        *,
        remembered: int = REMEMBERED_READS,
        meter: Meter = NO_METER,
    ) -> None:
        self._meter = meter
        self._records = records
        self._queue = queue
        self._checked_at: OrderedDict[str, float] = OrderedDict()
        self._remembered = remembered
        self._customers = customers
        self._links = links

    async def read(self, customer: Customer, invitation_id: str) -> InvitationView:
        """The invitation as the ATS sees it; raises ``UnknownInvitation`` also for failed and
        erased ones and those of other customers.
        """
        invitation = await self._records.load_owned(customer, invitation_id)
        if invitation.state in (State.FAILED, State.ERASED):
            raise create_unknown_invitation_error()
        if not invitation.issued:
            # A caller that asks for it did get its id: Redis may have lost that fact in a power
            # cut.
            invitation = await self._records.apply(
                invitation, InvitationIdIssued(invitation.callback), customer
            )
        if invitation.state in OPEN:
            tracing.link(invitation.trace)  # one of thousands
            await self._records.note_in_history(invitation, HistoryEntryKind.READ_OPEN)
            await self._schedule_check(invitation, customer)
        else:
            tracing.join(invitation.trace)
            await self._records.note_in_history(invitation, HistoryEntryKind.READ)
        return invitation_view.build_invitation_view(invitation, customer, self._links)

    async def _schedule_check(self, invitation: Invitation, customer: Customer) -> None:
        """Queue a check of an invitation that the ATS polls, in case a callback was lost; does not
        wait for it.

        The memory spares most reads the call to the queue; the queue ensures that all processes
        together ask only once a minute.
        """
        now = self._records.monotonic()
        if now < self._checked_at.get(invitation.id, -math.inf) + READ_CHECK_PAUSE.total_seconds():
            return
        if not isinstance(
            checks.decide_next_check(
                invitation, self._records.policy(customer), self._records.clock()
            ),
            AskProvider,
        ):
            return
        self._checked_at[invitation.id] = now
        self._checked_at.move_to_end(invitation.id)
        if len(self._checked_at) > self._remembered:
            self._checked_at.popitem(last=False)
        with contextlib.suppress(StoreUnavailable):
            if await self._queue.bring_forward(
                customer.key,
                invitation.id,
                TaskKind.CHECK,
                self._records.clock(),
                every=READ_CHECK_PAUSE,
            ):
                self._records.wake()

    async def recognise(
        self, invitation_id: str, secret: str, may_report: Callable[[Customer], bool]
    ) -> tuple[Invitation, CreateAttempt]:
        """The attempt that this callback URL belongs to; raises the same ``UnknownInvitation`` for
        a wrong id, secret or token.

        Raises ``CustomerSetAside`` only to a caller that knows the secret. *may_report* checks what
        else the customer expects, its callback token for one.
        """
        with count_callback_errors(self._meter, STRANGER):
            invitation = await self._records.store.load(invitation_id)
        given = ids.hash_secret(secret)
        attempts = invitation.attempts if invitation is not None else ()
        mine = [
            attempt for attempt in attempts if ids.compare_digests(attempt.secret_digest, given)
        ]
        customer = None
        if invitation is not None and mine:
            with count_callback_errors(self._meter, invitation.customer):
                customer = self._customers().find(invitation.customer)
        if invitation is None or customer is None or not may_report(customer):
            if invitation is not None and mine:
                # Only the provider knows the secret; the answer says the same to everybody.
                log.warning(
                    "callback.refused",
                    invitation_id=invitation.id,
                    customer=invitation.customer,
                    reason="its customer is not configured"
                    if customer is None
                    else "the callback token is missing or wrong",
                )
            with count_callback_errors(self._meter, STRANGER):
                raise create_unknown_invitation_error()
        return invitation, mine[0]

    async def receive_result(
        self, invitation: Invitation, attempt: CreateAttempt, report: Result | None
    ) -> None:
        """Store a report durably and make its check due; returns only after Redis has it.

        An erased invitation stores nothing.
        """
        customer = self._customers().get(invitation.customer)
        before = invitation.state
        with count_callback_errors(self._meter, invitation.customer):
            invitation = await self._records.apply(
                invitation, ResultReported(attempt.number, report), customer
            )
        self._meter.callback(
            invitation.customer, "accepted" if report is not None else "unreadable"
        )
        log.info(
            "callback.received",
            invitation_id=invitation.id,
            customer=invitation.customer,
            attempt=attempt.number,
            state=before,
            readable=report is not None,
        )
