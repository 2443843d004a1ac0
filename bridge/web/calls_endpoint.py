"""``GET /-/calls``: the calls in both directions, live, one line of JSON each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from aiohttp import web

from bridge.errors import InvalidRequest
from bridge.web import problem_details
from bridge.web.app_keys import CALL, CUSTOMERS
from bridge.web.listener import add_standard_headers
from bridge.web.routing import Endpoint

PATH = "/-/calls"
READERS_LIMIT = 16
SLOW_S = 5.0
"""Who takes nothing for so long is let go."""
_BEAT_S = 2.0
_MEDIA_TYPE = "application/x-ndjson"

Watch = Callable[[str | None], AsyncIterator[Sequence[bytes]]]


def create_calls_endpoint(watch: Watch) -> Endpoint:
    """The endpoint; an empty line every now and then shows that it goes on."""
    readers = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal readers
        customer = request.query.get("customer")
        _require_known(request, customer)
        if readers >= READERS_LIMIT:
            return problem_details.build_problem_response(
                503,
                "too_many_readers",
                "Too many readers",
                f"{READERS_LIMIT} watch already; end one of them.",
                headers={"Retry-After": "5"},
            )
        response = web.StreamResponse(headers={"Content-Type": _MEDIA_TYPE})
        add_standard_headers(response, request[CALL].request_id)
        readers += 1
        try:
            await response.prepare(request)
            if request.method != "HEAD":
                await _send(request, response, watch(customer))
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            readers -= 1
        return response

    return Endpoint(
        "GET",
        PATH,
        handle,
        "The calls in both directions, live; customer= shows one customer's.",
        {
            200: ("A line of JSON for each call, until the reader goes.", _MEDIA_TYPE),
            503: "Too many watch already.",
        },
        tag="operators",
        refusals=(InvalidRequest,),
    )


async def _send(
    request: web.Request, response: web.StreamResponse, batches: AsyncIterator[Sequence[bytes]]
) -> None:
    loop = asyncio.get_running_loop()
    sent_at = 0.0
    async with contextlib.aclosing(batches):  # type: ignore[type-var]
        async for lines in batches:
            if not lines and loop.time() - sent_at < _BEAT_S:
                continue
            async with asyncio.timeout(SLOW_S):
                await response.write(b"".join(line + b"\n" for line in lines) or b"\n")
            sent_at = loop.time()


def _require_known(request: web.Request, customer: str | None) -> None:
    directory = request.app[CUSTOMERS]()
    if customer is None or directory.is_configured(customer):
        return
    raise InvalidRequest("There is no such customer.", {"customer": ["Not configured."]})
