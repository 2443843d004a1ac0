"""The only call that the bridge makes to softgarden: the notification that an invitation has
changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

import aiohttp
import structlog

from bridge import response_parsing
from bridge.call_observer import CallObserver
from bridge.core.customers import Customer
from bridge.core.queueing import NotificationResponse
from bridge.core.redaction import EXCERPT_BYTES, Redactor
from bridge.egress import describe_call_failure
from bridge.errors import OutcomeUnknown, UpstreamUnavailable
from bridge.meter import NO_METER, Meter, classify_call_status
from bridge.ports import Monotonic
from bridge.resilience import Resilience
from bridge.softgarden import request_shapes
from bridge.softgarden.settings import get_account

VENDOR = "softgarden"
OPERATION = "notify"
REDACTOR = Redactor((VENDOR,))
EXCERPT_S = 2.0
"""How long the body of a refusal is waited for."""

_NO_CONNECTION = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)

log = structlog.get_logger()


class SoftgardenNotifier:
    """POSTs ``{"invitationId": ...}`` to the stored callback with the customer's public OAuth
    client.

    *session* must be a guarded one: the URL came from outside, and credentials are sent there.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        timeout: timedelta,
        *,
        monotonic: Monotonic = time.monotonic,
        meter: Meter = NO_METER,
        observer: CallObserver | None = None,
    ) -> None:
        self._session = session
        self._observer = observer or CallObserver()
        self._meter = meter
        self._resilience = Resilience(VENDOR, monotonic, self._observer)
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds())

    # https://dev.softgarden.de/assessment-api/notification-about-update
    async def notify(
        self, customer: Customer, url: str, invitation_id: str
    ) -> NotificationResponse:
        """One attempt; any status is an answer.

        Raises ``UpstreamUnavailable`` (not sent) or ``OutcomeUnknown``. Redirects are never
        followed, since the credentials would be sent along.
        """
        async with self._resilience.call(customer.key, OPERATION) as guarded:
            response = await self._post(customer, url, invitation_id)
            guarded.status = response.status
            return response

    async def _post(self, customer: Customer, url: str, invitation_id: str) -> NotificationResponse:
        # https://dev.softgarden.de/authorization/basic-authorization
        # A public client has no secret, so the password is empty; the colon stays (RFC 7617).
        headers = {"Authorization": aiohttp.encode_basic_auth(get_account(customer).client_id, "")}
        begun, outcome = time.monotonic(), "cancelled"
        try:
            async with self._session.post(
                url,
                json={"invitationId": invitation_id},
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                raw = await _beginning(response)
                status = response.status
                outcome = classify_call_status(status)
                shape = request_shapes.list_answer_facts(status, raw)
                self._observer.record_shape(VENDOR, OPERATION, shape)
                retry_after_s = response_parsing.parse_retry_after(
                    response.headers.get("Retry-After"),
                    datetime.now(UTC),
                    response.headers.get("Date"),
                )
        except _NO_CONNECTION as error:
            outcome = "unavailable"
            raise UpstreamUnavailable(
                VENDOR, OPERATION, f"no connection ({describe_call_failure(error)})"
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            outcome = "no_answer"
            raise OutcomeUnknown(
                VENDOR, OPERATION, f"no answer ({type(error).__name__})"
            ) from error
        finally:
            self._meter.call(VENDOR, OPERATION, outcome, time.monotonic() - begun)
        log.debug("softgarden.notified", customer=customer.key, status=status, ms=_ms(begun))
        excerpt = REDACTOR.redact(raw, (get_account(customer).client_id,))
        return NotificationResponse(status, retry_after_s, excerpt)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The first bytes of a refusal; the rest is dropped with the connection.

    The status is the answer: a body that breaks off or never comes changes nothing.
    """
    if 200 <= response.status < 300:
        return b""
    raw = bytearray()
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(EXCERPT_S):
            while len(raw) < EXCERPT_BYTES and (
                chunk := await response.content.read(EXCERPT_BYTES - len(raw))
            ):
                raw += chunk
    return bytes(raw)


def _ms(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
