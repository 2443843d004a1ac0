"""A clock that was set back an hour with a breaker open made invites 503 and left results stuck
until a restart.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.core.invitation import State
from bridge.core.queueing import NotificationResponse
from bridge.errors import CircuitOpen, UpstreamUnavailable
from bridge.resilience import FIRST_PAUSE, THRESHOLD, Resilience
from tests.service.fakes import PLAN, Script, World

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class GuardedScript(Script):
    """A script behind a breaker, as a vendor's client is."""

    def __init__(self, inner: Script, resilience: Resilience) -> None:
        super().__init__()
        self.on = inner.on  # type: ignore[method-assign]
        self._inner = inner
        self._resilience = resilience

    async def answer(self, operation: str, *about: str) -> Any:
        async with self._resilience.call(about[0], operation):
            return await self._inner.answer(operation, *about)


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
async def test_new_work_is_not_delayed(world: World, step: timedelta) -> None:
    """After the clock was set, new invitations and new results of old ones are worked on at
    once.
    """
    old = await world.invited("application-1")
    world.clock.set(step)
    new = await world.invited("application-2")
    for one in (old, new):
        await world.unconfirmed_result(one)
    for _ in range(3):
        await world.work()
    assert [(await world.load(one)).state for one in (old, new)] == [State.COMPLETED] * 2
    assert [call[2] for call in world.notifier.script.calls] == [old.id, new.id]


async def test_planned_work_waits_no_longer_than_the_step(world: World) -> None:
    """What was planned before the clock was set back is done as much later as it was set back, and
    no later.
    """
    await world.completed()
    world.notifier.script.on("notify", NotificationResponse(500), NotificationResponse(204))
    await world.work()
    world.clock.set(-HOUR)
    left = await world.next_due()
    assert left == HOUR + PLAN[0]
    world.clock.advance(left)
    await world.work()
    assert len(world.notifier.script.calls) == 2
    assert await world.next_due() is None


async def test_a_breaker_does_not_wait_for_the_step(world: World) -> None:
    """With the breaker open and the clock set back an hour, the next probe goes out a second later,
    and work goes on.
    """
    provider = world.provider
    provider.script = GuardedScript(provider.script, Resilience("equalture", world.clock.monotonic))
    world.provider.script.on("jobs", UpstreamUnavailable("equalture", "jobs", "no connection"))
    for _ in range(THRESHOLD):
        with pytest.raises(UpstreamUnavailable):
            await provider.list_jobs(world.customers["acme"])
    world.clock.set(-HOUR)
    with pytest.raises(CircuitOpen) as raised:
        await provider.list_jobs(world.customers["acme"])
    assert raised.value.retry_after_s == FIRST_PAUSE.total_seconds()
    world.clock.advance(FIRST_PAUSE)
    one = await world.invited()
    await world.unconfirmed_result(one)
    for _ in range(2):
        await world.work()
    assert (await world.load(one)).state is State.COMPLETED
    assert len(world.notifier.script.calls) == 1
