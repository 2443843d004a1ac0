"""Equalture's "connect_ats" calls without any I/O: how to ask, and what an answer means.

Builders make a frozen ``Call``; a reader turns the ``Reply`` to it into a core value or raises the
``UpstreamError`` that says who must act. Page of every rule:
equalture-ats.readme.io/reference/introduction (sections named below). It documents successes only;
how failures are sorted is therefore ours, in one place: ``failure``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar
from urllib.parse import quote, urlencode

from bridge import response_parsing
from bridge.core.assessment import (
    CreatedApplication,
    Job,
    NewApplication,
    Progress,
    PublicLink,
    Result,
)
from bridge.equalture import schemas
from bridge.equalture.error_words import REDACTOR
from bridge.equalture.settings import DONE_WORDS, EqualtureAccess
from bridge.errors import ContractBroken, OutcomeUnknown, Refused, Unavailable, UpstreamError

VENDOR = "equalture"
_NOT_IDEMPOTENT = frozenset({"create", "hire"})
"""Operations with effects that a repetition would double; all others can be asked again at any
time.
"""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    *path* and *query* are encoded already; *private* are texts that no log may show, should they be
    echoed.
    """

    operation: str
    method: str
    path: str
    query: str = ""
    json: Mapping[str, object] | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)
    """None: the bearer token of the customer."""
    private: tuple[str, ...] = field(default=(), repr=False)

    @property
    def idempotent(self) -> bool:
        """Whether a repetition does no harm."""
        return self.operation not in _NOT_IDEMPOTENT


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; *headers* with lower-case names, *at* the time it came (aware UTC), *fault*: why
    its body is not whole.
    """

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    at: datetime
    fault: str | None = None


# -- asking
# ------------------------------------------------------------------------------------------------------------


def token(access: EqualtureAccess, method: str) -> Call:
    """Ask for an access token: Basic authentication, no body (section "Request for Access token").

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
        authorization=f"Basic {credentials}",
        private=(secret,),
    )


def jobs() -> Call:
    """Ask for the published jobs of type "assessment" (section 1)."""
    return Call("jobs", "GET", "/connect_ats/jobs")


def create(draft: NewApplication) -> Call:
    """Make an application whose link we deliver ourselves (sections 2 and "Invitation types")."""
    person = draft.candidate
    return Call(
        "create",
        "POST",
        "/connect_ats/applications",
        json={
            "job_id": draft.job_id,
            # Assumption: the page gives the two values of invitation_type but not its place; the
            # top level is the natural one. Only one_time_link answers with the link that softgarden
            # must have. No setting.
            "invitation_type": "one_time_link",
            "callback_url": draft.callback_url,
            "applicant_details": {
                "first_name": person.first_name,
                "last_name": person.last_name,
                "email": person.email,
            },
        },
        private=(person.first_name, person.last_name, person.email),
    )


def status(reference_id: str) -> Call:
    """Ask how far an application is (section 5c)."""
    return Call("status", "GET", _application(reference_id, "status"))


def results(reference_id: str, locale: str) -> Call:
    """Ask for the results in a language (section 5b)."""
    return Call("results", "GET", _application(reference_id, "results"), query=_locale(locale))


def public_link(reference_id: str, locale: str) -> Call:
    """Ask for a link without login (section 5a)."""
    return Call(
        "public_link", "GET", _application(reference_id, "public_link"), query=_locale(locale)
    )


def hire(reference_id: str, *, add_to_team: bool, start_date: str | None) -> Call:
    """Hire the applicant (section 4); *start_date* is ``YYYY-MM-DD``."""
    # Assumption: add_to_team is drawn as a string though described as true or false; the drawing is
    # taken. No setting.
    body: dict[str, object] = {"add_to_team": "true" if add_to_team else "false"}
    if start_date is not None:
        body["start_date"] = start_date
    return Call("hire", "POST", _application(reference_id, "hire_applicant"), json=body)


def anonymise(reference_id: str) -> Call:
    """Anonymise an application (section "Deleting an application")."""
    return Call("anonymise", "DELETE", _application(reference_id, "anonymize_application"))


def _application(reference_id: str, action: str) -> str:
    # Reference ids are opaque (the page's own samples are no UUIDs), so they are encoded as one
    # segment, dots included where a segment of dots would climb up the path.
    segment = quote(reference_id, safe="", errors="replace")
    if not segment.strip("."):
        segment = segment.replace(".", "%2E")
    return f"/connect_ats/applications/{segment}/{action}"


