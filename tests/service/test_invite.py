"""One open invitation and one application for an order, however often and however parallel it
comes.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from structlog.typing import EventDict

from bridge.core.assessment import CreatedApplication
from bridge.core.invitation import CommitOutcome, CreateOutcome, Invitation, State
from bridge.errors import (
    CallbackNotAllowed,
    CircuitOpen,
    OutcomeUnknown,
    RequestInProgress,
    StoreUnavailable,
    UnknownAssessment,
    UpstreamContractBroken,
    UpstreamRefused,
    UpstreamUnavailable,
)
from bridge.service.invite import Invite
from tests.service.fakes import ACME, CALLBACK, World, order, settled, until

SECOND = timedelta(seconds=1)
LINK = "https://equalture.example.com/test/9"


class Gate:
    """A create that lasts until it is let go, and then gives or raises what it was told."""

    def __init__(self, world: World, outcome: CreatedApplication | Exception) -> None:
        self.entered = asyncio.Event()
        self.released = asyncio.Event()
        self._outcome = outcome
        world.provider.script.on("create", self._create)

    async def _create(self, *_: str) -> CreatedApplication:
        self.entered.set()
        await self.released.wait()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


async def parallel(
    world: World, gate: Gate, *processes: Invite, each: int = 5
) -> list[Invitation | BaseException]:
    """The same order, several times at each process, all while the first create is on the way."""
    calls = [asyncio.create_task(processes[0].invite(ACME, order()))]
    await gate.entered.wait()
    calls += [
        asyncio.create_task(process.invite(ACME, order()))
        for process in processes
        for _ in range(each)
    ]
    seen = len(world.pauses)
    await until(lambda: len(processes) == 1 or len(world.pauses) > seen)
    gate.released.set()
    return await settled(*calls)


async def stored(world: World) -> list[Invitation]:
    return [one async for one in world.store.scan()]


async def test_nobody_waits_any_more(world: World) -> None:
    """An order whose caller has gone makes nothing, neither here nor at the provider."""
    with pytest.raises(ConnectionResetError):
        await world.invitations.invite(ACME, order(), lambda: False)
    assert await stored(world) == []
    assert world.provider.script.made("create") == []


async def test_two_processes_make_one_application(world: World) -> None:
    """Parallel orders at two processes on one store make one application, and all get the same
    invitation.
    """
    gate = Gate(world, CreatedApplication("ref-9", LINK))
    answers = await parallel(world, gate, world.invitations, world.make_invitations())
    assert {one.id for one in answers if isinstance(one, Invitation)} == {
        (await stored(world))[0].id
    }
    assert all(isinstance(one, Invitation) for one in answers)
    assert {one.assessment_url for one in answers if isinstance(one, Invitation)} == {LINK}
    assert len(world.provider.script.made("create")) == 1


@pytest.mark.parametrize(
    ("failure", "shared"),
    [
        (UpstreamRefused("equalture", "create", "no", status=422), UpstreamRefused),
        (UpstreamUnavailable("equalture", "create", "not now", status=503), UpstreamUnavailable),
        (CircuitOpen("equalture", "create", "nobody there", retry_after_s=1), UpstreamUnavailable),
        (OutcomeUnknown("equalture", "create", "no answer"), OutcomeUnknown),
        (
            UpstreamContractBroken("equalture", "create", "no JSON", status=201),
            OutcomeUnknown,
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, Exception) else value.__name__,
)
async def test_followers_share_the_failure(
    world: World, failure: Exception, shared: type[Exception]
) -> None:
    """Those who waited for a create that failed get its failure, here and in other processes, and
    make no other one.
    """
    gate = Gate(world, failure)
    answers = await parallel(world, gate, world.invitations, world.make_invitations())
    assert len(answers) == 11
    assert all(answer is failure for answer in answers[:6])
    assert {type(answer) for answer in answers[6:]} == {shared}
    assert len(world.provider.script.made("create")) == 1


async def test_a_caller_who_hangs_up(world: World) -> None:
    """The first caller may give up: the others still get the invitation."""
    gate = Gate(world, CreatedApplication("ref-9", LINK))
    first = asyncio.create_task(world.invitations.invite(ACME, order()))
    await gate.entered.wait()
    second = asyncio.create_task(world.invitations.invite(ACME, order()))
    await asyncio.sleep(0)
    first.cancel()
    await settled(first)
    gate.released.set()
    assert (await second).assessment_url == LINK
    assert len(world.provider.script.made("create")) == 1


async def test_waiting_has_an_end(world: World) -> None:
    """Who waits for another process's create is told to come back once its time is over, and may
    then try again.
    """
    gate = Gate(world, OutcomeUnknown("equalture", "create", "no answer"))
    first = asyncio.create_task(world.invitations.invite(ACME, order()))
    await gate.entered.wait()
    began = world.clock()
    other = world.make_invitations()
    with pytest.raises(RequestInProgress) as raised:
        await other.invite(ACME, order())
    assert raised.value.retry_after_s > 0
    assert world.clock() - began <= world.records.policy(ACME).create_timeout + SECOND
    world.provider.script.on("create", CreatedApplication("ref-10", LINK))
    again = await other.invite(ACME, order())
    assert (again.state, [attempt.outcome for attempt in again.attempts]) == (
        State.INVITED,
        [CreateOutcome.UNKNOWN, CreateOutcome.CREATED],
    )
    gate.released.set()
    await settled(first)
    assert len(await stored(world)) == 1


async def test_a_repeat_returns_it_unchanged(world: World) -> None:
    """A repeat of an open invitation gives the same one back; only the callback is refreshed."""
    first = await world.invited()
    elsewhere = "https://other.softgarden.io/notify"
    again = await world.invitations.invite(ACME, order(callback=elsewhere))
    assert (again.id, again.assessment_url, again.deadline) == (
        first.id,
        first.assessment_url,
        first.deadline,
    )
    assert (await world.load(first)).callback == elsewhere
    assert len(world.provider.script.made("create")) == 1


async def test_a_repeat_after_an_unknown_outcome(world: World) -> None:
    """softgarden's own repeat after an unknown outcome makes another attempt under the same id."""
    world.provider.script.on(
        "create",
        OutcomeUnknown("equalture", "create", "?"),
        CreatedApplication("ref-2", LINK),
    )
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    (lost,) = await stored(world)
    again = await world.invited()
    assert (again.id, again.state, len(again.attempts)) == (lost.id, State.INVITED, 2)
    first, second = (draft.callback_url for draft in world.provider.drafts)
    assert first != second


