"""What an operator's refresh makes of an invitation in every state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.core.assessment import Result, Trait
from bridge.core.customers import ResultLinkTarget, ResultPolicy
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle.events import ErasureRequested
from bridge.errors import OutcomeUnknown, UnknownInvitation, UpstreamUnavailable
from bridge.service.result_refresh import ResultRefresh
from tests.service.fakes import ACME, RESULT, World

NEWER = Result(fit="low", traits=(Trait("a", "A", 3, wanted=(3,)),))
HOUR = timedelta(hours=1)


def refreshing(world: World) -> ResultRefresh:
    return ResultRefresh(world.records, lambda _: world.provider, world.directory)


async def refresh(world: World, one: Invitation) -> tuple[str, bool, Invitation]:
    done = await refreshing(world).refresh(one.id)
    assert done.invitation == await world.load(one)
    return done.outcome, done.notified, done.invitation


async def notified(world: World) -> int:
    before = len(world.notifier.script.made("notify"))
    await world.work()
    return len(world.notifier.script.made("notify")) - before


async def test_completed_result_is_renewed(world: World) -> None:
    """Newer scores of a confirmed result are taken over, the completion time stays, and softgarden
    is told.
    """
    one = await world.completed()
    await world.work()
    world.clock.advance(HOUR)
    world.provider.script.on("results", NEWER)
    outcome, told, done = await refresh(world, one)
    assert ("updated", True, NEWER, one.completed_at) == (
        outcome,
        told,
        done.result,
        done.completed_at,
    )
    assert 1 == await notified(world)


async def test_what_softgarden_does_not_show_is_no_news(world: World) -> None:
    """Another language of the same result is taken over without a notification; the same result
    changes nothing.
    """
    world.provider.script.on("results", NEWER)
    one = await world.completed()
    await world.work()
    assert ("unchanged", False) == (await refresh(world, one))[:2]
    reworded = replace(NEWER, traits=(Trait("a", "Merkmal", 3, "(3) Neutral", wanted=(3,)),))
    world.provider.script.on("results", reworded)
    outcome, told, done = await refresh(world, one)
    assert ("updated", False, reworded) == (outcome, told, done.result)
    assert 0 == await notified(world)


async def test_link_that_softgarden_shows_is_news(world: World) -> None:
    """Where softgarden shows Equalture's own link, a result with another link is told."""
    world.customers["acme"] = replace(
        ACME, results=ResultPolicy(result_url=ResultLinkTarget.DASHBOARD)
    )
    world.provider.script.on("results", replace(RESULT, dashboard_url="https://d.example/en/1"))
    one = await world.completed()
    await world.work()
    world.provider.script.on("results", replace(RESULT, dashboard_url="https://d.example/de/1"))
    assert ("updated", True) == (await refresh(world, one))[:2]


async def test_open_one_is_completed(world: World) -> None:
    """An open invitation with a result is completed and told, whatever the status says."""
    one = await world.invited()
    assert ("completed", True) == (await refresh(world, one))[:2]
    assert [] == world.provider.script.made("status")
    assert 1 == await notified(world)


async def test_no_result(world: World) -> None:
    """Without a result an open invitation stays, and a completed one keeps what it has."""
    one, done = await world.invited(), await world.completed("application-2")
    world.provider.script.on("results", None)
    assert ("not_ready", False, State.INVITED) == (
        (found := await refresh(world, one))[0],
        found[1],
        found[2].state,
    )
    assert ("not_ready", False, RESULT) == (
        (found := await refresh(world, done))[0],
        found[1],
        found[2].result,
    )


async def test_unconfirmed_one_is_confirmed(world: World) -> None:
    """A report that counted as it was is confirmed, in silence where it was true."""
    one = await world.invited()
    world.provider.script.on("results", UpstreamUnavailable("equalture", "results", "away"))
    await world.unconfirmed_result(one)
    world.clock.advance(HOUR)
    await world.work()
    await world.work()
    world.provider.script.on("results", RESULT)
    assert ("confirmed", False) == (await refresh(world, one))[:2]


@pytest.mark.parametrize("end", ["lost", "erased"])
async def test_nothing_to_ask(world: World, end: str) -> None:
    """Where no application is known, or it is deleted, nobody is asked."""
    if end == "lost":
        world.provider.script.on("create", OutcomeUnknown("equalture", "create", "no answer"))
        with pytest.raises(OutcomeUnknown):
            await world.invited()
        (one,) = [known async for known in world.store.scan()]
    else:
        one = await world.completed()
        await world.records.apply(one, ErasureRequested(), ACME)
    asked = len(world.provider.script.calls)
    assert "nothing_to_ask" == (await refresh(world, one))[0]
    assert asked == len(world.provider.script.calls)


async def test_errors(world: World) -> None:
    """An unknown id, a customer that is not served and a provider that is away are told as what
    they are.
    """
    with pytest.raises(UnknownInvitation, match="is stored"):
        await refreshing(world).refresh("iv_7" + "x" * 24)
    one = await world.invited()
    world.provider.script.on("results", away := UpstreamUnavailable("equalture", "results", "away"))
    with pytest.raises(UpstreamUnavailable) as found:
        await refresh(world, one)
    assert found.value is away
    world.customers.clear()
    with pytest.raises(UnknownInvitation, match="not configured"):
        await refresh(world, one)
