"""A deletion left the application's id in other records of the same order (chaos, seeds 1 and
7).
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.core.assessment import ApplicationProgress
from bridge.core.invitation import State, Transition
from bridge.errors import StoreUnavailable, UpstreamUnavailable
from tests.service.fakes import ACME, World


async def test_failed_invitation_keeps_nothing_of_the_person() -> None:
    """A create that was surely not done leaves a record without the application's id."""
    world = World()
    world.provider.script.on(
        "create", UpstreamUnavailable("equalture", "create", "busy", status=503)
    )
    with pytest.raises(UpstreamUnavailable):
        await world.invited()
    (failed,) = [known async for known in world.store.scan()]
    assert (State.FAILED, "") == (failed.state, failed.application_id)


async def test_deletion_takes_expired_predecessors_along() -> None:
    """Erasing an invitation erases the expired ones of the same order, whose answers perhaps never
    reached softgarden.
    """
    world = World()
    one = await world.invited()
    world.provider.script.on("status", ApplicationProgress(False, "invited"))
    world.clock.advance(2 * ACME.provider.link_life)
    await world.work()
    two = await world.invited()
    await world.erasure.erase(ACME, two.id)

    assert State.ERASED is (await world.load(one)).state
    world.clock.advance(timedelta(seconds=2))
    await world.work()
    assert {""} == {known.application_id async for known in world.store.scan()}
    assert [None, None] == [
        (await world.load(each)).attempts[0].reference_id for each in (one, two)
    ]


@pytest.mark.parametrize("commits", range(4))
async def test_deletion_that_is_cut_off_finds_them_again(commits: int) -> None:
    """Wherever a deletion is cut off, its repetition erases every expired predecessor, also the one
    before the last.
    """
    world = World()
    world.provider.script.on("status", ApplicationProgress(False, "invited"))
    made = []
    for _ in range(3):
        made.append(await world.invited())
        world.clock.advance(2 * ACME.provider.link_life)
        await world.work()
    made.append(await world.invited())
    commit, left = world.store.commit, commits

    async def until_away(step: Transition, **leases: object) -> bool:
        nonlocal left
        world.store.down = left == 0
        left -= 1
        return await commit(step, **leases)  # type: ignore[arg-type]

    world.store.commit = until_away  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await world.erasure.erase(ACME, made[-1].id)
    world.store.commit, world.store.down = commit, False  # type: ignore[method-assign]
    await world.erasure.erase(ACME, made[-1].id)
    assert [State.ERASED] * 4 == [(await world.load(each)).state for each in made]
