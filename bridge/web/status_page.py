"""``GET /`` of the admin listener: how the bridge is, for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from bridge.core.queueing import DeadLetter, QuarantineNote
from bridge.errors import ConfigMistake, InvalidRequest
from bridge.recent_problems import LoggedProblem
from bridge.service.stocktaking import WaitingResult
from bridge.web.page_templates import PageTemplates
from bridge.web.routing import Endpoint

REFRESH_S = 15
LONGEST_TERM = 200
DEAD_SHOWN = 20
QUARANTINE_SHOWN = 10
ORDERS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an operator has to look at, and with which command."""

    text: str
    command: str = ""
    grave: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRow:
    """How one customer is served."""

    key: str
    set_aside: bool = False
    open: Sequence[tuple[str, int]] = ()
    young: int = 0
    older: int = 0
    old: int = 0
    ordered_today: int = 0
    completed_today: int = 0
    due: int = 0
    dead: int = 0
    heard: Sequence[tuple[str, datetime | None]] = ()
    """When each vendor was last heard of."""
    silent: Sequence[str] = ()
    """Vendors that do not answer."""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """How many invitations of a customer to a test are in each state."""

    customer: str
    test: str
    states: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRow:
    """An invitation that was searched for."""

    id: str
    customer: str
    test: str
    state: str
    ordered: datetime
    changed: datetime
    dead: Sequence[str] = ()
    """Why its tasks were given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search gave; not *complete*: not every customer was looked through in time."""

    term: str
    rows: Sequence[SearchRow] = ()
    complete: bool = True
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredState:
    """What Redis said when it was last asked; *complete*: it was all counted."""

    at: datetime
    complete: bool
    records: int
    customers: Sequence[CustomerRow]
    orders: Sequence[OrderRow]
    due: Sequence[tuple[str, int]]
    oldest_due_s: float
    waiting: WaitingResult | None
    dead: Sequence[DeadLetter]
    dead_count: int
    quarantine: Sequence[QuarantineNote]
    quarantine_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRow:
    """How a vendor is, seen from this process."""

    name: str
    heard: datetime | None
    silent: Sequence[str]
    """The customers on whose behalf it does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationState:
    """What is in force."""

    digest: str
    folder: str
    served: int
    set_aside: Sequence[str]
    loaded: datetime
    refused: Sequence[ConfigMistake] = ()
    refused_at: datetime | None = None
    restart_needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How everything is."""

    now: datetime
    version: str
    process: str
    started: datetime
    public_url: str
    troubles: Sequence[Trouble]
    stored: StoredState | None
    store_failure: str
    durability: Sequence[str] | None
    """What is not durable about Redis; None: not known."""
    vendors: Sequence[VendorRow]
    configuration: ConfigurationState
    problems: Sequence[LoggedProblem] = field(default_factory=tuple)


Look = Callable[[], Awaitable[Status]]
Search = Callable[[str], Awaitable[SearchResult]]


def create_status_endpoint(look: Look, search: Search) -> Endpoint:
    """The page; it answers although the store does not."""
    pages = PageTemplates("status.css")

    async def status(request: web.Request) -> web.Response:
        term = request.query.get("application", "").strip()
        if len(term) > LONGEST_TERM or not (term.isprintable()):
            detail = f"An application id has at most {LONGEST_TERM} characters, all printable."
            raise InvalidRequest(detail, {"application": [detail]})
        found = await search(term) if term else None
        shown = await look()
        refresh = None if found or request.query.get("refresh") == "off" else REFRESH_S
        return pages.html(
            "status.html",
            form_to="",
            values={"status": shown},
            title="Bridge status",
            found=found,
            refresh=refresh,
            age=lambda at: format_age(shown.now, at),
            shown_dead=DEAD_SHOWN,
            shown_quarantine=QUARANTINE_SHOWN,
            shown_orders=ORDERS_SHOWN,
        )

    return Endpoint(
        "GET",
        "/",
        status,
        "How the bridge is, for people.",
        {200: ("A page.", "text/html")},
        tag="operators",
        refusals=(InvalidRequest,),
    )


def format_age(now: datetime, at: datetime) -> str:
    """How long ago *at* was, in its largest unit."""
    seconds = max(0, int((now - at).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"
