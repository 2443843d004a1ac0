"""The Equalture fake takes the documented API literally."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from bridge.sandbox import EqualtureSandbox
from tests.sandbox.conftest import Bearer, Peer, fetch_token, order

ONE = "/connect_ats/applications/"


async def created(call: Bearer, **changes: Any) -> str:
    status, answer = await call.create(**changes)
    assert status == 201
    return str(answer["reference_id"])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_gives_a_token_by_either_method(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, method: str
) -> None:
    """Both documented token methods give a token when switched on."""
    status, answer = await fetch_token(equalture, session, method)
    assert (status, list(answer)) == (200, ["access_token"])
    assert equalture.violations == []


@pytest.mark.parametrize(("method", "other"), [("GET", "POST"), ("POST", "GET")])
async def test_refuses_a_token_method_switched_off(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, method: str, other: str
) -> None:
    """A token method that is off is a 405 that names the other one, and no violation, as callers
    have to try.
    """
    setattr(equalture.accounts["acme"], f"token_{method.lower()}", False)
    headers = {"Authorization": aiohttp.encode_basic_auth("acme", "s3cret")}
    async with session.request(
        method, equalture.base_url + equalture.token_path, headers=headers
    ) as response:
        assert (response.status, response.headers["Allow"]) == (405, other)
    assert equalture.violations == []


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic",
        "Basic !!!",
        "Basic YWNtZQ==",
        "Bearer x",
        aiohttp.encode_basic_auth("acme", "wrong"),
    ],
)
async def test_refuses_wrong_credentials(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, authorization: str | None
) -> None:
    """Missing, malformed and wrong Basic credentials are 401 and violations."""
    headers = {"Authorization": authorization} if authorization else {}
    async with session.post(equalture.base_url + equalture.token_path, headers=headers) as response:
        assert response.status == 401
        assert list(await response.json()) == ["errors"]
    assert len(equalture.violations) == 1


async def test_token_path_is_a_setting(session: aiohttp.ClientSession) -> None:
    """The undocumented token path can be another one."""
    async with EqualtureSandbox(token_path="/access_token") as sandbox:
        sandbox.add_account("acme", "s3cret")
        assert (await fetch_token(sandbox, session))[0] == 200


async def test_tokens_live_fifteen_minutes(equalture: EqualtureSandbox, call: Bearer) -> None:
    """A token is worth nothing after 15 minutes by the sandbox's clock; that is no violation."""
    equalture.clock.advance(timedelta(minutes=14))
    assert (await call("GET", "/connect_ats/jobs"))[0] == 200
    equalture.clock.advance(timedelta(minutes=1))
    assert (await call("GET", "/connect_ats/jobs"))[0] == 401
    assert equalture.violations == []


async def test_revoked_tokens_get_401(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer
) -> None:
    """Revoking ends the tokens issued so far and no later ones."""
    equalture.revoke_tokens()
    assert (await call("GET", "/connect_ats/jobs"))[0] == 401
    call.token = (await fetch_token(equalture, session))[1]["access_token"]
    assert (await call("GET", "/connect_ats/jobs"))[0] == 200
    assert equalture.violations == []


async def test_an_invented_token_is_a_violation(equalture: EqualtureSandbox, call: Bearer) -> None:
    """A token that was never issued is 401 and a violation."""
    call.token = "made-up"
    assert (await call("GET", "/connect_ats/jobs"))[0] == 401
    assert len(equalture.violations) == 1


@pytest.mark.parametrize(("shape", "key"), [("bare", None), ("wrapped", "jobs"), ("data", "data")])
async def test_lists_jobs_in_every_shape(
    equalture: EqualtureSandbox, call: Bearer, shape: Any, key: str | None
) -> None:
    """The job list comes bare, under "jobs" or under "data"."""
    equalture.accounts["acme"].jobs_shape = shape
    status, answer = await call("GET", "/connect_ats/jobs")
    jobs = answer if key is None else answer[key]
    assert status == 200
    assert jobs[1] == {"id": "job-2", "name": "Assessment - Müller & Söhne"}


async def test_a_one_time_link_comes_with_its_url(
    equalture: EqualtureSandbox, call: Bearer
) -> None:
    """A one_time_link application answers 201 with reference_id and assessment_url, an email one
    without the URL.
    """
    status, answer = await call.create()
    assert (status, sorted(answer)) == (201, ["assessment_url", "reference_id"])
    assert answer["assessment_url"].startswith(equalture.base_url)
    status, answer = await call.create(invitation_type="email")
    assert (status, sorted(answer)) == (201, ["reference_id"])
    assert equalture.violations == []


