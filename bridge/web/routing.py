"""Endpoints: a path template, a handler and its description; tolerant of extra slashes, strict
about methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.core import ids
from bridge.errors import BridgeError, StoreUnavailable
from bridge.log_context import bind_log_fields
from bridge.process_state import ProcessState
from bridge.web import request_body
from bridge.web.app_keys import CALL, FAIR_SCHEDULER, STATE
from bridge.web.endpoint_resource import EndpointResource
from bridge.web.rate_limits import FairScheduler

ALWAYS_OPEN = ("health", "docs", "operators")
"""Tags of endpoints that answer although the store does not answer."""


EXAMPLE_URL = "https://bridge.example.com"
"""In examples: where the bridge is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallExample:
    """A call to an endpoint, and what the bridge answers to it, both in JSON; a test makes each of
    them.
    """

    name: str
    title: str
    status: int
    answer: object
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of the request."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation.

    *responses* maps status to description, or to (description, marshmallow schema or media type);
    *refusals* are the errors that it may answer besides those of every endpoint.
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
    """Its error answer, if that is not a problem document; the reason is logged nevertheless."""
    name: str = ""
    """Its operationId in the OpenAPI document."""
    examples: tuple[CallExample, ...] = ()
    leads_to: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Operations that may follow a success, by name: which of their parameters comes from which
    field of this one's answer.
    """


def add_endpoints(
    app: web.Application, endpoints: Iterable[Endpoint], *middlewares: Middleware
) -> None:
    """Register *endpoints*; those that answer GET answer HEAD too.

    *middlewares* are around them and around what answers other paths, the first one outermost; it
    is less work for aiohttp than its own list of them, whose applications may be nested.
    """

    def nest(handler: Handler) -> Handler:
        for middleware in reversed(middlewares):
            handler = partial(middleware, handler=handler)
        return handler

    resource, state, turns = EndpointResource(nest), app[STATE], app[FAIR_SCHEDULER]
    for endpoint in endpoints:
        handler = _named(endpoint, state, turns)
        resource.add(endpoint.method, endpoint.path, handler)
        if endpoint.method == "GET":
            resource.add("HEAD", endpoint.path, handler)  # aiohttp leaves the body out
    app.router.register_resource(resource)


def _named(endpoint: Endpoint, state: ProcessState, turns: FairScheduler) -> Handler:
    open_always = endpoint.tag in ALWAYS_OPEN
    names = [name for name in ("invitation_id", "token") if f"{{{name}}}" in endpoint.path]

    async def handle(request: web.Request) -> web.StreamResponse:
        call = request[CALL]
        # Log lines name the template: the path itself may contain a secret.
        call.route, call.party = endpoint.path, endpoint.tag
        for name in names:
            named = request.match_info[name].partition(".")[0]
            if ids.read_partition(named) is not None:
                bind_log_fields(invitation_id=named)
        if endpoint.request is None:
            request_body.refuse_compressed_body(request)
        try:
            if not open_always:
                if (refusal := state.get_refusal()) is not None:
                    raise StoreUnavailable(refusal)
                # With a token, the customer's turn is waited for once it is known. Else it is
                # known later, if at all: until then all these calls share one turn. None is
                # refused, since some bring results; the connections bound how many can wait.
                if not endpoint.secured and not turns.take_if_free():
                    await turns.take(endpoint.tag, refuse=False)
            return await endpoint.handler(request)
        except BridgeError as error:
            if endpoint.refusal is None:
                raise
            call.failure = error
            return endpoint.refusal(request, error)

    return handle
