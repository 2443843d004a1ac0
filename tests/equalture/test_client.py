from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bridge import egress
from bridge.core.assessment import CreatedApplication, Job, NewApplication
from bridge.core.customers import Customer
from bridge.equalture.client import READERS, EqualtureClient
from bridge.equalture.exchange import was_not_sent
from bridge.errors import (
    CircuitOpen,
    OutcomeUnknown,
    UpstreamContractBroken,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from bridge.ports import AssessmentProvider
from bridge.resilience import THRESHOLD

TOKEN = "POST /connect_ats/access_token"
JOBS = "GET /connect_ats/jobs"
CREATE = "POST /connect_ats/applications"
HIRE = "POST /connect_ats/applications/r-1/hire_applicant"
LINK = "GET /connect_ats/applications/r-1/public_link"
STATUS = "GET /connect_ats/applications/r-1/status"
CREATED = {"reference_id": "r-1", "assessment_url": "https://app.equalture.example/t/1"}


async def test_whole_conversation(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication, sample
) -> None:
    """Every operation works against the documented answers, with one token for all of them."""
    vendor.on(JOBS, vendor.answer(200, sample("jobs_bare")))
    vendor.on(CREATE, vendor.answer(201, sample("created_one_time_link")))
    vendor.on(STATUS, vendor.answer(200, sample("status_completed")))
    vendor.on("GET /connect_ats/applications/r-1/results", vendor.answer(200, sample("results")))
    vendor.on(
        "GET /connect_ats/applications/r-1/public_link", vendor.answer(200, sample("public_link"))
    )
    vendor.on(HIRE, vendor.answer(200, sample("hired")))
    vendor.on(
        "DELETE /connect_ats/applications/r-1/anonymize_application",
        vendor.answer(200, sample("anonymised")),
    )

    assert (await client.list_jobs(acme))[1] == Job("job-2", "Assessment - Accountant")
    assert (await client.create_application(acme, draft)).assessment_url is not None
    assert (await client.get_progress(acme, "r-1")).done
    result = await client.get_result(acme, "r-1")
    assert result is not None
    assert result.fit == "high"
    assert (await client.get_public_link(acme, "r-1")).life_s == 7200
    await client.hire(acme, "r-1", add_to_team=True, start_date="2026-03-01")
    await client.anonymise(acme, "r-1")

    first, *others = vendor.seen
    assert (first.line, first.body, first.headers["Content-Length"]) == (TOKEN, b"", "0")
    assert first.headers["Authorization"] == "Basic YWNtZTpzM2NyZXQtb2YtYWNtZQ=="
    assert {one.headers["Authorization"] for one in others} == {"Bearer token-1"}
    assert [one.query for one in others if one.query] == ["locale=de", "locale=de"]
    created = next(one for one in others if one.line == CREATE)
    assert created.headers["Content-Type"] == "application/json"
    assert json.loads(created.body)["applicant_details"]["last_name"] == "Müster"
    assert (
        next(one.body for one in others if one.line == HIRE)
        == b'{"add_to_team":"true","start_date":"2026-03-01"}'
    )


async def test_paths_arrive_as_built(
    vendor, client: AssessmentProvider, acme: Customer, at
) -> None:
    """A base URL may have a path and a slash at its end, and an odd reference id stays one encoded
    segment.
    """
    vendor.on(
        "GET /api/connect_ats/applications/a%2F..%2Fb/status",
        vendor.answer(200, {"status": "completed"}),
    )
    vendor.on(
        "GET /api/connect_ats/applications/%2E%2E/status", vendor.answer(200, {"status": "started"})
    )
    vendor.on("POST /api/connect_ats/access_token", vendor.answer(201, {"access_token": "t"}))
    here = at(acme, base_url=vendor.url + "/api/")
    assert (await client.get_progress(here, "a/../b")).done
    assert not (await client.get_progress(here, "..")).done


@pytest.mark.parametrize("line", [JOBS, CREATE])
async def test_401_renews_once(
    vendor, client: EqualtureClient, acme: Customer, draft: NewApplication, line: str
) -> None:
    """After a 401 the same request goes out once more with a new token, a create too."""
    vendor.on(line, vendor.answer(401), vendor.answer(201, CREATED if line == CREATE else []))
    if line == CREATE:
        assert await client.create_application(acme, draft) == CreatedApplication(
            "r-1", "https://app.equalture.example/t/1"
        )
    else:
        assert await client.list_jobs(acme) == ()
    first, second = [one for one in vendor.seen if one.line == line]
    assert (first.headers["Authorization"], second.headers["Authorization"]) == (
        "Bearer token-1",
        "Bearer token-2",
    )
    assert first.body == second.body


async def test_second_401_is_refused(vendor, client: AssessmentProvider, acme: Customer) -> None:
    """A second 401 is the vendor's last word; there is no third request."""
    vendor.on(JOBS, vendor.answer(401, {"error": "no"}))
    with pytest.raises(UpstreamRefused) as caught:
        await client.list_jobs(acme)
    assert (caught.value.status, caught.value.excerpt) == (401, '{"error": "no"}')
    assert vendor.lines() == [JOBS, JOBS]


async def test_end_of_the_process(vendor, acme: Customer, draft: NewApplication) -> None:
    """A create that comes when the process has closed its connections was certainly not sent: the
    order can be repeated, and no crash is told.
    """
    vendor.on(JOBS, vendor.answer(200, []))
    async with egress.create_session(connections=10) as session:
        client = EqualtureClient(session)
        await client.list_jobs(acme)
    with pytest.raises(UpstreamUnavailable):
        await client.create_application(acme, draft)
    assert CREATE not in vendor.lines()


async def test_many_401_one_renewal(vendor, client: AssessmentProvider, acme: Customer) -> None:
    """When a token dies under many calls, one new token serves them all."""
    vendor.on(JOBS, *[vendor.answer(401)] * 5, vendor.answer(200, []))
    assert await asyncio.gather(*(client.list_jobs(acme) for _ in range(5))) == [()] * 5
    assert vendor.tokens == 2


async def test_token_by_get(vendor, client: AssessmentProvider, acme: Customer) -> None:
    """An Equalture of the older page, with GET for the token, works without a setting."""
    vendor.on(TOKEN, vendor.answer(405))
    vendor.on("GET /connect_ats/access_token", vendor.answer(200, {"access_token": "old"}))
    vendor.on(JOBS, vendor.answer(200, []))
    assert await client.list_jobs(acme) == ()
    assert vendor.seen[-1].headers["Authorization"] == "Bearer old"


@pytest.mark.parametrize("status", [401, 403])
async def test_bad_credentials(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication, status: int
) -> None:
    """Wrong credentials are refused after one request for a token, and nothing is created."""
    vendor.on(TOKEN, vendor.answer(status))
    with pytest.raises(UpstreamRefused):
        await client.create_application(acme, draft)
    assert [one.line for one in vendor.seen] == [TOKEN]


async def test_bad_credentials_cut_short(
    vendor, client: AssessmentProvider, acme: Customer
) -> None:
    """Wrong credentials are known by the status, even if the token endpoint's answer breaks off."""
    vendor.on(TOKEN, vendor.half(401))
    with pytest.raises(UpstreamRefused):
        await client.list_jobs(acme)


async def test_odd_token_answer_creates_nothing(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication
) -> None:
    """A token answer that cannot be read means "not made" to a create and a broken contract
    to all else.
    """
    vendor.on(TOKEN, vendor.answer(200, b"<html>"))
    with pytest.raises(UpstreamUnavailable):
        await client.create_application(acme, draft)
    with pytest.raises(UpstreamContractBroken):
        await client.list_jobs(acme)


async def test_token_request_survives_a_dropped_connection(
    vendor, client: AssessmentProvider, acme: Customer
) -> None:
    """The token request is repeated once after a lost connection, as the keep-alive race would have
    it.
    """
    vendor.on(TOKEN, vendor.drop, vendor.answer(200, {"access_token": "t"}))
    vendor.on(JOBS, vendor.answer(200, []))
    assert await client.list_jobs(acme) == ()
    vendor.on(TOKEN, vendor.drop)
    vendor.on(JOBS, vendor.answer(401))
    with pytest.raises(UpstreamUnavailable):
        await client.list_jobs(acme)
    assert [one.line for one in vendor.seen].count(TOKEN) == 4


async def test_reads_survive_a_dropped_connection(
    vendor, client: AssessmentProvider, acme: Customer
) -> None:
    """A GET that lost its connection is repeated once."""
    vendor.on(STATUS, vendor.drop, vendor.answer(200, {"status": "completed"}))
    assert (await client.get_progress(acme, "r-1")).done
    vendor.on(STATUS, vendor.drop)
    with pytest.raises(UpstreamUnavailable):
        await client.get_progress(acme, "r-1")


@pytest.mark.parametrize("operation", ["create", "hire"])
async def test_posts_with_effects_are_never_repeated(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication, operation: str
) -> None:
    """A create or hire that lost its connection went out once, on a fresh and on a kept connection
    alike.
    """
    for line in (CREATE, HIRE):
        vendor.on(line, vendor.drop)
    for sent in (1, 2):
        with pytest.raises(OutcomeUnknown):
            await (
                client.create_application(acme, draft)
                if operation == "create"
                else client.hire(acme, "r-1", add_to_team=False, start_date=None)
            )
        assert len(vendor.lines()) == sent


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (201, OutcomeUnknown),
        (422, UpstreamRefused),
        (503, UpstreamUnavailable),
        (500, OutcomeUnknown),
    ],
)
async def test_create_cut_short(
    vendor,
    client: AssessmentProvider,
    acme: Customer,
    draft: NewApplication,
    status: int,
    kind: type[UpstreamError],
) -> None:
    """When an answer breaks off, its status still counts; a success that cannot be read in full is
    an unknown outcome.
    """
    vendor.on(CREATE, vendor.half(status))
    with pytest.raises(kind) as caught:
        await client.create_application(acme, draft)
    assert type(caught.value) is kind
    assert vendor.lines() == [CREATE]


