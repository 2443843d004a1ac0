"""Equalture's callbacks: 200 only for what is stored, the same 404 for everybody else, and never
more than a hint.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.core.invitation import State
from bridge.sandbox import BridgeReply
from tests.flows.conftest import CALLBACK_TOKEN, Bridge, Config, Launch, eventually

CLAIM = {
    "results_url": "https://dashboard.example/1",
    "fit": "high",
    "scores": {"A": "(5) x"},
    "detailed_scores": [],
}
BAD = {
    "no JSON": b"{not json",
    "empty": b"",
    "array": b"[]",
    "string": b'"x"',
    "null": b"null",
    "bytes": b"\xff\xfe",
}
ODD: dict[str, dict[str, Any]] = {
    "nothing in it": {},
    "fit of another type": {"fit": 7, "scores": None, "detailed_scores": "none"},
    "unknown fields": {**CLAIM, "extra": {"deep": [1, 2, {"x": None}]}},
    "odd traits": {
        "detailed_scores": [
            None,
            1,
            {"trait_code": None},
            {"trait_code": "x", "trait_bucket_score": "9"},
        ]
    },
    "a very long text": {"fit": "high", "scores": {"A": "x" * 50_000}},
}


async def put(
    bridge: Bridge, url: str, body: Any = CLAIM, headers: dict[str, str] | None = None
) -> BridgeReply:
    """A callback by anybody who has a URL."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await bridge.ask(
        "PUT", url, data=data, headers={"Content-Type": "application/json", **(headers or {})}
    )


async def invited(bridge: Bridge) -> tuple[str, str, str]:
    """A fresh invitation of acme's: invitation id, reference id, callback URL."""
    reply = await bridge.acme.invite("engineer")
    assert reply.status == 200
    reference = bridge.created()
    return reply.json["invitationId"], reference, bridge.callback_of(reference)


async def test_callback_is_answered_200_after_it_is_stored(bridge: Bridge) -> None:
    """A callback is answered 200 exactly, and what it said is in Redis by then."""
    an_id, reference, _ = await invited(bridge)
    bridge.equalture.fault("status", status=503)
    assert await bridge.equalture.complete(reference, fit="medium") == 200
    unconfirmed_result = (await bridge.record(an_id)).unconfirmed_result
    assert unconfirmed_result is not None
    assert unconfirmed_result.report is not None
    assert unconfirmed_result.report.fit == "medium"


async def test_wrong_secret_id_and_token_look_the_same(bridge: Bridge) -> None:
    """A wrong id, a wrong secret, another invitation's secret and a wrong callback token get the
    same 404.
    """
    _, _, url = await invited(bridge)
    an_id, secret = urlsplit(url).path.split("/")[-2:]
    _, _, other = await invited(bridge)
    await bridge.initech.invite("job-4")
    guarded = bridge.callback_of(bridge.created())
    base = url.rpartition("/equalture/callbacks/")[0] + "/equalture/callbacks"
    replies = [
        await put(bridge, f"{base}/{an_id}/{secret[:-1]}"),
        await put(bridge, f"{base}/{an_id}/{secret}x"),
        await put(bridge, f"{base}/iv_0{'A' * 24}/{secret}"),
        await put(bridge, f"{base}/nonsense/{secret}"),
        await put(bridge, f"{base}/{an_id}/{other.rpartition('/')[2]}"),
        await put(bridge, f"{base}/%00%FF/{secret}"),
        await put(bridge, guarded),
        await put(bridge, guarded, headers={"Authorization": "Bearer wrong"}),
        await put(bridge, guarded, headers={"Authorization": f"Basic {CALLBACK_TOKEN}"}),
        await put(bridge, guarded, b"{not json"),
    ]
    assert {reply.status for reply in replies} == {404}
    assert {reply.text for reply in replies} == {replies[0].text}
    assert replies[0].json["code"] == "unknown_invitation"
    assert (await bridge.record(an_id)).unconfirmed_result is None


@pytest.mark.parametrize("scheme", ["Bearer ", "Token ", "bearer ", "TOKEN ", ""])
@pytest.mark.parametrize("header", ["Authorization", "X-Equalture-Token"])
async def test_callback_token(config: Config, launch: Launch, header: str, scheme: str) -> None:
    """A callback token is taken from the customer's header, as Bearer, as Token or alone, and from
    no other one.
    """
    config.customers["initech"]["equalture"]["callback_header"] = header
    bridge = await launch()
    reply = await bridge.initech.invite("job-4")
    elsewhere = "X-Equalture-Token" if header == "Authorization" else "Authorization"
    bridge.equalture.accounts["initech"].callback_headers = {elsewhere: f"{scheme}{CALLBACK_TOKEN}"}
    assert await bridge.equalture.complete(bridge.created()) == 404
    bridge.equalture.accounts["initech"].callback_headers = {header: f"{scheme}{CALLBACK_TOKEN}"}
    assert await bridge.equalture.complete(bridge.created()) == 200
    await bridge.result(bridge.initech, reply.json["invitationId"], "COMPLETED")


