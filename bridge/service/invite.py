"""Use case: invite a candidate, once, even if the ATS asks often or in parallel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from bridge.core import ids
from bridge.core.assessment import Assessment, NewApplication, Order
from bridge.core.customers import Customer
from bridge.core.history import HistoryEntryKind
from bridge.core.history_events import EventDetail, entry_for_order
from bridge.core.invitation import OPEN, AddedReference, CreateOutcome, Invitation, State
from bridge.core.lifecycle import orders
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import (
    ApplicationCreated,
    CreateAttemptStarted,
    CreateFailed,
    CreateOutcomeUnknown,
    ErasureRequested,
    InvitationIdIssued,
)
from bridge.core.lifecycle.orders import OrderMatch
from bridge.core.links import LinkSigner
from bridge.errors import (
    BridgeError,
    OutcomeUnknown,
    RequestInProgress,
    StoreUnavailable,
    UnknownInvitation,
    UpstreamContractBroken,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from bridge.log_context import bind_log_fields, get_log_fields
from bridge.meter import NO_METER, Meter, get_error_code
from bridge.ports import AtsOf, NewSecret, Pause, ProviderOf
from bridge.service.assessments import OfferedAssessments
from bridge.service.commit_loop import CommitLoop, set_committed_version
from bridge.service.provider_events import ProviderEvents
from bridge.single_flight import SingleFlight

_POLL_INTERVAL_S = 0.05
_WITHDRAWN = "This order was being worked on and has been withdrawn."
_KEEP_TRYING_S = 3.0
_LEAST_TRIES = 3  # a process that stood still has spent all its time on one
_REPLACED = EventDetail("replaced")

log = structlog.get_logger()


class Invite:
    """Makes one open invitation, and one application at the provider, for each customer,
    application and test.
    """

    def __init__(
        self,
        *,
        records: CommitLoop,
        provider_of: ProviderOf,
        ats_of: AtsOf,
        assessments: OfferedAssessments,
        links: LinkSigner,
        new_secret: NewSecret,
        events: ProviderEvents,
        pause: Pause = asyncio.sleep,
        meter: Meter = NO_METER,
    ) -> None:
        self._meter = meter
        self._records = records
        self._provider_of = provider_of
        self._ats_of = ats_of
        self._assessments = assessments
        self._links = links
        self._new_secret = new_secret
        self._events = events
        self._pause = pause
        self._flights: SingleFlight[str, Invitation] = SingleFlight()

    async def invite(
        self, customer: Customer, order: Order, caller_waits: Callable[[], bool] = lambda: True
    ) -> Invitation:
        """The open invitation of this order: the one that exists (its callback refreshed), or a new
        one; *caller_waits* says whether the caller still waits for it.

        Raises ``CallbackNotAllowed``, ``UnknownAssessment``, ``RequestInProgress`` (another process
        works on it), an ``UpstreamError`` of the create, ``StoreUnavailable``, or, before anything
        was done, ``ConnectionResetError`` where nobody waits any more. Nothing stays half-made: the
        CHECK task settles what a dying process leaves.
        """
        try:
            invitation, outcome = await self._invite(customer, order, caller_waits)
        except BridgeError as error:
            self._meter.invitation(customer.key, get_error_code(error))
            raise
        self._meter.invitation(customer.key, outcome)
        return invitation

    async def _invite(
        self, customer: Customer, order: Order, caller_waits: Callable[[], bool]
    ) -> tuple[Invitation, str]:
        """The invitation, and whether it was ``created`` by this call, or ``repeated``."""
        self._ats_of(customer).callback_policy.check(order.callback)
        test = await self._assessments.resolve(customer, order.test_id)
        if not caller_waits():  # meanwhile it may have come again, and its invitation be deleted
            raise ConnectionResetError
        key = ids.compute_order_key(customer.key, order.candidate.id, test.id)
        outcome = "repeated"

        async def claim() -> Invitation:
            nonlocal outcome  # of the one call whose turn it is; the others share its invitation
            found, outcome = await self._claim_and_create(customer, order, test, key)
            return found

        invitation = await self._flights.run(key, claim)
        # A separate commit, right before the answer: a failure before it is answered with an error,
        # and the ATS must never be notified of an id that it did not get.
        known = invitation.issued
        try:
            issued = InvitationIdIssued(order.callback)
            invitation = await self._records.apply(invitation, issued, customer)
        except UnknownInvitation as error:
            raise RequestInProgress(_WITHDRAWN) from error
        if invitation.state is State.ERASED:
            msg = "This invitation was deleted just now."
            raise RequestInProgress(msg)
        if known:
            await self._records.note_in_history(invitation, HistoryEntryKind.REPEATED)
        return invitation, outcome

    async def _claim_and_create(
        self, customer: Customer, order: Order, test: Assessment, key: str
    ) -> tuple[Invitation, str]:
        policy = self._records.policy(customer)
        partition = ids.compute_partition(customer.key, order.candidate.id)
        give_up_at = self._records.monotonic() + policy.create_timeout.total_seconds()
        # Most orders are new: claim first, read only if that fails.
        known: Invitation | None = None
        before: str | None = None
        while True:
            secret, now = self._new_secret(), self._records.clock()
            match = orders.match_order(known, policy, now)
            if known is None or match is OrderMatch.NEW:
                step = orders.create_invitation(
                    invitation_id=ids.compose_invitation_id(partition, self._new_secret()),
                    customer=customer.key,
                    order_key=key,
                    application_id=order.candidate.id,
                    test=test,
                    callback=order.callback,
                    secret_digest=ids.hash_secret(secret),
                    replaces=known.id if known else before,
                    order_held_by=known.id if known else None,
                    policy=policy,
                    now=now,
                )
                request_id = str(get_log_fields().get("request_id", ""))
                step = self._records.sign_history(step, None, entry_for_order(request_id, now))
            elif match is OrderMatch.SAME:
                return known, "repeated"
            elif match is OrderMatch.WAIT:
                known = await self._wait_for_other(known, customer, give_up_at)
                continue
            elif match is OrderMatch.REPLACE:
                with contextlib.suppress(UnknownInvitation):  # gone already
                    await self._records.apply(known, ErasureRequested(), customer, _REPLACED)
                # The order is free now; the new invitation replaces what this one had replaced.
                before, known = known.replaces, None
                continue
            else:
                event = CreateAttemptStarted(ids.hash_secret(secret), order.callback)
                step = self._records.decide(known, event, customer)
            if await self._records.commit(step, known):
                opened = set_committed_version(step)
                return await self._create(customer, order, test, opened, secret), "created"
            if self._records.monotonic() >= give_up_at:
                raise RequestInProgress("This order is being worked on.")
            known = await self._records.store.find_order(partition, key)

    async def _wait_for_other(
        self, invitation: Invitation, customer: Customer, give_up_at: float
    ) -> Invitation:
        """Another process is creating: wait until that has ended, and share its outcome."""
        vendor = self._provider_of(customer).name
        while invitation.state in (State.CREATING, State.UNCERTAIN):
            if invitation.attempts[-1].outcome is not CreateOutcome.PENDING:
                raise OutcomeUnknown(
                    vendor, "create", "another attempt of this order has an unknown outcome"
                )
            if self._records.monotonic() >= give_up_at:
                raise RequestInProgress("This order is being worked on.")
            await self._pause(_POLL_INTERVAL_S)
            latest = await self._records.store.load(invitation.id)
            if latest is None:
                raise RequestInProgress(_WITHDRAWN)
            invitation = latest
        if invitation.state is State.FAILED:
            retryable = invitation.failure == UpstreamUnavailable.code
            kind: type[UpstreamError] = UpstreamUnavailable if retryable else UpstreamRefused
            raise kind(vendor, "create", "refused for another attempt of this order")
        return invitation

    async def _create(
        self,
        customer: Customer,
        order: Order,
        test: Assessment,
        invitation: Invitation,
        secret: str,
    ) -> Invitation:
        bind_log_fields(invitation_id=invitation.id)
        number = invitation.attempts[-1].number
        provider = self._provider_of(customer)
        callback_url = self._links.callback_url(provider.name, invitation.id, secret)
        draft = NewApplication(test.job_id, order.candidate, callback_url)
        failure: UpstreamError | None = None
        begun = self._records.monotonic()
        event: ApplicationCreated | CreateFailed | CreateOutcomeUnknown
        try:
            created = await provider.create_application(customer, draft)
            event = ApplicationCreated(
                number, created.reference_id, created.assessment_url, created.mailed
            )
            if created.assessment_url is None and not created.mailed:
                failure = UpstreamContractBroken(
                    provider.name, "create", "an application without a link for the candidate"
                )
        except (UpstreamRefused, UpstreamUnavailable) as error:
            event, failure = CreateFailed(number, error.code), error
        except UpstreamError as error:
            event, failure = CreateOutcomeUnknown(number), error
        detail = EventDetail(
            status=failure.status if failure else None,
            latency_ms=round((self._records.monotonic() - begun) * 1000),
        )
        invitation, added = await self._record(invitation, event, customer, detail)
        if isinstance(event, ApplicationCreated):
            # It only speeds up webhooks; the polls do not need it.
            with contextlib.suppress(StoreUnavailable, RequestInProgress):
                await self._events.reference_committed(invitation, event.reference_id, added)
        log.info(
            "invitation.created" if failure is None else "invitation.create_failed",
            invitation_id=invitation.id,
            customer=customer.key,
            state=invitation.state,
            attempt=number,
            code=failure.code if failure else None,
            status=failure.status if failure else None,
        )
        if failure is not None:
            raise failure
        if invitation.state not in (*OPEN, State.COMPLETED, State.EXPIRED):
            msg = "This invitation was deleted while it was being made."
            raise RequestInProgress(msg)
        return invitation

    async def _record(
        self,
        invitation: Invitation,
        event: ApplicationCreated | CreateFailed | CreateOutcomeUnknown,
        customer: Customer,
        detail: EventDetail,
    ) -> tuple[Invitation, AddedReference | None]:
        """Record the outcome of the create, for an application that was made with several tries,
        since otherwise it becomes an orphan; also returns what the index of references had for it.
        """
        give_up_at = self._records.monotonic() + _KEEP_TRYING_S
        added: AddedReference | None = None
        tries = 0
        while True:
            tries += 1
            try:
                if isinstance(event, ApplicationCreated):
                    with contextlib.suppress(StoreUnavailable):
                        # Stored in another part of Redis than the invitation; perhaps only
                        # that part does not answer.
                        found = await self._events.register_reference(
                            invitation, event.reference_id
                        )
                        # An event that came before is told once.
                        added = found if added is None or found.word else added
                return await self._records.apply(invitation, event, customer, detail), added
            except UnknownInvitation as error:
                # It was issued, but Redis lost the record meanwhile (FLUSHALL, eviction, an old
                # backup).
                log.error(
                    "record.lost",
                    invitation_id=invitation.id,
                    customer=customer.key,
                    during="create",
                )
                known = decide(
                    invitation, event, self._records.policy(customer), self._records.clock()
                )
                if isinstance(event, ApplicationCreated):
                    raise await self._orphaned_error(known.invitation, event, customer) from error
                return known.invitation, None
            except (RequestInProgress, StoreUnavailable) as error:
                if not isinstance(event, ApplicationCreated):
                    raise
                if tries >= _LEAST_TRIES and self._records.monotonic() >= give_up_at:
                    # Not "nothing was done": an application exists at the provider, whose id
                    # cannot be stored.
                    raise self._log_orphan(
                        invitation, event, customer, "Redis could not store it"
                    ) from error
                await self._pause(_POLL_INTERVAL_S)

    async def _orphaned_error(
        self, invitation: Invitation, event: ApplicationCreated, customer: Customer
    ) -> OutcomeUnknown:
        """The error to raise about an application whose record is lost; if possible, a tombstone is
        stored to have it anonymised.
        """
        tombstone: Invitation | None = None
        with contextlib.suppress(StoreUnavailable):
            tombstone = await self._records.recreate_as_tombstone(invitation, customer)
        why, anonymising = "Redis lost the invitation", tombstone is not None
        return self._log_orphan(invitation, event, customer, why, anonymising=anonymising)

    def _log_orphan(
        self,
        invitation: Invitation,
        event: ApplicationCreated,
        customer: Customer,
        why: str,
        *,
        anonymising: bool = False,
    ) -> OutcomeUnknown:
        log.error(
            "invitation.orphaned",
            invitation_id=invitation.id,
            customer=customer.key,
            reference_id=event.reference_id,
            anonymising=anonymising,
            text=f"made at the provider, but {why}; "
            + (
                "the bridge has it anonymised"
                if anonymising
                else "have this application anonymised there"
            ),
        )
        return OutcomeUnknown(self._provider_of(customer).name, "create", f"made, but {why}")
