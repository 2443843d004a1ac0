"""The candidate's half of the Equalture fake: the doings of a person, the pages seen, and what Equalture sends out then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Unpack
from urllib.parse import parse_qs
from uuid import uuid4

from bridge.sandbox import pages, samples, webhooks
from bridge.sandbox.accounts import Account, Application, Jobs, Limited, PublicLink, Switches, read_jobs
from bridge.sandbox.peer import Reply
from bridge.sandbox.server import Rule, SandboxServer, ServerOptions
from bridge.sandbox.wire import Answer, Call


class CandidateSide(SandboxServer):
    """Accounts, applications, and how an application gets from invited to completed; ``EqualtureSandbox`` adds the API."""

    def __init__(self, *, max_applications: int = 100_000, **server: Unpack[ServerOptions]) -> None:
        super().__init__(**server)
        self.accounts: dict[str, Account] = {}
        self.applications: Limited[Application] = Limited(max_applications, self._forget)
        self._links: dict[str, str] = {}
        self._public: Limited[PublicLink] = Limited(10_000)

    def add_account(self, client_id: str, client_secret: str, jobs: Jobs = (), **switches: Unpack[Switches]) -> Account:
        """A customer with its published jobs; the switches stand in ``accounts.Account`` and may be changed there later."""
        if client_id in self.accounts:
            raise ValueError(f"account {client_id!r} exists")
        account = Account(client_id, client_secret, read_jobs(jobs), **switches)
        self.accounts[client_id] = account
        return account

    async def start_test(self, reference_id: str) -> None:
        """The candidate begins; sends the webhook event if the account has one. Later states stay as they are."""
        application = self.applications[reference_id]
        if application.state == "invited":
            application.state = "started"
            application.started_at = self.clock()
            await self._event(application, "started")

    async def complete(
        self,
        reference_id: str,
        fit: str | None = "high",
        scores: Mapping[str, int] | None = None,
        send_callback: bool = True,
    ) -> int:
        """The candidate finishes; the callback's status, 0 if not sent or not answered. Scores: trait code -> 1..5.

        May be repeated (the callback goes out again). Raises ``ValueError`` for an anonymised application: for a late
        callback about such a one there is ``put_callback``.
        """
        application = self.applications[reference_id]
        if application.state == "anonymized":
            raise ValueError(f"application {reference_id} is anonymised")
        buckets = samples.scores_for(fit, scores)
        first = not application.done
        application.fit, application.scores = fit, buckets
        if first:
            application.state = "completed"
            application.started_at = application.started_at or self.clock()
            application.completed_at = self.clock()
        status = await self.put_callback(reference_id) if send_callback else 0
        if first:
            await self._event(application, "finished")
        return status

    async def put_callback(
        self,
        reference_id: str,
        *,
        url: str | None = None,
        payload: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """PUT the result to the application's callback URL, whatever its state; the status, 0 if not answered.

        *url*, *payload* (any JSON value; bytes are sent as they are) and *headers* stand in for the usual ones.
        """
        application = self.applications[reference_id]
        account = self.accounts[application.account]
        if payload is None:
            payload = samples.result(
                application.scores or samples.scores_for("high", None),
                application.fit if application.scores else "high",
                f"https://dashboard.equalture.com/applications/{uuid4()}",
                profile=account.profile,
                summary="en",
                details=samples.language(account.callback_language),
            )
        data = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
        reply = await self.send(
            "callback",
            "PUT",
            url or application.callback_url,
            data=data,
            headers={"Content-Type": "application/json", **account.callback_headers, **(headers or {})},
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
        """POST one signed event (webhooks-1, Standard Webhooks 1.0.0); the status, 0 if not answered. *timestamp*: Unix seconds."""
        data: dict[str, Any] = {"reference_id": reference_id}
        if type.endswith("_started"):
            # As in the vendor's sample: without a zone.
            data["application_start_date"] = self.clock().strftime("%Y-%m-%dT%H:%M:%S")
        body = json.dumps({"id": str(uuid4()), "type": type, "data": data}, separators=(",", ":")).encode()
        moment = int(self.clock().timestamp()) if timestamp is None else timestamp
        signed = webhooks.headers(secret, message_id or f"msg_{uuid4().hex}", moment, body)
        headers = {"Content-Type": "application/json", **signed}
        reply = await self.send("webhook", "POST", url, data=body, headers=headers, reference_id=reference_id)
        return reply.status

    async def _event(self, application: Application, what: str) -> None:
        account = self.accounts[application.account]
        if account.webhook_url is not None and account.webhook_secret is not None:
            kind = f"{account.webhook_prefix}_{what}"
            await self.send_webhook(account.webhook_url, account.webhook_secret, kind, application.reference_id)

    def people_rules(self) -> list[Rule]:
        """The pages for people."""
        link = "/{lang}/assessments/{number}/token/{token}"
        return [
            Rule("assessment_page", ("GET",), link, self._assessment_page),
            Rule("assessment_finish", ("POST",), link, self._assessment_finish),
            Rule("public_page", ("GET",), "/{lang}/public/{token}", self._public_page),
        ]

    async def _assessment_page(self, call: Call) -> Answer:
        application = self._linked(call)
        if application is None:
            return pages.gone("This link is not known, or the application was deleted.")
        account = self.accounts[application.account]
        if application.done:
            return pages.gone("The test is finished.")
        if application.state == "invited" and self.clock() >= application.created_at + account.link_life:
            return pages.gone("This link has expired.")
        if account.link_opens is not None and application.opened >= account.link_opens:
            return pages.gone("This link has been used.")
        application.opened += 1
        await self.start_test(application.reference_id)
        return pages.assessment(application)

    async def _assessment_finish(self, call: Call) -> Answer:
        application = self._linked(call)
        if application is None or application.state != "started":
            return pages.gone("There is no test to finish here.")
        form = parse_qs(call.body.decode("utf-8", "replace"))
        status = await self.complete(application.reference_id, fit=form.get("fit", ["high"])[0])
        return pages.finished(status)

    async def _public_page(self, call: Call) -> Answer:
        link = self._public.get(call.params["token"])
        application = None if link is None else self.applications.get(link.reference_id)
        if link is None or application is None or self.clock() >= link.expires or not application.done:
            return pages.gone("This link has expired.")
        call.account, call.reference_id = application.account, application.reference_id
        return pages.public_result(application, samples.language(link.locale))

    def _linked(self, call: Call) -> Application | None:
        reference_id = self._links.get(call.params["token"])
        application = None if reference_id is None else self.applications[reference_id]
        if application is not None:
            call.account, call.reference_id = application.account, application.reference_id
        return application

    def _forget(self, application: Application) -> None:
        self._links.pop(application.link_token, None)


def _judge_callback(reply: Reply) -> str | None:
    # 200 is what the page says; an error is the bridge's right, another kind of success is not (introduction, "receiving results").
    return f"{reply.status} instead of 200" if 200 < reply.status < 400 else None


__all__ = ["CandidateSide"]
