from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.assessment import (
    ApplicationProgress,
    Candidate,
    CreatedApplication,
    Job,
    NewApplication,
)
from bridge.core.customers import Secret
from bridge.equalture import protocol
from bridge.equalture.protocol import Call, Reply
from bridge.equalture.settings import EqualtureAccount, InvitationType
from bridge.errors import (
    OutcomeUnknown,
    UpstreamContractBroken,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)

NOW = datetime(2026, 1, 15, 10, 0, 0, tzinfo=UTC)
ACCESS = EqualtureAccount(
    base_url="https://equalture.example.com", client_id="acme", client_secret=Secret("s3cret")
)
SOMEBODY = NewApplication("job-1", Candidate("c-1", "A", "B", "c@d.e"), "https://bridge.example")
CREATE = protocol.build_create_call(SOMEBODY)
HIRE = protocol.build_hire_call("r-1", add_to_team=True, start_date=None)
REPEATABLE = {
    "token": protocol.build_token_call(ACCESS, "POST"),
    "jobs": protocol.build_jobs_call(),
    "status": protocol.build_status_call("r-1"),
    "results": protocol.build_results_call("r-1", "de"),
    "public_link": protocol.build_public_link_call("r-1", "de"),
    "anonymise": protocol.build_anonymise_call("r-1"),
}
ONCE = {"create": CREATE, "hire": HIRE}
EVERY = {**REPEATABLE, **ONCE}


def reply(status: int, body: bytes = b"", **headers: str) -> Reply:
    return Reply(
        status, body, {name.replace("_", "-"): value for name, value in headers.items()}, NOW
    )


def test_token_call() -> None:
    """The token is asked for with Basic credentials and no body, at the configured path."""
    call = protocol.build_token_call(ACCESS, "POST")
    assert (call.method, call.path, call.json) == ("POST", "/connect_ats/access_token", None)
    assert call.authorization == "Basic YWNtZTpzM2NyZXQ="
    assert "YWNtZTpzM2NyZXQ" not in repr(call)


def test_create_call(draft: NewApplication) -> None:
    """A create sends the documented fields and nothing else, and always asks for a one-time
    link.
    """
    call = protocol.build_create_call(draft)
    assert (call.method, call.path) == ("POST", "/connect_ats/applications")
    assert call.json == {
        "job_id": "job-1",
        "invitation_type": "one_time_link",
        "callback_url": draft.callback_url,
        "applicant_details": {
            "first_name": "Ada Marie",
            "last_name": "Müster",
            "email": "ada@example.org",
        },
    }
    assert "Ada" not in repr(call)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (protocol.build_jobs_call(), "GET /connect_ats/jobs?"),
        (protocol.build_status_call("r-1"), "GET /connect_ats/applications/r-1/status?"),
        (
            protocol.build_results_call("r-1", "de"),
            "GET /connect_ats/applications/r-1/results?locale=de",
        ),
        (protocol.build_results_call("r-1", ""), "GET /connect_ats/applications/r-1/results?"),
        (
            protocol.build_public_link_call("r-1", "a&b"),
            "GET /connect_ats/applications/r-1/public_link?locale=a%26b",
        ),
        (
            protocol.build_anonymise_call("r-1"),
            "DELETE /connect_ats/applications/r-1/anonymize_application?",
        ),
        (HIRE, "POST /connect_ats/applications/r-1/hire_applicant?"),
    ],
)
def test_calls(call: Call, line: str) -> None:
    """Every call goes where the page says, with the locale in the query."""
    assert f"{call.method} {call.path}?{call.query}" == line


