"""A fake Equalture that takes its documented Open Assessment API literally (reference/introduction).

| operation | call |
|---|---|
| ``token`` | POST (GET: a switch) ``/connect_ats/access_token``, Basic |
| ``jobs`` | GET ``/connect_ats/jobs``, Bearer (as all below) |
| ``create`` | POST ``/connect_ats/applications`` |
| ``status``, ``results``, ``public_link`` | GET ``/connect_ats/applications/{reference_id}/status`` and so on |
| ``hire`` | POST ``.../{reference_id}/hire_applicant`` |
| ``anonymise`` | DELETE ``.../{reference_id}/anonymize_application`` |
| ``assessment_page``, ``assessment_finish``, ``public_page`` | for people: the candidate's link, its button, the public link |
| ``callback``, ``webhook`` | made by the sandbox: PUT of the result, signed POST of events |

Over HTTP, besides what ``admin`` lists, below ``/_sandbox/``:

| call | does |
|---|---|
| ``GET applications`` | every application |
| ``POST applications/{reference_id}/start`` | the candidate begins |
| ``POST applications/{reference_id}/complete`` | finishes; optional body: the arguments of ``complete`` |
| ``POST applications/{reference_id}/callback`` | PUT the result (again) |
| ``POST tokens/revoke`` | every access token is worth nothing from now |

Where the vendor is silent: an unknown reference is 404, results before completion 404, after anonymising 410, an unknown job
422, hiring twice or too early 409; errors are ``{"errors": {"detail": ...}}``. A *violation* is a broken rule; a state of affairs
(expired token, withdrawn job, too early, wrong token method) is refused without being one.
"""

from __future__ import annotations

import secrets
from typing import Unpack
from urllib.parse import unquote
from uuid import uuid4

from bridge.sandbox import samples
from bridge.sandbox.accounts import TOKEN_LIFE, Account, Application, Limited, PublicLink, Token
from bridge.sandbox.admin import ADMIN
from bridge.sandbox.candidate import CandidateSide
from bridge.sandbox.checks import application_fields, hire_fields, locale_of
from bridge.sandbox.server import Rule, ServerOptions
from bridge.sandbox.wire import Answer, Call, Refusal, allowed_query, basic_auth, bearer, json_object, no_body

APPLICATIONS = "/connect_ats/applications"


