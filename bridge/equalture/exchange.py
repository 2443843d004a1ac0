"""One request to Equalture over HTTP, and how its failures are classified."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp
import orjson
from yarl import URL

from bridge.egress import AnswerTooLarge, SentTracker, describe_call_failure, read_limited_body
from bridge.equalture import protocol
from bridge.equalture.protocol import Call, Reply
from bridge.equalture.settings import EqualtureAccount

ANSWER_LIMIT = 1024 * 1024
"""The most bytes of an answer that are read."""
TRANSPORT_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
"""The exceptions of a request without a complete answer."""

_T = TypeVar("_T")
_NO_TIMEOUT = aiohttp.ClientTimeout()
_BEFORE_SENDING = (
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientConnectorError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class Exchange:
    """A request, sent once. The caller bounds its time: no time-out is set here."""

    def __init__(self, call: Call[_T]) -> None:
        self._call = call
        self._sent = SentTracker()
        self._head: Reply | None = None

    @property
    def status(self) -> int | None:
        """The answer's status, as soon as it has come."""
        return self._head.status if self._head is not None else None

    async def send(
        self, session: aiohttp.ClientSession, access: EqualtureAccount, token: str = ""
    ) -> Reply:
        """Send the request, with *token* as its bearer token; raises one of
        ``TRANSPORT_ERRORS``.
        """
        authorization = self._call.authorization or f"Bearer {token}"
        headers = {"Accept": "application/json", "Authorization": authorization}
        body = None
        if self._call.json is not None:
            headers["Content-Type"] = "application/json"
            body = orjson.dumps(self._call.json)
        async with session.request(
            self._call.method,
            _url(access.base_url, self._call),
            data=body,
            headers=headers,
            allow_redirects=False,  # the credentials are for the configured host only
            timeout=_NO_TIMEOUT,
            trace_request_ctx=self._sent,
        ) as response:
            received = {name.lower(): value for name, value in response.headers.items()}
            self._head = Reply(response.status, b"", received, datetime.now(UTC))
            try:
                return replace(self._head, body=await read_limited_body(response, ANSWER_LIMIT))
            except AnswerTooLarge as error:
                return replace(self._head, fault=str(error))

    def reply_or_raise(self, error: BaseException) -> Reply:
        """After ``send`` failed with *error*: a reply of the status alone, if that is enough; else
        raises.

        The exception says whether the request may have had an effect.
        """
        if (
            self._head is not None
            and protocol.choose_error_type(self._call, self._head.status) is not None
        ):
            return self._head
        not_sent = self.was_not_sent(error)
        detail = f"no answer ({describe_call_failure(error)})"
        raise protocol.create_no_answer_error(
            self._call, not_sent=not_sent, detail=detail
        ) from error

    def was_not_sent(self, error: BaseException) -> bool:
        """Whether a request that failed with *error* was certainly not sent."""
        return was_not_sent(error, self._sent)


def was_not_sent(error: BaseException, sent: SentTracker) -> bool:
    """Whether a request that ended in *error* was certainly not sent.

    A time-out, a lost connection (also a reused one that the server had closed) and a broken answer
    prove nothing.
    """
    # ConnectionTimeoutError is a TimeoutError as well, and ClientConnectorError (refused, DNS, TLS)
    # a ClientOSError: these are the members of those families that come before sending.
    return not sent.may_have_left or isinstance(error, _BEFORE_SENDING)


def _url(base_url: str, call: Call[_T]) -> URL:
    # Paths come encoded from the protocol; yarl would decode parts of them, and treat encoded
    # dots as path segments.
    base = str(URL(base_url)).rstrip("/")
    return URL(f"{base}{call.path}{'?' if call.query else ''}{call.query}", encoded=True)