async def test_create_timeout_after_sending(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication, at
) -> None:
    """A create that was sent and got no answer in time is an unknown outcome."""
    vendor.on(CREATE, vendor.hang)
    with pytest.raises(OutcomeUnknown):
        await client.create_application(at(acme, timeout_s=0.2), draft)
    assert vendor.lines() == [CREATE]


async def test_create_timeout_in_token(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication, at
) -> None:
    """A create whose time was up before its token came was certainly not made."""
    vendor.on(TOKEN, vendor.hang)
    with pytest.raises(UpstreamUnavailable):
        await client.create_application(at(acme, timeout_s=0.1), draft)
    assert vendor.lines() == []


async def test_create_with_little_time_left(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication, at
) -> None:
    """A create whose token took most of the time is not sent: cut off, nobody would know what came
    of it.
    """

    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1.4)
        return web.json_response({"access_token": "late"}, status=201)

    vendor.on(TOKEN, slow)
    vendor.on(CREATE, vendor.answer(422, {}))
    with pytest.raises(UpstreamUnavailable):
        await client.create_application(at(acme, timeout_s=2), draft)
    assert CREATE not in vendor.lines()
    with pytest.raises(UpstreamRefused):  # the next one has the token
        await client.create_application(at(acme, timeout_s=2), draft)
    assert CREATE in vendor.lines()


