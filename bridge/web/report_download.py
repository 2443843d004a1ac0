"""The result as a PDF, behind a link for recruiters."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from aiohttp import web

from bridge.core.invitation import Invitation, State
from bridge.core.links import LinkPurpose
from bridge.errors import UnknownInvitation
from bridge.report.renderer import ReportRenderer
from bridge.report.report_text import ReportOrder, write_report
from bridge.web.app_keys import SERVICES
from bridge.web.page_templates import (
    REFUSALS,
    TOKEN,
    PageTemplates,
    choose_page_language,
    create_private_headers,
)
from bridge.web.result_pages import open_result
from bridge.web.routing import Endpoint

_PLAIN = str.maketrans("łŁøØđĐ", "lLoOdD")
"""Letters that are not made of another one and a mark."""
_LONGEST_NAME = 100
"""Characters of a file's name, within what every file system takes."""


def create_report_endpoint(pages: PageTemplates, renderer: ReportRenderer) -> Endpoint:
    """``GET /reports/{token}.pdf``."""
    return Endpoint(
        "GET",
        "/reports/{token}.pdf",
        _handler(renderer),
        "A result as PDF.",
        {200: ("A PDF.", "application/pdf"), **REFUSALS},
        tag="pages",
        parameters=TOKEN,
        refusal=pages.refusal,
    )


def _handler(
    renderer: ReportRenderer,
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def download(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        invitation, customer = await open_result(request, LinkPurpose.REPORT)
        if invitation.state is not State.COMPLETED or not customer.results.report:
            raise UnknownInvitation("There is no report.")
        order = ReportOrder(
            invitation,
            customer.display,
            services.provider_of(customer).title,
            services.links.ends_at(invitation),
            customer.results.guide,
        )
        text = write_report(order, choose_page_language(request, customer))
        made = await renderer.render(text, customer.key)
        headers = {
            **create_private_headers(),
            "Content-Disposition": create_disposition(invitation),
        }
        return web.Response(body=made, content_type="application/pdf", headers=headers)

    return download


def create_disposition(invitation: Invitation) -> str:
    """The Content-Disposition of a report: its file is named for test and application, in ASCII and
    (RFC 5987) as it is.
    """
    full = _as_file_name(f"{invitation.test_name} {invitation.application_id}")
    decomposed = unicodedata.normalize("NFKD", full).replace("ß", "ss").translate(_PLAIN)
    plain = _as_file_name(decomposed.encode("ascii", "ignore").decode()) or "report"
    extended = quote(f"{full or 'report'}.pdf", safe="")
    return f"inline; filename=\"{plain}.pdf\"; filename*=UTF-8''{extended}"


def _as_file_name(text: str) -> str:
    """*text* without what a file system, a shell or a header may take for something else."""
    kept = "".join(
        character if character.isalnum() or character in " -_()&+." else " " for character in text
    )
    return " ".join(kept.split()).strip(". -")[:_LONGEST_NAME].strip(". -")