class EqualtureSandbox(CandidateSide):
    """Equalture, as far as a bridge sees it. Further arguments: see ``SandboxServer``.

    *token_path*: its path is not documented. *max_applications* bounds the memory; the oldest are forgotten.
    """

    operations = ("token", "jobs", "create", "status", "results", "public_link", "hire", "anonymise")
    page_operations = ("assessment_page", "assessment_finish", "public_page")
    made_operations = ("callback", "webhook")

    def __init__(
        self,
        *,
        token_path: str = "/connect_ats/access_token",  # noqa: S107 - a path
        max_applications: int = 100_000,
        **server: Unpack[ServerOptions],
    ) -> None:
        super().__init__(max_applications=max_applications, **server)
        self.token_path = token_path
        self._tokens: Limited[Token] = Limited(10_000)
        self._count = 0

    def revoke_tokens(self) -> None:
        """From now every access token issued so far gets 401."""
        for value, token in self._tokens.items():
            self._tokens[value] = Token(token.account, token.expires, revoked=True)

    # The API

    def rules(self) -> list[Rule]:
        """See the module's docstring."""
        one = APPLICATIONS + "/{reference_id}"
        return [
            Rule("token", ("GET", "POST"), self.token_path, self._token),
            Rule("jobs", ("GET",), "/connect_ats/jobs", self._jobs),
            Rule("create", ("POST",), APPLICATIONS, self._create),
            Rule("status", ("GET",), one + "/status", self._status),
            Rule("results", ("GET",), one + "/results", self._results),
            Rule("public_link", ("GET",), one + "/public_link", self._public_link),
            Rule("hire", ("POST",), one + "/hire_applicant", self._hire),
            Rule("anonymise", ("DELETE",), one + "/anonymize_application", self._anonymise),
            *self.people_rules(),
        ]

    def refusal(self, refusal: Refusal) -> Answer:
        """Phoenix's way; the vendor documents no error bodies."""
        return Answer(refusal.status, {"errors": {"detail": refusal.detail}}, headers=refusal.headers)

    async def _token(self, call: Call) -> Answer:
        user, password = basic_auth(call)
        account = self.accounts.get(user)
        if account is None or account.client_secret != password:
            raise Refusal(401, "wrong client id or secret", headers={"WWW-Authenticate": "Basic"})
        call.account = user
        allowed = [name for name, on in (("GET", account.token_get), ("POST", account.token_post)) if on]
        if call.method not in allowed:
            # No violation: whoever wants to know which version is in force has to try.
            raise Refusal(405, "method not allowed", violation=False, headers={"Allow": ", ".join(allowed)})
        if call.method == "POST" and "Content-Length" not in call.headers:
            raise Refusal(411, "an empty POST says Content-Length: 0")
        no_body(call)
        allowed_query(call)
        value = "SFMyNTY." + secrets.token_urlsafe(48)
        self._tokens.put(value, Token(user, self.clock() + TOKEN_LIFE))
        return Answer(200, {"access_token": value})

    async def _jobs(self, call: Call) -> Answer:
        account = self._account(call)
        no_body(call)
        allowed_query(call)
        jobs = [{"id": job_id, "name": name} for job_id, name in account.jobs.items()]
        match account.jobs_shape:
            case "bare":
                return Answer(200, jobs)
            case "wrapped":
                return Answer(200, {"jobs": jobs})
            case "data":
                return Answer(200, {"data": jobs})

    async def _create(self, call: Call) -> Answer:
        account = self._account(call)
        allowed_query(call)
        fields = application_fields(json_object(call, broken=400))
        if fields.job_id not in account.jobs:
            raise Refusal(422, "job_id: no published job of type assessment", violation=False)
        self._count += 1
        token = secrets.token_urlsafe(32)
        application = Application(
            reference_id=str(uuid4()),
            number=self._count,
            account=account.client_id,
            job_id=fields.job_id,
            job_name=account.jobs[fields.job_id],
            callback_url=fields.callback_url,
            first_name=fields.first_name,
            last_name=fields.last_name,
            email=fields.email,
            invitation_type=fields.invitation_type,
            link_token=token,
            assessment_url=f"{self.base_url}/en/assessments/{self._count}/token/{token}",
            created_at=self.clock(),
        )
        call.reference_id = application.reference_id
        self._links[token] = application.reference_id
        self.applications.put(application.reference_id, application)
        answer = {"reference_id": application.reference_id}
        if application.invitation_type == "one_time_link" and account.gives_link:
            answer["assessment_url"] = application.assessment_url
        return Answer(201, answer)

    async def _status(self, call: Call) -> Answer:
        account, application = self._application(call)
        no_body(call)
        allowed_query(call)
        return Answer(200, {"status": account.status_words.get(application.state, application.state)})

    async def _results(self, call: Call) -> Answer:
        account, application = self._application(call)
        no_body(call)
        locale = locale_of(call)
        self._need_results(application)
        words = samples.language(locale)
        url = f"https://dashboard.equalture.com/{words}/candidates/{application.number}"
        body = samples.result(
            application.scores, application.fit, url, profile=account.profile, summary=words, details=words
        )
        return Answer(200, body)

    async def _public_link(self, call: Call) -> Answer:
        account, application = self._application(call)
        no_body(call)
        locale = locale_of(call)
        self._need_results(application)
        token = secrets.token_urlsafe(32)
        life = account.public_link_life
        self._public.put(token, PublicLink(application.reference_id, locale, self.clock() + life))
        minutes = str(int(life.total_seconds() // 60))
        url = f"{self.base_url}/{samples.language(locale)}/public/{token}"
        return Answer(200, {"url": url, "ttl": minutes, "ttl_units": "minutes"})

    async def _hire(self, call: Call) -> Answer:
        account, application = self._application(call)
        allowed_query(call)
        add_to_team, start_date = hire_fields(json_object(call, broken=400), account.hire_flag)
        if application.state != "completed":
            raise Refusal(409, f"an application that is {application.state} cannot be hired", violation=False)
        application.state = "hired"
        application.add_to_team, application.start_date = add_to_team, start_date
        return Answer(200, {"message": "Applicant hired", "reference_id": application.reference_id})

    async def _anonymise(self, call: Call) -> Answer:
        account, application = self._application(call)
        no_body(call)
        allowed_query(call)
        if application.state == "anonymized" and not 200 <= account.second_anonymise < 300:
            raise Refusal(account.second_anonymise, "the application is anonymised already", violation=False)
        self._links.pop(application.link_token, None)
        application.anonymise()
        return Answer(200, {"reference_id": application.reference_id})

    # Helpers

    def _account(self, call: Call) -> Account:
        token = self._tokens.get(bearer(call))
        if token is None:
            raise Refusal(401, "unknown access token", headers={"WWW-Authenticate": "Bearer"})
        call.account = token.account
        if token.revoked or self.clock() >= token.expires:
            raise Refusal(401, "access token expired", violation=False, headers={"WWW-Authenticate": "Bearer"})
        return self.accounts[token.account]

    def _application(self, call: Call) -> tuple[Account, Application]:
        account = self._account(call)
        application = self.applications.get(call.params["reference_id"])
        if application is None or application.account != account.client_id:
            raise Refusal(404, "no such application")
        return account, application

    def _need_results(self, application: Application) -> None:
        if application.state == "anonymized":
            raise Refusal(410, "the application is anonymised", violation=False)
        if not application.done:
            raise Refusal(404, "there are no results yet", violation=False)

    async def admin(self, call: Call) -> Answer | None:
        """See the module's docstring."""
        match call.method, call.path.removeprefix(ADMIN).split("/"):
            case "GET", ["applications"]:
                return Answer(200, [application.as_json() for application in self.applications.values()])
            case "POST", ["tokens", "revoke"]:
                self.revoke_tokens()
                return Answer(200, {})
            case "POST", ["applications", reference, step] if step in ("start", "complete", "callback"):
                reference_id = unquote(reference)
                if reference_id not in self.applications:
                    return Answer(404, {"detail": "no such application"})
                options = json_object(call, broken=400) if call.body else {}
                if step == "start":
                    await self.start_test(reference_id)
                    return Answer(200, {})
                send = self.complete if step == "complete" else self.put_callback
                return Answer(200, {"callback_status": await send(reference_id, **options)})
        return None


__all__ = ["EqualtureSandbox"]
