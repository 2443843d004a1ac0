"""Pages for people: what a recruiter, a colleague or a candidate sees behind the bridge's links."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from importlib import resources
from types import MappingProxyType
from urllib.parse import urlsplit

import jinja2
from aiohttp import web
from markupsafe import Markup

from bridge.core.customers import Customer
from bridge.core.invitation import Invitation, State
from bridge.core.links import LinkPurpose
from bridge.core.score import list_score_fields
from bridge.errors import BridgeError, Gone, UnknownInvitation
from bridge.languages.language import N_, Language, choose_language, language
from bridge.report import pdf
from bridge.service.link_access import WayToTest
from bridge.web.app_keys import SERVICES
from bridge.web.page_messages import MESSAGES
from bridge.web.routing import Endpoint

_PACKAGE = "bridge.web"
_RETRY_AFTER_S = "10"
_STATES: Mapping[State, str] = {State.COMPLETED: N_("Completed"), State.EXPIRED: N_("Expired")}
_UNFINISHED = N_("Not finished yet")
_ERROR_PAGES: Mapping[type[BridgeError], tuple[str, int]] = {
    UnknownInvitation: ("unknown", 404),
    Gone: ("gone", 410),
}
"""The page and status for an error; every other error gets the page "later"."""


class PageTemplates:
    """Renders templates with the headers that every page of ours carries; *styles* are files that
    come behind the style that all pages have. *package* has templates and styles of its own, beside
    ours.
    """

    def __init__(self, *styles: str, package: str = _PACKAGE) -> None:
        packages = dict.fromkeys((package, _PACKAGE))
        self._environment = jinja2.Environment(
            loader=jinja2.ChoiceLoader(
                [jinja2.PackageLoader(name, "templates") for name in packages]
            ),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )
        folders = [resources.files(name).joinpath("templates") for name in packages]
        files = [
            next(file for folder in folders if (file := folder.joinpath(name)).is_file())
            for name in ("page.css", *styles)
        ]
        self._css = "\n".join(file.read_text("utf-8").strip() for file in files)
        digest = hashlib.sha256(self._css.encode()).digest()
        self._style = f"'sha256-{base64.b64encode(digest).decode()}'"

    def html(
        self,
        template: str,
        *,
        status: int = 200,
        words: Language | None = None,
        form_to: str | None = None,
        values: Mapping[str, object] = MappingProxyType({}),
        **more: object,
    ) -> web.Response:
        """A page.

        *form_to*: origin to which its form may lead in the end (browsers judge redirects of forms
        too); empty: to ours only.
        """
        css = Markup(self._css)  # noqa: S704 - a file of this package
        words = words or language("en")
        text = self._environment.get_template(template).render(
            css=css, words=words, _=words.gettext, ngettext=words.ngettext, **values, **more
        )
        form = "'none'" if form_to is None else f"'self' {form_to}".strip()
        policy = (
            f"default-src 'none'; style-src {self._style}; form-action {form};"
            f" frame-ancestors 'none'; base-uri 'none'"
        )
        headers = {**private_headers(), "Content-Security-Policy": policy}
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)

    def message(self, name: str, *, status: int, words: Language) -> web.Response:
        """A page with one message."""
        title, text = map(words.gettext, MESSAGES[name])
        response = self.html("message.html", status=status, words=words, title=title, text=text)
        if status == 503:
            response.headers["Retry-After"] = _RETRY_AFTER_S
        return response


def private_headers() -> dict[str, str]:
    """Headers for everything behind a secret link: no cache, no referrer, no index, no guessing of
    types.
    """
    return {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
        "X-Content-Type-Options": "nosniff",
    }


class PageHandlers:
    """Handlers that answer a signed link with a page."""

    def __init__(self, pages: PageTemplates) -> None:
        self._pages = pages

    def refusal(self, request: web.Request, error: BridgeError) -> web.Response:
        """An error as a page, since a person who clicks a link cannot read problem+json."""
        return self._refusal(request, error, "")

    def refusal_of_start(self, request: web.Request, error: BridgeError) -> web.Response:
        """The same for a candidate, who has no recruiting software and waits for no result."""
        return self._refusal(request, error, "start_")

    def _refusal(self, request: web.Request, error: BridgeError, whom: str) -> web.Response:
        name, status = next(
            (told for kind, told in _ERROR_PAGES.items() if isinstance(error, kind)), ("later", 503)
        )
        return self._pages.message(whom + name, status=status, words=_language_of(request))

    async def share(self, request: web.Request) -> web.StreamResponse:
        """Redirect a colleague to a fresh public link; HEAD and prefetches do not ask the provider
        for one.
        """
        links = request.app[SERVICES].links
        if request.method == "HEAD":
            await links.check_shareable(request.match_info["token"])
            return web.Response(status=200, headers=private_headers())
        if "prefetch" in request.headers.get("Sec-Purpose", ""):
            return self._pages.message("later", status=503, words=_language_of(request))
        url = await links.share(request.match_info["token"])
        return web.Response(status=302, headers={**private_headers(), "Location": url})

    async def result(self, request: web.Request) -> web.StreamResponse:
        """Show state, test and result to a recruiter."""
        invitation, customer = await request.app[SERVICES].links.result(request.match_info["token"])
        return self._pages.html(
            "result.html",
            words=(words := _language_of(request, customer)),
            provider=request.app[SERVICES].provider_of(customer).title,
            values=_result_values(invitation, customer, words),
        )

    async def report(self, request: web.Request) -> web.StreamResponse:
        """The result as a PDF."""
        links = request.app[SERVICES].links
        invitation, customer = await links.result(request.match_info["token"], LinkPurpose.REPORT)
        if invitation.state is not State.COMPLETED or not customer.results.report:
            raise UnknownInvitation("There is no report.")
        words = _language_of(request, customer)
        values = _result_values(invitation, customer, words)
        title, facts = str(values["title"]), _facts(values, words)
        raw = await asyncio.to_thread(pdf.render, title, facts, _rows(invitation))
        headers = {**private_headers(), "Content-Disposition": 'inline; filename="report.pdf"'}
        return web.Response(body=raw, content_type="application/pdf", headers=headers)

    async def start(self, request: web.Request) -> web.StreamResponse:
        """A page with one button in front of a one-time link: mail scanners follow links, but press
        no buttons.
        """
        way = await request.app[SERVICES].links.start(request.match_info["token"])
        words = _language_of(request, way.customer)
        if way.url is None:
            return self._pages.message(_without_link(way), status=200, words=words)
        parts = urlsplit(way.url)
        return self._pages.html(
            "start.html",
            words=words,
            form_to=f"{parts.scheme}://{parts.netloc}",
            title=way.invitation.test_name,
        )

    async def start_test(self, request: web.Request) -> web.StreamResponse:
        """Redirect to the test: the button was pressed."""
        links = request.app[SERVICES].links
        way = await links.start(request.match_info["token"], followed=True)
        if way.url is None:
            words = _language_of(request, way.customer)
            return self._pages.message(_without_link(way), status=200, words=words)
        return web.Response(status=303, headers={**private_headers(), "Location": way.url})


def endpoints(pages: PageTemplates) -> list[Endpoint]:
    """The pages with their descriptions."""
    handlers = PageHandlers(pages)
    page = "text/html"
    gone = {404: ("Unknown link.", page), 410: ("Deleted.", page), 503: ("Try later.", page)}
    token = {"token": "The signed token of the link."}

    def endpoint(
        method: str,
        path: str,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        summary: str,
        responses: Mapping[int, object],
    ) -> Endpoint:
        told = {**responses, **gone}
        return Endpoint(
            method,
            path,
            handler,
            summary,
            told,
            tag="pages",
            parameters=token,
            refusal=handlers.refusal_of_start if path.startswith("/start/") else handlers.refusal,
        )

    return [
        endpoint(
            "GET",
            "/share/{token}",
            handlers.share,
            "A result for colleagues.",
            {302: "A fresh public link."},
        ),
        endpoint(
            "GET",
            "/results/{token}",
            handlers.result,
            "A result for recruiters.",
            {200: ("A page.", page)},
        ),
        endpoint(
            "GET",
            "/reports/{token}.pdf",
            handlers.report,
            "A result as PDF.",
            {200: ("A PDF.", "application/pdf")},
        ),
        endpoint(
            "GET",
            "/start/{token}",
            handlers.start,
            "Landing page of a test.",
            {200: ("A page.", page)},
        ),
        endpoint(
            "POST",
            "/start/{token}",
            handlers.start_test,
            "Begin the test.",
            {200: ("The test is over.", page), 303: "To the test."},
        ),
    ]


def _without_link(way: WayToTest) -> str:
    """Which message a candidate gets for whom we have no link."""
    return "mailed" if way.mailed else "over"


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


def _facts(values: Mapping[str, object], words: Language) -> list[tuple[str, str]]:
    names = {"state": N_("State"), "completed": N_("Completed on"), "fit": N_("Fit")}
    return [(words.gettext(name), str(values[key])) for key, name in names.items() if values[key]]


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


def _language_of(request: web.Request, customer: Customer | None = None) -> Language:
    """The link's ``?lang=``, else the customer's, else the browser's."""
    locale = customer.provider.locale if customer else None
    browser = request.headers.get("Accept-Language")
    return choose_language((request.query.get("lang"), locale, browser))
