"""Endpoints: a path template, a handler and its description; patient with slashes, strict with
methods.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial

import orjson
from aiohttp import web
from structlog.contextvars import bind_contextvars

from bridge.core import ids
from bridge.errors import BridgeError, StoreUnavailable
from bridge.web import request_body
from bridge.web.app_keys import FAILURE, FAIR_SCHEDULER, PARTY, ROUTE, STATE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
json_response = partial(web.json_bytes_response, dumps=orjson.dumps)
ALWAYS_OPEN = ("health", "docs", "operators")
"""Tags of endpoints that answer although the store does not answer."""
_VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation.

    *responses* maps status to description, or to (description, marshmallow schema or media type);
    *refusals* are the errors that it answers besides those that every endpoint may.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    responses: Mapping[int, object]
    _: KW_ONLY
    tag: str
    request: object = None
    refusals: tuple[type[BridgeError], ...] = ()
    secured: bool = False
    """Called with a customer's token."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    refusal: Callable[[web.Request, BridgeError], web.StreamResponse] | None = None
    """How it says no, where that is not a problem; the log gets the reason all the same."""
    name: str = ""
    """Its operationId in the OpenAPI document."""
    leads_to: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Operations, by name, that may follow a success: which of their parameters is which field of
    this one's answer.
    """


def add(app: web.Application, endpoints: Iterable[Endpoint]) -> None:
    """Register *endpoints*; one resource a path, so that a wrong method is 405 with the right
    ``Allow``.
    """
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, []).append(endpoint)
    for path, operations in by_path.items():
        resource = app.router.add_resource(tolerant(path))
        for endpoint in operations:
            handler = _named(endpoint)
            resource.add_route(endpoint.method, handler)
            if endpoint.method == "GET":
                resource.add_route("HEAD", handler)  # aiohttp leaves the body out


def tolerant(path: str) -> str:
    """*path* as a pattern that takes doubled and trailing slashes: redirects are not known to be
    followed by every ATS.
    """
    pattern = ""
    for number, segment in enumerate(path.strip("/").split("/")):
        pattern += (f"{{_{number}:/+}}" if number else "/{_0:/*}") + _VARIABLE.sub(
            r"{\1:[^/]+}", segment
        )
    return pattern + "{_end:/*}"


def _named(endpoint: Endpoint) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        # Log lines name the template: the path itself may hold a secret.
        request[ROUTE] = endpoint.path
        request[PARTY] = endpoint.tag
        named = (
            request.match_info.get("invitation_id")
            or request.match_info.get("token", "").partition(".")[0]
        )
        if ids.partition_in(named) is not None:
            bind_contextvars(invitation_id=named)
        if endpoint.request is None:
            request_body.refuse_encoded(request)
        try:
            if endpoint.tag not in ALWAYS_OPEN:
                await _admit(request, endpoint)
            return await endpoint.handler(request)
        except BridgeError as error:
            if endpoint.refusal is None:
                raise
            request[FAILURE] = error
            return endpoint.refusal(request, error)

    return handle


async def _admit(request: web.Request, endpoint: Endpoint) -> None:
    reason = request.app[STATE].not_ready_reason
    if reason is not None:
        raise StoreUnavailable(reason)
    if not endpoint.secured:
        # Whose call it is shows later, if at all: all whom nobody knows yet are one among the
        # customers. None is refused, for among them are results; how many can wait is bounded by
        # the connections.
        await request.app[FAIR_SCHEDULER].take(endpoint.tag, refuse=False)
