"""Equalture's webhooks at the public listener: signed ones are hints, everything else is
refused.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from bridge.core.invitation import State
from bridge.sandbox import BridgeReply, webhooks
from tests.flows.conftest import Bridge, Config, Journal, Launch, eventually
from tests.security.conftest import WEBHOOK_SECRET, spoken, status_of

PATH = "/equalture/webhooks/acme"
OTHER_SECRET = "whsec_eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="


async def deliver(
    bridge: Bridge,
    event: Any,
    *,
    secret: str = WEBHOOK_SECRET,
    message_id: str = "msg_1",
    skew_s: int = 0,
    path: str = PATH,
    **headers: str,
) -> BridgeReply:
    """One delivery, signed as told."""
    raw = event if isinstance(event, bytes) else json.dumps(event).encode()
    stamp = int(bridge.clock().timestamp()) + skew_s
    signed = webhooks.create_webhook_headers(secret, message_id, stamp, raw)
    return await bridge.ask(
        "POST", path, data=raw, headers={"Content-Type": "application/json", **signed, **headers}
    )


async def invited(bridge: Bridge) -> tuple[str, str]:
    """A fresh invitation of acme's: invitation id and reference id."""
    reply = await bridge.acme.invite("engineer")
    assert reply.status == 200
    return reply.json["invitationId"], bridge.created()


def about(reference: Any, kind: Any = "assessment_finished", **data: Any) -> dict[str, Any]:
    """An event."""
    return {"id": "e-1", "type": kind, "data": {"reference_id": reference, **data}}


def outcomes(journal: Journal) -> list[str]:
    """What became of the events, as the log tells."""
    return [line["outcome"] for line in journal.events("event.received")]


@pytest.mark.parametrize(
    "kind", ["assessment_finished", "application_finished", "Application_Finished"]
)
async def test_finished(hooked: Bridge, kind: str) -> None:
    """A genuine event in either spelling brings the result to softgarden without any callback."""
    an_id, reference = await invited(hooked)
    await hooked.equalture.complete(reference, send_callback=False)
    assert (await deliver(hooked, about(reference, kind))).status == 200
    await hooked.result(hooked.acme, an_id, "COMPLETED")
    await eventually(lambda: hooked.notified(an_id))


@pytest.mark.parametrize("kind", ["assessment_started", "application_started"])
async def test_started_gives_grace(hooked: Bridge, kind: str) -> None:
    """A test that was begun in time may be finished for a day after the deadline; one that was not
    may not.
    """
    started, reference = await invited(hooked)
    untouched, _ = await invited(hooked)
    event = about(reference, kind, application_start_date="2025-02-17T11:58:11")
    assert (await deliver(hooked, event)).status == 200
    assert (await hooked.record(started)).state is State.STARTED
    await hooked.advance(timedelta(days=7, seconds=10))
    await hooked.result(hooked.acme, untouched, "EXPIRED")
    await hooked.idle()
    assert (await hooked.acme.read_results(started)).json["status"] == "PENDING"
    await hooked.advance(timedelta(days=1))
    await hooked.result(hooked.acme, started, "EXPIRED")


async def test_forged_finish_is_not_believed(hooked: Bridge) -> None:
    """An event, too, is a hint: without a result at Equalture nothing changes."""
    an_id, reference = await invited(hooked)
    assert (await deliver(hooked, about(reference))).status == 200
    await hooked.equalture.wait_calls("status")
    assert (await hooked.acme.read_results(an_id)).json["status"] == "PENDING"
    assert hooked.notified(an_id) == []


async def test_replay_has_no_effect(hooked: Bridge, journal: Journal) -> None:
    """The same id again, alone and ten times at once, is 200 and does nothing at all."""
    _, reference = await invited(hooked)
    assert (await deliver(hooked, about(reference))).status == 200
    await hooked.equalture.wait_calls("status")
    before = await hooked.record(next(iter(await ids(hooked))))
    replies = await asyncio.gather(*(deliver(hooked, about(reference)) for _ in range(10)))
    assert {reply.status for reply in replies} == {200}
    assert outcomes(journal) == ["taken", *["repeated"] * 10]
    assert (await hooked.record(before.id)).unconfirmed_result == before.unconfirmed_result
    # The same id does not become another event's either.
    assert (await deliver(hooked, about(reference, "assessment_started"))).status == 200
    assert (await hooked.record(before.id)).state is State.INVITED


