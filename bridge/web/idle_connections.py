"""Closes connections that send nothing: aiohttp bounds the time between requests, but not the wait
for the first one.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

FIRST_REQUEST_S = 15.0
"""From the connection to the end of its first request's headers.

A slow sender holds a socket no longer than this.
"""

_EVERY_S = 2.5


class IdleConnectionReaper:
    """Closes connections of *server* that never completed the headers of a request;
    *active_connections* are those that did.
    """

    def __init__(self, server: web.Server, active_connections: set[RequestHandler]) -> None:
        self._server = server
        self._active_connections = active_connections
        self._since: dict[RequestHandler, float] = {}

    async def run(self) -> None:
        """Call ``sweep`` every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            self.sweep(asyncio.get_running_loop().time())

    def sweep(self, now: float) -> None:
        """Close the connections that have been silent for too long at loop time *now*."""
        connections = set(self._server.connections)
        self._active_connections &= connections
        self._since = {
            one: self._since.get(one, now) for one in connections - self._active_connections
        }
        for connection, since in self._since.items():
            if now - since >= FIRST_REQUEST_S and connection.transport is not None:
                connection.transport.abort()
