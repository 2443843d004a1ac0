"""Deadlines: nobody reports them, so the bridge keeps them."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from tests.flows.conftest import Bridge, Config, Launch, eventually

WEEK = timedelta(days=7)


async def test_expires_by_itself(bridge: Bridge) -> None:
    """At its deadline, not before, an invitation expires by itself, and softgarden is notified
    once.
    """
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    await bridge.advance(WEEK - timedelta(minutes=5))
    await bridge.idle()
    assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"
    assert bridge.softgarden.calls("notify") == []
    await bridge.advance(timedelta(minutes=5))
    view = await bridge.result(bridge.acme, an_id, "EXPIRED")
    assert view["expirationTime"] == invited.json["deadline"]
    assert set(view["result"]) == {"resultUrl"}
    await eventually(lambda: bridge.notified(an_id))
    await bridge.advance(timedelta(days=2))
    await bridge.idle()
    assert len(bridge.softgarden.calls("notify")) == 1


async def test_shorter_link_life(launch: Launch, config: Config) -> None:
    """A customer's own link life is its deadline; no duration has a hidden minimum."""
    config.customers["acme"]["equalture"]["link_life"] = "1s"
    bridge = await launch()
    invited = await bridge.acme.invite("engineer")
    await bridge.result(bridge.acme, invited.json["invitationId"], "EXPIRED")
    await eventually(lambda: bridge.notified(invited.json["invitationId"]))


async def test_late_completion_overrides_an_expiry(bridge: Bridge) -> None:
    """A completion after the expiry overrides it and is notified again; its time never changes
    after that.
    """
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    await bridge.advance(WEEK + timedelta(seconds=1))
    await bridge.result(bridge.acme, an_id, "EXPIRED")
    await eventually(lambda: len(bridge.notified(an_id)) == 1)
    await bridge.advance(timedelta(days=10))
    assert await bridge.equalture.complete(bridge.created()) == 200
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    await eventually(lambda: len(bridge.notified(an_id)) == 2)
    for _ in range(3):
        await bridge.advance(timedelta(days=1))
        assert await bridge.equalture.put_callback(bridge.created()) == 200
        await bridge.idle()
        assert (await bridge.acme.read_results(an_id)).json == view
    assert len(bridge.softgarden.calls("notify")) == 2


async def test_late_completion_without_callback(bridge: Bridge) -> None:
    """A completion within a day after the expiry is found even if its callback is lost."""
    invited = await bridge.acme.invite("engineer")
    await bridge.advance(WEEK + timedelta(seconds=1))
    await bridge.result(bridge.acme, invited.json["invitationId"], "EXPIRED")
    await bridge.equalture.complete(bridge.created(), send_callback=False)
    await bridge.advance(timedelta(minutes=31))
    await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED")
    await eventually(lambda: len(bridge.notified(invited.json["invitationId"])) == 2)


async def test_poll_finds_a_lost_callback(bridge: Bridge) -> None:
    """A completion whose callback was lost is found by the next poll and notified."""
    invited = await bridge.acme.invite("engineer")
    bridge.equalture.fault("callback", drop="before")
    assert await bridge.equalture.complete(bridge.created()) == 0
    await bridge.advance(timedelta(minutes=30))
    view = await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED")
    assert view["result"]["score"] == "High fit (5/5)"
    await eventually(lambda: bridge.notified(invited.json["invitationId"]))


async def test_equalture_is_asked_before_an_expiry(bridge: Bridge) -> None:
    """A test that was completed just before the deadline, with its callback lost, is completed and
    never expires.
    """
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    await bridge.advance(WEEK - timedelta(seconds=30))
    await bridge.idle()
    await bridge.equalture.complete(bridge.created(), send_callback=False)
    await bridge.advance(timedelta(minutes=1))
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    await eventually(lambda: bridge.notified(an_id))
    assert len(bridge.softgarden.calls("notify")) == 1


async def test_expiry_while_equalture_is_down(bridge: Bridge) -> None:
    """An Equalture that cannot be asked puts an expiry off by half a minute, not for ever."""
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    bridge.equalture.fault("*", status=503)
    await bridge.advance(WEEK + timedelta(seconds=1))
    await bridge.idle()
    assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"
    await bridge.advance(timedelta(seconds=31))
    view = await bridge.result(bridge.acme, an_id, "EXPIRED")
    assert view["expirationTime"] == invited.json["deadline"]
    await eventually(lambda: bridge.notified(an_id))


async def test_unknown_outcome_expires_too(bridge: Bridge) -> None:
    """An order whose create has an unknown outcome, and which is never repeated, ends as
    expired.
    """
    bridge.equalture.fault("create", status=500)
    assert (await bridge.acme.invite("engineer")).status == 504
    (reference,) = [record async for record in bridge.runtime.invitations.scan()]
    await bridge.advance(WEEK + timedelta(seconds=1))
    await bridge.result(bridge.acme, reference.id, "EXPIRED")


async def test_completed_result_stays(bridge: Bridge) -> None:
    """A completed invitation reads the same at any later time, past its deadline too."""
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    await bridge.equalture.complete(bridge.created())
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    await bridge.advance(timedelta(days=60))
    await bridge.idle()
    assert (await bridge.acme.read_results(an_id)).json == view
    assert len(bridge.notified(an_id)) == 1


@pytest.mark.parametrize("seen", [True, False], ids=["webhook", "no webhook"])
async def test_grace_for_a_test_that_was_started(
    launch: Launch, config: Config, seen: bool
) -> None:
    """A test that is known by webhook to have been started has a day of grace after the deadline;
    any other has none.
    """
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    config.customers["acme"]["equalture"]["webhook_secret"] = secret
    bridge = await launch()
    if seen:
        account = bridge.equalture.accounts["acme"]
        account.webhook_url, account.webhook_secret = (
            f"{bridge.url}/equalture/webhooks/acme",
            secret,
        )
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    await bridge.advance(WEEK - timedelta(minutes=1))
    await bridge.idle()
    await bridge.equalture.start_test(bridge.created())
    assert [entry.status for entry in bridge.equalture.calls("webhook")] == [200] * seen
    await bridge.advance(timedelta(minutes=2))
    await bridge.idle()
    if seen:
        assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"
        await bridge.advance(timedelta(days=1))
    view = await bridge.result(bridge.acme, an_id, "EXPIRED")
    assert view["expirationTime"] == invited.json["deadline"]