async def test_duplicates_are_harmless(bridge: Bridge) -> None:
    """Ten callbacks for one completion, together and later, get 200 each and make one
    notification.
    """
    an_id, reference, _ = await invited(bridge)
    await bridge.equalture.complete(reference, send_callback=False)
    statuses = await asyncio.gather(*(bridge.equalture.put_callback(reference) for _ in range(10)))
    assert statuses == [200] * 10
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    await eventually(lambda: bridge.notified(an_id))
    await bridge.advance(timedelta(hours=1))
    assert await bridge.equalture.put_callback(reference) == 200
    await bridge.idle()
    assert len(bridge.softgarden.calls("notify")) == 1
    assert (await bridge.acme.read_results(an_id)).json == view


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
async def test_bad_body_is_400_but_looked_after(bridge: Bridge, body: bytes) -> None:
    """A body that is no JSON object is 400, and the result is fetched all the same."""
    an_id, reference, url = await invited(bridge)
    await bridge.equalture.complete(reference, send_callback=False)
    reply = await put(bridge, url, body)
    assert (reply.status, reply.json["code"]) == (400, "invalid_request")
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    assert view["result"]["score"] == "High fit (5/5)"


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
async def test_odd_body_is_taken(bridge: Bridge, body: dict[str, Any]) -> None:
    """An object of an unknown shape is taken with 200, and Equalture's own answer is what
    counts.
    """
    an_id, reference, url = await invited(bridge)
    await bridge.equalture.complete(reference, send_callback=False, fit="low")
    assert (await put(bridge, url, body)).status == 200
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    assert view["result"]["score"].startswith("Low")


async def test_any_content_type_is_taken(bridge: Bridge) -> None:
    """The media type of a callback is not documented, so none is refused."""
    an_id, reference, url = await invited(bridge)
    await bridge.equalture.complete(reference, send_callback=False)
    for kind in (
        "text/plain",
        "application/vnd.api+json; charset=utf-8",
        "application/x-www-form-urlencoded",
    ):
        assert (await put(bridge, url, headers={"Content-Type": kind})).status == 200
    await bridge.result(bridge.acme, an_id, "COMPLETED")


async def test_oversize_is_413(bridge: Bridge) -> None:
    """A callback of more than 256 KiB is 413, one of just that size is taken."""
    an_id, _, url = await invited(bridge)
    head, tail = b'{"padding": "', b'"}'
    for size, status in ((256 * 1024 + 1, 413), (256 * 1024, 200)):
        body = head + b"x" * (size - len(head) - len(tail)) + tail
        assert (await put(bridge, url, body)).status == status
    assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"


async def test_hint_is_only_a_hint(bridge: Bridge) -> None:
    """A false report of somebody who learnt the URL changes nothing, however long it waits; the
    true one counts.
    """
    an_id, reference, url = await invited(bridge)
    assert (await put(bridge, url, {**CLAIM, "fit": "high"})).status == 200
    await bridge.idle()
    for _ in range(3):
        await bridge.advance(timedelta(minutes=10))
        await bridge.idle()
        assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"
    assert bridge.softgarden.calls("notify") == []
    await bridge.equalture.complete(reference, fit="low")
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    assert view["result"]["score"].startswith("Low")


async def test_callback_before_the_results_are_there(bridge: Bridge) -> None:
    """A callback that comes before Equalture's own answer is ready is followed up within
    seconds.
    """
    an_id, reference, url = await invited(bridge)
    assert (await put(bridge, url)).status == 200
    await bridge.idle()
    await bridge.equalture.complete(reference, send_callback=False)
    await bridge.advance(timedelta(seconds=3))
    await bridge.result(bridge.acme, an_id, "COMPLETED")


def apart_from_shapes(stored: str) -> str:
    """What is stored, but for the shapes of the vendors' messages, which say nothing of anybody."""
    return re.sub(r"^\S+:contract:\w+ .*\n?", "", stored, flags=re.MULTILINE)


async def test_callback_after_deletion(bridge: Bridge) -> None:
    """A callback after a deletion is answered 200, and nothing of it is kept."""
    an_id, reference, url = await invited(bridge)
    assert (await bridge.acme.delete(an_id)).status == 204
    before = apart_from_shapes(await bridge.stored())
    assert await bridge.equalture.put_callback(reference) == 200
    assert (await put(bridge, url, b"{not json")).status == 400
    await bridge.idle()
    assert apart_from_shapes(await bridge.stored()) == before
    assert (await bridge.record(an_id)).state is State.ERASED
    assert bridge.softgarden.calls("notify") == []


async def provider_down(bridge: Bridge) -> tuple[str, str]:
    """A completion whose callback came while Equalture could not be asked: invitation id and
    reference id.
    """
    an_id, reference, _ = await invited(bridge)
    for operation in ("status", "results"):
        bridge.equalture.fault(operation, status=500)
    assert await bridge.equalture.complete(reference, fit="high") == 200
    await eventually(lambda: bridge.equalture.calls("status", status=500))
    return an_id, reference


