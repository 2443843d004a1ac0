"""What Equalture calls: PUT with a result, once the applicant has completed (introduction, "receiving results")."""

from __future__ import annotations

import orjson
from aiohttp import web

from bridge.equalture import schemas
from bridge.errors import InvalidRequest
from bridge.web import body
from bridge.web.keys import SERVICES
from bridge.web.routing import Endpoint

BODY_LIMIT = 256 * 1024


async def callback(request: web.Request) -> web.Response:
    """Take a result in: 200 exactly, and only after Redis has it.

    The URL alone says which application it is; the body has no id. An unreadable body is 400, yet the check that it stands
    for is made due all the same: whoever knows the secret has something to say, and the truth is fetched with our own token.
    """
    raw = await body.read(request, BODY_LIMIT)
    results = request.app[SERVICES].results
    where = request.match_info
    invitation, attempt = await results.recognise(where["invitation_id"], where["secret"], _credentials(request))
    try:
        parsed = body.as_json(raw)
        if not isinstance(parsed, dict):
            msg = "The body has to be a JSON object."
            raise InvalidRequest(msg, {"": ["Not an object."]})
    except InvalidRequest:
        await results.take_hint(invitation, attempt, None)
        raise
    await results.take_hint(invitation, attempt, schemas.read_report(parsed))
    return web.Response(body=orjson.dumps({"status": "ok"}), content_type="application/json")


def endpoints() -> list[Endpoint]:
    """Equalture's endpoint with its description."""
    problem = "application/problem+json"
    return [
        Endpoint(
            "PUT",
            "/equalture/callbacks/{invitation_id}/{secret}",
            callback,
            "Report a completed assessment.",
            {
                200: ("Stored durably.", "application/json"),
                400: ("Not JSON; the bridge will ask for the result by itself.", problem),
                404: ("Wrong id, secret or token.", problem),
                408: ("The body came too slowly.", problem),
                413: ("The body is larger than 256 KiB.", problem),
                503: ("Not stored; try again.", problem),
            },
            "equalture",
            request="application/json",
            parameters={"invitation_id": "The bridge's invitation id.", "secret": "The secret of this attempt."},
        )
    ]


def _credentials(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").strip().partition(" ")
    return value.strip() if scheme.lower() in ("bearer", "token") else None
