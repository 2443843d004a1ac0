"""Equalture's ``AssessmentProvider`` over HTTP: bounded in time and number, with a fresh token."""

from __future__ import annotations

import time
from typing import TypeVar

import aiohttp
import structlog

from bridge.call_observer import CallObserver
from bridge.core.assessment import (
    ApplicationProgress,
    CreatedApplication,
    Job,
    NewApplication,
    PublicLink,
    Result,
)
from bridge.core.customers import Customer
from bridge.deadlines import Deadlines
from bridge.egress import describe_call_failure
from bridge.equalture import answer_shapes, protocol
from bridge.equalture.exchange import TRANSPORT_ERRORS, Exchange
from bridge.equalture.protocol import Call, Reply
from bridge.equalture.settings import get_account
from bridge.equalture.tokens import AccessTokens
from bridge.errors import UpstreamContractBroken, UpstreamUnavailable
from bridge.meter import NO_METER, Meter, classify_call_status
from bridge.ports import Monotonic
from bridge.resilience import ALL, CallPool, Resilience

READERS = CallPool("links", 16)
"""Calls that anyone with a link can cause: in a bulkhead of their own, so that they never keep HR
from inviting.
"""

_log = structlog.get_logger()
_T = TypeVar("_T")

_LEAST_TIME_SHARE = 1 / 3
"""Of its time that a create or a hire must have left once its token is there: cut off after it was
sent, nobody would know what came of it.
"""