ADA = {"first_name": "Ada", "last_name": "Muster", "email": "ada@example.org"}


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": ...},
        {"job_id": 7},
        {"job_id": " "},
        {"invitation_type": ...},
        {"invitation_type": "carrier pigeon"},
        {"callback_url": "/relative"},
        {"callback_url": "https://exa mple"},
        {"callback_url": "https://[broken"},
        {"callback_url": None},
        {"applicant_details": []},
        {"applicant_details": ADA | {"email": "nobody"}},
        {"applicant_details": ADA | {"first_name": None}},
        {"applicant_details": ADA | {"first_name": "\ud800"}},
        {"applicant_details": ADA | {"phone": "1"}},
        {"applicant_details": {"email": "ada@example.org"}},
        {"gender": "x"},
    ],
)
async def test_refuses_a_create_out_of_order(
    equalture: EqualtureSandbox, call: Bearer, changes: dict[str, Any]
) -> None:
    """Every missing, unknown or wrong field of a create is 422, a violation, and makes no
    application.
    """
    status, answer = await call.create(**changes)
    assert (status, list(answer)) == (422, ["errors"])
    assert len(equalture.violations) == 1
    assert equalture.ledger.entries[-1].violation == equalture.violations[0]
    assert not equalture.applications


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/json; charset=latin-1", 415),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b'{"a": 1, "a": 2}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"x" * 1_100_000, "application/json", 413),
    ],
)
async def test_refuses_a_body_that_is_no_json(
    equalture: EqualtureSandbox, call: Bearer, data: bytes, content_type: str, expected: int
) -> None:
    """A wrong media type is 415, broken JSON 400, an endless body 413; never a 500."""
    status, _ = await call(
        "POST",
        "/connect_ats/applications",
        data=BytesIO(data),
        headers={"Content-Type": content_type},
    )
    assert status == expected
    assert len(equalture.violations) == 1


async def test_an_unknown_job_is_422_without_violation(
    equalture: EqualtureSandbox, call: Bearer
) -> None:
    """A withdrawn job cannot be applied for; the caller broke no rule."""
    del equalture.accounts["acme"].jobs["job-1"]
    assert (await call.create())[0] == 422
    assert equalture.violations == []


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/connect_ats/jobs/", 404),
        ("GET", "//connect_ats/jobs", 404),
        ("POST", "/connect_ats/jobs", 405),
        ("GET", "/connect_ats/jobs?page=2", 422),
        ("GET", "/connect_ats/applications/nobody/status", 404),
        ("GET", "/elsewhere", 404),
    ],
)
async def test_refuses_paths_and_methods_not_documented(
    equalture: EqualtureSandbox, call: Bearer, method: str, path: str, expected: int
) -> None:
    """What the page does not list is refused and a violation."""
    assert (await call(method, path))[0] == expected
    assert len(equalture.violations) == 1


async def test_accounts_do_not_see_each_other(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer
) -> None:
    """Another account's reference is as unknown as any."""
    reference = await created(call)
    equalture.add_account("other", "x")
    headers = {"Authorization": aiohttp.encode_basic_auth("other", "x")}
    async with session.post(equalture.base_url + equalture.token_path, headers=headers) as response:
        call.token = (await response.json())["access_token"]
    assert (await call("GET", f"{ONE}{reference}/status"))[0] == 404


async def test_an_application_goes_from_invited_to_completed(
    equalture: EqualtureSandbox, call: Bearer, peer: Peer
) -> None:
    """Status, results and the callback follow the candidate; the callback names no id and mixes
    languages.
    """
    reference = await created(call, callback_url=f"{peer.url}/callback/own-id")
    words = [(await call("GET", f"{ONE}{reference}/status"))[1]["status"]]
    assert (await call("GET", f"{ONE}{reference}/results"))[0] == 404
    await equalture.start_test(reference)
    words.append((await call("GET", f"{ONE}{reference}/status"))[1]["status"])
    assert await equalture.complete(reference, fit="high", scores={"focus": 1}) == 200
    words.append((await call("GET", f"{ONE}{reference}/status"))[1]["status"])
    assert words == ["invited", "in_progress", "completed"]

    status, german = await call("GET", f"{ONE}{reference}/results?locale=de")
    assert status == 200
    assert german["fit"] == "high"
    assert german["scores"]["Konzentration unter Druck"] == "(1) Leicht abgelenkt"
    focus = german["detailed_scores"][-1]
    assert focus == {
        "trait_code": "focus",
        "trait_name": "Konzentration unter Druck",
        "trait_bucket_score": 1,
        "trait_bucket_description": "(1) Leicht abgelenkt",
        "competency_profile": {"priority": "high", "range": [3, 4, 5]},
    }

    entry = equalture.calls("callback", status=200)[0]
    assert (entry.direction, entry.method, entry.reference_id) == ("made", "PUT", reference)
    assert sorted(entry.request_json) == ["detailed_scores", "fit", "results_url", "scores"]
    assert "Focus under pressure" in entry.request_json["scores"]
    assert entry.request_json["detailed_scores"][-1]["trait_name"] == "Konzentration unter Druck"
    assert [seen[:2] for seen in peer.seen] == [("PUT", "/callback/own-id")]
    assert equalture.violations == []


