"""Alerts: who must act is told once, by signed posts that survive whatever happens to the bridge
and to their receiver.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bridge.app import CONFIGURATION
from tests.alert_receiver import CHAT, SECRET, AlertReceiver
from tests.flows.conftest import PRIVATE, SECRETS, Bridge, Config, Journal, Launch, eventually
from tests.flows.test_reload import reload, write


@pytest.fixture
async def receiver(config: Config) -> AsyncIterator[AlertReceiver]:
    """An endpoint that is configured for alerts, and a chat."""
    async with AlertReceiver.listening() as receiver:
        config.daemon["alerts"] = receiver.settings
        yield receiver


async def completed(bridge: Bridge, candidate: str) -> str:
    """An invitation of acme's that is completed, and about to be notified."""
    invited = await bridge.acme.invite("engineer", candidate_id=candidate)
    an_id: str = invited.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    return an_id


async def given_up(bridge: Bridge, candidate: str, number: int) -> str:
    """An invitation whose notification softgarden refuses: the dead letter of this number."""
    an_id = await completed(bridge, candidate)
    await eventually(lambda: _count(bridge, number))
    return an_id


async def _count(bridge: Bridge, number: int) -> bool:
    return len(await bridge.dead_letters()) == number


async def test_a_dead_letter(receiver: AlertReceiver, launch: Launch, journal: Journal) -> None:
    """A dead letter is posted to every receiver, signed or as a chat takes it: with the customer,
    who must act and what to run, and nothing about a person. A chat's URL is in no log line.
    """
    bridge = await launch()
    bridge.softgarden.fault("notify", status=400)
    an_id = await given_up(bridge, "app-1", 1)
    post = await receiver.wait("dead_letter")
    assert set(post) == {"type", "timestamp", "data"}
    data = post["data"]
    assert data["bridge"] == bridge.url
    assert data["customer"] == "acme"
    assert data["command"] == f"assessment-bridge find {an_id}"
    assert "softgarden was not told" in data["text"]
    assert "replays it" in data["text"]
    (message,) = await eventually(lambda: receiver.chat)
    assert "acme" in message
    assert f"`assessment-bridge find {an_id}`" in message
    whole = f"{receiver.posts} {receiver.chat} {await bridge.stored()}"
    assert [word for word in PRIVATE if word in whole] == []
    assert CHAT not in journal.text() + await bridge.stored()
    assert SECRET not in await bridge.stored()


async def test_said_once(receiver: AlertReceiver, launch: Launch) -> None:
    """Further dead letters of a customer are no further posts, until an hour has passed; after the
    last one was dealt with, the next is said at once.
    """
    bridge = await launch()
    alerts = bridge.runtime.alerts
    fault = bridge.softgarden.fault("notify", status=400)
    for number in range(1, 4):
        await given_up(bridge, f"app-{number}", number)
        await alerts.look_into_store()
    await receiver.wait("dead_letter")
    await bridge.advance(timedelta(hours=1, minutes=1))
    await alerts.look_into_store()
    await receiver.wait("dead_letter", 2)
    fault.heal()
    letters = await bridge.dead_letters()
    assert await bridge.runtime.services.operations.replay(letters) == 3
    await eventually(lambda: len(bridge.notified()) == 3)
    await bridge.advance(timedelta(minutes=2))
    await alerts.look_into_store()
    bridge.softgarden.fault("notify", status=400)
    await given_up(bridge, "app-4", 1)
    await receiver.wait("dead_letter", 3)
    await alerts.look_into_store()
    await bridge.advance(timedelta(days=1, minutes=1))
    await alerts.look_into_store()
    await receiver.wait("dead_letter", 4)  # nobody has dealt with it
    await eventually(lambda: len(receiver.chat) == 4)


async def test_softgardens_401(receiver: AlertReceiver, launch: Launch) -> None:
    """softgarden's 401 is said once, however many notifications get it; once one was taken, the
    next 401 is said again.
    """
    bridge = await launch()
    fault = bridge.softgarden.fault("notify", status=401)
    for number in range(1, 4):
        await completed(bridge, f"app-{number}")
    await eventually(lambda: len(bridge.softgarden.calls("notify")) == 3)
    await bridge.idle()
    await bridge.runtime.alerts.look()
    await bridge.runtime.alerts.look()
    post = await receiver.wait("unauthorized")
    assert "softgarden.client_id" in post["data"]["text"]
    assert post["data"]["command"] == "assessment-bridge onboard acme"
    fault.heal()
    await completed(bridge, "app-4")
    await eventually(lambda: len(bridge.notified()) == 1)
    await bridge.idle()
    await bridge.runtime.alerts.look()
    bridge.softgarden.fault("notify", status=401)
    await completed(bridge, "app-5")
    await eventually(lambda: len(bridge.softgarden.calls("notify")) == 5)
    await bridge.idle()
    await bridge.runtime.alerts.look()
    await receiver.wait("unauthorized", 2)


