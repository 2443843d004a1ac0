"""The fakes over HTTP: routes below ``/_sandbox/`` that both have, without any authorization.

| call | does |
|---|---|
| ``GET ledger?operation=create&limit=5`` | calls received and made, oldest first; see ``FILTERS`` |
| ``GET violations`` | contract rules that callers broke |
| ``GET faults`` | faults switched on |
| ``POST faults`` ``{"operation": "create", "status": 503}`` | switch on: see ``faults.Fault`` |
| ``DELETE faults?operation=create&operation=jobs`` | heal these, or without a query all |
| ``GET clock``, ``POST clock`` ``{"advance_s": 900}`` | read it, push it forward |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bridge.sandbox.request_checks import Refusal, create_json_response, read_json_object

if TYPE_CHECKING:
    from bridge.sandbox.fake_vendor import FakeVendor

ADMIN = "/_sandbox/"
FILTERS = frozenset({"operation", "reference_id", "invitation_id", "account", "direction"})


async def answer_admin(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.Response]]
) -> web.Response:
    """Answer a call below ``/_sandbox/``; mistakes are 400 or 404 with a ``detail``."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return create_json_response({"detail": refusal.detail}, refusal.status)
    except web.HTTPRequestEntityTooLarge:
        return create_json_response({"detail": "the body is too large"}, 400)
    except web.HTTPException:
        return create_json_response({"detail": "no such route"}, 404)
    except ValueError as error:
        return create_json_response({"detail": str(error)}, 400)
    except (LookupError, OverflowError, TypeError) as error:
        return create_json_response({"detail": f"{type(error).__name__}: {error}"}, 400)


def admin_routes(sandbox: FakeVendor) -> list[web.RouteDef]:
    """The routes of the module's table."""

    async def ledger(request: web.Request) -> web.Response:
        query = dict(request.query)
        limit = int(query.pop("limit", "1000"))
        if limit < 1 or query.keys() - FILTERS:
            raise ValueError(f"limit is 1 or more; the filters are {', '.join(sorted(FILTERS))}")
        return create_json_response([asdict(entry) for entry in sandbox.calls(**query)[-limit:]])

    async def violations(request: web.Request) -> web.Response:
        return create_json_response(sandbox.violations)

    async def faults(request: web.Request) -> web.Response:
        return create_json_response([fault.as_json() for fault in sandbox.faults])

    async def add_fault(request: web.Request) -> web.Response:
        switches = await read_json_object(request)
        operation = switches.pop("operation", None)
        if not isinstance(operation, str):
            raise ValueError("a fault needs an operation")
        return create_json_response(sandbox.fault(operation, **switches).as_json(), 201)

    async def heal(request: web.Request) -> web.Response:
        return create_json_response(
            {"healed": sandbox.heal(*request.query.getall("operation", []))}
        )

    async def clock(request: web.Request) -> web.Response:
        return create_json_response({"now": sandbox.clock()})

    async def advance(request: web.Request) -> web.Response:
        seconds: Any = (await read_json_object(request)).get("advance_s")
        try:
            now = sandbox.clock.advance(timedelta(seconds=seconds))
        except (TypeError, OverflowError):
            raise ValueError("advance_s has to be a number of seconds, within a date") from None
        return create_json_response({"now": now})

    return [
        web.get(f"{ADMIN}ledger", ledger),
        web.get(f"{ADMIN}violations", violations),
        web.get(f"{ADMIN}faults", faults),
        web.post(f"{ADMIN}faults", add_fault),
        web.delete(f"{ADMIN}faults", heal),
        web.get(f"{ADMIN}clock", clock),
        web.post(f"{ADMIN}clock", advance),
    ]
