"""One candidate from the list of tests to the deletion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
from fakeredis import FakeAsyncRedis

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from bridge.store.redis_access import RedisAccess
from tests.flows.conftest import Bridge, Launch, eventually
from tests.plain_client import PlainClient

PERSON = {"first_name": "Wilhelmina", "last_name": "Höpperle", "email": "wilhelmina.h@example.org"}
APPLICATION = "3d0a7d5e-0a3b-4b3e-8f0e-6a2a9b1c7d10"


@pytest.fixture(params=["redis", "fakeredis"])
async def journey(request: pytest.FixtureRequest, launch: Launch) -> AsyncIterator[Bridge]:
    """The bridge on a real Redis, and on the one that the demo and other people's tests use."""
    if request.param == "redis":
        yield await launch()
        return
    async with FakeAsyncRedis() as client:
        bridge = await launch(commands=RedisAccess(PlainClient(client)))
        yield bridge
        await bridge.close()


async def nothing_of_the_person(bridge: Bridge) -> bool:
    stored = await bridge.stored()
    return not any(word.lower() in stored.lower() for word in PERSON.values())


async def test_journey_of_one_candidate(journey: Bridge) -> None:
    """A candidate is invited, tested, read, shared and deleted, and no name or e-mail is in Redis
    at any stage.
    """
    bridge, acme, equalture = journey, journey.acme, journey.equalture

    tests = await acme.list_tests()
    assert tests.status == 200
    engineer, other = tests.json
    assert engineer == {
        "testId": "engineer",
        "id": "engineer",
        "name": "Engineer assessment",
        "testName": "Engineer assessment",
        "duration": 30,
    }
    assert other["testId"] == other["id"] == "job-2"
    assert other["name"] == "Assessment - Müller & Söhne"

    invited = await acme.invite("engineer", candidate_id=APPLICATION, **PERSON)
    assert invited.status == 200
    an_id = invited.json["invitationId"]
    reference = bridge.created()
    application = equalture.applications[reference]
    assert invited.json["testUrl"] == application.assessment_url
    assert invited.json["duration"] == 30
    lasts = datetime.fromisoformat(invited.json["deadline"]) - application.created_at
    assert abs(lasts - timedelta(days=7)) < timedelta(seconds=2)
    assert (application.job_id, application.invitation_type) == ("job-1", "one_time_link")
    assert (application.first_name, application.last_name, application.email) == tuple(
        PERSON.values()
    )
    assert await nothing_of_the_person(bridge)
    assert APPLICATION in await bridge.stored()

    pending = await acme.read_results(an_id)
    assert set(pending.json) == {"status", "result"}
    assert pending.json["status"] == "PENDING"
    assert set(pending.json["result"]) == {"resultUrl"}
    results_page = pending.json["result"]["resultUrl"]
    page = await bridge.ask("GET", results_page)
    assert (page.status, "Not finished yet" in page.text) == (200, True)

    assert await equalture.complete(reference, fit="high") == 200
    done = await bridge.result(acme, an_id, "COMPLETED")
    assert set(done["result"]) == {"resultUrl", "reportUrl", "shareUrl", "score"}
    assert done["result"]["score"] == "High fit (5/5)"
    assert done["result"]["resultUrl"] == results_page
    await eventually(lambda: bridge.notified(an_id))
    await bridge.idle()
    assert len(bridge.notified()) == 1
    assert await bridge.runtime.queue.next_due() is None
    assert await nothing_of_the_person(bridge)

    page = await bridge.ask("GET", results_page)
    assert (page.status, "Cognitive flexibility" in page.text, "High fit" in page.text) == (
        200,
        True,
        True,
    )
    report = await bridge.ask("GET", done["result"]["reportUrl"])
    assert (report.status, report.headers["Content-Type"], report.text[:5]) == (
        200,
        "application/pdf",
        "%PDF-",
    )
    share = await bridge.ask("GET", done["result"]["shareUrl"])
    assert share.status == 302
    assert "/public/" in share.headers["Location"]
    assert (await bridge.ask("GET", share.headers["Location"])).status == 200
    assert await nothing_of_the_person(bridge)

    assert (await acme.delete(an_id)).status == 204
    assert equalture.applications[reference].state == "anonymized"
    assert (await acme.delete(an_id)).status == 204
    assert len(equalture.calls("anonymise")) == 1
    assert (await acme.read_results(an_id)).status == 404
    for url in (results_page, done["result"]["reportUrl"], done["result"]["shareUrl"]):
        assert (await bridge.ask("GET", url)).status == 410
    stored = await bridge.stored()
    assert await nothing_of_the_person(bridge)
    assert APPLICATION not in stored
    assert reference not in stored
    assert "high" not in stored


async def test_share_link_outlives_equaltures(bridge: Bridge) -> None:
    """A share link works a month later, though Equalture's own lives two hours."""
    invited = await bridge.acme.invite("engineer")
    await bridge.equalture.complete(bridge.created())
    share = (await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED"))["result"][
        "shareUrl"
    ]
    first = (await bridge.ask("GET", share)).headers["Location"]
    await bridge.advance(timedelta(days=30))
    assert "expired" in (await bridge.ask("GET", first)).text
    again = await bridge.ask("GET", share)
    assert (again.status, again.headers["Location"] != first) == (302, True)
    assert (await bridge.ask("GET", again.headers["Location"])).status == 200
    assert again.headers["Cache-Control"] == "no-store"


