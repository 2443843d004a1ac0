"""The softgarden fake: strict with notifications, and asking a bridge as softgarden does."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.sandbox import BridgeReply, SoftgardenSandbox
from tests.sandbox.conftest import Notify, Peer

INVITED = {
    "invitationId": "iv_1",
    "testUrl": "https://bridge.example/t/1",
    "deadline": "2026-01-15T10:00:00Z",
}
PENDING = {"status": "PENDING", "result": {"resultUrl": "https://bridge.example/r/1"}}


async def test_takes_a_notification_in_order(softgarden: SoftgardenSandbox, notify: Notify) -> None:
    """A notification in order is 204 and in the ledger by its invitation."""
    assert await notify() == 204
    entry = softgarden.calls("notify", invitation_id="iv_1")[0]
    assert (entry.status, entry.request_json, entry.account) == (
        204,
        {"invitationId": "iv_1"},
        "default",
    )
    assert softgarden.violations == []


async def test_every_customer_has_a_callback_of_its_own(
    softgarden: SoftgardenSandbox, notify: Notify
) -> None:
    """A customer's callback URL tells who is meant, and may have a client id of its own."""
    softgarden.add_customer("acme ag", "11")
    url = softgarden.callback_url("acme ag")
    assert "/acme%20ag/api/rest/" in url
    assert await notify(url, auth="Basic MTE6") == 204
    assert await notify(f"{softgarden.callback_url()}/deeper/still") == 204
    assert [entry.account for entry in softgarden.calls("notify")] == ["acme ag", "default"]
    assert await notify(url) == 401


@pytest.mark.parametrize(
    "auth",
    [
        None,
        "Basic MTA=",
        "Basic MTE6",
        "Basic MTA6c2VjcmV0",
        "Bearer MTA6",
        "Basic ###",
        "Basic /w==",
    ],
)
async def test_refuses_wrong_credentials(
    softgarden: SoftgardenSandbox, notify: Notify, auth: str | None
) -> None:
    """No colon, another id, a password, another scheme, junk: 401 and a violation."""
    assert await notify(auth=auth) == 401
    assert len(softgarden.violations) == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"json": {}}, 400),
        ({"json": {"invitationId": 7}}, 400),
        ({"json": {"invitationId": ""}}, 400),
        ({"json": {"invitationId": "iv_1", "status": "COMPLETED"}}, 400),
        ({"json": ["iv_1"]}, 400),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": {"invitationId": "iv_1"}}, 415),
    ],
)
async def test_refuses_a_body_out_of_order(
    softgarden: SoftgardenSandbox, notify: Notify, body: dict[str, Any], expected: int
) -> None:
    """The body is exactly the invitation id, as JSON."""
    assert await notify(**body) == expected
    assert len(softgarden.violations) == 1


async def test_refuses_other_methods(softgarden: SoftgardenSandbox, notify: Notify) -> None:
    """A notification is a POST."""
    assert await notify(method="PUT") == 405
    assert len(softgarden.violations) == 1


async def test_asks_a_bridge_as_softgarden_does(softgarden: SoftgardenSandbox, peer: Peer) -> None:
    """Tests, invite, results and delete go out with the customer's token, as documented."""
    peer.answers = {
        "/softgarden/tests": [{"id": "job-1"}],
        "/softgarden/invitations": INVITED,
        "/softgarden/results/iv 1": PENDING,
    }
    client = softgarden.connect(peer.url + "/", "t0ken", customer="acme")
    assert (await client.list_tests()).json == [{"id": "job-1"}]
    assert (await client.invite("job-1", candidate_id="c-1", last_name="Müller")).json == INVITED
    assert (await client.read_results("iv 1")).json == PENDING
    assert (await client.delete("iv 1")).status == 200
    assert softgarden.violations == []
    assert [seen[:2] for seen in peer.seen] == [
        ("GET", "/softgarden/tests"),
        ("POST", "/softgarden/invitations"),
        ("GET", "/softgarden/results/iv 1"),
        ("DELETE", "/softgarden/invitations/iv 1"),
    ]
    assert {seen[2]["Authorization"] for seen in peer.seen} == {"Bearer t0ken"}
    invite = softgarden.calls("invite")[0]
    assert invite.request_json == {
        "testId": "job-1",
        "candidate": {
            "id": "c-1",
            "firstName": "Ada",
            "lastName": "Müller",
            "email": "ada.muster@example.org",
        },
        "callback": softgarden.callback_url("acme"),
    }
    assert (invite.direction, invite.account, invite.invitation_id) == ("made", "acme", "iv_1")
    assert softgarden.results["iv 1"].json == PENDING


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("invite", None),
        ("invite", {"testUrl": "https://x.example"}),
        ("invite", {"invitationId": "iv_1", "testUrl": "nowhere"}),
        ("invite", INVITED | {"duration": "30"}),
        ("invite", INVITED | {"deadline": "2026-01-15T10:00:00+01:00"}),
        ("invite", INVITED | {"deadline": "2026-13-15T10:00:00Z"}),
        ("results", []),
        ("results", {"status": "DONE"}),
        ("results", {"status": "PENDING", "result": None}),
        ("results", PENDING | {"status": "COMPLETED"}),
        ("results", PENDING | {"status": "EXPIRED"}),
        (
            "results",
            {"status": "PENDING", "result": {"resultUrl": "https://x.example", "reportUrl": ""}},
        ),
        (
            "results",
            {"status": "PENDING", "result": {"resultUrl": "https://x.example", "score": 7}},
        ),
    ],
)
async def test_notes_an_answer_out_of_order(
    softgarden: SoftgardenSandbox, peer: Peer, operation: str, answer: Any
) -> None:
    """A successful answer that breaks softgarden's page is a violation; the reply is handed on."""
    peer.answers = {"/softgarden/invitations": answer, "/softgarden/results/iv_1": answer}
    client = softgarden.connect(peer.url, "t")
    reply: BridgeReply = await (
        client.invite("job-1") if operation == "invite" else client.read_results("iv_1")
    )
    assert reply.json == answer
    assert len(softgarden.violations) == 1


async def test_a_bridge_that_is_away_is_status_zero(softgarden: SoftgardenSandbox) -> None:
    """No bridge: the reply has status 0 and says why; nothing is raised."""
    reply = await softgarden.connect("http://127.0.0.1:9", "t").list_tests()
    assert reply.status == 0
    assert reply.error is not None


@pytest.mark.parametrize("reading", ["before", "after"])
async def test_a_notification_makes_it_read(
    softgarden: SoftgardenSandbox, notify: Notify, peer: Peer, reading: Any
) -> None:
    """softgarden reads the result before or after it has answered the notification, as switched."""
    peer.answers = {"/softgarden/results/iv_1": PENDING}
    softgarden.connect(peer.url, "t")
    softgarden.read_results = reading
    assert await notify() == 204
    await softgarden.wait_calls("results")
    ended = [entry.operation for entry in softgarden.ledger.entries]
    assert ended == (["results", "notify"] if reading == "before" else ["notify", "results"])


async def test_may_insist_on_its_own_invitations(
    softgarden: SoftgardenSandbox, notify: Notify, peer: Peer
) -> None:
    """With check_invitations an invitation that was not made for that customer is 401."""
    softgarden.check_invitations = True
    assert await notify() == 401
    peer.answers = {"/softgarden/invitations": INVITED}
    await softgarden.connect(peer.url, "t").invite("job-1")
    assert await notify() == 204
    assert await notify(softgarden.callback_url("acme")) == 401
