"""Invitations: one for an order, however often and however parallel softgarden asks, and whatever
Equalture does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.core.invitation import CreateOutcome, State
from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, Config, Journal, Launch, eventually
from tests.stalls import net_since

APPLICATION = "application-1"
OUTCOME_UNKNOWN: dict[str, dict[str, Any]] = {
    "500 before": {"status": 500},
    "500 after": {"status_after": 500},
    "dropped before": {"drop": "before"},
    "dropped after": {"drop": "after"},
    "html": {"body": "html"},
    "cut JSON": {"body": "bad_json"},
    "wrong shape": {"body": "wrong_shape"},
    "empty": {"body": "empty"},
    "huge": {"body": "huge"},
}


def problem(reply: BridgeReply) -> tuple[int, str]:
    """Status and code of an error, which has to be a complete problem."""
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code"} <= set(reply.json)
    assert reply.json["status"] == reply.status
    if reply.status == 503:
        assert int(reply.headers["Retry-After"]) >= 1
    return reply.status, reply.json["code"]


# -- the same order


async def test_repeat_gets_the_same_answer(bridge: Bridge) -> None:
    """A repeat of an open invitation returns it unchanged, whatever else differs in the body."""
    first = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    other = {"first_name": "Eve", "last_name": "Other", "email": "eve@example.org"}
    await bridge.advance(timedelta(days=3))
    again = await bridge.acme.invite("engineer", candidate_id=APPLICATION, **other)
    assert (first.status, again.status, again.json) == (200, 200, first.json)
    assert len(bridge.equalture.calls("create")) == 1


async def test_thirty_parallel_orders_make_one_application(bridge: Bridge) -> None:
    """Thirty parallel calls for one order get one invitation and make one application."""
    calls = [bridge.acme.invite("engineer", candidate_id=APPLICATION) for _ in range(30)]
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    assert len(bridge.equalture.calls("create")) == 1


async def test_two_processes_make_one_application(launch: Launch) -> None:
    """Two processes on one Redis that get one order at the same time make one application and give
    one answer.
    """
    one = await launch()
    clients = [one.acme]
    clients.append((await launch(port=0)).acme)
    assert clients[0].bridge_url != clients[1].bridge_url
    one.equalture.fault("create", delay=0.2)
    replies = await asyncio.gather(
        *(client.invite("engineer", candidate_id=APPLICATION) for client in clients * 5)
    )
    assert {reply.status for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    assert len(one.equalture.calls("create")) == 1


async def test_job_id_and_mapped_id_are_one_order(bridge: Bridge) -> None:
    """A mapped test is the same order under its own id and under its job's."""
    first = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    again = await bridge.acme.invite("job-1", candidate_id=APPLICATION)
    assert again.json == first.json


async def test_different_orders_are_separate(bridge: Bridge) -> None:
    """Another application, another test or another customer is another invitation."""
    replies = [
        await bridge.acme.invite("engineer", candidate_id=APPLICATION),
        await bridge.acme.invite("job-2", candidate_id=APPLICATION),
        await bridge.acme.invite("engineer", candidate_id="application-2"),
        await bridge.globex.invite("job-3", candidate_id=APPLICATION),
    ]
    assert [reply.status for reply in replies] == [200] * 4
    assert len({reply.json["invitationId"] for reply in replies}) == 4
    assert len(bridge.equalture.applications) == 4


async def test_callback_is_refreshed_by_a_repeat(bridge: Bridge) -> None:
    """Only the callback URL of a repeat counts: the notification goes to the newest one."""
    invited = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    newer = bridge.softgarden.callback_url("acme") + "/second"
    again = await bridge.acme.invite("engineer", candidate_id=APPLICATION, callback=newer)
    assert again.json == invited.json
    await bridge.equalture.complete(bridge.created())
    (entry,) = await bridge.softgarden.wait_calls("notify")
    assert entry.path.endswith("/invitationRequiresUpdate/second")