async def test_looking_at_a_share_link_costs_nothing(bridge: Bridge) -> None:
    """Who asks for the head of a share link, or fetches it in advance, causes no call to
    Equalture.
    """
    invited = await bridge.acme.invite("engineer")
    await bridge.equalture.complete(bridge.created())
    share = (await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED"))["result"][
        "shareUrl"
    ]
    head = await bridge.ask("HEAD", share)
    assert (head.status, head.headers["Cache-Control"]) == (200, "no-store")
    assert (await bridge.ask("HEAD", share + "x")).status == 404
    prefetched = await bridge.ask(
        "GET", share, headers={"Sec-Purpose": "prefetch;anonymous-client-ip"}
    )
    assert prefetched.status == 503
    assert bridge.equalture.calls("public_link") == []
    await bridge.acme.delete(invited.json["invitationId"])
    assert (await bridge.ask("HEAD", share)).status == 410


async def test_share_link_while_equalture_is_down(bridge: Bridge) -> None:
    """A colleague whose link cannot be fetched right now is asked, on a page, to come back
    later.
    """
    invited = await bridge.acme.invite("engineer")
    await bridge.equalture.complete(bridge.created())
    share = (await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED"))["result"][
        "shareUrl"
    ]
    bridge.equalture.fault("public_link", status=503)
    page = await bridge.ask("GET", share)
    assert (page.status, page.headers["Content-Type"].split(";")[0]) == (503, "text/html")
    assert "Retry-After" in page.headers


async def test_landing_page(bridge: Bridge) -> None:
    """A landing page shows one button, its POST leads to the test, and after completion it leads
    nowhere.
    """
    invited = await bridge.globex.invite("job-3")
    landing = invited.json["testUrl"]
    assert urlsplit(landing).path.startswith("/start/")
    page = await bridge.ask("GET", landing)
    assert (page.status, page.text.count("<form"), "Location" in page.headers) == (200, 1, False)
    begun = await bridge.ask("POST", landing)
    test = bridge.equalture.applications[bridge.created()].assessment_url
    assert (begun.status, begun.headers["Location"]) == (303, test)
    assert (await bridge.ask("GET", test)).status == 200
    await bridge.equalture.complete(bridge.created())
    await bridge.result(bridge.globex, invited.json["invitationId"], "COMPLETED")
    for method in ("GET", "POST"):
        over = await bridge.ask(method, landing)
        assert (over.status, "Location" in over.headers, "<form" in over.text) == (
            200,
            False,
            False,
        )


async def test_landing_page_after_expiry(bridge: Bridge) -> None:
    """After expiry a landing page shows a page and never redirects."""
    invited = await bridge.globex.invite("job-3")
    await bridge.advance(timedelta(days=7, seconds=1))
    await bridge.result(bridge.globex, invited.json["invitationId"], "EXPIRED")
    for method in ("GET", "POST"):
        over = await bridge.ask(method, invited.json["testUrl"])
        assert (over.status, "Location" in over.headers, "<form" in over.text) == (
            200,
            False,
            False,
        )


async def test_results_page_says_expired(bridge: Bridge) -> None:
    """The results page of an expired invitation says so, and its report is not found."""
    invited = await bridge.acme.invite("engineer")
    await bridge.advance(timedelta(days=7, seconds=1))
    view = await bridge.result(bridge.acme, invited.json["invitationId"], "EXPIRED")
    page = await bridge.ask("GET", view["result"]["resultUrl"])
    assert (page.status, "Expired" in page.text) == (200, True)


async def test_each_link_is_for_one_purpose(bridge: Bridge) -> None:
    """A token of one kind of link opens no other kind, and a tampered one opens nothing."""
    invited = await bridge.acme.invite("engineer")
    await bridge.equalture.complete(bridge.created())
    result = (await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED"))["result"]
    token = urlsplit(result["resultUrl"]).path.removeprefix("/results/")
    for path in (
        f"/share/{token}",
        f"/reports/{token}.pdf",
        f"/start/{token}",
        f"/results/{token[:-1]}",
        "/results/x",
    ):
        page = await bridge.ask("GET", path)
        assert (page.status, page.headers["Content-Type"].split(";")[0]) == (404, "text/html")


async def test_softgarden_knows_every_notified_invitation(
    bridge: Bridge, softgarden: SoftgardenSandbox
) -> None:
    """softgarden, which refuses what it never invited, takes every notification."""
    softgarden.check_invitations = True
    clients = ((bridge.acme, "engineer"), (bridge.globex, "job-3"), (bridge.initech, "job-4"))
    for client, test in clients:
        invited = await client.invite(test)
        assert await bridge.equalture.complete(bridge.created()) == 200
        await eventually(lambda an_id=invited.json["invitationId"]: bridge.notified(an_id))
    assert len(softgarden.calls("notify")) == 3


async def test_list_of_tests_survives_an_outage(
    bridge: Bridge, equalture: EqualtureSandbox
) -> None:
    """While Equalture is down softgarden gets the last list; without one it is told to come
    back.
    """
    assert (await bridge.acme.list_tests()).status == 200
    equalture.fault("jobs", status=500)
    known = await bridge.acme.list_tests()
    assert (known.status, len(known.json)) == (200, 2)
    never = await bridge.globex.list_tests()
    assert (never.status, never.json["code"]) == (503, "upstream_unavailable")
    assert int(never.headers["Retry-After"]) >= 1


async def test_customers_see_only_their_own_tests(bridge: Bridge) -> None:
    """Each customer is shown the jobs of its own account only."""
    shown = [
        [test["id"] for test in (await client.list_tests()).json]
        for client in (bridge.globex, bridge.initech)
    ]
    assert shown == [["job-3"], ["job-4"]]