async def test_a_repeat_after_a_refusal(world: World) -> None:
    """A refused order may be repeated and makes an invitation of its own."""
    world.provider.script.on(
        "create",
        UpstreamRefused("equalture", "create", "no", status=422),
        CreatedApplication("ref-2", LINK),
    )
    with pytest.raises(UpstreamRefused):
        await world.invited()
    assert (await world.invited()).state is State.INVITED
    assert sorted(one.state for one in await stored(world)) == [State.FAILED, State.INVITED]


async def test_no_link(world: World) -> None:
    """An application without a link is a broken contract: softgarden is told, and the application
    is anonymised.
    """
    world.provider.script.on("create", CreatedApplication("ref-1", None))
    with pytest.raises(UpstreamContractBroken):
        await world.invited()
    await world.work()
    assert world.provider.script.made("anonymise") == [("anonymise", "acme", "ref-1")]


@pytest.mark.parametrize("away_s", [0.2, 2.0])
async def test_store_away_after_the_create(world: World, away_s: float) -> None:
    """What was made is worth a few tries: a store that comes back within seconds costs no
    application.
    """

    async def create(*_: str) -> CreatedApplication:
        world.store.down = True
        return CreatedApplication("ref-1", LINK)

    back_at = world.clock() + timedelta(seconds=away_s)

    def look() -> None:
        world.store.down = world.clock() < back_at

    world.on_pause = look
    world.provider.script.on("create", create)
    one = await world.invited()
    assert (one.state, one.attempts[0].reference_id) == (State.INVITED, "ref-1")
    assert (await world.load(one)).state is State.INVITED


