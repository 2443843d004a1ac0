"""Finds the customer of a call by its bearer token."""

from __future__ import annotations

import re

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge import tracing
from bridge.core.ids import hash_secret
from bridge.errors import EndpointNotEnabled, Unauthorized
from bridge.log_context import bind_log_fields
from bridge.softgarden.settings import SoftgardenAccount
from bridge.web.app_keys import CUSTOMER, CUSTOMERS, FAIR_SCHEDULER
from bridge.web.rate_limits import RateLimit

_BEARER = re.compile(r"bearer +([^\s]+)", re.ASCII | re.IGNORECASE)


# https://dev.softgarden.de/assessment-api: softgarden sends, with every request, the token that
# the customer typed into its settings
def read_bearer_token(request: web.Request) -> str:
    """The token in ``Authorization: Bearer``; raises ``Unauthorized`` without exactly one."""
    given = request.headers.getall("Authorization", ())
    match = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
    if match is None:
        raise _unauthorized()
    return match[1]


def require_customer_token(handler: Handler, limit: RateLimit) -> Handler:
    """Let only calls with a customer's token through, and no more than *limit*; puts the customer
    into ``request[CUSTOMER]``.
    """

    async def guarded(request: web.Request) -> web.StreamResponse:
        app = request.app
        customer = app[CUSTOMERS]().by_token(read_bearer_token(request))
        if customer is None or not isinstance(customer.ats, SoftgardenAccount):
            raise _unauthorized()
        request[CUSTOMER] = customer
        bind_log_fields(customer=customer.key)
        tracing.trust_caller()
        limit.admit(customer.key)
        turns = app[FAIR_SCHEDULER]
        if not turns.take_if_free():
            await turns.take(customer.key)
        return await handler(request)

    return guarded


def require_data_export_token(handler: Handler, limit: RateLimit) -> Handler:
    """The same for a customer's data export, whose path names the customer and whose tokens are its
    own; who has not enabled it is answered like a stranger.
    """

    async def guarded(request: web.Request) -> web.StreamResponse:
        customer = request.app[CUSTOMERS]().find(request.match_info["customer"])
        softgarden = customer is not None and isinstance(customer.ats, SoftgardenAccount)
        if customer is None or not softgarden or not customer.hire.enabled:
            msg = "The data export is not enabled for this customer (hire.enabled)."
            raise EndpointNotEnabled(msg)
        # Digests are compared: the time that it takes tells nothing of a token.
        if hash_secret(read_bearer_token(request)) not in customer.hire.tokens_sha256:
            raise _unauthorized()
        request[CUSTOMER] = customer
        bind_log_fields(customer=customer.key)
        tracing.trust_caller()
        limit.admit(customer.key)
        turns = request.app[FAIR_SCHEDULER]
        if not turns.take_if_free():
            await turns.take(customer.key)
        return await handler(request)

    return guarded


def _unauthorized() -> Unauthorized:
    return Unauthorized(
        "Send the token that the bridge's administrator made: Authorization: Bearer <token>."
    )