@pytest.mark.parametrize(
    ("reference_id", "segment"),
    [
        ("a/b?c#d", "a%2Fb%3Fc%23d"),
        ("ü %", "%C3%BC%20%25"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a.b", "a.b"),
    ],
)
def test_reference_ids_stay_one_segment(reference_id: str, segment: str) -> None:
    """Whatever a reference id holds, it cannot leave its place in the path."""
    assert (
        protocol.build_status_call(reference_id).path
        == f"/connect_ats/applications/{segment}/status"
    )


@pytest.mark.parametrize(
    ("add_to_team", "start_date", "body"),
    [
        (True, None, {"add_to_team": "true"}),
        (False, "2026-03-01", {"add_to_team": "false", "start_date": "2026-03-01"}),
    ],
)
def test_hire_body(add_to_team: bool, start_date: str | None, body: dict[str, str]) -> None:
    """The flag is the string that the page draws; a date is sent only if there is one."""
    assert (
        protocol.build_hire_call("r-1", add_to_team=add_to_team, start_date=start_date).json == body
    )


STATUSES = {
    301: (UpstreamRefused, UpstreamRefused),
    302: (UpstreamRefused, UpstreamRefused),
    307: (UpstreamRefused, UpstreamRefused),
    400: (UpstreamRefused, UpstreamRefused),
    401: (UpstreamRefused, UpstreamRefused),
    403: (UpstreamRefused, UpstreamRefused),
    404: (UpstreamRefused, UpstreamRefused),
    408: (OutcomeUnknown, UpstreamUnavailable),
    409: (UpstreamRefused, UpstreamRefused),
    410: (UpstreamRefused, UpstreamRefused),
    418: (UpstreamRefused, UpstreamRefused),
    422: (UpstreamRefused, UpstreamRefused),
    425: (UpstreamRefused, UpstreamRefused),
    429: (UpstreamUnavailable, UpstreamUnavailable),
    500: (OutcomeUnknown, UpstreamUnavailable),
    502: (OutcomeUnknown, UpstreamUnavailable),
    503: (UpstreamUnavailable, UpstreamUnavailable),
    504: (OutcomeUnknown, UpstreamUnavailable),
    599: (OutcomeUnknown, UpstreamUnavailable),
}
NOT_YET = {400, 404, 409, 410, 418, 422, 425}
GONE = {404, 410}


@pytest.mark.parametrize("operation", EVERY)
@pytest.mark.parametrize("status", STATUSES)
def test_statuses(operation: str, status: int) -> None:
    """Each status of each operation says who must act, and whether it was certainly not done."""
    call: Call[Any] = EVERY[operation]
    if (operation == "results" and status in NOT_YET) or (
        operation == "anonymise" and status in GONE
    ):
        assert protocol.read_reply(call, reply(status, b"<html>")) is None
        return
    with pytest.raises(UpstreamError) as caught:
        protocol.read_reply(call, reply(status, b"<html>no</html>", retry_after="7"))
    assert type(caught.value) is STATUSES[status][0 if operation in ONCE else 1]
    assert (caught.value.operation, caught.value.status) == (operation, status)
    assert (caught.value.retry_after_s, caught.value.excerpt) == (7.0, "<html>no</html>")


@pytest.mark.parametrize("operation", EVERY)
@pytest.mark.parametrize("body", [b"<html>", b"[[[", b'"x"', b"\xff", b"7"])
def test_unreadable_successes(operation: str, body: bytes) -> None:
    """A success that cannot be read is a broken contract; where it may have done something, the
    outcome is unknown.
    """
    call: Call[Any] = EVERY[operation]
    with pytest.raises(UpstreamError) as caught:
        protocol.read_reply(call, reply(200, body))
    assert type(caught.value) is (OutcomeUnknown if operation in ONCE else UpstreamContractBroken)


@pytest.mark.parametrize("operation", EVERY)
def test_successes_cut_short(operation: str) -> None:
    """A success whose body was not whole is never taken for one."""
    call: Call[Any] = EVERY[operation]
    with pytest.raises(OutcomeUnknown if operation in ONCE else UpstreamContractBroken):
        protocol.read_reply(call, Reply(200, b"", {}, NOW, fault="more than 1 bytes"))


@pytest.mark.parametrize("status", [200, 201])
def test_token(status: int, sample) -> None:
    """A token is a token with 200 and with 201."""
    assert (
        protocol.read_reply(
            protocol.build_token_call(ACCESS, "POST"), reply(status, sample("token"))
        )
        == "SFMyNTY.c2FtcGxl.b3ducw"
    )


def test_created(sample) -> None:
    """A create without a link is still a create: what exists must be known."""
    assert protocol.read_reply(CREATE, reply(201, sample("created_email"))) == CreatedApplication(
        "1234-1234-4567-1111", None
    )
    with pytest.raises(OutcomeUnknown):
        protocol.read_reply(CREATE, reply(201, b'{"assessment_url": "https://a.example/x"}'))


def test_plain_answers(sample) -> None:
    """The documented answers read as documented."""
    assert protocol.read_reply(
        protocol.build_status_call("r"), reply(200, sample("status_completed"))
    ) == ApplicationProgress(True, "completed")
    assert protocol.read_reply(
        protocol.build_status_call("r"), reply(200, sample("status_started"))
    ) == ApplicationProgress(False, "started")
    assert protocol.read_reply(protocol.build_jobs_call(), reply(200, sample("jobs_bare")))[
        1
    ] == Job("job-2", "Assessment - Accountant")
    link = protocol.read_reply(
        protocol.build_public_link_call("r", ""), reply(200, sample("public_link"))
    )
    assert link.life_s == 7200
    protocol.read_reply(HIRE, reply(200, sample("hired")))
    protocol.read_reply(protocol.build_anonymise_call("r"), reply(200, sample("anonymised")))
    protocol.read_reply(protocol.build_anonymise_call("r"), reply(204))


@pytest.mark.parametrize("key", ["errors", "error"])
def test_success_with_errors(key: str) -> None:
    """A success that reports errors confirms no deletion, and leaves open whether a hire was done
    (found by worlds: softgarden was told 204 for an application that was not anonymised).
    """
    answer = reply(200, json.dumps({key: {"detail": "Internal Server Error"}}).encode())
    with pytest.raises(UpstreamContractBroken, match="errors in it"):
        protocol.read_reply(protocol.build_anonymise_call("r"), answer)
    with pytest.raises(OutcomeUnknown):
        protocol.read_reply(HIRE, answer)


def test_success_without_errors() -> None:
    """An empty list of errors is a confirmation like any other."""
    protocol.read_reply(
        protocol.build_anonymise_call("r"), reply(200, b'{"reference_id": "r", "errors": []}')
    )


def test_results_without_anything(sample) -> None:
    """A results answer in which nothing is known is a broken contract, not an empty result."""
    call = protocol.build_results_call("r", "de")
    assert protocol.read_reply(call, reply(200, sample("results"))) is not None
    with pytest.raises(UpstreamContractBroken, match="nothing of a report"):
        protocol.read_reply(call, reply(200, b'{"message": "soon"}'))


def test_errors_show_nobody(draft: NewApplication) -> None:
    """An echo of the candidate or of our callback URL never reaches an error."""
    echo = (
        '{"errors": {"detail": "Ada Marie M\\u00fcster / MÜSTER <ada@example.org> marie at '
        'https://bridge.example.com/equalture/callbacks/iv_1/Sq3tTs9xRrB8mZ0kLw2n is invalid"}}'
    )
    with pytest.raises(UpstreamRefused) as caught:
        protocol.read_reply(protocol.build_create_call(draft), reply(422, echo.encode()))
    shown = f"{caught.value} {caught.value.excerpt}".lower()
    assert "is invalid" in shown
    assert not [
        one for one in ("ada", "marie", "ster", "example.org", "sq3t", "iv_1") if one in shown
    ]


@given(
    status=st.integers(200, 599),
    body=st.binary(max_size=60),
    operation=st.sampled_from(sorted(EVERY)),
)
def test_readers_raise_upstream_errors_only(status: int, body: bytes, operation: str) -> None:
    """No answer makes a reader raise anything that callers do not expect."""
    call: Call[Any] = EVERY[operation]
    allowed = (
        UpstreamRefused,
        UpstreamUnavailable,
        OutcomeUnknown if operation in ONCE else UpstreamContractBroken,
    )
    with contextlib.suppress(*allowed):
        protocol.read_reply(call, reply(status, body))


@pytest.mark.parametrize(
    ("call", "not_sent", "kind"),
    [
        (CREATE, True, UpstreamUnavailable),
        (CREATE, False, OutcomeUnknown),
        (HIRE, False, OutcomeUnknown),
        (protocol.build_jobs_call(), True, UpstreamUnavailable),
        (protocol.build_jobs_call(), False, UpstreamUnavailable),
    ],
)
def test_no_answer(call: Call, not_sent: bool, kind: type[UpstreamError]) -> None:
    """No answer is an unknown outcome only where something may have been done."""
    assert (
        type(protocol.create_no_answer_error(call, not_sent=not_sent, detail="no answer")) is kind
    )


def test_create_by_mail(sample) -> None:
    """Where Equalture is to mail the link, the create says so, and no link is expected; one that
    comes all the same is not used.
    """
    call = protocol.build_create_call(SOMEBODY, InvitationType.EMAIL)
    assert call.json is not None
    assert call.json["invitation_type"] == "email"
    for name in ("created_email", "created_one_time_link"):
        made = protocol.read_reply(call, reply(201, sample(name)))
        assert (made.assessment_url, made.mailed) == (None, True)
