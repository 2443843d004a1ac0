"""The only call that the bridge makes to softgarden (dev.softgarden.de/assessment-api/notification-about-update)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import aiohttp
import structlog

from bridge import wire
from bridge.core.customers import Customer
from bridge.core.models import Answer
from bridge.errors import OutcomeUnknown, Unavailable

EXCERPT_BYTES = 2048

log = structlog.get_logger()


class SoftgardenNotifier:
    """POSTs ``{"invitationId": ...}`` to the stored callback with the customer's public OAuth client.

    *session* is a guarded one: the URL came from outside, and credentials are sent there.
    """

    def __init__(self, session: aiohttp.ClientSession, timeout: timedelta) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds())

    async def notify(self, customer: Customer, url: str, invitation_id: str) -> Answer:
        """One attempt; any status is an answer. Raises ``Unavailable`` (surely not sent) or ``OutcomeUnknown``.

        Basic with an empty password: the colon stays (softgarden: basic authorization, RFC 7617). Redirects are never
        followed, for the credentials would travel along.
        """
        headers = {"Authorization": aiohttp.encode_basic_auth(customer.softgarden.client_id, "")}
        begun = time.monotonic()
        try:
            async with self._session.post(
                url,
                json={"invitationId": invitation_id},
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                raw = await response.content.read(EXCERPT_BYTES)
                status = response.status
                retry_after_s = wire.parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise Unavailable("softgarden", "notify", f"no connection ({type(error).__name__})") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OutcomeUnknown("softgarden", "notify", f"no answer ({type(error).__name__})") from error
        log.debug("softgarden.notified", customer=customer.key, status=status, ms=_ms(begun))
        excerpt = wire.redact(raw.decode("utf-8", "replace"), (customer.softgarden.client_id,))
        return Answer(status, retry_after_s, excerpt)


def _ms(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