@pytest.mark.parametrize("ending", ["expired", "deleted", "refused"])
async def test_new_invitation_after_an_end(bridge: Bridge, ending: str) -> None:
    """After expiry, deletion or a refused create the same order gets a new invitation."""
    if ending == "refused":
        bridge.equalture.fault("create", status=422, times=1)
    first = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    if ending == "expired":
        await bridge.advance(timedelta(days=7, seconds=1))
        await bridge.result(bridge.acme, first.json["invitationId"], "EXPIRED")
    elif ending == "deleted":
        assert (await bridge.acme.delete(first.json["invitationId"])).status == 204
    again = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    assert again.status == 200
    assert again.json["invitationId"] != first.json.get("invitationId")
    assert again.json["testUrl"] == bridge.equalture.applications[bridge.created()].assessment_url
    view = await bridge.acme.read_results(again.json["invitationId"])
    assert view.json["status"] == "PENDING"


async def test_repeat_after_completion(bridge: Bridge) -> None:
    """After completion a repeat gets a new invitation or the same one, as the customer's setting
    says.
    """
    same = []
    for client, test in ((bridge.acme, "engineer"), (bridge.globex, "job-3")):
        first = await client.invite(test, candidate_id=APPLICATION)
        await bridge.equalture.complete(bridge.created())
        await bridge.result(client, first.json["invitationId"], "COMPLETED")
        again = await client.invite(test, candidate_id=APPLICATION)
        assert again.status == 200
        same.append(again.json["invitationId"] == first.json["invitationId"])
        assert (await client.read_results(first.json["invitationId"])).json["status"] == "COMPLETED"
    assert same == [False, True]


async def hang_up_during(bridge: Bridge, operation: str, order: Awaitable[object]) -> None:
    """Send an order, and hang up while it waits for this call at Equalture."""
    fault = bridge.equalture.fault(operation, delay_after=30)
    call = asyncio.ensure_future(order)
    await fault.wait_applied()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    fault.heal()


async def test_caller_who_hangs_up_is_remembered(bridge: Bridge) -> None:
    """A caller who hangs up in mid-create harms nobody: the repeat gets the invitation that was
    made.
    """
    await hang_up_during(bridge, "create", bridge.acme.invite("engineer", candidate_id=APPLICATION))
    again = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    assert again.status == 200
    assert len(bridge.equalture.calls("create")) == 1


async def test_nothing_is_made_for_who_has_hung_up(bridge: Bridge, journal: Journal) -> None:
    """An order whose caller hangs up while the list of tests is fetched makes nothing: softgarden
    may have repeated it elsewhere meanwhile, and deleted what the repeat made.
    """
    await hang_up_during(bridge, "jobs", bridge.globex.invite("job-3", candidate_id=APPLICATION))
    handled = await eventually(lambda: journal.events("request.handled"))
    assert [one["code"] for one in handled] == ["disconnected"]
    assert bridge.equalture.calls("create") == []
    assert ":iv:" not in await bridge.stored()


# -- what is refused here


async def test_unknown_test_is_refused(bridge: Bridge) -> None:
    """A test that is not in the customer's list is 400 unknown_test, another customer's too, and
    makes nothing.
    """
    for test in ("nonsense", "job-3"):
        reply = await bridge.acme.invite(test)
        assert problem(reply) == (400, "unknown_test")
        assert "testId" in reply.json["errors"]
    assert bridge.equalture.calls("create") == []


async def test_foreign_callback_is_refused(bridge: Bridge) -> None:
    """A callback to a host that is not listed is 400 callback_not_allowed, and makes nothing."""
    for callback in (
        "https://evil.example/x",
        "ftp://127.0.0.1/x",
        "http://user:pw@127.0.0.1/x",
        "/relative",
        "x",
    ):
        reply = await bridge.acme.invite("engineer", callback=callback)
        assert problem(reply) == (400, "callback_not_allowed")
        assert "callback" in reply.json["errors"]
    assert bridge.equalture.calls("create") == []


