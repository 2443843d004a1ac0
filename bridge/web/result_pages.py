"""Pages for recruiters and their colleagues: what stands behind the links to a result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from aiohttp import web

from bridge.core.customers import Customer
from bridge.core.invitation import Invitation, State
from bridge.core.links import LinkPurpose
from bridge.core.score import list_score_fields
from bridge.languages.language import N_, Language
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

_STATES: Mapping[State, str] = {State.COMPLETED: N_("Completed"), State.EXPIRED: N_("Expired")}
_UNFINISHED = N_("Not finished yet")


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
        return self._pages.html_behind_link(
            "result.html",
            request,
            customer,
            provider=request.app[SERVICES].provider_of(customer).title,
            values=_result_values(invitation, customer, choose_page_language(request, customer)),
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


def _result_values(
    invitation: Invitation, customer: Customer, words: Language
) -> dict[str, object]:
    result = invitation.result if invitation.state is State.COMPLETED else None
    finished = invitation.state in _STATES
    zone = customer.display.timezone

    def moment(at: datetime | None) -> str | None:
        return words.moment(at, zone) if at is not None else None

    return {
        "title": invitation.test_name,
        "state": words.gettext(_STATES.get(invitation.state, _UNFINISHED)),
        "completed": moment(invitation.completed_at),
        "deadline": moment(invitation.deadline) if not finished else None,
        "fit": list_score_fields(result, words.code)["fit_label"] if result is not None else None,
        "rows": _rows(invitation),
        "dashboard": result.dashboard_url if result is not None else None,
    }


def _rows(invitation: Invitation) -> list[tuple[str, str]]:
    result = invitation.result if invitation.state is State.COMPLETED else None
    if result is None:
        return []
    if result.traits:
        return [
            (trait.name or trait.code, trait.description or str(trait.score or ""))
            for trait in result.traits
        ]
    return list(result.summary)