async def test_equaltures_401(receiver: AlertReceiver, launch: Launch, config: Config) -> None:
    """A client secret that Equalture does not accept is said, with the customer."""
    config.customers["globex"]["equalture"]["client_secret"] = SECRETS["acme"]
    bridge = await launch()
    known = len(bridge.equalture.violations)
    assert (await bridge.globex.invite("job-3")).status == 502
    del bridge.equalture.violations[known:]
    await bridge.runtime.alerts.look()
    post = await receiver.wait("unauthorized", customer="globex")
    assert "client_secret" in post["data"]["text"]
    assert post["data"]["command"] == "assessment-bridge check --online"


async def test_an_orphan(receiver: AlertReceiver, launch: Launch) -> None:
    """A create without a usable answer may have left an application at Equalture: that is said with
    the invitation; one that was refused is not.
    """
    bridge = await launch()
    bridge.equalture.fault("create", status=422, times=1)
    assert (await bridge.acme.invite("engineer", candidate_id="app-1")).status == 502
    bridge.equalture.fault("create", status_after=500, times=1)
    assert (await bridge.acme.invite("engineer", candidate_id="app-2")).status == 504
    post = await receiver.wait("orphan")
    assert post["data"]["command"].startswith("assessment-bridge find iv_")
    assert "left there" in post["data"]["text"]
    await bridge.advance(timedelta(hours=2))
    await bridge.runtime.alerts.look_into_store()
    bridge.equalture.fault("create", status_after=500, times=1)
    assert (await bridge.acme.invite("engineer", candidate_id="app-3")).status == 504
    await receiver.wait("orphan", 2)


async def test_a_refused_reload(receiver: AlertReceiver, launch: Launch, config: Config) -> None:
    """Files that are refused are said once; once they were right, the next mistake is, too."""
    bridge = await launch()
    file = config.folder / "customers" / "globex.yaml"
    for times in (1, 2):
        file.write_text("nonsense: 1\n", encoding="utf-8")
        for _ in range(2):
            assert (await reload(bridge)).status == 422
            await bridge.runtime.alerts.look()
        post = await receiver.wait("reload_refused", times, customer=None)
        assert post["data"]["command"] == "assessment-bridge check"
        bridge.clock.advance(timedelta(seconds=1))
        write(config, "globex")
        assert (await reload(bridge)).status == 200
        await bridge.runtime.alerts.look()


async def test_waiting_for_too_long(
    receiver: AlertReceiver, launch: Launch, config: Config
) -> None:
    """A result of which softgarden cannot be told is said after alert_after, once, with the one
    that has waited for the longest time; and again, once it was told and another one waits.
    """
    config.daemon["alert_after"] = "10m"
    bridge = await launch()
    alerts = bridge.runtime.alerts
    for times in (1, 2):
        fault = bridge.softgarden.fault("notify", status=503)
        first = await completed(bridge, f"app-{times}1")
        await bridge.advance(timedelta(minutes=1))
        await completed(bridge, f"app-{times}2")
        await bridge.idle()
        await alerts.look_into_store()
        assert len(receiver.of("waiting")) == times - 1
        await bridge.advance(timedelta(minutes=10))
        await bridge.idle()
        for _ in range(2):
            await alerts.look_into_store()
        post = await receiver.wait("waiting", times)
        assert first in post["data"]["text"]
        assert post["data"]["command"] == f"assessment-bridge find {first}"
        fault.heal()
        await bridge.advance(timedelta(hours=4))
        await eventually(lambda times=times: len(bridge.notified()) == 2 * times)
        await bridge.idle()
        await alerts.look_into_store()


async def test_nobody_waits_for_a_removed_customer(
    receiver: AlertReceiver, launch: Launch, config: Config, journal: Journal
) -> None:
    """What a customer that was removed leaves behind, untold results included, is no alert."""
    bridge = await launch()
    bridge.softgarden.fault("notify", status=503)
    await completed(bridge, "app-1")
    await bridge.idle()
    (config.folder / "customers" / "acme.yaml").unlink()
    assert (await reload(bridge)).json["removed"] == ["acme"]
    await bridge.advance(timedelta(days=1))
    await bridge.runtime.alerts.look_into_store()
    assert journal.events("alert.raised") == []
    write(config, "acme")
    assert (await reload(bridge)).json["added"] == ["acme"]
    await bridge.idle()
    await bridge.runtime.alerts.look_into_store()
    await receiver.wait("waiting", customer="acme")


