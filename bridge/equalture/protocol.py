"""Equalture's "connect_ats" calls without any I/O: how to ask, and what an answer means.

Each builder makes a ``Call``; ``read_reply`` turns the ``Reply`` to it into a core value or
raises the ``UpstreamError`` that says who must act. Equalture documents successes only; the
bridge's own classification of failures is in one place: ``choose_error_type``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from typing import Generic, TypeVar, cast
from urllib.parse import quote, urlencode

from bridge import response_parsing
from bridge.core.answer_shape import NonJsonBody
from bridge.core.assessment import (
    ApplicationProgress,
    CreatedApplication,
    Job,
    NewApplication,
    PublicLink,
    Result,
)
from bridge.core.customers import DONE_WORDS
from bridge.equalture import schemas
from bridge.equalture.error_words import REDACTOR
from bridge.equalture.settings import EqualtureAccount, InvitationType
from bridge.errors import (
    OutcomeUnknown,
    UpstreamContractBroken,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)

VENDOR = "equalture"
_NOT_IDEMPOTENT = frozenset({"create", "hire"})
"""Operations that must not be repeated, since they would take effect twice."""
OPERATIONS = (
    *("token", "jobs", "create", "status", "results", "public_link", "hire", "anonymise"),
)
_UNREAD = object()
_NOT_READY = frozenset(range(400, 500)) - {401, 403, 408, 429}

_T = TypeVar("_T")


@dataclass(slots=True)
class Call(Generic[_T]):
    """One request, and how its answer is read.

    *path* and *query* are encoded already. *read* turns the JSON of a success (None: there is none)
    into a value, or raises ``ValueError``. *private* are texts that must not be logged, even if
    they are echoed.
    """

    operation: str
    method: str
    path: str
    read: Callable[[object], _T] = field(repr=False)
    query: str = ""
    json: Mapping[str, object] | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)
    """None: the bearer token of the customer."""
    private: tuple[str, ...] = field(default=(), repr=False)
    none_at: Container[int] = field(default=(), repr=False)
    """Statuses that mean "there is nothing": the value is None."""

    @property
    def idempotent(self) -> bool:
        """Whether the call may be repeated."""
        return self.operation not in _NOT_IDEMPOTENT


@dataclass(slots=True)
class Reply:
    """An answer.

    *headers* are found by lower-case names, *at* is the time it came (aware UTC), *fault* says why
    its body is not whole.
    """

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    at: datetime
    fault: str | None = None
    _document: object = field(default=_UNREAD, init=False, repr=False)

    @property
    def document(self) -> object:
        """The JSON of the body, or what the body is instead; parsed once."""
        if self._document is _UNREAD:
            self._document = response_parsing.parse_json_or_classify(self.body)
        return self._document


# https://equalture-ats.readme.io/reference/introduction, "Request for Access token"
def build_token_call(access: EqualtureAccount, method: str) -> Call[str]:
    """Ask for an access token, which is valid for 15 minutes: Basic authentication, no body.

    *method* is POST or GET: older versions of the page say GET.
    """
    # Assumption: the page names an "access_token endpoint" without a path; setting
    # equalture.token_path.
    secret = access.client_secret.reveal()
    credentials = base64.b64encode(f"{access.client_id}:{secret}".encode()).decode()
    return Call(
        "token",
        method,
        "/" + access.token_path.lstrip("/"),
        schemas.read_token,
        authorization=f"Basic {credentials}",
        private=(secret,),
    )


# https://equalture-ats.readme.io/reference/introduction, "Listing available jobs"
def build_jobs_call() -> Call[tuple[Job, ...]]:
    """Ask for the published jobs of type "assessment"."""
    return Call("jobs", "GET", "/connect_ats/jobs", schemas.read_jobs)


# https://equalture-ats.readme.io/reference/introduction, "Creating an application" and
# "Invitation types"
def build_create_call(
    draft: NewApplication, invitation_type: InvitationType = InvitationType.ONE_TIME_LINK
) -> Call[CreatedApplication]:
    """Make an application; by default one whose link softgarden delivers.

    A success that names no application is ``OutcomeUnknown``: the application may exist.
    """
    person = draft.candidate
    return Call(
        "create",
        "POST",
        "/connect_ats/applications",
        partial(schemas.read_created, mailed=invitation_type is InvitationType.EMAIL),
        json={
            "job_id": draft.job_id,
            # Assumption: the page gives the two values of invitation_type but not its place; the
            # top level is the natural one. No setting for the place. Only one_time_link answers
            # with the link that softgarden is to deliver.
            "invitation_type": str(invitation_type),
            "callback_url": draft.callback_url,
            "applicant_details": {
                "first_name": person.first_name,
                "last_name": person.last_name,
                "email": person.email,
            },
        },
        private=(person.first_name, person.last_name, person.email),
    )


# https://equalture-ats.readme.io/reference/introduction, "5c. Requesting status"
def build_status_call(
    reference_id: str, done_words: Iterable[str] = DONE_WORDS
) -> Call[ApplicationProgress]:
    """Ask how far an application is; it is finished where the status is one of *done_words*."""
    read = partial(schemas.read_progress, done_words=done_words)
    return Call("status", "GET", _application(reference_id, "status"), read)


# https://equalture-ats.readme.io/reference/introduction, "5b. Requesting results"
def build_results_call(reference_id: str, locale: str) -> Call[Result | None]:
    """Ask for the results in a language; None: not ready yet.

    The answer before completion is not documented, so every 4xx that is not about credentials or
    rate limits counts as such.
    """
    return Call(
        "results",
        "GET",
        _application(reference_id, "results"),
        _report,
        query=_locale(locale),
        none_at=_NOT_READY,
    )


# https://equalture-ats.readme.io/reference/introduction, "5a. Requesting a public link"
def build_public_link_call(reference_id: str, locale: str) -> Call[PublicLink]:
    """Ask for a link without login, which is valid for two hours."""
    path = _application(reference_id, "public_link")
    return Call("public_link", "GET", path, schemas.read_public_link, query=_locale(locale))


# https://equalture-ats.readme.io/reference/introduction, "Hiring an applicant"
def build_hire_call(reference_id: str, *, add_to_team: bool, start_date: str | None) -> Call[None]:
    """Hire the applicant; *start_date* is ``YYYY-MM-DD``."""
    # Assumption: add_to_team is shown as a string, though described as true or false; the bridge
    # sends a string. No setting.
    body: dict[str, object] = {"add_to_team": "true" if add_to_team else "false"}
    if start_date is not None:
        body["start_date"] = start_date
    return Call("hire", "POST", _application(reference_id, "hire_applicant"), _done, json=body)


# https://equalture-ats.readme.io/reference/introduction, "Deleting an application"
def build_anonymise_call(reference_id: str) -> Call[None]:
    """Anonymise an application, unless that is done already."""
    path = _application(reference_id, "anonymize_application")
    # Assumption: an application that is unknown or gone needs no anonymising; the page documents
    # 200 only. No setting.
    return Call("anonymise", "DELETE", path, _done, none_at=(404, 410))


def choose_error_type(call: Call[_T], reply_status: int) -> type[UpstreamError] | None:
    """The error that a status means for the call; None: a success.

    =============  ======================  ===================
    status         create, hire            all others
    =============  ======================  ===================
    2xx            success                 success
    408            UpstreamOutcomeUnknown  UpstreamUnavailable
    429, 503       UpstreamUnavailable     UpstreamUnavailable
    other 5xx      UpstreamOutcomeUnknown  UpstreamUnavailable
    anything else  UpstreamRefused         UpstreamRefused
    =============  ======================  ===================

    Redirects are among "anything else": they are never followed, since credentials would go along.
    """
    if 200 <= reply_status < 300:
        return None
    if reply_status in (429, 503):
        return UpstreamUnavailable
    if reply_status == 408 or reply_status >= 500:
        return UpstreamUnavailable if call.idempotent else OutcomeUnknown
    return UpstreamRefused


def create_no_answer_error(call: Call[_T], *, not_sent: bool, detail: str) -> UpstreamError:
    """The error for a call without an answer; *detail* says how it failed, without any secret."""
    kind = UpstreamUnavailable if not_sent or call.idempotent else OutcomeUnknown
    return kind(VENDOR, call.operation, detail)


def read_reply(call: Call[_T], reply: Reply) -> _T:
    """The value in an answer; raises the error of the status (see ``choose_error_type``).

    A success that cannot be read is ``UpstreamContractBroken``; for a create or hire it is
    ``OutcomeUnknown``, like no answer: it may have been done.
    """
    if reply.status in call.none_at:
        return cast(_T, None)
    kind = choose_error_type(call, reply.status)
    if kind is not None:
        raise _error(kind, call, reply, f"answered {reply.status}")
    try:
        if reply.fault is not None:
            raise ValueError(reply.fault)
        document = reply.document
        if isinstance(document, NonJsonBody):
            if reply.body:
                raise ValueError("not JSON")
            document = None
        return call.read(document)
    except ValueError as error:
        kind = UpstreamContractBroken if call.idempotent else OutcomeUnknown
        raise _error(kind, call, reply, str(error)) from None


def _application(reference_id: str, action: str) -> str:
    # Reference ids are opaque (the page's own samples are not UUIDs), so they are encoded as one
    # segment, including dots if a segment of dots would change the path.
    segment = quote(reference_id, safe="", errors="replace")
    if not segment.strip("."):
        segment = segment.replace(".", "%2E")
    return f"/connect_ats/applications/{segment}/{action}"


@lru_cache(maxsize=128)
def _locale(locale: str) -> str:
    # The page draws the parameter as a JSON object and calls it a query parameter; only "en" is
    # shown.
    # Assumption: other language codes work as well; setting equalture.locale (empty: not sent).
    return urlencode({"locale": locale}) if locale else ""


def _done(answer: object) -> None:
    # Nothing of the answer is needed; but a proxy's page is not a confirmation.
    if answer is not None and not isinstance(answer, dict):
        raise ValueError("not an object")
    # Assumption: the errors of failures are not documented for successes; one that has them is no
    # confirmation. A deletion must not be confirmed to softgarden by it. No setting.
    if answer and (answer.get("errors") or answer.get("error")):
        raise ValueError("a success with errors in it")


def _report(answer: object) -> Result:
    result = schemas.read_reported_result(answer)
    if result is None:
        raise ValueError("nothing of a report in it")
    return result


def _error(kind: type[UpstreamError], call: Call[_T], reply: Reply, detail: str) -> UpstreamError:
    return kind(
        VENDOR,
        call.operation,
        detail,
        status=reply.status,
        retry_after_s=response_parsing.parse_retry_after(
            reply.headers.get("retry-after"), reply.at, reply.headers.get("date")
        ),
        excerpt=REDACTOR.redact(reply.body, call.private),
    )
