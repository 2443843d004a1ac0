"""The API of the Equalture fake, as https://equalture-ats.readme.io/reference/introduction has it.

Where the vendor is silent: an unknown reference is 404, results before completion 404, after
anonymising 410, an unknown job 422, hiring twice or too early 409. A *violation* is a broken rule;
a state of affairs (expired token, withdrawn job, too early, wrong token method) is refused without
being one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import uuid4

from aiohttp import web

from bridge.sandbox import sample_results
from bridge.sandbox.accounts import TOKEN_LIFE, AccessToken, Account, Application, IssuedPublicLink
from bridge.sandbox.fake_vendor import ENTRY, Route
from bridge.sandbox.ledger import put_bounded
from bridge.sandbox.request_checks import (
    Refusal,
    allowed_query,
    basic_auth,
    bearer,
    check_hire,
    check_order,
    json_object,
    json_response,
    locale_of,
    no_body,
    unauthorized,
)

if TYPE_CHECKING:
    from bridge.sandbox.equalture_fake import EqualtureSandbox

_APPLICATIONS = "/connect_ats/applications"


class EqualtureApi:
    """The eight calls of the API, on what the sandbox remembers."""

    def __init__(self, sandbox: EqualtureSandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Iterable[Route]:
        """The paths of the API."""
        one = f"{_APPLICATIONS}/{{reference_id}}"
        return (
            ("token", "GET", self._sandbox.token_path, self._token),
            ("token", "POST", self._sandbox.token_path, self._token),
            ("jobs", "GET", "/connect_ats/jobs", self._jobs),
            ("create", "POST", _APPLICATIONS, self._create),
            ("status", "GET", f"{one}/status", self._status),
            ("results", "GET", f"{one}/results", self._results),
            ("public_link", "GET", f"{one}/public_link", self._public_link),
            ("hire", "POST", f"{one}/hire_applicant", self._hire),
            ("anonymise", "DELETE", f"{one}/anonymize_application", self._anonymise),
        )

    async def _token(self, request: web.Request) -> web.Response:
        user, password = basic_auth(request)
        account = self._sandbox.accounts.get(user)
        if account is None or account.client_secret != password:
            raise unauthorized("Basic", "wrong client id or secret")
        request[ENTRY].account = user
        allowed = [
            name for name, on in (("GET", account.token_get), ("POST", account.token_post)) if on
        ]
        if request.method not in allowed:
            # No violation: a caller has to try to find out which version is in force.
            raise Refusal(
                405, "method not allowed", violation=False, headers={"Allow": ", ".join(allowed)}
            )
        if request.method == "POST" and "Content-Length" not in request.headers:
            raise Refusal(411, "an empty POST says Content-Length: 0")
        await no_body(request)
        allowed_query(request)
        value = "SFMyNTY." + secrets.token_urlsafe(48)
        put_bounded(
            self._sandbox.tokens,
            value,
            AccessToken(user, self._sandbox.clock() + TOKEN_LIFE),
            10_000,
        )
        return json_response({"access_token": value})

    async def _jobs(self, request: web.Request) -> web.Response:
        account = self._account(request)
        await no_body(request)
        allowed_query(request)
        jobs = [{"id": job_id, "name": name} for job_id, name in account.jobs.items()]
        key = {"bare": None, "wrapped": "jobs", "data": "data"}[account.jobs_shape]
        return json_response(jobs if key is None else {key: jobs})

    async def _create(self, request: web.Request) -> web.Response:
        account = self._account(request)
        allowed_query(request)
        body = await json_object(request)
        check_order(body)
        if body["job_id"] not in account.jobs:
            raise Refusal(422, "job_id: no published job of type assessment", violation=False)
        sandbox = self._sandbox
        number, token = next(sandbox.application_numbers), secrets.token_urlsafe(32)
        application = Application(
            reference_id=str(uuid4()),
            number=number,
            account=account.client_id,
            job_id=body["job_id"],
            job_name=account.jobs[body["job_id"]],
            callback_url=body["callback_url"],
            invitation_type=body["invitation_type"],
            **body["applicant_details"],
            link_token=token,
            assessment_url=f"{sandbox.base_url}/en/assessments/{number}/token/{token}",
            created_at=sandbox.clock(),
        )
        reference_id = request[ENTRY].reference_id = application.reference_id
        put_bounded(sandbox.links, token, reference_id, sandbox.max_applications)
        put_bounded(sandbox.applications, reference_id, application, sandbox.max_applications)
        answer = {"reference_id": reference_id}
        if application.invitation_type == "one_time_link" and account.gives_link:
            answer["assessment_url"] = application.assessment_url
        return json_response(answer, 201)

    async def _status(self, request: web.Request) -> web.Response:
        account, application = self._application(request)
        await no_body(request)
        allowed_query(request)
        return json_response(
            {"status": account.status_words.get(application.state, application.state)}
        )

    async def _results(self, request: web.Request) -> web.Response:
        account, application = self._application(request)
        await no_body(request)
        language = sample_results.language(locale_of(request))
        _require_results(application)
        url = f"https://dashboard.equalture.com/{language}/candidates/{application.number}"
        body = sample_results.result(
            application.scores,
            application.fit,
            url,
            profile=account.profile,
            summary=language,
            details=language,
        )
        return json_response(body)

    async def _public_link(self, request: web.Request) -> web.Response:
        account, application = self._application(request)
        await no_body(request)
        language = sample_results.language(locale_of(request))
        _require_results(application)
        token, life = secrets.token_urlsafe(32), account.public_link_life
        link = IssuedPublicLink(application.reference_id, language, self._sandbox.clock() + life)
        put_bounded(self._sandbox.public_links, token, link, 10_000)
        url = f"{self._sandbox.base_url}/{language}/public/{token}"
        return json_response(
            {"url": url, "ttl": str(int(life.total_seconds() // 60)), "ttl_units": "minutes"}
        )

    async def _hire(self, request: web.Request) -> web.Response:
        account, application = self._application(request)
        allowed_query(request)
        body = await json_object(request)
        check_hire(body, account.hire_flag)
        if application.state != "completed":
            raise Refusal(
                409, f"an application that is {application.state} cannot be hired", violation=False
            )
        application.state = "hired"
        application.add_to_team = body["add_to_team"] in (True, "true")
        application.start_date = body.get("start_date")
        return json_response(
            {"message": "Applicant hired", "reference_id": application.reference_id}
        )

    async def _anonymise(self, request: web.Request) -> web.Response:
        account, application = self._application(request)
        await no_body(request)
        allowed_query(request)
        if application.state == "anonymized" and not 200 <= account.second_anonymise < 300:
            raise Refusal(
                account.second_anonymise, "the application is anonymised already", violation=False
            )
        self._sandbox.links.pop(application.link_token, None)
        application.anonymise()
        return json_response({"reference_id": application.reference_id})

    def _account(self, request: web.Request) -> Account:
        token = self._sandbox.tokens.get(bearer(request))
        if token is None:
            raise unauthorized("Bearer", "unknown access token")
        request[ENTRY].account = token.account
        if token.revoked or self._sandbox.clock() >= token.expires:
            raise unauthorized("Bearer", "access token expired", violation=False)
        return self._sandbox.accounts[token.account]

    def _application(self, request: web.Request) -> tuple[Account, Application]:
        account = self._account(request)
        application = self._sandbox.applications.get(request.match_info["reference_id"])
        if application is None or application.account != account.client_id:
            raise Refusal(404, "no such application")
        return account, application


def _require_results(application: Application) -> None:
    if application.state == "anonymized":
        raise Refusal(410, "the application is anonymised", violation=False)
    if not application.done:
        raise Refusal(404, "there are no results yet", violation=False)
