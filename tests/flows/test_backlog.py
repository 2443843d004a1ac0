"""A fresh result does not wait behind its own customer's backlog: counted in calls, not in
seconds.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from tests.flows.conftest import Bridge, eventually

BACKLOG = 300
OVERTAKEN = 60
"""Calls of the backlog that may be made meanwhile: those under way, and what the two steps of a
result take.
"""


async def invite_many(bridge: Bridge) -> list[str]:
    """Ids at Equalture of many invitations of one customer."""
    known = set(bridge.equalture.applications)
    for _ in range(BACKLOG // 30):
        await asyncio.gather(*(bridge.acme.invite("engineer") for _ in range(30)))
    return [one for one in bridge.equalture.applications if one not in known]


async def fresh_result(bridge: Bridge) -> None:
    """A candidate of the same customer completes, and softgarden is told."""
    invited = await bridge.acme.invite("engineer")
    assert await bridge.equalture.complete(bridge.created()) == 200
    await bridge.softgarden.wait_calls(
        "notify", status=204, invitation_id=invited.json["invitationId"], timeout=30
    )


async def test_backlog_of_polls(bridge: Bridge) -> None:
    """With hundreds of polls due at a slow Equalture, a fresh result overtakes nearly all of them,
    and they go on.
    """
    await invite_many(bridge)
    slow = bridge.equalture.fault("status", delay=0.05)
    bridge.clock.advance(timedelta(minutes=31))
    bridge.wake()
    await eventually(lambda: slow.strikes >= 10)
    before = slow.strikes
    await fresh_result(bridge)
    assert slow.strikes - before < OVERTAKEN
    await eventually(lambda: slow.strikes >= BACKLOG, within_s=30)


async def test_backlog_of_notifications(bridge: Bridge) -> None:
    """With hundreds of notifications to repeat, since the endpoint was away, that of a fresh result
    overtakes nearly all.
    """
    away = bridge.softgarden.fault("notify", status=503)
    for reference in await invite_many(bridge):
        assert await bridge.equalture.complete(reference) == 200
    await eventually(lambda: away.strikes >= BACKLOG, within_s=30)
    away.heal()
    slow = bridge.softgarden.fault("notify", delay=0.05)
    bridge.clock.advance(timedelta(days=1))
    bridge.wake()
    await eventually(lambda: slow.strikes >= 10)
    before = slow.strikes
    await fresh_result(bridge)
    assert slow.strikes - before < OVERTAKEN
    await bridge.softgarden.wait_calls("notify", BACKLOG + 1, status=204, timeout=30)