# -- what Equalture does


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (422, '{"errors":{"email":["has already been taken"]}}'),
        (422, '{"errors":{"applicant_details":{"first_name":["can\'t be blank"]}}}'),
        (422, '{"errors":{"last_name":["should be at most 255 character(s)"]}}'),
        (402, '{"errors":{"detail":"no credits left"}}'),
    ],
)
async def test_reason_of_a_refusal_reaches_hr(bridge: Bridge, status: int, text: str) -> None:
    """What Equalture complains of stands in the answer's detail, whole, so that HR knows what to
    do.
    """
    bridge.equalture.fault("create", status=status, text=text, times=1)
    reply = await bridge.acme.invite("engineer")
    assert problem(reply) == (502, "upstream_refused")
    assert reply.json["detail"].endswith(f"Equalture says: {text}")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
async def test_refusal_of_equalture_is_502(bridge: Bridge, status: int) -> None:
    """Equalture's 4xx is 502 upstream_refused, is not repeated, and leaves nothing queued."""
    fault = bridge.equalture.fault("create", status=status)
    assert problem(await bridge.acme.invite("engineer")) == (502, "upstream_refused")
    await bridge.idle()
    assert fault.strikes == 1
    assert await bridge.next_due() is None


async def test_wrong_credentials_at_equalture_are_502(bridge: Bridge) -> None:
    """An Equalture that does not know our secret any more is 502 upstream_refused, with a new token
    tried once.
    """
    fault = bridge.equalture.fault("token", status=401)
    assert problem(await bridge.acme.invite("engineer")) == (502, "upstream_refused")
    assert fault.strikes >= 1
    assert bridge.equalture.calls("create") == []


@pytest.mark.parametrize("status", [429, 503])
async def test_busy_equalture_is_503(bridge: Bridge, status: int) -> None:
    """Equalture's 429 or 503 is 503 upstream_unavailable with its Retry-After, and a repeat makes a
    fresh invitation.
    """
    bridge.equalture.fault("create", status=status, headers={"Retry-After": "7"}, times=1)
    reply = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    assert problem(reply) == (503, "upstream_unavailable")
    assert reply.headers["Retry-After"] == "7"
    assert (await bridge.acme.invite("engineer", candidate_id=APPLICATION)).status == 200
    assert len(bridge.equalture.applications) == 1


async def test_no_connection_is_503(bridge: Bridge) -> None:
    """No connection to Equalture is 503 upstream_unavailable: surely nothing was made."""
    await bridge.equalture.close()
    assert problem(await bridge.acme.invite("engineer", candidate_id=APPLICATION)) == (
        503,
        "upstream_unavailable",
    )
    await bridge.equalture.start()
    assert (await bridge.acme.invite("engineer", candidate_id=APPLICATION)).status == 200
    assert len(bridge.equalture.applications) == 1


@pytest.mark.parametrize("fault", OUTCOME_UNKNOWN.values(), ids=OUTCOME_UNKNOWN.keys())
async def test_unknown_outcome_is_504(bridge: Bridge, fault: dict[str, Any]) -> None:
    """An unusable answer is 504, is not repeated by the bridge, and the repeat is a new attempt of
    the same invitation.
    """
    await bridge.acme.invite("engineer")  # a token is there: only the create is struck
    before = len(bridge.equalture.applications)
    strike = bridge.equalture.fault("create", times=1, **fault)
    assert problem(await bridge.acme.invite("engineer", candidate_id=APPLICATION)) == (
        504,
        "outcome_unknown",
    )
    await bridge.idle()
    assert strike.strikes == 1
    assert len(bridge.equalture.calls("create")) == 2
    lost = len(bridge.equalture.applications) - before

    again = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    assert again.status == 200
    assert len(bridge.equalture.applications) - before == lost + 1
    record = await bridge.record(again.json["invitationId"])
    assert [attempt.outcome for attempt in record.attempts] == [
        CreateOutcome.UNKNOWN,
        CreateOutcome.CREATED,
    ]
    assert record.state is State.INVITED
    assert again.json["testUrl"] == bridge.equalture.applications[bridge.created()].assessment_url


