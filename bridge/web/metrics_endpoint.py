"""``GET /metrics``, for operators' machines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.web.routing import Endpoint

Scrape = Callable[[], Awaitable[tuple[bytes, str]]]
"""Returns the metrics as text, and its media type."""


def create_metrics_endpoint(scrape: Scrape) -> Endpoint:
    """The endpoint; it answers although the store does not."""

    async def metrics(request: web.Request) -> web.Response:
        text, media_type = await scrape()
        return web.Response(body=text, headers={"Content-Type": media_type})

    return Endpoint(
        "GET",
        "/metrics",
        metrics,
        "The numbers of all processes of this daemon, for Prometheus.",
        {200: ("Prometheus' text format.", "text/plain")},
        tag="operators",
    )
