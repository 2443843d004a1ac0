"""The only call that the bridge makes to softgarden: the notification that an invitation has
changed.
"""

from __future__ import annotations

import contextlib
import functools
import time
from datetime import UTC, datetime, timedelta

import aiohttp
import orjson
import structlog

from bridge import response_parsing
from bridge.call_observer import CallObserver
from bridge.core.customers import Customer
from bridge.core.queueing import NotificationResponse
from bridge.core.redaction import EXCERPT_BYTES, Redactor
from bridge.deadlines import Deadlines
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

_NO_TIMEOUT = aiohttp.ClientTimeout()
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
        self._timeout_s = timeout.total_seconds()
        self._deadlines = Deadlines()

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
        account = get_account(customer)
        headers = {
            "Authorization": _encode_credentials(account.client_id),
            "Content-Type": "application/json",
        }
        begun, outcome = time.monotonic(), "cancelled"
        deadline = self._deadlines.now() + self._timeout_s
        retry_after_s = None
        try:
            with self._deadlines.until(deadline):
                response = await self._session.post(
                    url,
                    data=orjson.dumps({"invitationId": invitation_id}),
                    headers=headers,
                    timeout=_NO_TIMEOUT,
                    allow_redirects=False,
                )
            async with response:
                status = response.status
                raw = b"" if 200 <= status < 300 else await self._read_excerpt(response, deadline)
                outcome = classify_call_status(status)
                shape = request_shapes.list_answer_facts(status, raw)
                self._observer.record_shape(VENDOR, OPERATION, shape)
                if "Retry-After" in response.headers:
                    retry_after_s = response_parsing.parse_retry_after(
                        response.headers["Retry-After"],
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
        excerpt = REDACTOR.redact(raw, (account.client_id,)) if raw else ""
        return NotificationResponse(status, retry_after_s, excerpt)

    async def _read_excerpt(self, response: aiohttp.ClientResponse, deadline: float) -> bytes:
        """The first bytes of a refusal; the rest is dropped with the connection.

        The status is the answer: a body that breaks off or never comes changes nothing.
        """
        raw = bytearray()
        until = min(deadline, self._deadlines.now() + EXCERPT_S)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError), self._deadlines.until(until):
            while len(raw) < EXCERPT_BYTES and (
                chunk := await response.content.read(EXCERPT_BYTES - len(raw))
            ):
                raw += chunk
        return bytes(raw)


# https://dev.softgarden.de/authorization/basic-authorization
@functools.lru_cache(maxsize=1024)
def _encode_credentials(client_id: str) -> str:
    # A public client has no secret, so the password is empty; the colon stays (RFC 7617).
    return aiohttp.encode_basic_auth(client_id, "")


def _ms(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