async def test_silent_equalture_is_504_in_time(launch: Launch, config: Config) -> None:
    """A create without an answer is 504 once the time-out is over, and the repeat has an invitation
    of the same order.
    """
    config.daemon["equalture"]["timeout"] = "300ms"
    bridge = await launch()
    bridge.equalture.fault("create", hang="after", times=1)
    began = time.monotonic()
    assert problem(await bridge.acme.invite("engineer", candidate_id=APPLICATION)) == (
        504,
        "outcome_unknown",
    )
    assert 0.25 < net_since(began) < 2
    assert (await bridge.acme.invite("engineer", candidate_id=APPLICATION)).status == 200
    assert len(bridge.equalture.applications) == 2


async def lost_and_found(bridge: Bridge) -> tuple[str, str, str]:
    """An order of which both attempts made an application: invitation id, lost and known reference
    id.
    """
    bridge.equalture.fault("create", drop="after", times=1)
    assert (await bridge.acme.invite("engineer", candidate_id=APPLICATION)).status == 504
    again = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    assert again.status == 200
    return again.json["invitationId"], bridge.created(0), bridge.created(1)


@pytest.mark.parametrize(
    "lost_first", [True, False], ids=["the lost one first", "the known one first"]
)
async def test_first_completion_of_two_attempts_counts(bridge: Bridge, lost_first: bool) -> None:
    """Callbacks of both attempts get 200, the first completion counts, and softgarden is notified
    once.
    """
    an_id, lost, known = await lost_and_found(bridge)
    first, second = (lost, known) if lost_first else (known, lost)
    assert await bridge.equalture.complete(first, fit="high") == 200
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    await bridge.advance(timedelta(minutes=5))
    assert await bridge.equalture.complete(second, fit="low") == 200
    await bridge.idle()
    later = (await bridge.acme.read_results(an_id)).json
    assert (later["completionTime"], later["result"]["score"]) == (
        view["completionTime"],
        "High fit (5/5)",
    )
    await eventually(lambda: bridge.notified(an_id))
    assert len(bridge.notified(an_id)) == 1


async def test_share_link_never_shows_another_attempt(bridge: Bridge) -> None:
    """A result of the lost attempt offers no share link: the only id that is known is the other
    attempt's.
    """
    an_id, lost, _ = await lost_and_found(bridge)
    await bridge.equalture.complete(lost, fit="high")
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    assert "shareUrl" not in view["result"]


async def test_lost_application_completes_before_the_repeat(bridge: Bridge) -> None:
    """A test taken through a lost create's mail counts as it is; softgarden hears of it once it has
    repeated the order.
    """
    bridge.equalture.fault("create", drop="after", times=1)
    assert (await bridge.acme.invite("engineer", candidate_id=APPLICATION)).status == 504
    assert await bridge.equalture.complete(bridge.created(), fit="medium") == 200
    await bridge.idle()
    assert bridge.softgarden.calls("notify") == []
    repeat = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    assert (repeat.status, set(repeat.json)) == (
        200,
        {"invitationId", "testUrl", "duration", "deadline"},
    )
    page = await bridge.ask("GET", repeat.json["testUrl"])
    assert (page.status, "<form" in page.text) == (200, False)
    (entry,) = await bridge.softgarden.wait_calls("notify", status=204)
    assert entry.invitation_id == repeat.json["invitationId"]
    view = await bridge.result(bridge.acme, str(entry.invitation_id), "COMPLETED")
    assert view["result"]["score"] == "Medium fit (5/5)"
    assert len(bridge.equalture.calls("create")) == 1
    assert "shareUrl" not in view["result"]


async def test_application_without_link_is_502(bridge: Bridge) -> None:
    """An application without a link for the candidate is 502, and the bridge has it anonymised by
    itself.
    """
    bridge.equalture.accounts["acme"].gives_link = False
    assert problem(await bridge.acme.invite("engineer", candidate_id=APPLICATION)) == (
        502,
        "upstream_broken",
    )
    orphan = bridge.created()
    await eventually(lambda: bridge.equalture.applications[orphan].state == "anonymized")
    bridge.equalture.accounts["acme"].gives_link = True
    assert (await bridge.acme.invite("engineer", candidate_id=APPLICATION)).status == 200
    await bridge.idle()
    assert len(bridge.equalture.calls("anonymise")) == 1


