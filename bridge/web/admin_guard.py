"""Guards the admin listener, which has no login: other sites' pages must not reach it through an
operator's browser.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from bridge.errors import CrossSiteRequest

_READING = ("GET", "HEAD", "OPTIONS")


HOW_TO_ALLOW = "the operator lists further names in admin_hosts"


def create_admin_guard(names: Collection[str], remedy: str = HOW_TO_ALLOW) -> Middleware:
    """Refuse hosts other than *names*, this machine and plain addresses, and posts from another
    site's page; *remedy* is what a refusal of a host advises.

    A foreign page reaches the bridge under its own host name that resolves to it (DNS rebinding):
    so an address in ``Host`` is harmless, and a missing ``Host`` too, since every browser sends
    one.
    """
    known = {"localhost", socket.gethostname().lower(), *names}

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(hdrs.HOST)
        if given is not None and not _is_ours(given, known):
            raise CrossSiteRequest(
                f"The Host header names neither this machine nor an address; {remedy}."
            )
        if request.method not in _READING and _is_foreign(request, given):
            raise CrossSiteRequest("This was sent by another site's page.")
        return await handler(request)

    return handle


def _is_ours(host: str, known: Collection[str]) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        if name in known or name.endswith(".localhost"):
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign(request: web.Request, host: str | None) -> bool:
    """Whether another site's page sent this: browsers state the origin of a post, other clients
    do not.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return True
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is not None and origin.partition("://")[2] != host
