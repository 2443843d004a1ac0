"""Is this process alive; can it take work?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from bridge.web import problems
from bridge.web.routing import Endpoint

Probe = Callable[[], Awaitable[dict[str, str]]]
"""Named complaints; none: ready."""


def endpoints(probe: Probe, *, details: bool = False) -> list[Endpoint]:
    """``/livez`` and ``/readyz``; *details* only where strangers cannot read them."""

    async def livez(request: web.Request) -> web.Response:
        return _ok()

    async def readyz(request: web.Request) -> web.Response:
        complaints = await probe()
        if not complaints:
            return _ok()
        fields = {name: [complaint] for name, complaint in complaints.items()} if details else None
        headers = {"Retry-After": "2"}
        return problems.problem(503, "not_ready", "Not ready", "Not ready to take work.", fields, headers)

    fine = {200: ("Fine.", "application/json")}
    return [
        Endpoint("GET", "/livez", livez, "The process is alive.", fine, "health"),
        Endpoint("GET", "/readyz", readyz, "It can take work.", {**fine, 503: "It cannot, for now."}, "health"),
    ]


def _ok() -> web.Response:
    return web.Response(body=orjson.dumps({"status": "ok"}), content_type="application/json")