async def test_create_timeout_before_sending(
    vendor, acme: Customer, draft: NewApplication, at
) -> None:
    """A create whose time was up while it waited for a connection was certainly not made."""
    hurried = at(acme, timeout_s=0.5)
    vendor.on(JOBS, vendor.answer(200, []))
    vendor.on("GET /hog", vendor.hang)
    async with egress.create_session(connections=1) as session:
        client = EqualtureClient(session)
        await client.list_jobs(hurried)
        vendor.arrived.clear()
        hog = asyncio.create_task(session.get(vendor.url + "/hog"))
        await vendor.arrived.wait()
        with pytest.raises(UpstreamUnavailable):
            await client.create_application(hurried, draft)
        vendor.released.set()
        (await hog).release()
    assert CREATE not in vendor.lines()


async def test_foreign_session_stays_careful(
    vendor, acme: Customer, draft: NewApplication, at
) -> None:
    """Over a session that cannot tell whether a request left, a time-out of a create counts as an
    unknown outcome.
    """
    hurried = at(acme, timeout_s=0.5)
    vendor.on(JOBS, vendor.answer(200, []))
    vendor.on("GET /hog", vendor.hang)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        client = EqualtureClient(session)
        await client.list_jobs(hurried)
        vendor.arrived.clear()
        hog = asyncio.create_task(session.get(vendor.url + "/hog"))
        await vendor.arrived.wait()
        with pytest.raises(OutcomeUnknown):
            await client.create_application(hurried, draft)
        vendor.released.set()
        (await hog).release()


