"""Encryption at rest, seen from outside: nothing readable in Redis, and a missing key costs time,
not data.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.store.reencryption import ReencryptionCounts
from tests.flows.conftest import Bridge, Config, Journal, Launch, eventually

NEW, OLD, OTHER = "N" * 43, "O" * 43, "X" * 43
A_WHILE = timedelta(minutes=15)


async def words_of(bridge: Bridge, invitation_id: str) -> list[str]:
    """What must not stand readable in Redis: traits, texts, scores and links, as they would look in
    ``stored()``.
    """
    record = await bridge.record(invitation_id)
    result = record.result
    assert result is not None
    assert record.assessment_url is not None
    texts = [
        record.callback,
        record.assessment_url,
        result.dashboard_url or "",
        "score=",
        "'fit':",
        '"excerpt":',
    ]
    texts += [part for trait in result.traits for part in (trait.name, trait.description)]
    texts += [text for _, text in result.summary]
    return [repr(text.encode())[2:-1] for text in texts if text]


async def test_no_result_and_no_link_stands_readable_in_redis(
    config: Config, launch: Launch
) -> None:
    """With a key no trait, text, score or link of a result can be found in Redis, at any stage;
    without one they can.
    """
    for keys in ([NEW], []):
        config.daemon["encryption_keys"] = keys
        bridge = await launch()
        invited = await bridge.acme.invite("engineer", candidate_id=f"application-{len(keys)}")
        assert invited.status == 200
        assert (invited.json["testUrl"] in await bridge.stored()) is (not keys)
        bridge.softgarden.fault("notify", status=500, body="html", times=1)
        assert await bridge.equalture.complete(bridge.created()) == 200
        await bridge.softgarden.wait_calls("notify")
        await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED")
        await bridge.idle()
        words = await words_of(bridge, invited.json["invitationId"])
        assert len(words) > 10
        stored = await bridge.stored()
        assert [word for word in words if (word in stored) is bool(keys)] == []
        assert (await bridge.acme.delete(invited.json["invitationId"])).status == 204
        await bridge.close()


@pytest.mark.parametrize("missing", [[], [OTHER]])
async def test_missing_key_costs_time_but_no_data(
    config: Config, launch: Launch, journal: Journal, missing: list[str]
) -> None:
    """Without its key a record is answered with 503 and its tasks are put off; with the key
    everything goes on.
    """
    config.daemon["encryption_keys"] = [OLD]
    first = await launch()
    first.softgarden.fault("notify", status=500, times=1)
    done = (await first.acme.invite("engineer", candidate_id="one")).json["invitationId"]
    assert await first.equalture.complete(first.created()) == 200
    await first.softgarden.wait_calls("notify")
    before = await first.result(first.acme, done, "COMPLETED")
    await first.idle()
    open_ = (await first.acme.invite("engineer", candidate_id="two")).json["invitationId"]
    reference = first.created()
    await first.close()

    config.daemon["encryption_keys"] = missing
    blind = await launch()
    await blind.advance(timedelta(seconds=10))  # the notification is due
    await eventually(lambda: journal.events("task.postponed"))
    await blind.idle()
    for reply in (
        await blind.acme.read_results(done),
        await blind.acme.invite("engineer", candidate_id="one"),
        await blind.acme.delete(done),
        await blind.ask("PUT", blind.callback_of(reference), json={}),
    ):
        assert (reply.status, reply.json["code"]) == (503, "record_sealed")
        assert "encryption" not in reply.text
        assert int(reply.headers["Retry-After"]) > 0
    sealed = [
        line for line in journal.events("request.handled") if line.get("code") == "record_sealed"
    ]
    assert ["encryption_keys" in line["reason"] for line in sealed] == [True] * 4
    page = await blind.ask("GET", before["result"]["resultUrl"])
    assert page.status == 503
    assert blind.notified(done) == []
    assert await blind.dead_letters() == []
    await blind.close()

    config.daemon["encryption_keys"] = [NEW, OLD]
    last = await launch()
    assert await last.result(last.acme, done, "COMPLETED") == before
    await last.advance(A_WHILE)
    await eventually(lambda: last.notified(done))
    assert await last.equalture.complete(reference) == 200
    await last.result(last.acme, open_, "COMPLETED")


async def test_keys_can_be_introduced_and_taken_away(config: Config, launch: Launch) -> None:
    """What was stored before there was a key is read with one, and after ``reencrypt`` the newest
    key alone is enough.
    """
    first = await launch()
    an_id = (await first.acme.invite("engineer")).json["invitationId"]
    assert await first.equalture.complete(first.created()) == 200
    before = await first.result(first.acme, an_id, "COMPLETED")
    await first.idle()
    await first.close()
    for keys, renewed in (([OLD], 1), ([NEW, OLD], 1), ([NEW], 0)):
        config.daemon["encryption_keys"] = keys
        bridge = await launch()
        assert await bridge.result(bridge.acme, an_id, "COMPLETED") == before
        record = await bridge.record(an_id)
        assert (await bridge.runtime.reencrypt())["records"] == ReencryptionCounts(
            renewed, 1 - renewed
        )
        assert await bridge.record(an_id) == record
        await bridge.close()