async def test_callback_within_the_create(bridge: Bridge) -> None:
    """A callback that comes before the create is answered gets 200 and is acted on afterwards."""
    fault = bridge.equalture.fault("create", delay_after=30, times=1)
    call = asyncio.create_task(bridge.acme.invite("engineer"))
    await fault.wait_applied()
    reference = await eventually(lambda: next(iter(bridge.equalture.applications), None))
    assert await bridge.equalture.complete(reference) == 200
    assert not call.done()
    fault.heal()
    invited = await call
    assert invited.status == 200
    view = await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED")
    assert view["result"]["score"] == "High fit (5/5)"
    await eventually(lambda: bridge.notified(invited.json["invitationId"]))
    await bridge.idle()
    assert len(bridge.softgarden.calls("notify")) == 1


async def test_mapped_test_needs_no_list(bridge: Bridge) -> None:
    """A mapped test can be ordered while Equalture's list of jobs cannot be read; an unmapped one
    cannot.
    """
    bridge.equalture.fault("jobs", status=500)
    assert (await bridge.acme.invite("engineer")).status == 200
    assert problem(await bridge.acme.invite("job-2")) == (503, "upstream_unavailable")


async def test_test_published_a_second_ago(bridge: Bridge) -> None:
    """A job that was published a moment ago can be ordered although the list that is remembered
    lacks it.
    """
    await bridge.acme.list_tests()
    bridge.equalture.accounts["acme"].jobs["job-9"] = "Assessment - New"
    assert (await bridge.acme.invite("job-9")).status == 200


async def test_withdrawn_job_is_a_readable_refusal(bridge: Bridge) -> None:
    """A mapped job that Equalture has withdrawn is 502 with Equalture's own words, so that HR can
    read the reason.
    """
    del bridge.equalture.accounts["acme"].jobs["job-1"]
    reply = await bridge.acme.invite("engineer")
    assert problem(reply) == (502, "upstream_refused")
    assert "no published job" in reply.json["detail"]


async def test_expired_access_token_is_renewed(bridge: Bridge) -> None:
    """An access token that Equalture no longer takes is renewed, also in mid-create, without a
    second application.
    """
    await bridge.acme.invite("engineer")
    bridge.equalture.revoke_tokens()
    assert (await bridge.acme.invite("engineer")).status == 200
    assert len(bridge.equalture.calls("token", status=200)) == 2
    assert len(bridge.equalture.applications) == 2


async def test_order_of_an_odd_person(bridge: Bridge) -> None:
    """Names with umlauts, blanks and quotes arrive as they are, trimmed, and a missing last name is
    an empty one.
    """
    body = {
        "testId": "engineer",
        "candidate": {
            "id": "a",
            "firstName": '  Zoë "Z" ',
            "email": "zoe@example.org",
            "phone": "unknown field",
        },
        "callback": bridge.softgarden.callback_url("acme"),
        "more": {},
    }
    headers = {"Authorization": f"Bearer {bridge.acme.token}"}
    reply = await bridge.ask("POST", "/softgarden/invitations", json=body, headers=headers)
    assert reply.status == 200
    application = bridge.equalture.applications[bridge.created()]
    assert (application.first_name, application.last_name) == ('Zoë "Z"', "")
    assert datetime.fromisoformat(reply.json["deadline"]).tzinfo is not None


async def test_equalture_is_told_one_callback_url_an_attempt(bridge: Bridge) -> None:
    """Every attempt has a callback URL of its own below the public URL, with a secret that Redis
    does not know.
    """
    an_id, lost, known = await lost_and_found(bridge)
    urls = [bridge.callback_of(reference) for reference in (lost, known)]
    secrets = [url.removeprefix(f"{bridge.url}/equalture/callbacks/{an_id}/") for url in urls]
    assert secrets[0] != secrets[1]
    assert all(len(secret) >= 22 and "/" not in secret for secret in secrets)
    stored = await bridge.stored()
    assert not any(secret in stored for secret in secrets)
