"""Pages for candidates: what stands in front of their test."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from bridge.core.display import build_contact_link
from bridge.core.history import HistoryEntryKind
from bridge.errors import BridgeError
from bridge.languages.language import N_
from bridge.service.link_access import CandidateTestLink
from bridge.web.app_keys import SERVICES
from bridge.web.page_templates import (
    PAGE,
    REFUSALS,
    TOKEN,
    PageTemplates,
    choose_page_language,
    create_private_headers,
    is_prefetch,
)
from bridge.web.routing import Endpoint

_COMPANY = N_("the company")


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
        links = request.app[SERVICES].links
        return self._page(request, await links.start(request.match_info["token"]))

    async def start_test(self, request: web.Request) -> web.StreamResponse:
        """Redirect to the test: the button was pressed.

        A form on another site and a browser that only looks ahead get the page instead. Whatever
        else posts is led on, as a browser of any age is: it would have to follow the redirect, too,
        to use the link up.
        """
        if not _may_be_our_button(request):
            return await self.start(request)
        links = request.app[SERVICES].links
        found = await links.start(request.match_info["token"], followed=True)
        if found.url is None:
            return self._page(request, found)
        return web.Response(status=303, headers={**create_private_headers(), "Location": found.url})

    def _page(self, request: web.Request, found: CandidateTestLink) -> web.Response:
        invitation, customer, display = found.invitation, found.customer, found.customer.display
        followed = invitation.history.count(HistoryEntryKind.LINK_FOLLOWED)
        target = urlsplit(found.url or "")
        return self._pages.html_behind_link(
            "start.html",
            request,
            customer,
            form_to=f"{target.scheme}://{target.netloc}" if found.url else None,
            title=invitation.test_name,
            test_name=invitation.test_name,
            stage=found.stage,
            minutes=invitation.duration,
            opened_at=followed.first if followed else invitation.started_at,
            completed_at=invitation.completed_at,
            until=found.until,
            overdue=found.overdue,
            zone=display.timezone,
            company=display.name or choose_page_language(request, customer).gettext(_COMPANY),
            contact=display.contact,
            contact_link=build_contact_link(display.contact or ""),
            privacy_url=display.privacy_url,
        )


def _may_be_our_button(request: web.Request) -> bool:
    """Whether the headers in which browsers say where a form was and what it is for allow that."""
    from_where = request.headers.get("Sec-Fetch-Site", "same-origin")
    return from_where in ("same-origin", "none") and not is_prefetch(request)


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
            {
                200: ("A page: the test cannot be taken now.", "text/html"),
                303: "To the test.",
                **REFUSALS,
            },
            tag="pages",
            parameters=TOKEN,
            refusal=handlers.refusal,
        ),
    ]
