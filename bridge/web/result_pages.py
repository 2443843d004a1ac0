"""Pages for recruiters and their colleagues: what stands behind the links to a result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from bridge.core.customers import Customer
from bridge.core.invitation import Invitation, State
from bridge.core.links import LinkPurpose
from bridge.core.result_view import MOST_GAPS, build_result_view, list_gaps
from bridge.languages import result_words
from bridge.languages.language import N_
from bridge.web.app_keys import SERVICES
from bridge.web.page_templates import (
    PAGE,
    REFUSALS,
    TOKEN,
    PageTemplates,
    choose_page_language,
    create_private_headers,
)
from bridge.web.routing import Endpoint

_TITLE = N_("Assessment result")


class ResultPageHandlers:
    """Handlers that answer the links of recruiters and their colleagues."""

    def __init__(self, pages: PageTemplates) -> None:
        self._pages = pages

    async def share(self, request: web.Request) -> web.StreamResponse:
        """Redirect a colleague to a fresh public link; HEAD and prefetches do not ask the provider
        for one.
        """
        links = request.app[SERVICES].links
        if request.method == "HEAD":
            await links.check_shareable(request.match_info["token"])
            return web.Response(status=200, headers=create_private_headers())
        if "prefetch" in request.headers.get("Sec-Purpose", ""):
            return self._pages.message("later", request, status=503)
        url = await links.share(request.match_info["token"])
        return web.Response(status=302, headers={**create_private_headers(), "Location": url})

    async def result(self, request: web.Request) -> web.StreamResponse:
        """Show state, test and result to a recruiter."""
        invitation, customer = await open_result(request, LinkPurpose.RESULTS)
        services = request.app[SERVICES]
        completed = invitation.state is State.COMPLETED
        result = invitation.result if completed else None
        view = build_result_view(result) if result is not None else None
        words = choose_page_language(request, customer)
        return self._pages.html_behind_link(
            "result.html",
            request,
            customer,
            title=f"{invitation.test_name} - {words.gettext(_TITLE)}",
            test_name=invitation.test_name,
            provider=services.provider_of(customer).title,
            invitation=invitation,
            zone=customer.display.timezone,
            expired=invitation.state is State.EXPIRED,
            view=view,
            gaps=list_gaps(view) if view else (),
            most_gaps=MOST_GAPS,
            links=services.links.around_result(invitation, customer),
            said=result_words,
        )


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
            {302: "A fresh public link."},
        ),
        endpoint("/results/{token}", handlers.result, "A result for recruiters.", {200: PAGE}),
    ]


async def open_result(request: web.Request, purpose: str) -> tuple[Invitation, Customer]:
    """What is behind the link, in the reader's language where the provider has it."""
    services = request.app[SERVICES]
    invitation, customer = await services.links.result(request.match_info["token"], purpose)
    code = choose_page_language(request, customer).code
    return await services.result_texts.translate(invitation, customer, code), customer
