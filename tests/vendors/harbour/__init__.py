"""Harbour, an applicant tracking system that exists in this test only: one package, like
softgarden's.

Its API has nothing in common with softgarden's: a key in the query, "people" and "exams", and a
notification by PUT.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import aiohttp
from aiohttp import web

from bridge.core import invitation_view
from bridge.core.assessment import Candidate, Order
from bridge.core.callback_urls import CallbackUrlPolicy
from bridge.core.customers import AtsAccount, Customer
from bridge.core.declaration import setting
from bridge.core.links import LinkSigner
from bridge.core.queueing import NotificationResponse
from bridge.errors import Unauthorized
from bridge.ports import Ats
from bridge.vendors import AtsPackage, VendorSection
from bridge.web import request_body
from bridge.web.app_keys import CUSTOMERS, SERVICES
from bridge.web.rate_limits import RateLimit
from bridge.web.routing import Endpoint


@dataclass(frozen=True, slots=True)
class HarbourSettings:
    """What holds for every customer with Harbour."""

    patience: timedelta = setting("How soon a notification is repeated.", default=timedelta(0))


@dataclass(frozen=True, slots=True)
class HarbourAccess(AtsAccount):
    """A customer's Harbour."""

    vendor: ClassVar[str] = "harbour"


class HarbourNotifier:
    """``Notifier``: a PUT to the URL that came with the order."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def notify(
        self, customer: Customer, url: str, invitation_id: str
    ) -> NotificationResponse:
        async with self._session.put(url, json={"exam": invitation_id}) as response:
            return NotificationResponse(response.status)


def _customer(request: web.Request) -> Customer:
    customer = request.app[CUSTOMERS]().by_token(request.query.get("key", ""))
    if customer is None or not isinstance(customer.ats, HarbourAccess):
        raise Unauthorized("Send the key.")
    return customer


def _endpoints(_: HarbourSettings, links: LinkSigner, __: RateLimit) -> list[Endpoint]:
    intake = request_body.BodyReader(1024)

    async def order(request: web.Request) -> web.StreamResponse:
        customer = _customer(request)
        body = request_body.parse_json_body(await intake.read(request, customer.key))
        assert isinstance(body, dict)
        person = Candidate(body["person"], "", "", body["mail"])
        invitation = await request.app[SERVICES].invitations.invite(
            customer, Order(body["exam"], person, body["tell"])
        )
        link = invitation_view.choose_candidate_url(invitation, customer, links)
        return web.json_response({"exam": invitation.id, "link": link})

    async def exam(request: web.Request) -> web.StreamResponse:
        view = await request.app[SERVICES].results.read(
            _customer(request), request.match_info["invitation_id"]
        )
        return web.json_response({"over": view.status != "pending", "grade": view.score})

    return [
        Endpoint(
            "POST",
            "/harbour/exams",
            order,
            "Order an exam.",
            {200: "Ordered."},
            tag="harbour",
            request="application/json",
        ),
        Endpoint(
            "GET", "/harbour/exams/{invitation_id}", exam, "Look.", {200: "So far."}, tag="harbour"
        ),
    ]


HARBOUR = AtsPackage(
    access=HarbourAccess,
    access_doc="This customer's Harbour.",
    settings=VendorSection(HarbourSettings, "Notifying Harbour."),
    allows_private=lambda _: True,
    open=lambda session, settings, _monotonic, _meter, _observer: Ats(
        HarbourNotifier(session),
        CallbackUrlPolicy(["127.0.0.1"], allow_insecure=True),
        (settings.patience,),
    ),
    endpoints=_endpoints,
    operations=(),
)