async def test_nobody_listens(
    client: AssessmentProvider, customer: Customer, draft: NewApplication, at, unused_tcp_port
) -> None:
    """Where no server is, nothing was made."""
    with pytest.raises(UpstreamUnavailable):
        await client.create_application(
            at(customer, base_url=f"http://127.0.0.1:{unused_tcp_port}"), draft
        )


async def test_redirects_are_not_followed(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication
) -> None:
    """Credentials go to the configured place only: a redirect is refused."""
    for line in (JOBS, CREATE):
        vendor.on(line, vendor.answer(307, b"", Location=vendor.url + "/elsewhere"))
    with pytest.raises(UpstreamRefused):
        await client.list_jobs(acme)
    with pytest.raises(UpstreamRefused):
        await client.create_application(acme, draft)
    assert vendor.lines() == [JOBS, CREATE]


async def test_html_is_no_answer(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication
) -> None:
    """A web page with status 200 is a broken contract, and an unknown outcome for a create."""
    for line in (JOBS, CREATE):
        vendor.on(line, vendor.answer(200, b"<html>Welcome</html>", Content_Type="text/html"))
    with pytest.raises(UpstreamContractBroken):
        await client.list_jobs(acme)
    with pytest.raises(OutcomeUnknown):
        await client.create_application(acme, draft)


async def test_answers_are_capped(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication
) -> None:
    """An answer of more than 1 MiB is not read to its end, whatever it says; its status still
    counts.
    """
    huge = b'["' + b"x" * (1024 * 1024) + b'"]'
    vendor.on(JOBS, vendor.answer(200, huge))
    vendor.on(CREATE, vendor.answer(201, huge), vendor.answer(400, huge))
    with pytest.raises(UpstreamContractBroken, match="more than 1048576 bytes"):
        await client.list_jobs(acme)
    with pytest.raises(OutcomeUnknown):
        await client.create_application(acme, draft)
    with pytest.raises(UpstreamRefused):
        await client.create_application(acme, draft)


async def test_broken_encoding(vendor, client: AssessmentProvider, acme: Customer) -> None:
    """A body that is not what its encoding says fails like a lost connection."""
    vendor.on(JOBS, vendor.answer(200, b"not gzip at all", Content_Encoding="gzip"))
    with pytest.raises(UpstreamUnavailable):
        await client.list_jobs(acme)


async def test_retry_after(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication
) -> None:
    """What the vendor asks for in Retry-After is passed on."""
    vendor.on(CREATE, vendor.answer(429, {}, Retry_After="17"))
    with pytest.raises(UpstreamUnavailable) as caught:
        await client.create_application(acme, draft)
    assert (caught.value.status, caught.value.retry_after_s) == (429, 17.0)


async def test_results_before_completion(
    vendor, client: AssessmentProvider, acme: Customer
) -> None:
    """A 4xx for results is "not yet"."""
    vendor.on("GET /connect_ats/applications/r-1/results", vendor.answer(422, {"errors": {}}))
    assert await client.get_result(acme, "r-1") is None


