"""How a listener serves HTTP, in the daemon and in tests: it buffers little, and neither
decompresses bodies nor echoes input.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict, CIMultiDictProxy

from bridge.web import problem_details
from bridge.web.app_keys import EXPECTS_BODY

BETWEEN_REQUESTS_S = 75.0
"""How long a connection is kept for the next request; aiohttp's own default is an hour."""
LINGER_S = 2.0
"""How long an unwanted body is read and dropped, so that its sender can read the answer."""
BUFFER = 16 * 1024
"""Of a body that no handler has asked for yet, about twice this is buffered per connection."""

log = structlog.get_logger()


def add_standard_headers(response: web.StreamResponse, request_id: str) -> None:
    """Add the headers that every answer has to *response*; those that a handler set are kept."""
    response.headers["X-Request-ID"] = request_id
    response.headers["Server"] = "bridge"
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


class ListenerRunner(web.AppRunner):
    """Serves *application*; *connections* is how many callers may be connected at once.

    Bodies are passed on as received: ``request_body`` decides who may send a compressed one. No
    "100 Continue" is sent before a handler reads the body.
    """

    __slots__ = ("_connections_limit",)

    def __init__(
        self,
        application: web.Application,
        *,
        shutdown_timeout: float,
        connections: int | None = None,
    ) -> None:
        super().__init__(
            application,
            access_log=None,
            shutdown_timeout=shutdown_timeout,
            keepalive_timeout=BETWEEN_REQUESTS_S,
            lingering_time=LINGER_S,
            read_bufsize=BUFFER,
            auto_decompress=False,
        )
        self._connections_limit = connections

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made, self._connections_limit)


class _Server(web.Server):
    """aiohttp's own server, with ``_Connection`` instead of its connections."""

    def __init__(self, made: web.Server, limit: int | None) -> None:
        super().__init__(made.request_handler, request_factory=self._request, **made._kwargs)
        self._make = made.request_factory
        self._limit = limit

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if self._limit is not None and len(self._connections) > self._limit:
            # Sockets are reserved for Redis and the vendors, without which no caller can be served.
            # Closed a moment later: the handler that aiohttp has just started would fail on a
            # connection that is gone.
            self._loop.call_soon(transport.abort)

    def _request(self, message: RawRequestMessage, *more: Any) -> web.BaseRequest:
        expected = message.headers.get(hdrs.EXPECT)
        if expected is not None:
            # aiohttp would ask for the body before it is known whether it is wanted.
            headers = CIMultiDict(message.headers)
            headers.popall(hdrs.EXPECT)
            message = message._replace(headers=CIMultiDictProxy(headers))
        request = self._make(message, *more)
        if expected is not None:
            request[EXPECTS_BODY] = expected.strip().lower() == "100-continue"
        return request


class _Connection(RequestHandler):
    """A connection whose errors outside of the application reveal no more than other answers."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer with a problem, without the caller's bytes and without a banner; closes the
        connection.
        """
        if request.writer.output_size > 0:
            msg = "a part of another answer has been sent already"
            raise ConnectionError(msg)
        if status < 500:
            log.info("request.malformed", status=status, error=type(exc).__name__)
            detail = "This is not well-formed HTTP, or a line of it is too long."
            response = problem_details.build_problem_response(
                status, "invalid_request", "Not HTTP", detail
            )
        else:
            log.error("request.crashed", exc_info=exc)
            response = problem_details.build_internal_error_response()
        add_standard_headers(response, uuid.uuid4().hex)
        response.force_close()
        return response