async def ids(bridge: Bridge) -> list[str]:
    """The invitations that are stored."""
    return [one.id async for one in bridge.runtime.invitations.scan()]


async def test_ids_of_one_customer_are_not_anothers(config: Config, launch: Launch) -> None:
    """An id that one customer used is still free for another, whose events never touch the first
    one's invitations.
    """
    config.customers["acme"]["equalture"]["webhook_secret"] = WEBHOOK_SECRET
    config.customers["globex"]["equalture"]["webhook_secret"] = OTHER_SECRET
    bridge = await launch()
    an_id, reference = await invited(bridge)
    foreign = await deliver(
        bridge, about(reference), secret=OTHER_SECRET, path="/equalture/webhooks/globex"
    )
    assert foreign.status == 200
    assert (await bridge.record(an_id)).unconfirmed_result is None
    crossed = await deliver(bridge, about(reference), secret=OTHER_SECRET)
    assert (crossed.status, crossed.json["code"]) == (401, "bad_signature")
    await bridge.equalture.complete(reference, send_callback=False)
    assert (await deliver(bridge, about(reference))).status == 200
    await bridge.result(bridge.acme, an_id, "COMPLETED")


@pytest.mark.parametrize("skew_s", [-3_600, -310, 310, 3_600])
async def test_stale_and_early(hooked: Bridge, journal: Journal, skew_s: int) -> None:
    """A genuine event with a clock that is off is 401, and the log names the skew."""
    _, reference = await invited(hooked)
    reply = await deliver(hooked, about(reference), skew_s=skew_s)
    assert (reply.status, reply.json["code"]) == (401, "bad_signature")
    (line,) = journal.events("webhook.refused")
    assert (line["level"], line["customer"]) == ("warning", "acme")
    seen = int(line["reason"].split(" s off")[0].rpartition(" ")[2])
    assert abs(seen + skew_s) <= 3
    assert journal.events("event.received") == []


async def test_wrong_secret(hooked: Bridge, journal: Journal) -> None:
    """A wrong secret, a signature of something else and none at all are the same 401, and the log
    says what is wrong.
    """
    _, reference = await invited(hooked)
    event = about(reference)
    replies = [
        await deliver(hooked, event, secret=OTHER_SECRET),
        await deliver(hooked, event, **{"webhook-signature": ""}),
        await deliver(hooked, event, **{"webhook-signature": "v1," + "A" * 44}),
        await deliver(hooked, event, **{"webhook-id": "another"}),
        await deliver(
            hooked, event, **{"webhook-timestamp": str(int(hooked.clock().timestamp()) + 5)}
        ),
    ]
    assert {(reply.status, reply.json["code"]) for reply in replies} == {(401, "bad_signature")}
    reasons = [line["reason"] for line in journal.events("webhook.refused")]
    assert reasons.pop(1) == "webhook-signature is missing or malformed"
    assert set(reasons) == {"webhook-signature fits no known secret"}
    unsigned = await hooked.ask("POST", PATH, json=event)
    assert unsigned.status == 401


@pytest.mark.parametrize("customer", ["globex", "nobody", "acme%20", "%00", "..", "ACME"])
async def test_without_a_secret_there_is_nothing(hooked: Bridge, customer: str) -> None:
    """A customer without a webhook secret, and one that does not exist, are the same 404, however
    well it is signed.
    """
    reply = await deliver(hooked, about("x"), path=f"/equalture/webhooks/{customer}")
    assert (reply.status, reply.json["code"]) in ((404, "not_enabled"), (404, "not_found"))


async def test_unknown_reference(hooked: Bridge, journal: Journal) -> None:
    """An event about an application that is not ours is 200, so that it stops, and counted in the
    log.
    """
    assert (await deliver(hooked, about("4c7f0000-not-ours"))).status == 200
    assert outcomes(journal) == ["unknown"]
    assert "4c7f0000-not-ours" not in await hooked.stored()
    assert "4c7f0000-not-ours" not in journal.text()