async def test_a_job_without_profile_has_no_fit(equalture: EqualtureSandbox, call: Bearer) -> None:
    """Without a competency profile results carry no fit and a null profile."""
    equalture.accounts["acme"].profile = False
    reference = await created(call)
    await equalture.complete(reference, send_callback=False)
    _, answer = await call("GET", f"{ONE}{reference}/results")
    assert "fit" not in answer
    assert {item["competency_profile"] for item in answer["detailed_scores"]} == {None}


@pytest.mark.parametrize("locale", ["", "english", "EN", "de_DE"])
async def test_refuses_a_locale_that_is_none(
    equalture: EqualtureSandbox, call: Bearer, locale: str
) -> None:
    """A locale must be a language code; one that is not spoken gets English."""
    reference = await created(call)
    await equalture.complete(reference, send_callback=False)
    assert (await call("GET", f"{ONE}{reference}/results?locale={locale}"))[0] == 422
    assert (await call("GET", f"{ONE}{reference}/results?locale=fr"))[0] == 200
    assert len(equalture.violations) == 1


async def test_a_callback_answered_204_is_a_violation(
    equalture: EqualtureSandbox, call: Bearer, peer: Peer
) -> None:
    """The page says 200: another success is a violation, an error is not."""
    reference = await created(call, callback_url=f"{peer.url}/c")
    peer.status = 204
    assert await equalture.complete(reference) == 204
    peer.status = 503
    assert await equalture.put_callback(reference) == 503
    assert len(equalture.violations) == 1


async def test_an_unreachable_callback_is_status_zero(
    equalture: EqualtureSandbox, call: Bearer
) -> None:
    """Nobody at the callback URL: 0, an entry with the reason, and the application is completed all
    the same.
    """
    reference = await created(call)
    assert await equalture.complete(reference) == 0
    assert equalture.calls("callback")[0].error is not None
    assert equalture.applications[reference].state == "completed"


async def test_public_links_live_two_hours(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer
) -> None:
    """A public link shows the result without login for two hours by the sandbox's clock."""
    reference = await created(call)
    assert (await call("GET", f"{ONE}{reference}/public_link"))[0] == 404
    await equalture.complete(reference, send_callback=False)
    status, link = await call("GET", f"{ONE}{reference}/public_link?locale=de")
    assert (status, link["ttl"], link["ttl_units"]) == (200, "120", "minutes")
    async with session.get(link["url"]) as response:
        assert response.status == 200
        assert "Zusammenarbeit" in await response.text()
    equalture.clock.advance(timedelta(hours=2))
    async with session.get(link["url"]) as response:
        assert response.status == 410
    assert equalture.violations == []


@pytest.mark.parametrize(
    ("form", "flag", "expected", "violations"),
    [
        ("string", "true", 200, 0),
        ("string", True, 422, 0),
        ("boolean", False, 200, 0),
        ("boolean", "false", 422, 0),
        ("either", True, 200, 0),
        ("either", "yes", 422, 1),
        ("string", None, 422, 1),
        ("string", {}, 422, 1),
    ],
)
async def test_hires_by_the_form_that_is_taken(
    equalture: EqualtureSandbox, call: Bearer, form: Any, flag: Any, expected: int, violations: int
) -> None:
    """add_to_team is taken in the account's form; the other form is refused without being a
    violation.
    """
    equalture.accounts["acme"].hire_flag = form
    reference = await created(call)
    await equalture.complete(reference, send_callback=False)
    status, _ = await call("POST", f"{ONE}{reference}/hire_applicant", json={"add_to_team": flag})
    assert status == expected
    assert len(equalture.violations) == violations
    assert (equalture.applications[reference].state == "hired") == (expected == 200)


@pytest.mark.parametrize("start_date", ["2026-13-01", "20260101", "01.02.2026", 5, None])
async def test_refuses_a_start_date_that_is_none(
    equalture: EqualtureSandbox, call: Bearer, start_date: Any
) -> None:
    """start_date is YYYY-MM-DD or absent."""
    reference = await created(call)
    await equalture.complete(reference, send_callback=False)
    body = {"add_to_team": "true", "start_date": start_date}
    assert (await call("POST", f"{ONE}{reference}/hire_applicant", json=body))[0] == 422
    assert len(equalture.violations) == 1


