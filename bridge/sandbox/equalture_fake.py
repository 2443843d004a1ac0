"""A fake Equalture that takes the documented Open Assessment API literally.

https://equalture-ats.readme.io/reference/introduction

| operation | call |
|---|---|
| ``token`` | POST (GET: a switch) ``/connect_ats/access_token``, Basic |
| ``jobs`` | GET ``/connect_ats/jobs``, Bearer (as all below) |
| ``create`` | POST ``/connect_ats/applications`` |
| ``status``, ``results``, ``build_public_link_call`` | GET ``.../{reference_id}/status`` and so on
| | ``hire`` | POST ``.../{reference_id}/hire_applicant`` |
| ``anonymise`` | DELETE ``.../{reference_id}/anonymize_application`` |
| ``assessment_page``, ``assessment_finish`` | for people: the candidate's link, its button |
| ``public_page`` | for people: the public link |
| ``callback``, ``webhook`` | made by the sandbox: PUT of the result, signed POST of events |

Over HTTP, besides what ``admin_routes`` lists, below ``/_sandbox/``:

| call | does |
|---|---|
| ``GET applications`` | every application |
| ``POST applications/{reference_id}/start`` | the candidate begins |
| ``POST applications/{reference_id}/complete`` | finishes; body: arguments of ``complete`` |
| ``POST applications/{reference_id}/expire`` | lets the candidate's link expire |
| ``POST applications/{reference_id}/callback`` | PUT the result (again) |
| ``POST tokens/revoke`` | every access token is invalid from now on |
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import count
from types import MappingProxyType
from typing import Any, Unpack
from uuid import uuid4

from aiohttp import web

from bridge.sandbox import sample_results, webhooks
from bridge.sandbox.accounts import AccessToken, Account, Application, IssuedPublicLink
from bridge.sandbox.admin_routes import ADMIN
from bridge.sandbox.candidate_pages import VISITORS, CandidatePages
from bridge.sandbox.equalture_api import OPERATIONS, EqualtureApi
from bridge.sandbox.fake_vendor import FakeVendor, FakeVendorOptions, Route
from bridge.sandbox.ledger import BoundedDict
from bridge.sandbox.recording_client import BridgeReply
from bridge.sandbox.request_checks import create_json_response, read_json_object


class EqualtureSandbox(FakeVendor):
    """The parts of Equalture that a bridge uses. Further arguments: see ``FakeVendor``.

    *token_path*: its path is not documented. *max_applications* bounds the memory; the oldest are
    forgotten.
    """

    name = "Equalture"
    operations = OPERATIONS
    page_operations = MappingProxyType(VISITORS)
    made_operations = ("callback", "webhook")

    def __init__(
        self,
        *,
        token_path: str = "/connect_ats/access_token",  # noqa: S107 - a path
        max_applications: int = 100_000,
        **options: Unpack[FakeVendorOptions],
    ) -> None:
        super().__init__(**options)
        self.token_path = token_path
        self.accounts: dict[str, Account] = {}
        self.applications = BoundedDict[Application](max_applications)
        self.application_numbers = count(1)
        self.tokens = BoundedDict[AccessToken]()
        self.links = BoundedDict[Application](max_applications)
        """Token of a candidate's link -> what it leads to."""
        self.public_links = BoundedDict[IssuedPublicLink]()

    def add_account(
        self,
        client_id: str,
        client_secret: str,
        jobs: Iterable[tuple[str, str]] = (),
        **switches: Any,
    ) -> Account:
        """A customer with its published jobs (id, name); *switches*: fields of ``Account``."""
        if client_id in self.accounts:
            raise ValueError(f"account {client_id!r} exists")
        account = Account(client_id, client_secret, dict(jobs), **switches)
        self.accounts[client_id] = account
        return account

    def revoke_tokens(self) -> None:
        """From now on every access token issued so far gets 401."""
        for token in self.tokens.values():
            token.revoked = True

    async def start_test(self, reference_id: str) -> None:
        """The candidate starts, unless that was done before; sends the event."""
        application = self.applications[reference_id]
        if application.state == "invited":
            application.state = "started"
            application.started_at = self.clock()
            await self._send_event(application, "started")

    async def complete(
        self,
        reference_id: str,
        fit: str | None = "high",
        scores: Mapping[str, int] | None = None,
        send_callback: bool = True,
    ) -> int:
        """The candidate finishes; the callback's status, 0 if not sent or not answered.

        *scores*: trait code -> 1..5. May be repeated (the callback goes out again). Raises
        ``ValueError`` for an anonymised application, for which there is ``put_callback``.
        """
        application = self.applications[reference_id]
        if application.state == "anonymized":
            raise ValueError(f"application {reference_id} is anonymised")
        buckets = sample_results.choose_sample_scores(fit, scores)
        first = not application.done
        application.fit, application.scores = fit, buckets
        if first:
            application.state = "completed"
            application.completed_at = self.clock()
            application.started_at = application.started_at or application.completed_at
        status = await self.put_callback(reference_id) if send_callback else 0
        if first:
            await self._send_event(application, "finished")
        return status

    def expire_link(self, reference_id: str) -> None:
        """From now on the candidate's link leads to a page that says so, whatever the time; nobody
        is told, as Equalture has no event for it.

        Raises ``ValueError`` where the test is finished.
        """
        application = self.applications[reference_id]
        if application.state not in ("invited", "started"):
            raise ValueError(f"application {reference_id} is {application.state}")
        application.link_ended = True

    async def put_callback(
        self,
        reference_id: str,
        *,
        url: str | None = None,
        payload: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """PUT the result, whatever the application's state; the status, 0 if not answered.

        *url*, *payload* (any JSON value, or bytes) and *headers* stand in for the usual ones.
        """
        application = self.applications[reference_id]
        account = self.accounts[application.account]
        if payload is None:
            payload = sample_results.build_sample_result(
                application.scores or sample_results.choose_sample_scores("high", None),
                application.fit if application.scores else "high",
                f"https://dashboard.equalture.com/applications/{uuid4()}",
                profile=account.profile,
                summary="en",
                details="de",  # the languages are mixed in the vendor's sample, too
            )
        reply = await self.outgoing.send(
            "callback",
            "PUT",
            url or application.callback_url,
            body=payload,
            headers={**account.callback_headers, **(headers or {})},
            account=account.client_id,
            reference_id=reference_id,
            judge=_judge_callback,
        )
        return reply.status

    async def send_webhook(
        self,
        url: str,
        secret: str,
        type: str,
        reference_id: str,
        *,
        message_id: str | None = None,
        timestamp: int | None = None,
    ) -> int:
        """POST one signed event; the status, 0 if not answered. *timestamp*: Unix seconds.

        https://equalture-ats.readme.io/reference/webhooks-1
        """
        data: dict[str, Any] = {"reference_id": reference_id}
        if type.endswith("_started"):
            # As in the vendor's sample: without a zone.
            data["application_start_date"] = self.clock().strftime("%Y-%m-%dT%H:%M:%S")
        body = json.dumps({"id": str(uuid4()), "type": type, "data": data}).encode()
        sent_at = int(self.clock().timestamp()) if timestamp is None else timestamp
        headers = webhooks.create_webhook_headers(
            secret, message_id or f"msg_{uuid4().hex}", sent_at, body
        )
        reply = await self.outgoing.send(
            "webhook", "POST", url, body=body, headers=headers, reference_id=reference_id
        )
        return reply.status

    async def _send_event(self, application: Application, what: str) -> None:
        account, reference_id = self.accounts[application.account], application.reference_id
        if account.webhook_url is not None and account.webhook_secret is not None:
            url, secret = account.webhook_url, account.webhook_secret
            await self.send_webhook(url, secret, f"assessment_{what}", reference_id)

    def routes(self) -> Iterable[Route]:
        """The API and the pages."""
        return (*EqualtureApi(self).routes(), *CandidatePages(self).routes())

    def error_body(self, detail: str) -> Any:
        """As the Phoenix framework does; the vendor documents no error bodies."""
        return {"errors": {"detail": detail}}

    def admin_routes(self) -> Iterable[web.RouteDef]:
        """The second table of the module."""
        steps = "{reference_id}/{step:start|complete|expire|callback}"
        return (
            web.get(f"{ADMIN}applications", self._list_applications),
            web.post(f"{ADMIN}tokens/revoke", self._revoke_tokens),
            web.post(f"{ADMIN}applications/{steps}", self._step),
        )

    async def _list_applications(self, request: web.Request) -> web.Response:
        return create_json_response(
            [asdict(application) for application in self.applications.values()]
        )

    async def _revoke_tokens(self, request: web.Request) -> web.Response:
        self.revoke_tokens()
        return create_json_response({})

    async def _step(self, request: web.Request) -> web.Response:
        reference_id, step = request.match_info["reference_id"], request.match_info["step"]
        if reference_id not in self.applications:
            return create_json_response({"detail": "no such application"}, 404)
        options = await read_json_object(request) if await request.read() else {}
        if step == "start":
            await self.start_test(reference_id)
            return create_json_response({})
        if step == "expire":
            self.expire_link(reference_id)
            return create_json_response({})
        send = self.complete if step == "complete" else self.put_callback
        return create_json_response({"callback_status": await send(reference_id, **options)})


def _judge_callback(reply: BridgeReply) -> str | None:
    # https://equalture-ats.readme.io/reference/introduction, receiving results: the answer is 200.
    # The bridge may answer an error, but no other kind of success.
    return f"{reply.status} instead of 200" if 200 < reply.status < 400 else None
