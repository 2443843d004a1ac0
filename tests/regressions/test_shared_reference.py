"""Equalture gave two invitations the same reference id; nobody was told, and a deletion of one
anonymised the other's test.
"""

from __future__ import annotations

import asyncio

from structlog.typing import EventDict

from bridge.core.assessment import ApplicationProgress, CreatedApplication
from bridge.core.invitation import CommitOutcome, Invitation, State, Transition
from bridge.errors import UpstreamUnavailable
from tests.service.fakes import ACME, World, until

SAME = CreatedApplication("ref-1", "https://equalture.example.com/test/1")


async def two(world: World) -> tuple[Invitation, Invitation]:
    """Two invitations with one application."""
    world.provider.script.on("create", SAME)
    return await world.invited("application-1"), await world.invited("application-2")


def anonymised(world: World) -> list[str]:
    return [call[2] for call in world.provider.script.made("anonymise")]


async def test_sharing_is_said_at_once(world: World, journal: list[EventDict]) -> None:
    """The second invitation with the same application is an error in the log, with both ids, and
    can be listed.
    """
    one, other = await two(world)
    (said,) = [entry for entry in journal if entry["event"] == "application.shared"]
    assert ("error", other.id, [one.id]) == (
        said["log_level"],
        said["invitation_id"],
        said["others"],
    )
    assert {one.id: (other.id,), other.id: (one.id,)} == await world.operations.shared()
    await world.invited("application-1")
    assert 1 == len([entry for entry in journal if entry["event"] == "application.shared"])


async def test_recorded_at_the_same_time(world: World, journal: list[EventDict]) -> None:
    """Two invitations whose creates are answered at once with the same application: it is said,
    whichever record has it first.
    """
    world.provider.script.on("create", SAME)
    commit, later = world.store.commit, asyncio.Event()

    async def first_one_waits(step: Transition, **leases: object) -> CommitOutcome:
        invited = step.invitation.state is State.INVITED and not step.invitation.issued
        if invited and step.invitation.application_id == "application-1":
            await later.wait()
        return await commit(step, **leases)  # type: ignore[arg-type]

    world.store.commit = first_one_waits  # type: ignore[method-assign]
    waiting = asyncio.create_task(world.invited("application-1"))
    await until(lambda: bool(world.provider.script.made("create")))
    await world.invited("application-2")
    later.set()
    await waiting
    assert 1 == len([entry for entry in journal if entry["event"] == "application.shared"])


async def test_deletion_spares_what_another_one_holds(world: World) -> None:
    """The first deletion is complete here and calls nobody; the last one has the application
    anonymised.
    """
    one, other = await two(world)
    await world.erasure.erase(ACME, one.id)
    gone = await world.load(one)
    assert (State.ERASED, [None]) == (
        gone.state,
        [attempt.reference_id for attempt in gone.attempts],
    )
    assert [] == anonymised(world)
    await world.work()
    assert State.COMPLETED is (await world.completed_by_poll(other)).state
    await world.erasure.erase(ACME, one.id)
    assert [] == anonymised(world)

    await world.erasure.erase(ACME, other.id)
    assert ["ref-1"] == anonymised(world)
    assert () == await world.references.find("acme", "ref-1")
    assert {} == await world.operations.shared()


async def test_deletions_at_once_anonymise(world: World) -> None:
    """However two deletions meet, the application is anonymised in the end."""
    one, other = await two(world)
    await asyncio.gather(world.erasure.erase(ACME, one.id), world.erasure.erase(ACME, other.id))
    assert {"ref-1"} == set(anonymised(world))


async def test_silent_provider_owes_nothing_to_the_first(world: World) -> None:
    """A deletion that calls nobody is confirmed at once, though the provider is away."""
    one, other = await two(world)
    world.provider.script.on("anonymise", UpstreamUnavailable("equalture", "anonymise", "away"))
    await world.erasure.erase(ACME, one.id)
    assert State.INVITED is (await world.load(other)).state


async def test_create_without_a_link_spares_the_living(world: World) -> None:
    """A second create that is answered with the first one's application and no link fails, and
    harms the first one not.
    """
    world.provider.script.on("create", SAME, CreatedApplication("ref-1", None))
    one = await world.invited("application-1")
    (failed,) = await asyncio.gather(world.invited("application-2"), return_exceptions=True)
    assert isinstance(failed, Exception)
    await world.work()
    assert [] == anonymised(world)
    assert State.INVITED is (await world.load(one)).state


async def test_event_reaches_both(world: World) -> None:
    """A webhook's event about the application is told to each invitation that holds it."""
    one, other = await two(world)
    world.provider.script.on("status", ApplicationProgress(False, "invited"))
    assert "taken" == await world.events.take(ACME, "e", "started", "ref-1", world.clock())
    assert {State.STARTED} == {(await world.load(each)).state for each in (one, other)}


async def test_stale_reference_holds_nothing(world: World) -> None:
    """What the references say of an invitation whose record does not hold the application keeps no
    deletion waiting.
    """
    one = await world.invited()
    await world.references.add("acme", "ref-1", "iv_7" + "x" * 24)
    other = await world.invited("application-2")
    await world.references.add("acme", "ref-1", other.id)
    await world.erasure.erase(ACME, one.id)
    assert ["ref-1"] == anonymised(world)