async def test_store_away_for_long(world: World) -> None:
    """A store that stays away ends the tries in bounded time, and never with "nothing was done"; a
    CHECK finds it uncertain.
    """

    async def create(*_: str) -> CreatedApplication:
        world.store.down = True
        return CreatedApplication("ref-1", LINK)

    world.provider.script.on("create", create)
    began = world.clock()
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    assert world.clock() - began < 10 * SECOND
    world.store.down = False
    world.clock.advance(world.records.policy(ACME).create_timeout)
    await world.work()
    (one,) = await stored(world)
    assert one.state is State.UNCERTAIN


async def test_store_away_before_the_create(world: World) -> None:
    """Without the store nothing is ordered at the provider."""
    world.store.down = True
    with pytest.raises(StoreUnavailable):
        await world.invited()
    assert world.provider.script.calls == []


async def test_refused_before_anything_happens(world: World) -> None:
    """A foreign callback or an unknown test is refused, and neither the store nor the provider's
    create hears of it.
    """
    with pytest.raises(CallbackNotAllowed):
        await world.invitations.invite(ACME, order(callback="https://evil.example.com/"))
    bad = order()
    object.__setattr__(bad, "test_id", "nonsense")
    with pytest.raises(UnknownAssessment):
        await world.invitations.invite(ACME, bad)
    assert await stored(world) == []
    assert world.provider.script.made("create") == []


async def test_different_orders_do_not_wait_for_each_other(world: World) -> None:
    """Another application's order goes through while the first one's create hangs."""
    gate = Gate(world, CreatedApplication("ref-9", LINK))
    first = asyncio.create_task(world.invited("application-1"))
    await gate.entered.wait()
    world.provider.script.on("create", CreatedApplication("ref-10", LINK))
    other = await world.invited("application-2")
    gate.released.set()
    assert (await first).id != other.id
    assert CALLBACK == other.callback


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_while_waiting(world: World, hours: int) -> None:
    """How long an order waits for another process's create is measured by a clock that nobody can
    set.
    """
    gate = Gate(world, OutcomeUnknown("equalture", "create", "no answer"))
    first = asyncio.create_task(world.invited())
    await gate.entered.wait()
    world.on_pause = lambda: world.clock.set(
        timedelta(hours=hours) if len(world.pauses) == 1 else timedelta(0)
    )
    began = world.clock.monotonic()
    with pytest.raises(RequestInProgress):
        await world.make_invitations().invite(ACME, order())
    bound_s = world.records.policy(ACME).create_timeout.total_seconds()
    assert 0 <= world.clock.monotonic() - began - bound_s < 1
    gate.released.set()
    await settled(first)


# -- The record is lost while the provider makes the application (FLUSHALL, eviction, an old backup)


def flushing(world: World, outcome: CreatedApplication | Exception, *, away: bool = False) -> None:
    """Redis loses everything while the create is under way, and perhaps stays away then."""

    async def create(*_: str) -> CreatedApplication:
        world.store.forget_everything()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    if away:
        recreate_as_tombstone = world.records.recreate_as_tombstone

        async def down(*args: Any) -> Invitation | None:
            world.store.down = True
            return await recreate_as_tombstone(*args)

        world.records.recreate_as_tombstone = down  # type: ignore[method-assign]
    world.provider.script.on("create", create, CreatedApplication("ref-2", LINK))


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
async def test_set_back_while_it_is_made(
    world: World, journal: list[EventDict], *, made: bool
) -> None:
    """A record that Redis sets back to a time before this create keeps working: what was made is
    named in the log, and the caller may try again.
    """
    world.provider.script.on("create", OutcomeUnknown("Equalture", "create", "no answer"))
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    (before,) = await stored(world)
    go_back = world.store.remember()

    async def create(*_: str) -> CreatedApplication:
        go_back()
        if not made:
            raise UpstreamUnavailable("Equalture", "create", "no connection")
        return CreatedApplication("ref-2", LINK)

    world.provider.script.on("create", create)
    with pytest.raises(OutcomeUnknown if made else StoreUnavailable):
        await world.invited()
    orphans = [one["reference_id"] for one in journal if one["event"] == "invitation.orphaned"]
    assert orphans == (["ref-2"] if made else [])
    world.provider.script.on("create", CreatedApplication("ref-3", LINK))
    assert (await world.invited()).id == before.id


