"""The page's routes: shown by GET, changed by POST, for this machine's people only."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from bridge.errors import CrossSiteRequest
from bridge.sandbox import EqualtureSandbox, LedgerEntry, Refusal, SoftgardenSandbox
from bridge.sandbox.admin_routes import ADMIN
from bridge.sandbox.placed_orders import PlacedOrder, list_placed_orders
from bridge.sandbox.sample_results import TRAITS
from bridge.sandbox_page.page_actions import FAULTS, FITS, SCORE, UNITS, PageActions, read_tests
from bridge.web import admin_guard
from bridge.web.page_templates import PageTemplates

ROWS_SHOWN, CALLS_SHOWN, RULES_SHOWN = 20, 60, 50
RENEWED_S = 3
PATIENCE_S = 10.0
"""How long a form waits for what it does: a fault may make it hang."""


@dataclass(frozen=True, slots=True)
class FormOutcome:
    """How the last form went."""

    text: str
    fine: bool = True


def add_sandbox_page(
    equalture: EqualtureSandbox, softgarden: SoftgardenSandbox, *, patience_s: float = PATIENCE_S
) -> None:
    """Have both fakes serve the page, and guard all that is below ``/_sandbox/``; before they
    start.
    """
    page = SandboxPage(equalture, softgarden, patience_s)
    routes = (
        web.get(ADMIN, page.show),
        web.get(ADMIN.removesuffix("/"), _lead_to_page),
        web.post(f"{ADMIN}page/{{action}}", page.perform),
    )
    for fake in (equalture, softgarden):
        fake.serve_page(routes, _guard())


class SandboxPage:
    """The page over the state of both fakes."""

    def __init__(
        self, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox, patience_s: float
    ) -> None:
        self._equalture, self._softgarden = equalture, softgarden
        self._patience_s = patience_s
        self._actions = PageActions(equalture, softgarden)
        self._pages = PageTemplates("status.css", "sandbox.css", package="bridge.sandbox_page")
        self._last: FormOutcome | None = None
        self._unfinished: set[asyncio.Task[str]] = set()

    async def show(self, request: web.Request) -> web.Response:
        """The page; ``?renew=on`` has it renew itself."""
        return self._page(request, self._last)

    async def perform(self, request: web.Request) -> web.Response:
        """Do what a form says, and lead back to the page; what cannot be done is 400, and the page
        says why.
        """
        action = self._actions.find(request.match_info["action"])
        if action is None:
            raise web.HTTPNotFound
        form = {name: str(value) for name, value in (await request.post()).items()}
        task = asyncio.ensure_future(action(form))
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        done, _ = await asyncio.wait((task,), timeout=self._patience_s)
        if not done:
            self._last = FormOutcome("That goes on: look for its call below.", fine=False)
        elif (error := task.exception()) is None:
            self._last = FormOutcome(task.result())
        elif isinstance(error, LookupError | ValueError | OverflowError):
            return self._page(request, FormOutcome(str(error).strip("'"), fine=False), status=400)
        else:
            raise error
        return _see_page()

    def _page(
        self, request: web.Request, outcome: FormOutcome | None, *, status: int = 200
    ) -> web.Response:
        equalture, softgarden, vendors = self._equalture, self._softgarden, self._actions.vendors
        renew = request.query.get("renew") == "on"
        calls = [
            (fake.name, entry)
            for fake in vendors.values()
            for entry in fake.ledger.entries
            if entry.path != "/favicon.ico"  # browsers ask for it by themselves
        ]
        calls.sort(key=lambda call: call[1].began, reverse=True)
        response = self._pages.html(
            "sandbox.html",
            status=status,
            form_to="",
            title="Sandbox",
            here=ADMIN,
            outcome=outcome,
            renew=RENEWED_S if renew else None,
            equalture=equalture,
            softgarden=softgarden,
            vendors=vendors,
            now=equalture.clock(),
            tests={
                entry.account: read_tests(entry.response_json)
                for entry in softgarden.calls("tests", status=200)
                if entry.account in softgarden.clients
            },
            orders=list_placed_orders(softgarden)[: -ROWS_SHOWN - 1 : -1],
            applications=list(equalture.applications.values())[: -ROWS_SHOWN - 1 : -1],
            calls=calls[:CALLS_SHOWN],
            rules=[
                (name, rule)
                for name, fake in vendors.items()
                for rule in fake.violations[-RULES_SHOWN:]
            ],
            fits=FITS,
            traits=TRAITS,
            score=SCORE,
            kinds={name: words for name, (words, _) in FAULTS.items()},
            units=list(UNITS),
            result=_result,
            exchanged=_exchanged,
        )
        # Without a referrer browsers hide the origin of a form, too, and the guard refuses it.
        response.headers["Referrer-Policy"] = "same-origin"
        return response


async def _lead_to_page(request: web.Request) -> web.Response:
    return _see_page()


def _see_page() -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: ADMIN})


def _result(order: PlacedOrder) -> tuple[str, dict[str, str]]:
    """What softgarden shows of a result, and its links; a bridge may have answered anything."""
    if order.deleted:
        return "deleted", {}
    match order.result:
        case {"status": str(status), "result": dict(result)}:
            score = f": {result['score']}" if result.get("score") else ""
            links = {key: url for key, url in result.items() if str(url).startswith("http")}
            return f"{status}{score}", links
        case None:
            return "not read", {}
        case _:
            return "not to be understood", {}


def _exchanged(entry: LedgerEntry) -> list[tuple[str, str]]:
    """What went to and fro, as far as it is JSON."""
    both: tuple[tuple[str, Any], ...] = (
        ("Request", entry.request_json),
        ("Answer", entry.response_json),
    )
    return [
        (name, json.dumps(body, indent=1, ensure_ascii=False))
        for name, body in both
        if body is not None
    ]


def _guard() -> Middleware:
    """The admin listener's guard, with refusals in the fakes' form."""
    judge = admin_guard.create_admin_guard((), remedy="use 127.0.0.1 or localhost")

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await judge(request, handler)
        except CrossSiteRequest as error:
            raise Refusal(403, str(error), violation=False) from None

    return handle
