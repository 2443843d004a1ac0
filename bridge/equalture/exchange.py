"""One request to Equalture over HTTP, and how its failures are classified."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp
import orjson
from yarl import URL

from bridge.egress import (
    AnswerTooLarge,
    SentTracker,
    describe_call_failure,
    read_limited_body,
    track_sending,
)
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
        self._response: aiohttp.ClientResponse | None = None

    @property
    def status(self) -> int | None:
        """The answer's status, as soon as it has come."""
        return self._response.status if self._response is not None else None

    async def send(
        self, session: aiohttp.ClientSession, access: EqualtureAccount, token: str = ""
    ) -> Reply:
        """Send the request, with *token* as its bearer token; raises one of
        ``TRANSPORT_ERRORS``.
        """
        if session.closed:
            # This process ends. aiohttp would raise a RuntimeError, as if we were wrong.
            self._sent = SentTracker(may_have_left=False)
            raise aiohttp.ClientConnectionError("the session is closed")
        authorization = self._call.authorization or f"Bearer {token}"
        headers = {"Accept": "application/json", "Authorization": authorization}
        body = None
        if self._call.json is not None:
            headers["Content-Type"] = "application/json"
            body = orjson.dumps(self._call.json)
        self._sent = track_sending(session)
        with self._sent:
            async with session.request(
                self._call.method,
                _build_url(access.base_url, self._call),
                data=body,
                headers=headers,
                allow_redirects=False,  # the credentials are for the configured host only
                timeout=_NO_TIMEOUT,
            ) as response:
                self._response = response
                try:
                    return _reply(response, await read_limited_body(response, ANSWER_LIMIT))
                except AnswerTooLarge as error:
                    return _reply(response, fault=str(error))

    def reply_or_raise(self, error: BaseException) -> Reply:
        """After ``send`` failed with *error*: a reply of the status alone, if that is enough; else
        raises.

        The exception says whether the request may have had an effect.
        """
        response = self._response
        if (
            response is not None
            and protocol.choose_error_type(self._call, response.status) is not None
        ):
            return _reply(response)
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


def _reply(response: aiohttp.ClientResponse, body: bytes = b"", fault: str | None = None) -> Reply:
    return Reply(response.status, body, response.headers, datetime.now(UTC), fault)


def _build_url(base_url: str, call: Call[_T]) -> URL:
    # Paths come encoded from the protocol; yarl would decode parts of them, and treat encoded
    # dots as path segments.
    base, path = _split_base(base_url)
    return URL.build(
        scheme=base.scheme,
        authority=base.raw_authority,
        path=path + call.path,
        query_string=call.query,
        encoded=True,
    )


@functools.lru_cache(maxsize=1024)
def _split_base(base_url: str) -> tuple[URL, str]:
    base = URL(base_url)
    return base, base.raw_path.rstrip("/")
