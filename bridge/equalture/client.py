"""Equalture over HTTP: carries ``protocol``'s calls, keeps the token fresh, and tells "not sent"
from "perhaps done".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import aiohttp
import orjson
import structlog
from yarl import URL

from bridge.core.assessment import (
    CreatedApplication,
    Job,
    NewApplication,
    Progress,
    PublicLink,
    Result,
)
from bridge.core.customers import Customer
from bridge.egress import AnswerTooLarge, Flight, in_words, read_capped
from bridge.equalture import protocol
from bridge.equalture.protocol import Call, Reply
from bridge.equalture.tokens import AccessTokens
from bridge.errors import ContractBroken, Unavailable, UpstreamError
from bridge.ports import Clock, Monotonic

ANSWER_LIMIT = 1024 * 1024
"""Bytes of the longest answer that is read."""

Observe = Callable[[str, str, float], None]
"""Told of every operation: its name, ``ok`` or an error code (or ``cancelled``), seconds."""

_log = structlog.get_logger()
_T = TypeVar("_T")
_LOST = (aiohttp.ClientError, OSError, TimeoutError)


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


def ignore(operation: str, outcome: str, seconds: float) -> None:
    """Observe nothing."""


@dataclass(slots=True)
class _Trip:
    """How far one operation got: *flight* is None until its own request begins, *head* until a
    status came.
    """

    flight: Flight | None = None
    head: Reply | None = None


def surely_not_sent(error: BaseException, flight: Flight | None) -> bool:
    """Whether a request that ended in *error* certainly never left; *flight* None: it was not even
    begun.

    A time-out, a lost connection (also a reused one that the server had closed) and a broken answer
    prove nothing.
    """
    if flight is None or not flight.may_have_left:
        return True
    # ConnectionTimeoutError is a TimeoutError as well, and ClientConnectorError (refused, DNS, TLS)
    # a ClientOSError: these are the members of those families that come before sending.
    return isinstance(
        error,
        (
            aiohttp.ConnectionTimeoutError,
            aiohttp.ClientConnectorError,
            aiohttp.InvalidURL,
            aiohttp.NonHttpUrlClientError,
        ),
    )


class EqualtureClient:
    """``AssessmentProvider`` over one injected session (see ``egress.session``; the session stays
    the caller's to close).

    Every method is bounded by the customer's time-out in total, token and the one repetition after
    a 401 included, and raises ``UpstreamError`` only. *observe* hears of each operation, ``token``
    included.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        clock: Clock = utc_now,
        monotonic: Monotonic = time.monotonic,
        observe: Observe = ignore,
    ) -> None:
        self._session = session
        self._clock = clock
        self._monotonic = monotonic
        self._observe = observe
        self._tokens = AccessTokens(self._fetch_token, monotonic=monotonic)

    async def list_jobs(self, customer: Customer) -> tuple[Job, ...]:
        """The customer's published jobs."""
        return await self._perform(customer, protocol.jobs(), protocol.read_jobs)

    async def create_application(
        self, customer: Customer, draft: NewApplication
    ) -> CreatedApplication:
        """Make an application; raises ``Refused``, ``Unavailable`` (both: surely not made) or
        ``OutcomeUnknown``.
        """
        return await self._perform(customer, protocol.create(draft), protocol.read_created)

    async def get_progress(self, customer: Customer, reference_id: str) -> Progress:
        """How far the application is."""
        read = partial(protocol.read_progress, done_words=customer.equalture.done_words)
        return await self._perform(customer, protocol.status(reference_id), read)

    async def get_result(self, customer: Customer, reference_id: str) -> Result | None:
        """The result in the customer's language; None: not ready yet."""
        call = protocol.results(reference_id, customer.equalture.locale)
        return await self._perform(customer, call, protocol.read_result)

    async def get_public_link(self, customer: Customer, reference_id: str) -> PublicLink:
        """A fresh short-lived link to the result."""
        call = protocol.public_link(reference_id, customer.equalture.locale)
        return await self._perform(customer, call, protocol.read_public_link)

    async def hire(
        self, customer: Customer, reference_id: str, *, add_to_team: bool, start_date: str | None
    ) -> None:
        """Hire the applicant; raises like ``create_application``."""
        call = protocol.hire(reference_id, add_to_team=add_to_team, start_date=start_date)
        await self._perform(customer, call, protocol.read_hired)

    async def anonymise(self, customer: Customer, reference_id: str) -> None:
        """Anonymise the application; returns when it is done or was done already."""
        await self._perform(customer, protocol.anonymise(reference_id), protocol.read_anonymised)

    async def _perform(
        self, customer: Customer, call: Call, read: Callable[[Call, Reply], _T]
    ) -> _T:
        outcome, began = "cancelled", self._monotonic()
        call = replace(call, private=(*call.private, customer.equalture.client_secret.reveal()))
        try:
            answer = read(call, await self._exchange(customer, call))
        except UpstreamError as error:
            outcome = error.code
            raise
        else:
            outcome = "ok"
            return answer
        finally:
            self._observe(call.operation, outcome, self._monotonic() - began)

    async def _exchange(self, customer: Customer, call: Call) -> Reply:
        trip = _Trip()
        try:
            async with asyncio.timeout(customer.equalture.timeout.total_seconds()):
                token = await self._token(customer, call)
                reply = await self._send(customer, call, trip, token, skip_401=True)
                if reply.status != 401:
                    return reply
                # The token's life is documented in words only, so the 401 is the truth about it. It
                # also means that nothing was done: repeating is safe even for a create. Once: a
                # second 401 is about the credentials.
                self._tokens.invalidate(customer, token)
                trip.flight = trip.head = None
                token = await self._token(customer, call)
                return await self._send(customer, call, trip, token)
        except _LOST as error:
            return _salvage(call, trip, error)

    async def _token(self, customer: Customer, call: Call) -> str:
        try:
            return await self._tokens.get(customer)
        except ContractBroken as error:
            if not call.once:
                raise
            # Who creates must be told plainly that nothing was done; this error leaves that open.
            raise Unavailable(
                error.vendor,
                error.operation,
                error.detail,
                status=error.status,
                retry_after_s=error.retry_after_s,
                excerpt=error.excerpt,
            ) from error

    async def _fetch_token(self, customer: Customer, call: Call) -> Reply:
        outcome, began, trip = "cancelled", self._monotonic(), _Trip()
        try:
            async with asyncio.timeout(customer.equalture.timeout.total_seconds()):
                try:
                    reply = await self._send(customer, call, trip)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    if surely_not_sent(error, trip.flight):
                        raise
                    # Most likely a kept-alive connection that the server closed meanwhile. aiohttp
                    # repeats by itself what is idempotent by method (GET, DELETE), never a POST;
                    # this POST is harmless to repeat.
                    reply = await self._send(customer, call, trip)
            outcome = _outcome(call, reply)
        except _LOST as error:
            outcome = Unavailable.code
            reply = _salvage(call, trip, error)
            outcome = _outcome(call, reply)
        finally:
            self._observe(call.operation, outcome, self._monotonic() - began)
        return reply

    async def _send(
        self,
        customer: Customer,
        call: Call,
        trip: _Trip,
        token: str = "",
        *,
        skip_401: bool = False,
    ) -> Reply:
        """One request and its answer; *trip* is kept up to date for whoever catches what this lets
        through.
        """
        access = customer.equalture
        headers = {
            "Accept": "application/json",
            "Authorization": call.authorization or f"Bearer {token}",
        }
        body = None
        if call.json is not None:
            headers["Content-Type"] = "application/json"
            body = orjson.dumps(call.json)
        trip.flight, trip.head = Flight(), None
        began, failed = self._monotonic(), ""
        try:
            async with self._session.request(
                call.method,
                _url(access.base_url, call),
                data=body,
                headers=headers,
                allow_redirects=False,  # the credentials are for the configured host only
                timeout=aiohttp.ClientTimeout(total=access.timeout.total_seconds()),
                trace_request_ctx=trip.flight,
            ) as response:
                trip.head = head = Reply(
                    response.status,
                    b"",
                    {name.lower(): value for name, value in response.headers.items()},
                    self._clock(),
                )
                if skip_401 and response.status == 401:
                    return head
                try:
                    return replace(head, body=await read_capped(response, ANSWER_LIMIT))
                except AnswerTooLarge as error:
                    return replace(head, fault=str(error))
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            _log.debug(
                "equalture.called",
                operation=call.operation,
                customer=customer.key,
                status=trip.head.status if trip.head else None,
                ms=round((self._monotonic() - began) * 1000),
                failed=failed,
            )


def _url(base_url: str, call: Call) -> URL:
    # Paths come encoded from the protocol; yarl would decode what it thinks harmless, and climb on
    # encoded dots.
    base = str(URL(base_url)).rstrip("/")
    return URL(f"{base}{call.path}{'?' if call.query else ''}{call.query}", encoded=True)


def _salvage(call: Call, trip: _Trip, error: BaseException) -> Reply:
    """What is left when the connection failed or time was up: the status, if that says enough; else
    raise.
    """
    if trip.head is not None and protocol.failure(call, trip.head.status) is not None:
        return trip.head
    detail = f"no answer ({in_words(error)})"
    raise protocol.lost(
        call, surely_not_sent=surely_not_sent(error, trip.flight), detail=detail
    ) from error


def _outcome(call: Call, reply: Reply) -> str:
    kind = protocol.failure(call, reply.status)
    return kind.code if kind else "ok"
