"""Around every request: an id, one log line, and an answer for every error."""

from __future__ import annotations

import logging
import re
import time
import uuid

import structlog
from aiohttp import web
from structlog.contextvars import bound_contextvars

from bridge.errors import (
    BridgeError,
    CustomerSetAside,
    InvalidRequest,
    RecordUnreadable,
    StoreUnavailable,
    UpstreamError,
)
from bridge.web import problem_details
from bridge.web.app_keys import (
    BODY_READ,
    FAILURE,
    METER,
    OBSERVER,
    PARTY,
    REQUEST_ID,
    ROUTE,
    SEEN_CONNECTIONS,
    STATE,
)
from bridge.web.listener import add_standard_headers
from bridge.web.routing import Handler

_SANE_ID = re.compile(r"[A-Za-z0-9._~:+/=-]{1,128}", re.ASCII)

_ONCE = ("Content-Type", "Host", "webhook-id", "webhook-signature", "webhook-timestamp")
"""``Authorization`` is checked where it is read; the parser refuses two lengths."""

log = structlog.get_logger()


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem, give every answer ``X-Request-ID``, and log one line about
    it.
    """
    begun = time.monotonic()
    request.app[SEEN_CONNECTIONS].add(request.protocol)
    given = request.headers.get("X-Request-ID", "")
    request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
    request[REQUEST_ID] = request_id
    traceparents = request.headers.getall("traceparent", ())
    with (
        bound_contextvars(request_id=request_id),
        request.app[OBSERVER].trace_request(traceparents),
    ):
        response, code, severity = await _answer(request, handler)
        add_standard_headers(response, request_id)
        if request.app[STATE].draining or (request.body_exists and BODY_READ not in request):
            # The rest of an unwanted body must neither hold the connection nor be taken for a
            # request.
            response.force_close()
        route, seconds = request.get(ROUTE, "unmatched"), time.monotonic() - begun
        request.app[METER].request(route, request.method, response.status, seconds)
        method = request.method if request.method.isalpha() else "?"
        failure = request.get(FAILURE)
        whose = {"customer": failure.customer} if isinstance(failure, CustomerSetAside) else {}
        request.app[OBSERVER].record_incoming(
            request.get(PARTY, "unknown"),
            route,
            method=method,
            status=response.status,
            ms=seconds * 1000,
            code=code or "",
            reason="" if failure is None else str(failure),
        )
        log.log(
            severity,
            "request.handled",
            method=method,
            route=route,
            status=response.status,
            code=code,
            reason=None if failure is None else str(failure),
            ms=round(seconds * 1000, 1),
            **whose,
        )
        return response


async def _answer(
    request: web.Request, handler: Handler
) -> tuple[web.StreamResponse, str | None, int]:
    """The answer, its code unless it is a success, and its log level."""
    try:
        _require_unambiguous(request)
        response = await handler(request)
    except web.HTTPException as error:
        return *_of_http_exception(error), logging.INFO
    except BridgeError as error:
        request[FAILURE] = error
        response = problem_details.build_error_response(error)
    except ConnectionResetError:
        # The caller hung up during the request; this answer is not read, and the bridge did not
        # fail.
        answer = problem_details.build_problem_response(
            400, "disconnected", "Disconnected", "The caller hung up."
        )
        return answer, "disconnected", logging.INFO
    except Exception:
        log.exception("request.crashed", route=request.get(ROUTE, "unmatched"))
        return problem_details.build_internal_error_response(), "bug", logging.ERROR
    failure = request.get(FAILURE)
    if failure is None:
        return response, None, logging.INFO
    grave = isinstance(
        failure, UpstreamError | StoreUnavailable | RecordUnreadable | CustomerSetAside
    )
    return (
        response,
        problem_details.get_problem_code(failure),
        logging.WARNING if grave else logging.INFO,
    )


def _require_unambiguous(request: web.Request) -> None:
    """Refuse a header that is sent twice: a proxy and the bridge may each use another of the
    values.
    """
    twice = [name for name in _ONCE if len(request.headers.getall(name, ())) > 1]
    if twice:
        raise InvalidRequest(
            "A header stands there more than once.", {name: ["Send it once."] for name in twice}
        )


def _of_http_exception(error: web.HTTPException) -> tuple[web.Response, str]:
    code = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}.get(
        error.status, "invalid_request"
    )
    headers = {
        name: value for name, value in error.headers.items() if name in ("Allow", "Location")
    }
    detail = {404: "There is nothing at this path.", 405: "See the Allow header."}.get(
        error.status, error.reason
    )
    return problem_details.build_problem_response(
        error.status, code, error.reason, detail, headers=headers
    ), code
