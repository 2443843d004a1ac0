"""Deletion: here at once, at the provider however long it takes, and 204 only when both are
done.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.typing import EventDict

from bridge.core.invitation import Invitation, State
from bridge.core.queueing import TaskKind
from bridge.errors import (
    UnknownInvitation,
    UpstreamNotConfirmed,
    UpstreamRefused,
    UpstreamUnavailable,
)
from tests.service.fakes import ACME, World, make_customer, settled, until

DOWN = UpstreamUnavailable("equalture", "anonymise", "no connection")


async def test_erased_and_anonymised(world: World) -> None:
    """A deletion leaves a tombstone, anonymises the application at once, and is fine the second
    time.
    """
    one = await world.completed()
    await world.erasure.erase(ACME, one.id)
    await world.erasure.erase(ACME, one.id)
    gone = await world.load(one)
    assert (gone.state, gone.result, gone.application_id) == (State.ERASED, None, "")
    assert world.provider.script.made("anonymise") == [("anonymise", "acme", "ref-1")]
    assert await world.next_due() is None


async def test_foreign_and_failed_ones(world: World) -> None:
    """What was never issued to this customer is unknown, be it another's, a failed one or
    nonsense.
    """
    one = await world.invited()
    world.provider.script.on("create", UpstreamRefused("equalture", "create", "no", status=422))
    with pytest.raises(UpstreamRefused):
        await world.invited("application-2")
    failed = next(
        known for known in [k async for k in world.store.scan()] if known.state is State.FAILED
    )
    for customer, an_id in (
        (make_customer("globex"), one.id),
        (ACME, failed.id),
        (ACME, "nonsense"),
    ):
        with pytest.raises(UnknownInvitation):
            await world.erasure.erase(customer, an_id)
    assert (await world.load(one)).state is State.INVITED


async def test_not_confirmed(world: World) -> None:
    """While the provider is away the record is gone here, the caller is told, and the bridge goes
    on by itself.
    """
    one = await world.invited()
    world.provider.script.on("anonymise", DOWN, DOWN, None)
    for _ in range(2):
        with pytest.raises(UpstreamNotConfirmed):
            await world.erasure.erase(ACME, one.id)
        assert (await world.load(one)).state is State.ERASED
    left = await world.next_due()
    assert left is not None
    world.clock.advance(left)
    await world.work()
    await world.erasure.erase(ACME, one.id)
    assert len(world.provider.script.made("anonymise")) == 3


async def test_waits_for_the_worker_that_is_at_it(world: World) -> None:
    """A deletion that finds a worker anonymising waits for it instead of asking the provider
    twice.
    """
    one = await world.invited()
    world.provider.script.on("anonymise", DOWN)
    with pytest.raises(UpstreamNotConfirmed):
        await world.erasure.erase(ACME, one.id)
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(*_: str) -> None:
        entered.set()
        await release.wait()

    world.provider.script.on("anonymise", slow)
    left = await world.next_due()
    assert left is not None
    world.clock.advance(left)
    (lease,) = await world.lease()
    worker = asyncio.create_task(world.tasks.perform(lease))
    await entered.wait()
    deletion = asyncio.create_task(world.erasure.erase(ACME, one.id))
    await until(lambda: world.pauses)
    assert not deletion.done()
    release.set()
    await deletion
    await worker
    assert len(world.provider.script.made("anonymise")) == 2


async def test_the_wait_has_an_end(world: World) -> None:
    """A worker that takes too long is not waited for longer than the provider's time-out."""
    one = await world.invited()
    world.provider.script.on("anonymise", DOWN)
    with pytest.raises(UpstreamNotConfirmed):
        await world.erasure.erase(ACME, one.id)
    now = world.clock()
    assert await world.store.take(
        one.id, TaskKind.ANONYMISE, now, owner="stuck", until=now + timedelta(minutes=5)
    )
    with pytest.raises(UpstreamNotConfirmed):
        await world.erasure.erase(ACME, one.id)
    assert timedelta(0) <= world.clock() - now - ACME.provider.timeout < timedelta(seconds=1)


async def test_no_callback_brings_it_back(world: World) -> None:
    """A late callback about a deleted candidate keeps nothing and completes nothing."""
    one = await world.invited()
    await world.erasure.erase(ACME, one.id)
    await world.unconfirmed_result(await world.load(one))
    gone = await world.load(one)
    assert (gone.state, gone.unconfirmed_result, gone.result) == (State.ERASED, None, None)
    assert await world.next_due() is None


