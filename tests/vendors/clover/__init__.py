"""Clover, a provider of assessments that exists in this test only: one package, like Equalture's.

Its API has nothing in common with Equalture's: a key in a header instead of a token, tests that are
"quizzes", attempts that are "sittings", and a POST to the callback URL that says nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp
from aiohttp import web

from bridge.core.assessment import (
    ApplicationProgress,
    CreatedApplication,
    Job,
    NewApplication,
    PublicLink,
    Result,
)
from bridge.core.customers import Customer, ProviderAccount, Secret
from bridge.core.declaration import setting
from bridge.errors import OutcomeUnknown, UpstreamRefused
from bridge.ports import Clock, Monotonic
from bridge.resilience import Resilience
from bridge.settings import rules
from bridge.vendors import ProviderPackage
from bridge.web.app_keys import SERVICES
from bridge.web.routing import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class CloverAccess(ProviderAccount):
    """A customer's account at Clover."""

    vendor: ClassVar[str] = "clover"
    address: str = setting("Where Clover is.", rule=rules.parse_web_url)
    api_key: Secret = setting("The key of the account.")


class Clover:
    """``AssessmentProvider`` over Clover's API."""

    name = CloverAccess.vendor
    title = "Clover"

    def __init__(self, session: aiohttp.ClientSession, monotonic: Monotonic) -> None:
        self._session = session
        self._resilience = Resilience(self.name, monotonic)

    async def list_jobs(self, customer: Customer) -> tuple[Job, ...]:
        quizzes = await self._call(customer, "GET", "/quizzes")
        return tuple(Job(quiz["code"], quiz["label"]) for quiz in quizzes)

    async def create_application(
        self, customer: Customer, draft: NewApplication
    ) -> CreatedApplication:
        order = {"quiz": draft.job_id, "tell": draft.callback_url, "to": draft.candidate.email}
        sitting = await self._call(customer, "POST", "/sittings", order)
        return CreatedApplication(sitting["sitting"], sitting["link"])

    async def get_progress(self, customer: Customer, reference_id: str) -> ApplicationProgress:
        sitting = await self._call(customer, "GET", f"/sittings/{reference_id}")
        return ApplicationProgress(sitting["points"] is not None, "completed")

    async def get_result(
        self, customer: Customer, reference_id: str, *, locale: str | None = None
    ) -> Result | None:
        sitting = await self._call(customer, "GET", f"/sittings/{reference_id}")
        return None if sitting["points"] is None else Result(fit=sitting["points"])

    async def get_public_link(self, customer: Customer, reference_id: str) -> PublicLink:
        raise UpstreamRefused(self.name, "link", "Clover has no public links")

    async def hire(
        self, customer: Customer, reference_id: str, *, add_to_team: bool, start_date: str | None
    ) -> None:
        raise UpstreamRefused(self.name, "hire", "Clover hires nobody")

    async def anonymise(self, customer: Customer, reference_id: str) -> None:
        await self._call(customer, "DELETE", f"/sittings/{reference_id}")

    async def _call(self, customer: Customer, method: str, path: str, body: object = None) -> Any:
        access = customer.provider
        assert isinstance(access, CloverAccess)
        headers = {"X-Key": access.api_key.reveal()}
        async with self._resilience.call(customer.key, path):
            try:
                async with self._session.request(
                    method, access.address + path, json=body, headers=headers
                ) as response:
                    if response.status != 200:
                        raise UpstreamRefused(self.name, path, "no", status=response.status)
                    return await response.json()
            except aiohttp.ClientError as error:
                raise OutcomeUnknown(self.name, path, "no answer") from error


def endpoints(_: Clock) -> list[Endpoint]:
    """Clover says that something happened, but not what."""

    async def told(request: web.Request) -> web.StreamResponse:
        results = request.app[SERVICES].results
        where = request.match_info
        invitation, attempt = await results.recognise(
            where["invitation_id"],
            where["secret"],
            lambda customer: isinstance(customer.provider, CloverAccess),
        )
        await results.receive_result(invitation, attempt, None)
        return web.Response()

    path = "/clover/callbacks/{invitation_id}/{secret}"
    return [Endpoint("POST", path, told, "Something happened.", {200: "Thanks."}, tag="clover")]


CLOVER = ProviderPackage(
    access=CloverAccess,
    access_doc="This customer's account at Clover.",
    defaults=None,
    open=lambda session, monotonic, _meter, _observer: Clover(session, monotonic),
    endpoints=endpoints,
    operations=(),
)
