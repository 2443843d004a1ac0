"""An invitation that expired with an unknown create kept the application's id although its
successor was deleted (chaos, seed 1).

softgarden never got the id of the expired one, so nobody could ever have asked for its deletion.
"""

from __future__ import annotations

import pytest

from bridge.core.assessment import ApplicationProgress
from bridge.core.invitation import State
from bridge.errors import OutcomeUnknown
from tests.service.fakes import ACME, World


async def test_what_was_never_issued_goes_when_it_is_replaced() -> None:
    """A new order erases the expired invitation whose id nobody got, so that a deletion leaves
    nothing of the candidate.
    """
    world = World()
    created = world.provider.script.planned("create")
    world.provider.script.on("create", OutcomeUnknown("equalture", "create", "no answer"), created)
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    world.clock.advance(2 * ACME.provider.link_life)
    await world.work()
    (lost,) = [known async for known in world.store.scan()]
    assert lost.state is State.EXPIRED

    one = await world.invited()
    assert (await world.load(lost)).state is State.ERASED
    await world.erasure.erase(ACME, one.id)
    assert {known.application_id async for known in world.store.scan()} == {""}


async def test_what_was_issued_stays_when_it_is_replaced() -> None:
    """An expired invitation that softgarden knows is still there to be read after a new order."""
    world = World()
    one = await world.invited()
    world.provider.script.on("status", ApplicationProgress(False, "invited"))
    world.clock.advance(2 * ACME.provider.link_life)
    await world.work()
    assert (await world.load(one)).state is State.EXPIRED
    two = await world.invited()
    assert two.id != one.id
    assert (await world.load(one)).state is State.EXPIRED


async def test_what_came_before_it_goes_with_the_deletion() -> None:
    """The expired invitation before one that was never issued still goes with the deletion of the
    one after it.
    """
    world = World()
    created = world.provider.script.planned("create")
    world.provider.script.on("status", ApplicationProgress(False, "invited"))
    first = await world.invited()
    world.clock.advance(2 * ACME.provider.link_life)
    await world.work()
    world.provider.script.on("create", OutcomeUnknown("equalture", "create", "no answer"), created)
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    world.clock.advance(2 * ACME.provider.link_life)
    await world.work()

    last = await world.invited()
    assert (await world.load(first)).state is State.EXPIRED
    await world.erasure.erase(ACME, last.id)
    assert {known.application_id async for known in world.store.scan()} == {""}
