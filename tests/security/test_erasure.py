"""Deleted means deleted: in Redis as it would be stolen, in queues, logs and pages, and for
whatever comes too late.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta

import pytest

from bridge.core import ids
from bridge.core.invitation import State
from tests.flows.conftest import Bridge, Config, Journal, Launch, eventually
from tests.redis_servers import RedisServer
from tests.security.conftest import WEBHOOK_SECRET
from tests.security.test_canaries import dumped, found, layers, printed

APPLICATION = "b7f1-application-of-the-deleted"
WORDS = "unmistakable verdict about somebody"
REPORT = {
    "fit": WORDS,
    "results_url": "https://dashboard.example/unmistakable/dashboard",
    "scores": {WORDS: WORDS},
    "detailed_scores": [{"trait_code": WORDS, "trait_name": WORDS, "trait_bucket_score": 3}],
}


@dataclass(slots=True)
class Traces:
    """Everything by which a candidate could be found again."""

    an_id: str
    reference: str
    words: list[str]
    links: list[str]

    def left(self, server: RedisServer, *, but: tuple[str, ...] = ()) -> list[str]:
        """What of it is left in Redis."""
        return [word for word in found(layers(dumped(server)), self.words) if word not in but]


async def invited(bridge: Bridge) -> Traces:
    """An invitation with everything known about it."""
    callback = bridge.softgarden.callback_url("acme") + "/unmistakable-callback"
    reply = await bridge.acme.invite("engineer", candidate_id=APPLICATION, callback=callback)
    assert reply.status == 200
    an_id, reference = reply.json["invitationId"], bridge.created()
    application = bridge.equalture.applications[reference]
    signer = bridge.runtime.signer
    words = [
        APPLICATION,
        reference,
        "unmistakable",
        application.link_token,
        application.callback_url.rpartition("/")[2],
        ids.compute_order_key("acme", APPLICATION, "engineer"),
        ids.hash_secret(f"acme/{reference}")[:40],
        "Engineer",
    ]
    links = [
        signer.results_url(an_id),
        signer.share_url(an_id),
        signer.report_url(an_id),
        signer.start_url(an_id),
    ]
    return Traces(an_id, reference, words, links)


async def done(bridge: Bridge, traces: Traces) -> None:
    """Have the candidate finish, with an unmistakable result."""
    bridge.equalture.fault("results", text=json.dumps(REPORT))
    await bridge.equalture.complete(traces.reference, send_callback=False)
    await bridge.equalture.put_callback(traces.reference, payload=REPORT)
    await bridge.result(bridge.acme, traces.an_id, "COMPLETED")
    await bridge.idle()


async def nothing_to_see(bridge: Bridge, traces: Traces) -> None:
    """Assert that neither softgarden nor any link shows anything."""
    assert (await bridge.acme.read_results(traces.an_id)).status == 404
    for link in traces.links:
        reply = await bridge.ask("GET", link)
        assert (reply.status, found(reply.text, traces.words)) == (410, [])


@pytest.mark.parametrize(
    "state",
    ["invited", "started", "with_report", "completed", "expired", "dead letter", "retrying"],
)
@pytest.mark.parametrize("by", ["softgarden", "operator"])
async def test_nothing_is_left(
    hooked: Bridge, config: Config, redis_server: RedisServer, state: str, by: str
) -> None:
    """In every state nothing by which the candidate could be found stays in Redis, whoever
    deleted.
    """
    bridge = hooked
    traces = await invited(bridge)
    assert traces.left(redis_server) != []
    match state:
        case "started":
            url = f"{bridge.url}/equalture/webhooks/acme"
            sent = await bridge.equalture.send_webhook(
                url, WEBHOOK_SECRET, "assessment_started", traces.reference
            )
            assert sent == 200
        case "hinted":
            assert await bridge.equalture.put_callback(traces.reference, payload=REPORT) == 200
        case "completed":
            await done(bridge, traces)
        case "expired":
            await bridge.advance(timedelta(days=7, seconds=5))
            await bridge.result(bridge.acme, traces.an_id, "EXPIRED")
        case "dead letter" | "retrying":
            bridge.softgarden.fault(
                "notify", status=400 if state == "dead letter" else 500, text="unmistakable words"
            )
            await done(bridge, traces)
    await bridge.idle()
    bridge.equalture.heal()
    if by == "softgarden":
        assert (await bridge.acme.delete(traces.an_id)).status == 204
    else:
        assert (await printed(config.folder, "erase", traces.an_id))[0] == 0
    assert bridge.equalture.applications[traces.reference].state == "anonymized"
    assert traces.left(redis_server) == []
    assert await bridge.dead_letters() == []
    assert await bridge.next_due() is None
    await nothing_to_see(bridge, traces)


async def test_late_events_bring_nothing_back(hooked: Bridge, redis_server: RedisServer) -> None:
    """Callbacks, events and orders after the deletion leave it as it is; a new order is a new
    invitation.
    """
    bridge = hooked
    traces = await invited(bridge)
    await done(bridge, traces)
    assert (await bridge.acme.delete(traces.an_id)).status == 204
    before = await bridge.record(traces.an_id)
    assert await bridge.equalture.put_callback(traces.reference, payload=REPORT) == 200
    for kind in ("assessment_started", "application_finished"):
        url = f"{bridge.url}/equalture/webhooks/acme"
        assert (
            await bridge.equalture.send_webhook(url, WEBHOOK_SECRET, kind, traces.reference) == 200
        )
    await bridge.advance(timedelta(days=8))
    await bridge.idle()
    assert await bridge.record(traces.an_id) == before
    # An event about an application that is not known (any more) is kept for ten minutes, under a
    # digest of its id.
    digest = ids.hash_secret(f"acme/{traces.reference}")[:40]
    assert traces.left(redis_server, but=(digest,)) == []
    with redis_server.client() as client:
        (key,) = client.keys(f"*:ref:{digest}")
        assert 0 < client.pttl(key) <= 600_000
        client.delete(key)
    await nothing_to_see(bridge, traces)
    again = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    assert again.status == 200
    assert again.json["invitationId"] != traces.an_id


async def erased(bridge: Bridge, an_id: str) -> bool:
    """Is only the tombstone left?"""
    return (await bridge.record(an_id)).state is State.ERASED


async def test_slow_create_brings_nothing_back(bridge: Bridge, redis_server: RedisServer) -> None:
    """What Equalture makes after the deletion is anonymised, and its id and link are not kept, nor
    the way to them.
    """
    bridge.equalture.fault("create", status=500, times=1)
    await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    (record,) = [one async for one in bridge.runtime.invitations.scan()]
    fault = bridge.equalture.fault("create", delay_after=30, times=1)
    call = asyncio.create_task(bridge.acme.invite("engineer", candidate_id=APPLICATION))
    await fault.wait_applied()
    await eventually(lambda: bridge.equalture.applications)
    deletion = asyncio.create_task(bridge.acme.delete(record.id))
    await eventually(lambda: erased(bridge, record.id))
    fault.heal()
    assert (await call).status == 503
    assert (await deletion).status == 204
    reference = bridge.created()
    await eventually(lambda: bridge.equalture.applications[reference].state == "anonymized")
    await bridge.idle()
    application = bridge.equalture.applications[reference]
    words = [
        APPLICATION,
        reference,
        application.link_token,
        ids.hash_secret(f"acme/{reference}")[:40],
        "127.0.0.1",
    ]
    assert Traces(record.id, reference, words, []).left(redis_server) == []


@pytest.mark.parametrize("status", [409, 422])
async def test_stuck_anonymisation_is_visible(
    bridge: Bridge, config: Config, redis_server: RedisServer, status: int
) -> None:
    """Equalture's refusal to anonymise is a dead letter that operators see and replay; only the
    reference id is kept for it.
    """
    traces = await invited(bridge)
    await done(bridge, traces)
    fault = bridge.equalture.fault("anonymise", status=status)
    assert (await bridge.acme.delete(traces.an_id)).status == 502
    await eventually(bridge.dead_letters)
    code, text = await printed(config.folder, "dead", "list", "--json")
    (letter,) = json.loads(text)
    assert (code, letter["invitation"], letter["kind"], letter["reason"]) == (
        0,
        traces.an_id,
        "anonymise",
        "refused",
    )
    assert traces.left(redis_server) == [traces.reference]
    await nothing_to_see(bridge, traces)
    fault.heal()
    assert (await printed(config.folder, "dead", "replay", letter["id"]))[0] == 0
    bridge.wake()
    await eventually(lambda: bridge.equalture.applications[traces.reference].state == "anonymized")
    await bridge.idle()
    assert traces.left(redis_server) == []


async def test_log_knows_ids_only(bridge: Bridge, journal: Journal) -> None:
    """From order to deletion the log names the invitation by its id and nothing else of the
    candidate.
    """
    traces = await invited(bridge)
    await done(bridge, traces)
    assert (await bridge.acme.delete(traces.an_id)).status == 204
    await bridge.idle()
    assert [line["invitation_id"] for line in journal.events("invitation.erased")] == [traces.an_id]
    assert found(journal.text(), traces.words) == []


async def test_others_stay(bridge: Bridge) -> None:
    """A deletion takes one invitation, not the same person's other test, nor another person's."""
    traces = await invited(bridge)
    same = (await bridge.acme.invite("job-2", candidate_id=APPLICATION)).json["invitationId"]
    other = (await bridge.acme.invite("engineer", candidate_id="other")).json["invitationId"]
    assert (await bridge.acme.delete(traces.an_id)).status == 204
    for an_id in (same, other):
        assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"
    states = [application.state for application in bridge.equalture.applications.values()]
    assert states == ["anonymized", "invited", "invited"]


async def test_everything_has_an_end(hooked: Bridge, redis_server: RedisServer) -> None:
    """Every key about a candidate lives for the retention at most: record, claim, short cut, dead
    letter, seen events.
    """
    bridge = hooked
    bridge.softgarden.fault("notify", status=400)
    traces = await invited(bridge)
    await done(bridge, traces)
    url = f"{bridge.url}/equalture/webhooks/acme"
    assert (
        await bridge.equalture.send_webhook(
            url, WEBHOOK_SECRET, "assessment_finished", traces.reference
        )
        == 200
    )
    await eventually(bridge.dead_letters)
    year_ms = 365 * 86_400_000
    lasting = set()
    with redis_server.client() as client:
        for key in client.keys("*"):
            life = client.pttl(key)
            assert life <= year_ms
            if life < 0:
                lasting.add(key.decode().rpartition(":")[2])
        kinds = {key.decode().split(":")[-2] for key in client.keys("*") if client.pttl(key) > 0}
    assert {"iv", "order", "ref", "seen"} <= kinds
    # Queues hold invitation ids only, and empty ones vanish.
    assert lasting <= {"lanes", "tasks", "dead"} | {
        name for name in lasting if name.startswith("acme/")
    }
    with redis_server.client() as client:
        for key in client.keys("*"):
            if client.pttl(key) < 0 and client.type(key) == b"zset":
                members = [member.decode() for member in client.zrange(key, 0, -1)]
                assert all(member.startswith("iv_") or "/" in member for member in members)


async def test_retention_ends_by_itself(
    config: Config, launch: Launch, redis_server: RedisServer
) -> None:
    """After the retention record, claim and dead letter are gone without anybody doing anything."""
    config.daemon["retention"] = "1500ms"
    bridge = await launch()
    bridge.softgarden.fault("notify", status=400)
    traces = await invited(bridge)
    await done(bridge, traces)
    await eventually(bridge.dead_letters)
    assert traces.left(redis_server) != []

    async def gone() -> bool:
        return traces.left(redis_server) == [] and await bridge.dead_letters() == []

    await eventually(gone)
    assert (await bridge.acme.read_results(traces.an_id)).status == 404
    assert (await bridge.ask("GET", traces.links[0])).status == 404


async def test_tombstone_ends_too(bridge: Bridge, redis_server: RedisServer) -> None:
    """A tombstone is kept for the retention, and without an end only while Equalture has not
    confirmed.
    """
    traces = await invited(bridge)
    fault = bridge.equalture.fault("anonymise", status=503)
    assert (await bridge.acme.delete(traces.an_id)).status == 502
    with redis_server.client() as client:
        (key,) = client.keys(f"*:iv:{traces.an_id}")
        assert client.pttl(key) == -1
        fault.heal()
        assert (await bridge.acme.delete(traces.an_id)).status == 204
        assert client.pttl(key) > 0
    assert (await bridge.record(traces.an_id)).state is State.ERASED
