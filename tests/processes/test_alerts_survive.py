"""Alerts of real daemons, which are killed."""

from __future__ import annotations

import pytest

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.alert_receiver import AlertReceiver
from tests.processes.conftest import Launch, Place, acme, eventually

pytestmark = pytest.mark.redis


async def test_killed_before_the_post(
    launch: Launch, place: Place, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> None:
    """A dead letter whose alert nobody took while every process was killed is posted by the next
    daemon, under the same id; of its four workers one posts it.
    """
    async with AlertReceiver.listening() as receiver:
        place.document["alerts"] = receiver.settings[:1]
        receiver.status = 503
        daemon = launch("--workers", "2")
        await daemon.ready()
        softgarden.fault("notify", status=400)
        client = acme(softgarden, daemon)
        for number in range(5):
            invited = await client.invite("engineer", candidate_id=f"app-{number}")
            assert invited.status == 200
            assert await equalture.complete(list(equalture.applications)[-1]) == 200
        await eventually(lambda: len(softgarden.calls("notify")) == 5)
        await eventually(lambda: receiver.attempts)
        daemon.kill()
        assert receiver.posts == []
        receiver.status = 200
        again = launch("--workers", "4")
        await again.ready()
        post = await receiver.wait("dead_letter")
        assert post["data"]["command"].startswith("assessment-bridge find iv_")
        assert set(receiver.attempts) == set(receiver.ids)
        again.terminate()
        assert await again.ended() == 0
    assert again.entries("alert.raised") == []
    assert len(again.entries("alert.posted")) == 1
