"""How a page for people is made: its templates, its style and the headers that guard it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

import jinja2
from aiohttp import web
from markupsafe import Markup

from bridge.core.customers import Customer
from bridge.core.display import DisplaySettings
from bridge.errors import BridgeError, InvitationGone, UnknownInvitation
from bridge.languages.language import LANGUAGES, N_, Language, choose_language, load_language
from bridge.web.app_keys import CALL
from bridge.web.page_messages import MESSAGES

_PACKAGE = "bridge.web"
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
_RETRY_AFTER_S = "10"
_PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
"""The standard's header, and what older Chromes, Safari and Firefox send."""
_AGAIN = N_("Try again")
_ICONS = {
    "unknown": "unknown",
    "start_unknown": "unknown",
    "gone": "gone",
    "start_gone": "gone",
    "shared": "mail",
}
PAGE = ("A page.", "text/html")
REFUSALS: Mapping[int, tuple[str, str]] = {
    404: ("Unknown link.", "text/html"),
    410: ("Deleted.", "text/html"),
    503: ("Try later.", "text/html"),
}
"""What every link of ours may answer."""
TOKEN: Mapping[str, str] = {"token": "The signed token of the link."}
_NOBODY = DisplaySettings()
_ERROR_PAGES: Mapping[type[BridgeError], tuple[str, int]] = {
    UnknownInvitation: ("unknown", 404),
    InvitationGone: ("gone", 410),
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
            finalize=_drop_direction_controls,
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
        images: bool = False,
        values: Mapping[str, object] = MappingProxyType({}),
        **more: object,
    ) -> web.Response:
        """A page.

        *form_to*: origin to which its form may lead in the end (browsers judge redirects of forms
        too); empty: to ours only. *images*: it has images, all within its own text.
        """
        css = Markup(self._css)  # noqa: S704 - a file of this package
        words = words or load_language("en")
        text = self._environment.get_template(template).render(
            css=css, words=words, _=words.gettext, ngettext=words.ngettext, **values, **more
        )
        form = "'none'" if form_to is None else f"'self' {form_to}".strip()
        policy = (
            f"default-src 'none'; style-src {self._style}; form-action {form};"
            f" frame-ancestors 'none'; base-uri 'none'{'; img-src data:' if images else ''}"
        )
        headers = {**create_private_headers(), "Content-Security-Policy": policy}
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)

    def html_behind_link(
        self,
        template: str,
        request: web.Request,
        customer: Customer | None = None,
        *,
        status: int = 200,
        form_to: str | None = None,
        values: Mapping[str, object] = MappingProxyType({}),
        **more: object,
    ) -> web.Response:
        """A page behind one of our links: in the viewer's language, which can be changed there,
        with the *customer*'s name or logo, and with the id of this request.
        """
        return self.branded_html(
            template,
            choose_page_language(request, customer),
            customer,
            status=status,
            form_to=form_to,
            values=values,
            request_id=request[CALL].request_id,
            **more,
        )

    def branded_html(
        self,
        template: str,
        words: Language,
        customer: Customer | None = None,
        *,
        status: int = 200,
        form_to: str | None = None,
        values: Mapping[str, object] = MappingProxyType({}),
        request_id: str = "",
        **more: object,
    ) -> web.Response:
        """The same in the language of *words*, whoever asks."""
        display = customer.display if customer else _NOBODY
        return self.html(
            template,
            status=status,
            words=words,
            form_to=form_to,
            images=display.image is not None,
            values=values,
            languages=[load_language(code) for code in LANGUAGES],
            employer=display.name,
            logo=_as_data_url(display),
            request_id=request_id,
            **more,
        )

    def message(
        self,
        name: str,
        request: web.Request,
        *,
        status: int,
        lead: tuple[str, str] | None = None,
    ) -> web.Response:
        """A page behind one of our links with one message; *lead*: text and target of a link."""
        words = choose_page_language(request)
        title, text = map(words.gettext, MESSAGES[name])
        later = status == 503
        if later:
            lead = _AGAIN, ""
        response = self.html_behind_link(
            "message.html",
            request,
            status=status,
            title=title,
            text=text,
            icon=_ICONS.get(name, "later"),
            lead=lead,
        )
        if later:
            response.headers["Retry-After"] = _RETRY_AFTER_S
        return response

    def refusal(self, request: web.Request, error: BridgeError, whom: str = "") -> web.Response:
        """An error as a page, since a person who clicks a link cannot read problem+json; *whom*
        begins the names of the messages for that kind of people.
        """
        name, status = next(
            (told for kind, told in _ERROR_PAGES.items() if isinstance(error, kind)), ("later", 503)
        )
        return self.message(whom + name, request, status=status)


def choose_page_language(request: web.Request, customer: Customer | None = None) -> Language:
    """The link's ``?lang=``, else the customer's, else the browser's."""
    locale = customer.provider.locale if customer else None
    browser = request.headers.get("Accept-Language")
    return choose_language((request.query.get("lang"), locale, browser))


def is_prefetch(request: web.Request) -> bool:
    """Whether a browser fetches this only in case somebody should open it."""
    said = {request.headers.get(name, "").partition(";")[0] for name in _PURPOSES}
    return not said.isdisjoint(("prefetch", "preview"))


def _drop_direction_controls(value: object) -> object:
    """Without the characters that turn the direction of what follows: those in foreign words would
    turn ours as well, even within an element of their own.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return _DIRECTION.sub("", value)
    return value


def create_private_headers() -> dict[str, str]:
    """Headers for everything behind a secret link: no cache, no referrer, no index, no guessing of
    types.
    """
    return {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
        "X-Content-Type-Options": "nosniff",
    }


def _as_data_url(display: DisplaySettings) -> str | None:
    if display.image is None:
        return None
    content = base64.b64encode(display.image.content).decode()
    return f"data:{display.image.media_type};base64,{content}"