ODD: dict[str, Any] = {
    "nothing": {},
    "a list": [],
    "a number": 7,
    "null": None,
    "data of another type": {"type": "assessment_finished", "data": [1]},
    "no reference": {"type": "assessment_finished", "data": {}},
    "reference of another type": about({"deep": [1]}),
    "a number as reference": about(12345678901234567),
    "an endless reference": about("x" * 100_000),
    "type of another type": about("x", 7),
    "an unknown type": about("x", "assessment_exploded_Muster"),
    "an endless type": about("x", "y" * 100_000),
    "no type": {"data": {"reference_id": "x"}},
    "a time that is none": about("x", "assessment_started", application_start_date="yesterday"),
    "a time beyond time": about(
        "x", "assessment_started", application_start_date="0001-01-01T00:00:00+14:00"
    ),
    "a number as time": about("x", "assessment_started", application_start_date=1e300),
}


@pytest.mark.parametrize("event", ODD.values(), ids=ODD.keys())
async def test_odd_but_genuine(hooked: Bridge, journal: Journal, event: Any) -> None:
    """A signed event that says nothing useful is 200 without effect; the vendor's words are not
    repeated in the log.
    """
    an_id, _ = await invited(hooked)
    before = await hooked.record(an_id)
    assert (await deliver(hooked, event)).status == 200
    assert await hooked.record(an_id) == before
    assert "exploded" not in journal.text()
    assert "y" * 1_000 not in journal.text()


@pytest.mark.parametrize(
    "start", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "2025-02-17T11:58:11+14:00", "x", 7]
)
async def test_odd_start_times(hooked: Bridge, start: Any) -> None:
    """A start at any time that can be written down is a start, and can be read again."""
    an_id, reference = await invited(hooked)
    event = about(reference, "assessment_started", application_start_date=start)
    assert (await deliver(hooked, event)).status == 200
    record = await hooked.record(an_id)
    assert record.state is State.STARTED
    assert record.started_at is not None
    assert record.started_at <= hooked.clock()
    assert (await hooked.acme.read_results(an_id)).json["status"] == "PENDING"


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff", b"[" * 5_000, b"{" * 5_000, b'{"type": "\\ud800"}', b"NaN"],
    ids=repr,
)
async def test_genuine_but_no_json(hooked: Bridge, raw: bytes) -> None:
    """Signed bytes that are no JSON are 400."""
    reply = await deliver(hooked, raw)
    assert (reply.status, reply.json["code"]) == (400, "invalid_request")


JUNK = [
    b"",
    b"v1",
    b"v1,",
    b"v1,\xff\xfe\xfd",
    b"\xc3\xa4",
    b"v1," + b"A" * 7_000,
    b"v1a,AAAA v2,BBBB",
    b"1" * 400,
    b"-1",
    b"1.5e300",
    b"\xd9\xa1\xd9\xa2",
    b"9" * 12,
    b"\t , ,, \t",
]


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", JUNK, ids=range(len(JUNK)))
async def test_junk_headers_are_401(hooked: Bridge, name: str, value: bytes) -> None:
    """Any bytes that HTTP lets through in any of the three headers are 401, never 500."""
    raw = b'{"type":"assessment_finished"}'
    headers = webhooks.create_webhook_headers(
        WEBHOOK_SECRET, "msg_1", int(hooked.clock().timestamp()), raw
    )
    lines = [f"{key}: {text}".encode() for key, text in headers.items() if key != name]
    lines.append(name.encode() + b": " + value)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(raw)}\r\n"
    ).encode()
    answer = await spoken(hooked, head + b"\r\n".join(lines) + b"\r\n\r\n" + raw)
    assert status_of(answer) == 401


async def test_event_before_the_answer(hooked: Bridge) -> None:
    """An event that overtakes the answer to the create is not lost."""
    fault = hooked.equalture.fault("create", delay_after=30, times=1)
    call = asyncio.create_task(hooked.acme.invite("engineer"))
    await fault.wait_applied()
    await eventually(lambda: hooked.equalture.applications)
    assert (await deliver(hooked, about(hooked.created(), "assessment_started"))).status == 200
    fault.heal()
    an_id = (await call).json["invitationId"]
    assert (await hooked.record(an_id)).state is State.STARTED