async def test_report_counts_when_equalture_is_silent(bridge: Bridge) -> None:
    """While Equalture cannot be asked, a callback's result counts after thirty seconds, is
    notified, and is confirmed later.
    """
    an_id, _ = await provider_down(bridge)
    await bridge.advance(timedelta(seconds=20))
    await bridge.idle()
    assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"
    await bridge.advance(timedelta(seconds=11))
    first = await bridge.result(bridge.acme, an_id, "COMPLETED")
    assert first["result"]["score"] == "High fit (5/5)"
    await eventually(lambda: bridge.notified(an_id))
    assert not (await bridge.record(an_id)).confirmed

    bridge.equalture.heal()
    await bridge.advance(timedelta(minutes=2))

    async def confirmed() -> bool:
        return (await bridge.record(an_id)).confirmed

    await eventually(confirmed)
    view = (await bridge.acme.read_results(an_id)).json
    assert (view["completionTime"], view["result"]["score"]) == (
        first["completionTime"],
        "High fit (5/5)",
    )


async def test_false_report_is_corrected(bridge: Bridge) -> None:
    """A report that counted while Equalture was silent is corrected by Equalture's own answer, and
    notified again.
    """
    an_id, reference, url = await invited(bridge)
    for operation in ("status", "results"):
        bridge.equalture.fault(operation, status=500)
    await bridge.equalture.complete(reference, fit="low", send_callback=False)
    assert (await put(bridge, url, {**CLAIM, "fit": "high"})).status == 200
    await bridge.advance(timedelta(seconds=31))
    first = await bridge.result(bridge.acme, an_id, "COMPLETED")
    await eventually(lambda: bridge.notified(an_id))
    bridge.equalture.heal()
    await bridge.advance(timedelta(minutes=2))
    await eventually(lambda: len(bridge.notified(an_id)) == 2)
    view = (await bridge.acme.read_results(an_id)).json
    assert view["result"]["score"].startswith("Low")
    assert view["completionTime"] == first["completionTime"]


async def test_answer_of_equalture_comes_before_patience_ends(bridge: Bridge) -> None:
    """If Equalture answers again within the thirty seconds, its answer is the one that is notified,
    once.
    """
    an_id, _ = await provider_down(bridge)
    bridge.equalture.heal()
    await bridge.advance(timedelta(seconds=5))
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    await eventually(lambda: bridge.notified(an_id))
    assert (await bridge.record(an_id)).confirmed
    await bridge.idle()
    assert len(bridge.notified(an_id)) == 1


@pytest.mark.parametrize("body", ["html", "bad_json", "wrong_shape", "empty"])
async def test_unreadable_results_are_asked_again(bridge: Bridge, body: Any) -> None:
    """A status or a result that cannot be read counts as silence: asked again, and right in the
    end.
    """
    an_id, reference, _ = await invited(bridge)
    bridge.equalture.fault("results", body=body, times=1)
    bridge.equalture.fault("status", body=body, times=1)
    await bridge.equalture.complete(reference, fit="low")
    await eventually(lambda: bridge.equalture.calls("status"))
    await bridge.advance(timedelta(seconds=5))
    await bridge.idle()
    await bridge.advance(timedelta(seconds=5))
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    assert view["result"]["score"].startswith("Low")


async def test_job_without_profile(bridge: Bridge) -> None:
    """A result without fit is scored by its mean; nothing says None."""
    bridge.equalture.accounts["acme"].profile = False
    an_id, reference, _ = await invited(bridge)
    await bridge.equalture.complete(reference, fit=None)
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    assert 1 <= float(view["result"]["score"]) <= 5
    assert "None" not in (await bridge.ask("GET", view["result"]["resultUrl"])).text


async def test_a_storm_of_the_same_report(bridge: Bridge) -> None:
    """300 times the same report at once: 300 times 200, each after it is stored, and softgarden is
    told once.
    """
    an_id, reference, url = await invited(bridge)
    await bridge.equalture.complete(reference, send_callback=False)
    statuses = [
        reply.status for reply in await asyncio.gather(*(put(bridge, url) for _ in range(300)))
    ]
    assert statuses == [200] * 300
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    await bridge.idle()
    assert len(bridge.softgarden.calls("notify")) == 1


async def test_a_storm_of_different_reports(bridge: Bridge) -> None:
    """300 different reports at once keep each other from nothing either."""
    an_id, reference, url = await invited(bridge)
    await bridge.equalture.complete(reference, send_callback=False)
    claims = [
        {**CLAIM, "results_url": f"https://dashboard.example/{number}"} for number in range(300)
    ]
    statuses = [
        reply.status
        for reply in await asyncio.gather(*(put(bridge, url, claim) for claim in claims))
    ]
    assert statuses == [200] * 300
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    await bridge.idle()
    assert len(bridge.softgarden.calls("notify")) == 1
