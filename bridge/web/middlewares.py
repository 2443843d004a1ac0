"""Around every request: an id, one log line, and an answer for every error."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.errors import (
    BridgeError,
    CustomerSetAside,
    InvalidRequest,
    RecordUnreadable,
    StoreUnavailable,
    UpstreamError,
)
from bridge.log_context import begin_log_fields
from bridge.web import problem_details
from bridge.web.app_keys import CALL, METER, OBSERVER, SEEN_CONNECTIONS, STATE, IncomingCall
from bridge.web.listener import add_standard_headers

_SANE_ID = re.compile(r"[A-Za-z0-9._~:+/=-]{1,128}", re.ASCII)

_ONCE = ("Content-Type", "Host", "webhook-id", "webhook-signature", "webhook-timestamp")
"""``Authorization`` is checked where it is read; the parser refuses two lengths."""
_GRAVE = (UpstreamError, StoreUnavailable, RecordUnreadable, CustomerSetAside)
"""Failures that an operator should see."""

log = structlog.get_logger()


def _generate_ids() -> Iterator[str]:
    """Random ids of 32 hexadecimal digits, many by each call of the system."""
    while True:
        digits = os.urandom(4096).hex()
        for start in range(0, len(digits), 32):
            yield digits[start : start + 32]


_new_ids = _generate_ids()


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem, give every answer ``X-Request-ID``, and log one line about
    it.
    """
    begun = time.monotonic()
    app, headers = request.app, request.headers
    app[SEEN_CONNECTIONS].add(request.protocol)
    given = headers.get("X-Request-ID", "")
    request_id = given if given and _SANE_ID.fullmatch(given) else next(_new_ids)
    call = request[CALL] = IncomingCall(request_id)
    begin_log_fields(request_id=request_id)  # aiohttp gives each request a context of its own
    observer = app[OBSERVER]
    with observer.trace_request(headers.getall("traceparent", ())):
        try:
            twice = [name for name in _ONCE if len(headers.getall(name, ())) > 1]
            if twice:
                raise _ambiguous(twice)
            response = await handler(request)
        except Exception as error:
            response, code, severity = _build_error_answer(error, call)
        else:
            code, severity = _judge(call.failure)
        failure = call.failure
        add_standard_headers(response, request_id)
        if app[STATE].draining or (request.body_exists and not call.body_read):
            # The rest of an unwanted body must neither hold the connection nor be taken for a
            # request.
            response.force_close()
        method, status = request.method, response.status
        seconds = time.monotonic() - begun
        app[METER].request(call.route, method, status, seconds)
        method = method if method.isalpha() else "?"
        reason = None if failure is None else str(failure)
        observer.record_incoming(
            call.party,
            call.route,
            method=method,
            status=status,
            ms=seconds * 1000,
            code=code or "",
            reason=reason or "",
        )
        whose = {"customer": failure.customer} if isinstance(failure, CustomerSetAside) else {}
        log.log(
            severity,
            "request.handled",
            method=method,
            route=call.route,
            status=status,
            code=code,
            reason=reason,
            ms=round(seconds * 1000, 1),
            **whose,
        )
        return response


def _judge(failure: BridgeError | None) -> tuple[str | None, int]:
    """The code of an answer and its log level, by why it is no success."""
    if failure is None:
        return None, logging.INFO
    grave = isinstance(failure, _GRAVE)
    return problem_details.get_problem_code(failure), logging.WARNING if grave else logging.INFO


def _build_error_answer(
    error: Exception, call: IncomingCall
) -> tuple[web.StreamResponse, str | None, int]:
    """The answer to a request that ended with *error*, its code, and its log level."""
    match error:
        case web.HTTPException():
            return *_of_http_exception(error), logging.INFO
        case BridgeError():
            call.failure = error
            return problem_details.build_error_response(error), *_judge(error)
        case ConnectionResetError():
            # The caller hung up during the request; this answer is not read, and the bridge did
            # not fail.
            answer = problem_details.build_problem_response(
                400, "disconnected", "Disconnected", "The caller hung up."
            )
            return answer, "disconnected", logging.INFO
        case _:
            log.exception("request.crashed", route=call.route)
            return problem_details.build_internal_error_response(), "bug", logging.ERROR


def _ambiguous(twice: list[str]) -> InvalidRequest:
    """Of a header that is sent twice, a proxy and the bridge may each use another value."""
    return InvalidRequest(
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