async def test_without_the_customers_account(world: World) -> None:
    """An operator erases also what belongs to a customer that is not served; what is owed is paid
    when it is back.
    """
    one, other = await world.invited(), await world.invited("application-2")
    world.customers.clear()
    for _ in range(2):
        with pytest.raises(UpstreamNotConfirmed, match="acme"):
            await world.erasure.erase_unserved(await world.load(one))
    gone = await world.load(one)
    assert (gone.state, gone.application_id, world.provider.script.made("anonymise")) == (
        State.ERASED,
        "",
        [],
    )
    world.clock.advance(timedelta(minutes=1))
    assert await world.work() == 0
    world.customers["acme"] = ACME
    assert await world.work() == 1
    assert world.provider.script.made("anonymise") == [("anonymise", "acme", "ref-1")]
    await world.erasure.erase_unserved(await world.load(one))

    # While a command waits, the daemon, which has the account, does it.
    world.on_pause = lambda: asyncio.ensure_future(world.work()) and None
    await world.erasure.erase_unserved(await world.load(other), timedelta(seconds=5))
    assert (await world.load(other)).attempts[0].anonymised


async def test_parallel_deletions(world: World) -> None:
    """Ten deletions of the same candidate at once are all confirmed, and the provider is asked
    once.
    """
    one = await world.invited()
    answers = await settled(*(world.erasure.erase(ACME, one.id) for _ in range(10)))
    assert answers == [None] * 10
    assert len(world.provider.script.made("anonymise")) == 1


async def test_a_repeat_tries_a_refused_one_again(world: World) -> None:
    """What the provider refused to anonymise is a dead letter, and a second deletion asks once
    more.
    """
    one = await world.invited()
    world.provider.script.on(
        "anonymise", UpstreamRefused("equalture", "anonymise", "no", status=422), None
    )
    with pytest.raises(UpstreamNotConfirmed, match="dead letters"):
        await world.erasure.erase(ACME, one.id)
    assert [TaskKind.ANONYMISE] == [letter.kind async for letter in world.store.dead_letters()]

    await world.erasure.erase(ACME, one.id)
    assert [] == [letter async for letter in world.store.dead_letters()]
    assert (await world.load(one)).attempts[0].anonymised


async def test_a_create_that_takes_too_long_is_not_waited_for(world: World) -> None:
    """A deletion while a create hangs is not confirmed, and never claims to be."""
    begun = asyncio.Event()
    never = asyncio.Event()

    async def hang(*_: object) -> None:
        begun.set()
        await never.wait()

    world.provider.script.on("create", hang)
    invite = asyncio.create_task(world.invited())
    await begun.wait()
    (making,) = [known async for known in world.store.scan()]
    with pytest.raises(UpstreamNotConfirmed):
        await world.erasure.erase(ACME, making.id)
    assert (await world.load(making)).state is State.ERASED
    invite.cancel()
    await asyncio.gather(invite, return_exceptions=True)


@pytest.mark.parametrize("minutes", [-2, 2])
async def test_a_clock_that_is_set_while_the_provider_hangs(world: World, minutes: int) -> None:
    """How long a deletion waits is measured by a clock that nobody can set."""
    one = await world.invited()
    world.provider.script.on("anonymise", DOWN)
    with pytest.raises(UpstreamNotConfirmed):
        await world.erasure.erase(ACME, one.id)
    now = world.clock()
    assert await world.store.take(
        one.id, TaskKind.ANONYMISE, now, owner="stuck", until=now + timedelta(minutes=5)
    )
    world.on_pause = lambda: world.clock.set(
        timedelta(minutes=minutes) if len(world.pauses) == 1 else timedelta(0)
    )
    began = world.clock.monotonic()
    with pytest.raises(UpstreamNotConfirmed):
        await world.erasure.erase(ACME, one.id)
    assert 0 <= world.clock.monotonic() - began - ACME.provider.timeout.total_seconds() < 1


async def test_many_applications_of_a_slow_provider(world: World) -> None:
    """A deletion answers within the time of one call; what is left of many goes on after it, and is
    not made twice.
    """
    one = await world.invited()
    impatient = replace(ACME, provider=replace(ACME.provider, timeout=timedelta(milliseconds=50)))
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(*_: str) -> None:
        entered.set()
        await release.wait()

    world.provider.script.on("anonymise", slow)
    world.on_pause = lambda: None
    async with asyncio.timeout(20):
        with pytest.raises(UpstreamNotConfirmed):
            await world.erasure.erase(impatient, one.id)
        assert entered.is_set()
        release.set()
    await world.erasure.erase(ACME, one.id)
    assert len(world.provider.script.made("anonymise")) == 1


async def test_a_record_that_vanishes_meanwhile(world: World, journal: list[EventDict]) -> None:
    """A record that Redis lost in mid-deletion is deleted all the same: what we still know is
    anonymised at the provider.
    """
    one = await world.invited()
    load = world.store.load

    async def load_and_lose(invitation_id: str) -> Invitation | None:
        found = await load(invitation_id)
        world.store.forget()
        world.store.load = load  # type: ignore[method-assign]
        return found

    world.store.load = load_and_lose  # type: ignore[method-assign]
    await world.erasure.erase(ACME, one.id)
    assert world.provider.script.made("anonymise") == [("anonymise", "acme", "ref-1")]
    assert (await world.load(one)).state is State.ERASED
    (lost,) = [entry for entry in journal if entry["event"] == "record.lost"]
    assert (lost["invitation_id"], lost["during"]) == (one.id, "erase")