async def test_hiring_needs_a_completed_application(
    equalture: EqualtureSandbox, call: Bearer
) -> None:
    """Too early and a second time are 409; the start date is kept."""
    reference = await created(call)
    body = {"add_to_team": "false", "start_date": "2026-02-01"}
    answers = [(await call("POST", f"{ONE}{reference}/hire_applicant", json=body))[0]]
    await equalture.complete(reference, send_callback=False)
    answers += [
        (await call("POST", f"{ONE}{reference}/hire_applicant", json=body))[0] for _ in range(2)
    ]
    assert answers == [409, 200, 409]
    application = equalture.applications[reference]
    assert (application.add_to_team, application.start_date) == (False, "2026-02-01")


async def test_anonymising_forgets_the_person(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer, peer: Peer
) -> None:
    """After anonymising no name, score or page is left; a second time is 404; a late callback can
    still be sent.
    """
    _, answer = await call.create(callback_url=f"{peer.url}/c")
    reference = answer["reference_id"]
    await equalture.complete(reference, send_callback=False)
    path = f"{ONE}{reference}/anonymize_application"
    assert (await call("DELETE", path)) == (200, {"reference_id": reference})
    assert (await call("GET", f"{ONE}{reference}/status"))[1] == {"status": "anonymized"}
    assert (await call("GET", f"{ONE}{reference}/results"))[0] == 410
    assert (await call("DELETE", path))[0] == 404
    async with session.get(answer["assessment_url"]) as response:
        assert response.status == 410
    application = equalture.applications[reference]
    assert (application.first_name, application.email, application.scores) == ("", "", {})
    with pytest.raises(ValueError, match="anonymised"):
        await equalture.complete(reference)
    assert await equalture.put_callback(reference) == 200
    assert equalture.violations == []


async def test_a_person_can_click_through(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer, peer: Peer
) -> None:
    """The assessment page has a button whose POST completes the application and sends the callback,
    once.
    """
    _, answer = await call.create(
        callback_url=f"{peer.url}/c",
        applicant_details={"first_name": "<b>Ada", "last_name": "M", "email": "ada@example.org"},
    )
    async with session.get(answer["assessment_url"]) as response:
        text = await response.text()
        assert (response.status, response.content_type) == (200, "text/html")
        assert '<form method="post">' in text
        assert "&lt;b&gt;Ada" in text
    assert equalture.applications[answer["reference_id"]].state == "started"
    for expected in (200, 410):
        async with session.post(answer["assessment_url"], data={"fit": "low"}) as response:
            assert response.status == expected
    assert equalture.applications[answer["reference_id"]].fit == "low"
    assert len(peer.seen) == 1
    assert equalture.violations == []


async def test_an_assessment_link_lives_a_week(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer
) -> None:
    """A link not opened within its life is dead; one begun in time still works."""
    urls = [(await call.create())[1]["assessment_url"] for _ in range(2)]
    async with session.get(urls[0]) as response:
        assert response.status == 200
    equalture.clock.advance(timedelta(days=7))
    answers = []
    for url in urls:
        async with session.get(url) as response:
            answers.append(response.status)
    assert answers == [200, 410]


async def test_a_link_may_be_opened_so_often_only(
    equalture: EqualtureSandbox, session: aiohttp.ClientSession, call: Bearer
) -> None:
    """With link_opens=1 the second visitor finds the link used up."""
    equalture.accounts["acme"].link_opens = 1
    _, answer = await call.create()
    answers = []
    for _ in range(2):
        async with session.get(answer["assessment_url"]) as response:
            answers.append(response.status)
    assert answers == [200, 410]


async def test_memory_is_bounded(session: aiohttp.ClientSession) -> None:
    """Ledger and applications forget the oldest when they are full."""
    async with EqualtureSandbox(max_entries=10, max_applications=2) as sandbox:
        sandbox.add_account("acme", "s3cret", [("job-1", "Engineer")])
        call = Bearer(sandbox, session, (await fetch_token(sandbox, session))[1]["access_token"])
        references = [await created(call) for _ in range(12)]
        assert list(sandbox.applications) == references[-2:]
        assert len(sandbox.ledger.entries) <= 10
        assert sandbox.ledger.entries[-1].reference_id == references[-1]


async def test_an_account_is_added_once(equalture: EqualtureSandbox) -> None:
    """A second account of the same id is refused; an order in order stays in order."""
    with pytest.raises(ValueError, match="exists"):
        equalture.add_account("acme", "x")
    assert sorted(order()) == ["applicant_details", "callback_url", "invitation_type", "job_id"]
