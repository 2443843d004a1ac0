"""The fakes over HTTP, for people who integrate without Python: routes below ``/_sandbox/`` that both have.

There is no authorization: bind a sandbox to a machine you trust.

| call | does |
|---|---|
| ``GET ledger?operation=&reference_id=&invitation_id=&account=&direction=&limit=`` | calls received and made, oldest first |
| ``GET violations`` | contract rules that callers broke |
| ``GET faults`` | faults switched on |
| ``POST faults`` ``{"operation": "create", "status": 503}`` | switch one on: any of ``faults.What`` but ``when``, ``rng`` |
| ``DELETE faults?operation=create&operation=jobs`` | heal these, or without a query all |
| ``GET clock``, ``POST clock`` ``{"advance_s": 900}`` | read it, push it forward |
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs

from bridge.sandbox.book import Book
from bridge.sandbox.wire import Answer, Call, Refusal, json_object

ADMIN = "/_sandbox/"
FILTERS = frozenset({"operation", "reference_id", "invitation_id", "account", "direction"})


async def answer_admin(sandbox: Book, call: Call) -> Answer:
    """Answer a call below ``/_sandbox/``; mistakes are 400 with a ``detail``."""
    try:
        answer = _common(sandbox, call)
        if answer is None:
            answer = await sandbox.admin(call)
        return answer or Answer(404, {"detail": "no such route"})
    except Refusal as refusal:
        return Answer(refusal.status, {"detail": refusal.detail})
    except (LookupError, OverflowError, TypeError, ValueError) as error:
        return Answer(400, {"detail": f"{type(error).__name__}: {error}"})


def _common(sandbox: Book, call: Call) -> Answer | None:
    match call.method, call.path.removeprefix(ADMIN):
        case "GET", "ledger":
            query = call.query
            limit = int(query.pop("limit", "1000"))
            if limit < 1 or query.keys() - FILTERS:
                raise ValueError(f"limit is 1 or more; the filters are {', '.join(sorted(FILTERS))}")
            entries = sandbox.calls(query.pop("operation", None), **query)
            return Answer(200, [entry.as_json() for entry in entries[-limit:]])
        case "GET", "violations":
            return Answer(200, list(sandbox.violations))
        case "GET", "faults":
            return Answer(200, [fault.as_json() for fault in sandbox.faults])
        case "POST", "faults":
            what = json_object(call, broken=400)
            operation = what.pop("operation", None)
            if not isinstance(operation, str) or {"when", "rng"} & what.keys():
                raise ValueError("a fault needs an operation, and no Python objects")
            return Answer(201, sandbox.faults.add(operation, **what).as_json())
        case "DELETE", "faults":
            names = parse_qs(call.query_string).get("operation", [])
            return Answer(200, {"healed": sandbox.heal(*names)})
        case "GET", "clock":
            return Answer(200, {"now": sandbox.clock().isoformat()})
        case "POST", "clock":
            now = sandbox.clock.advance(timedelta(seconds=json_object(call, broken=400)["advance_s"]))
            return Answer(200, {"now": now.isoformat()})
    return None


__all__ = ["ADMIN", "answer_admin"]
