"""Health endpoints: whether this process is alive, and whether it can take work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from bridge.web import problem_details
from bridge.web.json_answer import json_response
from bridge.web.routing import CallExample, Endpoint


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this process can take work.

    *reasons*: why not, by what is missing; empty: it can. *details*: what an operator should know
    even if it can, such as partitions or customers that are not served. Only the admin listener
    shows them.
    """

    reasons: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)


Probe = Callable[[], Awaitable[Readiness]]


def create_health_endpoints(probe: Probe, *, details: bool = False) -> list[Endpoint]:
    """``/livez`` and ``/readyz``; *details* only where strangers cannot read them."""

    async def livez(request: web.Request) -> web.Response:
        return _ok()

    async def readyz(request: web.Request) -> web.Response:
        found = await probe()
        if not found.reasons:
            return _ok(found.details if details else {})
        fields = {name: [reason] for name, reason in found.reasons.items()} if details else None
        headers = {"Retry-After": "2"}
        return problem_details.build_problem_response(
            503, "not_ready", "Not ready", "Not ready to take work.", fields=fields, headers=headers
        )

    fine = {200: ("Fine.", "application/json")}
    example = CallExample(name="fine", title="All is well", status=200, answer={"status": "ok"})
    return [
        Endpoint(
            "GET",
            "/livez",
            livez,
            "The process is alive.",
            fine,
            tag="health",
            examples=(example,),
        ),
        Endpoint(
            "GET",
            "/readyz",
            readyz,
            "It can take work.",
            {**fine, 503: "It cannot, for now."},
            tag="health",
            examples=(example,),
        ),
    ]


def _ok(details: Mapping[str, object] | None = None) -> web.Response:
    return json_response({"status": "ok", **(details or {})})