class EqualtureClient:
    """``AssessmentProvider`` over one injected session (see ``egress.create_session``), which the
    caller closes.

    Every method is bounded by the customer's time-out in total, including token and the one
    repetition after a 401 (the wait in the bulkhead comes before that), and raises
    ``UpstreamError`` only.
    """

    name = protocol.VENDOR
    title = "Equalture"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        monotonic: Monotonic = time.monotonic,
        meter: Meter = NO_METER,
        observer: CallObserver | None = None,
    ) -> None:
        self._session = session
        self._deadlines = Deadlines()
        self._observer = observer or CallObserver()
        self._meter = meter
        self._monotonic = monotonic
        self._tokens = AccessTokens(self._fetch_token, monotonic=monotonic)
        self._resilience = Resilience(protocol.VENDOR, monotonic, self._observer)

    async def list_jobs(self, customer: Customer) -> tuple[Job, ...]:
        """The customer's published jobs."""
        return await self._perform(customer, protocol.build_jobs_call())

    async def create_application(
        self, customer: Customer, draft: NewApplication
    ) -> CreatedApplication:
        """Make an application.

        Raises ``UpstreamRefused``, ``UpstreamUnavailable`` (both: not made) or
        ``OutcomeUnknown``.
        """
        invitation_type = get_account(customer).invitation_type
        return await self._perform(customer, protocol.build_create_call(draft, invitation_type))

    async def get_progress(self, customer: Customer, reference_id: str) -> ApplicationProgress:
        """How far the application is."""
        return await self._perform(
            customer, protocol.build_status_call(reference_id, get_account(customer).done_words)
        )

    async def get_result(
        self, customer: Customer, reference_id: str, *, locale: str | None = None
    ) -> Result | None:
        """The result in the customer's language; None: not ready yet.

        With *locale*, for somebody who reads it now, it fails and waits apart from all other calls,
        as public links do.
        """
        if locale is not None:
            return await self._perform(
                customer, protocol.build_results_call(reference_id, locale), READERS
            )
        return await self._perform(
            customer, protocol.build_results_call(reference_id, get_account(customer).locale)
        )

    async def get_public_link(self, customer: Customer, reference_id: str) -> PublicLink:
        """A fresh short-lived link to the result; fails and waits apart from all other calls."""
        call = protocol.build_public_link_call(reference_id, get_account(customer).locale)
        return await self._perform(customer, call, READERS)

    async def hire(
        self, customer: Customer, reference_id: str, *, add_to_team: bool, start_date: str | None
    ) -> None:
        """Hire the applicant; raises like ``create_application``."""
        call = protocol.build_hire_call(
            reference_id, add_to_team=add_to_team, start_date=start_date
        )
        await self._perform(customer, call)

    async def anonymise(self, customer: Customer, reference_id: str) -> None:
        """Anonymise the application; returns when it is done or was done already."""
        await self._perform(customer, protocol.build_anonymise_call(reference_id))

    async def _perform(self, customer: Customer, call: Call[_T], pool: CallPool = ALL) -> _T:
        """Perform any operation: every call goes through here."""
        async with self._resilience.call(customer.key, call.operation, pool) as guarded:
            reply = await self._ask(customer, call)
            guarded.status = reply.status
            return protocol.read_reply(call, reply)

    async def _ask(self, customer: Customer, call: Call[_T]) -> Reply:
        deadline = self._deadline(customer)
        token = self._tokens.get_cached(customer) or await self._token(customer, call, deadline)
        reply = await self._send(customer, call, deadline, token)
        if reply.status != 401:
            return reply
        # The token's life is documented in words only, so a 401 decides. It also means that nothing
        # was done: repeating is safe even for a create. Once: a second 401 is about the
        # credentials.
        self._tokens.invalidate(customer, token)
        token = await self._token(customer, call, deadline)
        return await self._send(customer, call, deadline, token)

    def _deadline(self, customer: Customer) -> float:
        return self._deadlines.now() + get_account(customer).timeout.total_seconds()

    async def _token(self, customer: Customer, call: Call[_T], deadline: float) -> str:
        try:
            with self._deadlines.until(deadline):
                token = await self._tokens.get(customer)
        except TimeoutError as error:
            detail = f"no answer ({describe_call_failure(error)})"
            raise protocol.create_no_answer_error(call, not_sent=True, detail=detail) from error
        except UpstreamContractBroken as error:
            if call.idempotent:
                raise
            # The caller of a create must learn that nothing was done, which this error leaves open.
            raise error.converted_to(UpstreamUnavailable) from error
        least_s = _LEAST_TIME_SHARE * get_account(customer).timeout.total_seconds()
        if not call.idempotent and deadline - self._deadlines.now() < least_s:
            detail = "the token came too late to wait for an answer"
            raise protocol.create_no_answer_error(call, not_sent=True, detail=detail)
        return token

    async def _fetch_token(self, customer: Customer, call: Call[_T]) -> Reply:
        deadline = self._deadline(customer)
        try:
            return await self._send(customer, call, deadline)
        except UpstreamUnavailable as error:
            if not _connection_was_lost(error.__cause__):
                raise
            # Most likely a kept-alive connection that the server closed meanwhile. aiohttp itself
            # repeats methods that are idempotent (GET, DELETE), never a POST; this POST is safe to
            # repeat.
            return await self._send(customer, call, deadline)

    async def _send(
        self, customer: Customer, call: Call[_T], deadline: float, token: str = ""
    ) -> Reply:
        """Send one request; any status is a reply, no answer an ``UpstreamError``."""
        exchange, began = Exchange(call), self._monotonic()
        failed = outcome = "cancelled"
        try:
            with self._deadlines.until(deadline):
                reply = await exchange.send(self._session, get_account(customer), token)
            failed = ""
            shape = answer_shapes.list_reply_facts(call, reply)
            self._observer.record_shape(protocol.VENDOR, call.operation, shape)
            outcome = "ok" if reply.status in call.none_at else classify_call_status(reply.status)
            return reply
        except TRANSPORT_ERRORS as error:
            failed = type(error).__name__
            outcome = "unavailable" if exchange.was_not_sent(error) else "no_answer"
            return exchange.reply_or_raise(error)
        finally:
            seconds = self._monotonic() - began
            self._meter.call(protocol.VENDOR, call.operation, outcome, seconds)
            _log.debug(
                "equalture.called",
                operation=call.operation,
                customer=customer.key,
                status=exchange.status,
                ms=round(seconds * 1000),
                failed=failed,
            )


def _connection_was_lost(error: BaseException | None) -> bool:
    return isinstance(
        error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError
    ) and not isinstance(error, aiohttp.ClientConnectorError)
