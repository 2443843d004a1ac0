"""The API of the Equalture fake, as https://equalture-ats.readme.io/reference/introduction
describes it.

Where the vendor documents nothing: an unknown reference is 404, results before completion 404,
after anonymising 410, an unknown job 422, hiring twice or too early 409, anonymising twice 404. A
*violation* is a broken rule; a state of affairs (expired token, withdrawn job, too early, wrong
token method) is refused without being one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import uuid4

from aiohttp import web

from bridge.sandbox import request_checks, sample_results
from bridge.sandbox.accounts import (
    PUBLIC_LINK_LIFE,
    TOKEN_LIFE,
    AccessToken,
    Account,
    Application,
    IssuedPublicLink,
)
from bridge.sandbox.fake_vendor import ENTRY, Route
from bridge.sandbox.request_checks import (
    Refusal,
    create_json_response,
    read_json_object,
    read_query_without_body,
)

if TYPE_CHECKING:
    from bridge.sandbox.equalture_fake import EqualtureSandbox

OPERATIONS = ("token", "jobs", "create", "status", "results", "public_link", "hire", "anonymise")
_APPLICATIONS = "/connect_ats/applications"
_LIST_KEYS = {"bare": None, "wrapped": "jobs", "data": "data"}


class EqualtureApi:
    """The eight calls of the API, over the sandbox's state."""

    def __init__(self, sandbox: EqualtureSandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Iterable[Route]:
        """The paths of the API."""
        application = f"{_APPLICATIONS}/{{reference_id}}"
        return (
            ("token", "GET", self._sandbox.token_path, self._token),
            ("token", "POST", self._sandbox.token_path, self._token),
            ("jobs", "GET", "/connect_ats/jobs", self._jobs),
            ("create", "POST", _APPLICATIONS, self._create),
            ("status", "GET", f"{application}/status", self._status),
            ("results", "GET", f"{application}/results", self._results),
            ("public_link", "GET", f"{application}/public_link", self._public_link),
            ("hire", "POST", f"{application}/hire_applicant", self._hire),
            ("anonymise", "DELETE", f"{application}/anonymize_application", self._anonymise),
        )

    async def _token(self, request: web.Request) -> web.Response:
        user, password = request_checks.read_basic_auth(request)
        account = self._sandbox.accounts.get(user)
        if account is None or account.client_secret != password:
            raise request_checks.create_unauthorized_refusal("Basic", "wrong client id or secret")
        request[ENTRY].account = user
        methods = {"GET": account.token_get, "POST": account.token_post}
        if not methods[request.method]:
            # Not a violation: a caller has to try to find out which version applies.
            allow = ", ".join(method for method, allowed in methods.items() if allowed)
            raise Refusal(405, "wrong method", violation=False, headers={"Allow": allow})
        if request.method == "POST" and "Content-Length" not in request.headers:
            raise Refusal(411, "an empty POST says Content-Length: 0")
        await read_query_without_body(request)
        token = "SFMyNTY." + secrets.token_urlsafe(48)
        self._sandbox.tokens[token] = AccessToken(user, self._sandbox.clock() + TOKEN_LIFE)
        return create_json_response({"access_token": token})

    async def _jobs(self, request: web.Request) -> web.Response:
        account = self._account(request)
        await read_query_without_body(request)
        jobs = [{"id": job_id, "name": name} for job_id, name in account.jobs.items()]
        key = _LIST_KEYS[account.jobs_shape]
        return create_json_response(jobs if key is None else {key: jobs})

    async def _create(self, request: web.Request) -> web.Response:
        account, sandbox = self._account(request), self._sandbox
        request_checks.read_query(request)
        order = await read_json_object(request)
        request_checks.check_fields(request_checks.ORDER, order)
        if order["job_id"] not in account.jobs:
            raise Refusal(422, "job_id: no published job of type assessment", violation=False)
        number, token = next(sandbox.application_numbers), secrets.token_urlsafe(32)
        application = Application(
            reference_id=str(uuid4()),
            number=number,
            account=account.client_id,
            job_id=order["job_id"],
            job_name=account.jobs[order["job_id"]],
            callback_url=order["callback_url"],
            invitation_type=order["invitation_type"],
            **order["applicant_details"],
            link_token=token,
            assessment_url=f"{sandbox.base_url}/en/assessments/{number}/token/{token}",
            created_at=sandbox.clock(),
        )
        reference_id = request[ENTRY].reference_id = application.reference_id
        sandbox.links[token] = sandbox.applications[reference_id] = application
        answer = {"reference_id": reference_id}
        if application.invitation_type == "one_time_link" and account.gives_link:
            answer["assessment_url"] = application.assessment_url
        return create_json_response(answer, 201)

    async def _status(self, request: web.Request) -> web.Response:
        account, application = self._application(request)
        await read_query_without_body(request)
        word = account.status_words.get(application.state, application.state)
        return create_json_response({"status": word})

    async def _results(self, request: web.Request) -> web.Response:
        account, application, language = await self._finished(request)
        return create_json_response(
            sample_results.build_sample_result(
                application.scores,
                application.fit,
                f"https://dashboard.equalture.com/{language}/candidates/{application.number}",
                profile=account.profile,
                summary=language,
                details=language,
            )
        )

    async def _public_link(self, request: web.Request) -> web.Response:
        _, application, language = await self._finished(request)
        token, expires = secrets.token_urlsafe(32), self._sandbox.clock() + PUBLIC_LINK_LIFE
        self._sandbox.public_links[token] = IssuedPublicLink(application, language, expires)
        url = f"{self._sandbox.base_url}/{language}/public/{token}"
        minutes = int(PUBLIC_LINK_LIFE.total_seconds() // 60)
        return create_json_response({"url": url, "ttl": str(minutes), "ttl_units": "minutes"})

    async def _hire(self, request: web.Request) -> web.Response:
        account, application = self._application(request)
        request_checks.read_query(request)
        body = await read_json_object(request)
        request_checks.check_fields(request_checks.HIRE, body)
        flag = body["add_to_team"]
        if account.hire_flag not in ("either", "boolean" if isinstance(flag, bool) else "string"):
            detail = f"add_to_team: must be a {account.hire_flag}"
            raise Refusal(422, detail, violation=False)
        if application.state != "completed":
            detail = f"an application that is {application.state} cannot be hired"
            raise Refusal(409, detail, violation=False)
        application.state = "hired"
        application.add_to_team = flag in (True, "true")
        application.start_date = body.get("start_date")
        answer = {"message": "Applicant hired", "reference_id": application.reference_id}
        return create_json_response(answer)

    async def _anonymise(self, request: web.Request) -> web.Response:
        _, application = self._application(request)
        await read_query_without_body(request)
        if application.state == "anonymized":
            raise Refusal(404, "the application is anonymised already", violation=False)
        self._sandbox.links.pop(application.link_token, None)
        application.anonymise()
        return create_json_response({"reference_id": application.reference_id})

    def _account(self, request: web.Request) -> Account:
        token = self._sandbox.tokens.get(request_checks.read_bearer_token(request))
        if token is None:
            raise request_checks.create_unauthorized_refusal("Bearer", "unknown access token")
        request[ENTRY].account = token.account
        if token.revoked or self._sandbox.clock() >= token.expires:
            raise request_checks.create_unauthorized_refusal(
                "Bearer", "access token expired", violation=False
            )
        return self._sandbox.accounts[token.account]

    def _application(self, request: web.Request) -> tuple[Account, Application]:
        account = self._account(request)
        application = self._sandbox.applications.get(request.match_info["reference_id"])
        if application is None or application.account != account.client_id:
            raise Refusal(404, "no such application")
        return account, application

    async def _finished(self, request: web.Request) -> tuple[Account, Application, str]:
        """An application with results, and the language in which they are wanted."""
        account, application = self._application(request)
        locale = (await read_query_without_body(request, "locale")).get("locale", "en")
        request_checks.check_locale(locale)
        if application.state == "anonymized":
            raise Refusal(410, "the application is anonymised", violation=False)
        if not application.done:
            raise Refusal(404, "there are no results yet", violation=False)
        return account, application, sample_results.choose_result_language(locale)
