"""Pages for recruiters and their colleagues: what stands behind the links to a result."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from aiohttp import web

from bridge.core.customers import Customer
from bridge.core.invitation import Invitation, State
from bridge.core.links import LinkPurpose
from bridge.core.result_view import MOST_GAPS, build_result_view, list_gaps
from bridge.errors import UpstreamError
from bridge.languages import result_words
from bridge.languages.language import N_, Language
from bridge.service.link_access import ResultLinks
from bridge.web.app_keys import CALL, SERVICES
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

_TITLE = N_("Assessment result")
_OPEN = N_("Open the result")
_OPENED = "open"
"""The parameter with which somebody who was taken for a preview opens a share link."""
_PREVIEW = re.compile(
    r"(?<!cu)bot\b|crawler|spider|preview|facebookexternalhit|^whatsapp/", re.IGNORECASE
)
"""What programs that show a link's title in chats and mails call themselves; Cubot makes phones."""


class ResultPageHandlers:
    """Handlers that answer the links of recruiters and their colleagues."""

    def __init__(self, pages: PageTemplates) -> None:
        self._pages = pages

    async def share(self, request: web.Request) -> web.StreamResponse:
        """Redirect a colleague to a fresh public link; while the provider gives none, to our own
        page of the result, if the customer allows it.

        HEAD, browsers that look ahead and previews of links do not ask the provider for one.
        """
        links, token = request.app[SERVICES].links, request.match_info["token"]
        if request.method == "HEAD":
            await links.check_shareable(token)
            return web.Response(status=200, headers=create_private_headers())
        if is_prefetch(request):
            return self._pages.message("later", request, status=503)
        if _is_preview(request):
            await links.check_shareable(token)
            lang = choose_page_language(request).code
            lead = _OPEN, f"?{_OPENED}=1&lang={lang}"
            return self._pages.message("shared", request, status=200, lead=lead)
        try:
            url = await links.share(token)
        except UpstreamError as error:
            shared = await links.open_shared_result(token)
            if shared is None:
                raise
            request[CALL].failure = error  # for the log: the page alone looks like a success
            return self._result_page(request, *shared, shared=True)
        return web.Response(status=302, headers={**create_private_headers(), "Location": url})

    async def result(self, request: web.Request) -> web.StreamResponse:
        """Show state, test and result to a recruiter."""
        return self._result_page(request, *await open_result(request, LinkPurpose.RESULTS))

    def _result_page(
        self,
        request: web.Request,
        invitation: Invitation,
        customer: Customer,
        *,
        shared: bool = False,
    ) -> web.Response:
        """*shared*: whoever reads it has a share link, and gets no others."""
        services = request.app[SERVICES]
        return self._pages.html_behind_link(
            "result.html",
            request,
            customer,
            values=list_result_values(
                invitation,
                customer,
                choose_page_language(request, customer),
                provider=services.provider_of(customer).title,
                links=services.links.around_result(invitation, customer, shared=shared),
                shared=shared,
            ),
        )


def list_result_values(
    invitation: Invitation,
    customer: Customer,
    words: Language,
    *,
    provider: str,
    links: ResultLinks,
    shared: bool = False,
) -> dict[str, object]:
    """What ``result.html`` shows of an invitation, with the *provider*'s title; *shared*: to those
    who have a share link, and get no others.
    """
    result = invitation.result if invitation.state is State.COMPLETED else None
    view = build_result_view(result) if result is not None else None
    if shared and view is not None:
        view = replace(view, dashboard_url=None)
    return {
        "title": f"{invitation.test_name} - {words.gettext(_TITLE)}",
        "test_name": invitation.test_name,
        "provider": provider,
        "invitation": invitation,
        "zone": customer.display.timezone,
        "expired": invitation.state is State.EXPIRED,
        "view": view,
        "gaps": list_gaps(view) if view else (),
        "most_gaps": MOST_GAPS,
        "guide": customer.results.guide,
        "links": links,
        "shared": shared,
        "said": result_words,
    }


def create_result_page_endpoints(pages: PageTemplates) -> list[Endpoint]:
    """The pages with their descriptions."""
    handlers = ResultPageHandlers(pages)

    def endpoint(
        path: str,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        summary: str,
        success: Mapping[int, object],
    ) -> Endpoint:
        return Endpoint(
            "GET",
            path,
            handler,
            summary,
            {**success, **REFUSALS},
            tag="pages",
            parameters=TOKEN,
            refusal=pages.refusal,
        )

    return [
        endpoint(
            "/share/{token}",
            handlers.share,
            "A result for colleagues.",
            {200: PAGE, 302: "A fresh public link."},
        ),
        endpoint("/results/{token}", handlers.result, "A result for recruiters.", {200: PAGE}),
    ]


def _is_preview(request: web.Request) -> bool:
    agent = request.headers.get("User-Agent", "")
    return _OPENED not in request.query and _PREVIEW.search(agent) is not None


async def open_result(request: web.Request, purpose: str) -> tuple[Invitation, Customer]:
    """What is behind the link, in the reader's language where the provider has it."""
    services = request.app[SERVICES]
    invitation, customer = await services.links.result(request.match_info["token"], purpose)
    code = choose_page_language(request, customer).code
    return await services.result_texts.translate(invitation, customer, code), customer