@pytest.mark.parametrize("link", [LINK, None], ids=["with a link", "without a link"])
async def test_lost_while_it_is_made(
    world: World, journal: list[EventDict], link: str | None
) -> None:
    """A record that is lost in mid-create is an unknown outcome, never an unknown invitation; what
    was made is named in the log and anonymised, and a repeat makes a new invitation.
    """
    flushing(world, CreatedApplication("ref-1", link))
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    (orphan,) = [entry for entry in journal if entry["event"] == "invitation.orphaned"]
    assert (orphan["log_level"], orphan["customer"], orphan["reference_id"]) == (
        "error",
        "acme",
        "ref-1",
    )
    assert orphan["anonymising"] is True
    (tombstone,) = await stored(world)
    assert (tombstone.id, tombstone.state) == (orphan["invitation_id"], State.ERASED)
    world.clock.advance(SECOND)
    await world.work()
    assert world.provider.script.made("anonymise") == [("anonymise", "acme", "ref-1")]
    again = await world.invited()
    assert again.id != tombstone.id
    assert again.state is State.INVITED


async def test_lost_and_away(world: World, journal: list[EventDict]) -> None:
    """Where Redis cannot take a tombstone either, the log says that somebody has to have the
    application anonymised.
    """
    flushing(world, CreatedApplication("ref-1", LINK), away=True)
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    (orphan,) = [entry for entry in journal if entry["event"] == "invitation.orphaned"]
    assert (orphan["reference_id"], orphan["anonymising"]) == ("ref-1", False)


@pytest.mark.parametrize(
    "failure",
    [
        UpstreamRefused("equalture", "create", "no", status=422),
        UpstreamUnavailable("equalture", "create", "not now", status=503),
        OutcomeUnknown("equalture", "create", "no answer"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_lost_while_it_fails(world: World, failure: Exception) -> None:
    """A create that failed is told as what it was, also where the record is lost meanwhile."""
    flushing(world, failure)
    with pytest.raises(type(failure)):
        await world.invited()
    assert await stored(world) == []


async def test_the_application_of_a_long_outage_is_named(
    world: World, journal: list[EventDict]
) -> None:
    """An application that Redis could not take note of is named in the log, so that somebody can
    have it anonymised.
    """

    async def create(*_: str) -> CreatedApplication:
        world.store.down = True
        return CreatedApplication("ref-1", LINK)

    world.provider.script.on("create", create)
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    (orphan,) = [entry for entry in journal if entry["event"] == "invitation.orphaned"]
    assert (orphan["reference_id"], orphan["anonymising"]) == ("ref-1", False)


async def test_a_process_that_stood_still_notes_its_application(
    world: World, journal: list[EventDict]
) -> None:
    """A process that stood still as it wrote down what it had made tries again, however much time
    has passed meanwhile: the application is not left at the provider.
    """
    commit = world.store.commit

    async def stand_still(*_: Any, **__: Any) -> CommitOutcome:
        world.store.commit = commit  # type: ignore[method-assign]
        world.clock.advance(60 * SECOND)
        raise StoreUnavailable("no answer in time")

    async def create(*_: str) -> CreatedApplication:
        world.store.commit = stand_still  # type: ignore[method-assign]
        return CreatedApplication("ref-1", LINK)

    world.provider.script.on("create", create)
    invitation = await world.invited()
    assert invitation.attempts[-1].reference_id == "ref-1"
    assert "invitation.orphaned" not in {entry["event"] for entry in journal}


async def test_lost_before_its_callback_is_refreshed(world: World) -> None:
    """An order whose invitation vanishes between two looks is told to come back, not that it is
    unknown.
    """
    await world.invited()
    apply = world.records.apply

    async def lose(*args: Any) -> Invitation:
        world.store.forget()
        return await apply(*args)

    world.records.apply = lose  # type: ignore[method-assign]
    with pytest.raises(RequestInProgress):
        await world.invitations.invite(ACME, order(callback="https://other.softgarden.io/notify"))
