"""Pages for candidates: what stands in front of their test."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from bridge.errors import BridgeError
from bridge.service.link_access import CandidateTestLink
from bridge.web.app_keys import SERVICES
from bridge.web.page_templates import PAGE, REFUSALS, TOKEN, PageTemplates, create_private_headers
from bridge.web.routing import Endpoint


class StartPageHandlers:
    """Handlers that answer a candidate's link."""

    def __init__(self, pages: PageTemplates) -> None:
        self._pages = pages

    def refusal(self, request: web.Request, error: BridgeError) -> web.Response:
        """An error as a page for a candidate, who has no recruiting software and waits for no
        result.
        """
        return self._pages.refusal(request, error, "start_")

    async def start(self, request: web.Request) -> web.StreamResponse:
        """A page with one button in front of a one-time link: mail scanners follow links, but press
        no buttons.
        """
        way = await request.app[SERVICES].links.start(request.match_info["token"])
        if way.url is None:
            return self._without_link(request, way)
        parts = urlsplit(way.url)
        return self._pages.html_behind_link(
            "start.html",
            request,
            way.customer,
            form_to=f"{parts.scheme}://{parts.netloc}",
            title=way.invitation.test_name,
        )

    async def start_test(self, request: web.Request) -> web.StreamResponse:
        """Redirect to the test: the button was pressed."""
        links = request.app[SERVICES].links
        way = await links.start(request.match_info["token"], followed=True)
        if way.url is None:
            return self._without_link(request, way)
        return web.Response(status=303, headers={**create_private_headers(), "Location": way.url})

    def _without_link(self, request: web.Request, way: CandidateTestLink) -> web.Response:
        name = "mailed" if way.mailed else "over"
        return self._pages.message(name, request, way.customer, status=200)


def create_start_page_endpoints(pages: PageTemplates) -> list[Endpoint]:
    """The pages with their descriptions."""
    handlers = StartPageHandlers(pages)
    path = "/start/{token}"
    return [
        Endpoint(
            "GET",
            path,
            handlers.start,
            "Landing page of a test.",
            {200: PAGE, **REFUSALS},
            tag="pages",
            parameters=TOKEN,
            refusal=handlers.refusal,
        ),
        Endpoint(
            "POST",
            path,
            handlers.start_test,
            "Begin the test.",
            {200: ("The test is over.", "text/html"), 303: "To the test.", **REFUSALS},
            tag="pages",
            parameters=TOKEN,
            refusal=handlers.refusal,
        ),
    ]