async def test_work_that_nobody_performs(
    receiver: AlertReceiver, launch: Launch, config: Config
) -> None:
    """Work of a customer whose file cannot be used is said, with the customer and the command that
    shows the mistake.
    """
    bridge = await launch()
    await bridge.acme.invite("engineer")
    await bridge.idle()
    before = bridge.runtime.customers()
    broken = config.folder / "customers" / "acme.yaml"
    broken.write_text("nonsense: 1\n", encoding="utf-8")
    bridge.runtime.customers.replace(  # as a daemon finds them at its start
        CONFIGURATION.load(config.folder, {}, strict=False).customers
    )
    assert "acme" in bridge.runtime.customers().set_aside
    await bridge.advance(timedelta(hours=1))
    await bridge.runtime.alerts.look_into_store()
    post = await receiver.wait("waiting", customer=None)
    assert "acme" in post["data"]["text"]
    assert post["data"]["command"] == "assessment-bridge check"
    bridge.runtime.customers.replace(before)


async def test_a_dead_receiver_harms_nobody(
    receiver: AlertReceiver, launch: Launch, journal: Journal
) -> None:
    """A chat that hangs delays neither another receiver nor a candidate, and is no dead letter of
    its own.
    """
    receiver.chat_works.clear()
    bridge = await launch()
    bridge.softgarden.fault("notify", status=400, when=lambda call: call.account == "acme")
    await given_up(bridge, "app-1", 1)
    await receiver.wait("dead_letter")
    invited = await bridge.globex.invite("job-3")
    assert await bridge.equalture.complete(bridge.created()) == 200
    await eventually(lambda: bridge.notified(invited.json["invitationId"]))
    assert receiver.chat == []
    assert len(await bridge.dead_letters()) == 1
    assert journal.events("alert.given_up") == []


async def test_tried_until_it_arrives(
    receiver: AlertReceiver, launch: Launch, journal: Journal
) -> None:
    """A post that a receiver refuses comes again under the same id, with a fresh signature, until
    it is taken; by its plan, not at once.
    """
    bridge = await launch()
    bridge.softgarden.fault("notify", status=400)
    receiver.status = 503
    await given_up(bridge, "app-1", 1)
    await eventually(lambda: journal.events("alert.not_posted"))
    receiver.status = 200
    await bridge.advance(timedelta(seconds=6))
    await receiver.wait("dead_letter")
    assert receiver.attempts == [receiver.ids[0]] * 2
    await bridge.advance(timedelta(days=1))
    await eventually(lambda: len(receiver.chat) == 1)
    assert len(receiver.attempts) == 2


async def test_given_up(receiver: AlertReceiver, launch: Launch, journal: Journal) -> None:
    """A post that is refused for a day is dropped, which is an error in the log, no dead letter,
    and no further alert.
    """
    bridge = await launch()
    bridge.softgarden.fault("notify", status=400, times=1)
    receiver.status = 410
    await given_up(bridge, "app-1", 1)
    await eventually(lambda: journal.events("alert.not_posted"))
    (key, *_) = bridge.runtime.alerts.keys
    for _ in range(20):
        bridge.clock.advance(timedelta(hours=13))
        await bridge.runtime.alerts.deliver(key)
        if journal.events("alert.given_up"):
            break
    assert len(receiver.attempts) == 9
    assert len(await bridge.dead_letters()) == 1
    assert len(journal.events("alert.raised")) == 1


async def test_survives_the_bridge(
    receiver: AlertReceiver, launch: Launch, journal: Journal
) -> None:
    """A post that could not be sent before the bridge ended is sent by the next one."""
    bridge = await launch()
    bridge.softgarden.fault("notify", status=400)
    receiver.status = 503
    await given_up(bridge, "app-1", 1)
    await eventually(lambda: journal.events("alert.not_posted"))
    await bridge.close()
    receiver.status = 200
    bridge.clock.advance(timedelta(minutes=1))
    await launch()
    await receiver.wait("dead_letter")
    assert set(receiver.attempts) == set(receiver.ids)


async def test_two_processes_say_it_once(receiver: AlertReceiver, launch: Launch) -> None:
    """What several processes see is one post."""
    bridges = [await launch(), await launch(port=0), await launch(port=0)]
    bridge = bridges[0]
    bridge.softgarden.fault("notify", status=503)
    await completed(bridge, "app-1")
    await bridge.advance(timedelta(minutes=20))
    await bridge.idle()
    for _ in range(3):
        await asyncio.gather(*(one.runtime.alerts.look_into_store() for one in bridges))
        await asyncio.gather(*(one.runtime.alerts.look() for one in bridges))
    await receiver.wait("waiting")
    await eventually(lambda: len(receiver.chat) == len(receiver.posts))
    keys = bridge.runtime.alerts.keys
    for one in bridges:
        assert [await one.runtime.alerts.deliver(key) for key in keys] == [None, None]
    await receiver.wait("waiting")
    assert len(set(receiver.ids)) == len(receiver.ids) == len(receiver.chat)


async def test_nobody_is_told_unless_it_is_wanted(bridge: Bridge) -> None:
    """Without the setting nothing is stored, looked for or posted."""
    bridge.softgarden.fault("notify", status=400)
    await given_up(bridge, "app-1", 1)
    await bridge.runtime.alerts.look()
    assert "{alerts}" not in await bridge.stored()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            await bridge.runtime.alerts.run()