def _locale(locale: str) -> str:
    # The page draws the parameter as a JSON object and calls it a query parameter; only "en" is
    # shown.
    # Assumption: other language codes work as well; setting equalture.locale (empty: not sent).
    return urlencode({"locale": locale}) if locale else ""


# -- reading
# -----------------------------------------------------------------------------------------------------------


def read_token(call: Call, reply: Reply) -> str:
    """The access token, from 200 or 201; valid for 15 minutes from when it was asked for."""
    return _read(call, reply, schemas.read_token)


def read_jobs(call: Call, reply: Reply) -> tuple[Job, ...]:
    """The jobs; an answer that is no list of jobs is ``ContractBroken``, never empty."""
    return _read(call, reply, schemas.read_jobs)


def read_created(call: Call, reply: Reply) -> CreatedApplication:
    """The new application; a success that names none is ``OutcomeUnknown``: it may exist all the
    same.
    """
    return _read(call, reply, schemas.read_created)


def read_progress(call: Call, reply: Reply, done_words: Iterable[str] = DONE_WORDS) -> Progress:
    """How far the application is; finished where the status is one of *done_words*."""
    return _read(call, reply, partial(schemas.read_progress, done_words=done_words))


def read_result(call: Call, reply: Reply) -> Result | None:
    """The result; None: not ready yet.

    What comes before completion is not documented, so every 4xx counts that says nothing of our
    credentials or pace.
    """
    if 400 <= reply.status < 500 and reply.status not in (401, 403, 408, 429):
        return None
    return _read(call, reply, _report)


def read_public_link(call: Call, reply: Reply) -> PublicLink:
    """The link without login."""
    return _read(call, reply, schemas.read_public_link)


def read_hired(call: Call, reply: Reply) -> None:
    """Return if the applicant was hired."""
    _read_done(call, reply)


def read_anonymised(call: Call, reply: Reply) -> None:
    """Return if the application is anonymised, now or before."""
    # Assumption: what is unknown or gone needs no anonymising any more; the page documents 200
    # only. No setting.
    if reply.status not in (404, 410):
        _read_done(call, reply)


def failure(call: Call, reply_status: int) -> type[UpstreamError] | None:
    """What a status means for the call; None: a success.

    ==================  ==================  =============
    status              create, hire        all others
    ==================  ==================  =============
    2xx                 success             success
    408                 OutcomeUnknown      Unavailable
    429, 503            Unavailable         Unavailable
    other 5xx           OutcomeUnknown      Unavailable
    anything else       Refused             Refused
    ==================  ==================  =============

    Redirects are among "anything else": they are never followed, since credentials would go along.
    """
    if 200 <= reply_status < 300:
        return None
    if reply_status in (429, 503):
        return Unavailable
    if reply_status == 408 or reply_status >= 500:
        return Unavailable if call.idempotent else OutcomeUnknown
    return Refused


def check(call: Call, reply: Reply) -> None:
    """Raise what the status means unless it is a success."""
    kind = failure(call, reply.status)
    if kind is not None:
        raise _error(kind, call, reply, f"answered {reply.status}")


def no_answer(call: Call, *, surely_not_sent: bool, detail: str) -> UpstreamError:
    """The error for a call that got no answer; *detail* says how it failed, without names or links."""
    kind = Unavailable if surely_not_sent or call.idempotent else OutcomeUnknown
    return kind(VENDOR, call.operation, detail)


def _read(call: Call, reply: Reply, reader: Callable[[object], _T]) -> _T:
    check(call, reply)
    try:
        if reply.fault is not None:
            raise ValueError(reply.fault)
        return reader(_json(reply.body))
    except ValueError as error:
        # For a create this is no different from silence: it may have been done.
        raise _error(
            ContractBroken if call.idempotent else OutcomeUnknown, call, reply, str(error)
        ) from None


def _read_done(call: Call, reply: Reply) -> None:
    def done(answer: object) -> None:
        if not isinstance(answer, dict):
            raise ValueError("not an object")

    check(call, reply)
    # The answer holds nothing that is needed, and 204 none at all; but a page of some proxy is no
    # confirmation.
    if reply.body or reply.fault is not None:
        _read(call, reply, done)


def _report(answer: object) -> Result:
    result = schemas.read_report(answer)
    if result is None:
        raise ValueError("nothing of a report in it")
    return result


def _json(body: bytes) -> object:
    try:
        return response_parsing.loads(body)
    except ValueError:
        # The parser's message may quote the answer.
        raise ValueError("not JSON") from None


def _error(kind: type[UpstreamError], call: Call, reply: Reply, detail: str) -> UpstreamError:
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