async def test_nothing_private_is_shown(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication
) -> None:
    """Neither errors nor log lines hold a name, a mail address, a token or a secret, though the
    vendor echoes them all.
    """
    person = draft.candidate
    echo = {"got": [person.first_name, person.last_name, person.email]}
    token = "SFMyNTY.Zm9yLWFjbWU.Q0ZtT2s"
    vendor.on(TOKEN, vendor.answer(200, {"access_token": token}))
    vendor.on(
        CREATE,
        vendor.answer(
            422, {**echo, "url": draft.callback_url, "auth": f"Bearer {token} s3cret-of-acme"}
        ),
    )
    with capture_logs() as lines, pytest.raises(UpstreamRefused) as caught:
        await client.create_application(acme, draft)
    shown = f"{caught.value} {caught.value.excerpt} {lines}"
    assert not [
        one
        for one in (
            "Ada",
            "Marie",
            "ster",
            "ada@",
            "SFMy",
            "Zm9y",
            "Q0Zt",
            "s3cret",
            "Sq3tTs9",
            "Basic Y",
        )
        if one in shown
    ]
    assert [
        (line["event"], line["operation"], line["customer"], line["status"]) for line in lines
    ] == [
        ("equalture.called", "token", "acme", 200),
        ("equalture.called", "create", "acme", 422),
    ]


async def test_a_dead_equalture_is_left_alone(
    vendor, client: AssessmentProvider, acme: Customer, draft: NewApplication
) -> None:
    """Once calls in a row had no answer none goes out, of any operation; links have a breaker of
    their own.
    """
    vendor.on(STATUS, vendor.drop)
    for _ in range(THRESHOLD):
        with pytest.raises(UpstreamUnavailable):
            await client.get_progress(acme, "r-1")
    sent = len(vendor.seen)
    refused = (
        lambda: client.list_jobs(acme),
        lambda: client.create_application(acme, draft),
        lambda: client.get_progress(acme, "r-1"),
        lambda: client.get_result(acme, "r-1"),
        lambda: client.hire(acme, "r-1", add_to_team=True, start_date=None),
        lambda: client.anonymise(acme, "r-1"),
    )
    for call in refused:
        with pytest.raises(CircuitOpen):
            await call()
    assert len(vendor.seen) == sent
    vendor.on(LINK, vendor.answer(200, {"url": "https://a.example/x"}))
    assert (await client.get_public_link(acme, "r-1")).url


async def test_dead_links_leave_the_rest_alone(
    vendor, client: AssessmentProvider, acme: Customer
) -> None:
    """Share links that fail open a breaker of their own: the customer's other calls still go
    out.
    """
    vendor.on(LINK, vendor.drop)
    vendor.on(JOBS, vendor.answer(200, []))
    for _ in range(THRESHOLD):
        with pytest.raises(UpstreamUnavailable):
            await client.get_public_link(acme, "r-1")
    assert await client.list_jobs(acme) == ()
    with pytest.raises(CircuitOpen):
        await client.get_public_link(acme, "r-1")


async def test_clicks_have_turns_of_their_own(vendor, acme: Customer) -> None:
    """However many links are clicked, a bounded number of calls is under way, and others find their
    turn.
    """
    vendor.on(JOBS, vendor.answer(200, []))
    released, under_way, most = asyncio.Event(), 0, 0

    async def slow(_: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await released.wait()
        under_way -= 1
        return web.json_response({"url": "https://a.example/x"})

    vendor.on(LINK, slow)
    async with egress.create_session(connections=0) as session:
        client = EqualtureClient(session)
        clicks = [asyncio.create_task(client.get_public_link(acme, "r-1")) for _ in range(100)]
        while under_way < READERS.size:  # noqa: ASYNC110 - others need their turn, not time
            await asyncio.sleep(0)
        assert await client.list_jobs(acme) == ()
        released.set()
        await asyncio.gather(*clicks)
    assert most == READERS.size


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiohttp.ConnectionTimeoutError("x"), True),
        (aiohttp.InvalidURL("x"), True),
        (aiohttp.SocketTimeoutError("x"), False),
        (TimeoutError(), False),
        (aiohttp.ServerDisconnectedError(), False),
        (aiohttp.ClientPayloadError(), False),
        (aiohttp.ClientOSError(104, "reset"), False),
    ],
)
def test_was_not_sent(error: BaseException, expected: bool) -> None:
    """Only errors of connecting prove that nothing was sent, unless it is known that nothing
    left.
    """
    assert was_not_sent(error, egress.SentTracker(may_have_left=True)) is expected
    assert was_not_sent(error, egress.SentTracker(may_have_left=False))
