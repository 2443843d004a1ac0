"""Events of the provider's webhook: hints that name an application by the provider's own id."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.core.assessment import ApplicationProgress, CreatedApplication
from bridge.core.invitation import (
    AddedReference,
    CommitOutcome,
    CreateOutcome,
    State,
    Transition,
)
from bridge.core.lifecycle.events import ErasureRequested
from bridge.core.lifecycle.policy import EARLY_EVENT_LIFE
from bridge.core.queueing import TaskKind
from bridge.errors import RequestInProgress, StoreUnavailable
from bridge.service.provider_events import FINISHED, STARTED
from tests.service.fakes import ACME, NOW, MemoryReferences, World, make_customer

HOUR = timedelta(hours=1)


async def test_started(world: World) -> None:
    """A start is recorded with its time, or with ours where it names none or one that is yet to
    come.
    """
    for number, (at, expected) in enumerate(
        ((NOW - HOUR, NOW - HOUR), (None, NOW), (NOW + HOUR, NOW)), start=1
    ):
        one = await world.invited(f"application-{number}")
        assert (
            await world.events.take(ACME, f"event-{number}", STARTED, f"ref-{number}", at)
            == "taken"
        )
        begun = await world.load(one)
        assert (begun.state, begun.started_at) == (State.STARTED, expected)


async def test_finished(world: World) -> None:
    """An end makes a check due at once, which brings the result."""
    one = await world.invited()
    woken = world.woken
    assert await world.events.take(ACME, "event-1", FINISHED, "ref-1", None) == "taken"
    assert world.woken == woken + 1
    await world.work()
    assert (await world.load(one)).state is State.COMPLETED


async def test_repeated(world: World) -> None:
    """An event that comes again is told as repeated and does no harm."""
    one = await world.invited()
    outcomes = [await world.events.take(ACME, "event-1", FINISHED, "ref-1", None) for _ in range(3)]
    assert outcomes == ["taken", "repeated", "repeated"]
    await world.work()
    await world.work()
    assert (await world.load(one)).state is State.COMPLETED
    assert len(world.notifier.script.calls) == 1
    assert (
        await world.events.take(make_customer("globex"), "event-1", FINISHED, None, None)
        == "ignored"
    )


@pytest.mark.parametrize("word", [STARTED, FINISHED])
async def test_early(world: World, word: str) -> None:
    """An event that overtakes the create's answer is acted upon as soon as the application is
    known.
    """

    async def create(*_: str) -> CreatedApplication:
        assert await world.events.take(ACME, "event-1", word, "ref-7", None) == "unknown"
        return CreatedApplication("ref-7", "https://equalture.example.com/test/7")

    world.provider.script.on("create", create)
    one = await world.load(await world.invited())
    if word == STARTED:
        assert one.state is State.STARTED
    else:
        assert await world.work() == 1
        assert (await world.load(one)).state is State.COMPLETED


class AnswerLost(MemoryReferences):
    """An index whose first answer to an addition gets lost."""

    def __init__(self) -> None:
        super().__init__()
        self._additions = 0

    async def add(self, customer: str, reference_id: str, invitation_id: str) -> AddedReference:
        added = await super().add(customer, reference_id, invitation_id)
        self._additions += 1
        if self._additions == 1:
            raise StoreUnavailable("no answer")
        return added


@pytest.mark.parametrize("word", [STARTED, FINISHED])
async def test_early_event_where_an_answer_of_the_index_is_lost(word: str) -> None:
    """An event that came before its application is not lost with an answer of Redis."""
    world = World(references=AnswerLost())

    async def create(*_: str) -> CreatedApplication:
        assert await world.events.take(ACME, "event-1", word, "ref-7", None) == "unknown"
        return CreatedApplication("ref-7", "https://equalture.example.com/test/7")

    world.provider.script.on("create", create)
    one = await world.load(await world.invited())
    assert one.state is State.STARTED if word == STARTED else one.unconfirmed_result is not None


async def test_early_event_comes_again(world: World) -> None:
    """An event that came before its application was known is no repeat afterwards."""
    taken = [await world.events.take(ACME, "event-1", FINISHED, "ref-1", None) for _ in range(2)]
    await world.invited()
    taken += [await world.events.take(ACME, "event-1", FINISHED, "ref-1", None) for _ in range(2)]
    assert taken == ["unknown", "unknown", "taken", "repeated"]


async def test_early_start_and_end(world: World) -> None:
    """Where both come before the create's answer, in any order, the end counts."""
    for number, words in enumerate(((STARTED, FINISHED), (FINISHED, STARTED)), start=1):

        async def create(
            *_: str, reference_id: str = f"ref-{number}", words: tuple[str, str] = words
        ) -> CreatedApplication:
            for word in words:
                event_id = f"{reference_id}-{word}"
                taken = await world.events.take(ACME, event_id, word, reference_id, None)
                assert taken == "unknown"
            return CreatedApplication(reference_id, "https://equalture.example.com/test/7")

        world.provider.script.on("create", create)
        one = await world.invited(f"application-{number}")
        await world.work()
        assert (await world.load(one)).state is State.COMPLETED


@pytest.mark.parametrize("outcome", [CreateOutcome.PENDING, CreateOutcome.UNKNOWN])
async def test_event_while_the_application_is_recorded(
    world: World, outcome: CreateOutcome
) -> None:
    """An event that comes when the index knows the application, and the record not yet, waits for
    the record, also where the process that records it has stood still; where that takes long, the
    sender is told to repeat it.
    """
    one = await world.load(await world.invited())
    pending = replace(one.attempts[0], outcome=outcome, reference_id=None)
    assert await world.store.commit(Transition(replace(one, attempts=(pending,))))
    with pytest.raises(RequestInProgress):
        await world.events.take(ACME, "event-1", STARTED, "ref-1", None)
    recorded = replace(one, version=one.version + 1, commit_id="")
    changes = [Transition(recorded)]
    commits: list[asyncio.Future[CommitOutcome]] = []

    def record() -> None:
        while changes:
            commits.append(asyncio.ensure_future(world.store.commit(changes.pop())))

    world.on_pause = record
    assert await world.events.take(ACME, "event-1", STARTED, "ref-1", None) == "taken"
    assert (await world.load(one)).state is State.STARTED


async def test_event_of_an_application_that_was_never_recorded(world: World) -> None:
    """Nobody records an application any more whose process died ten minutes ago: its events are
    acknowledged.
    """
    one = await world.load(await world.invited())
    lost = replace(one.attempts[0], outcome=CreateOutcome.UNKNOWN, reference_id=None)
    assert await world.store.commit(Transition(replace(one, attempts=(lost,))))
    world.clock.advance(EARLY_EVENT_LIFE)
    assert await world.events.take(ACME, "event-1", STARTED, "ref-1", None) == "ignored"


async def test_unknown_and_strange(world: World) -> None:
    """Events of unknown applications, of other kinds, or without an application are taken note of
    and change nothing.
    """
    one = await world.invited()
    before = await world.load(one)
    assert await world.events.take(ACME, "event-1", FINISHED, "ref-99", None) == "unknown"
    assert await world.events.take(ACME, "event-2", "something_else", "ref-1", None) == "ignored"
    assert await world.events.take(ACME, "event-3", FINISHED, None, None) == "ignored"
    assert await world.load(one) == before


async def test_another_customers_application(world: World) -> None:
    """A customer's event never touches another customer's invitation."""
    globex = make_customer("globex")
    world.customers["globex"] = globex
    one = await world.invited()
    assert await world.events.take(globex, "event-1", FINISHED, "ref-1", None) == "unknown"
    await world.references.add("globex", "ref-1", one.id)
    assert await world.events.take(globex, "event-2", FINISHED, "ref-1", None) == "unknown"
    assert (await world.load(one)).unconfirmed_result is None


async def test_after_deletion(world: World) -> None:
    """An event about a deleted candidate changes nothing and is answered as fine."""
    one = await world.invited()
    await world.erasure.erase(ACME, one.id)
    before = await world.load(one)
    assert await world.events.take(ACME, "event-1", STARTED, "ref-1", None) == "unknown"
    assert await world.load(one) == before
    assert TaskKind.CHECK not in world.kinds()


NOT_DONE = ApplicationProgress(done=False, word="started")


@pytest.mark.parametrize(("word", "state"), [(STARTED, State.STARTED), (FINISHED, State.COMPLETED)])
async def test_reference_that_got_lost(world: World, word: str, state: State) -> None:
    """Where Redis does not know any more, or never did, whose an application is, the next poll
    stores it anew and applies what came meanwhile (found by worlds: an end was acknowledged, and
    nobody got the result).
    """
    one = await world.invited()
    await world.references.remove("acme", "ref-1", one.id)
    assert await world.events.take(ACME, "event-1", word, "ref-1", None) == "unknown"
    world.provider.script.on("status", NOT_DONE)
    await world.completed_by_poll(one)
    assert await world.references.find("acme", "ref-1") == (one.id,)
    await world.work()
    assert (await world.load(one)).state is state


async def test_reference_of_a_deleted_invitation(world: World) -> None:
    """A poll during a deletion leaves no reference behind."""
    one = await world.invited()
    await world.references.remove("acme", "ref-1", one.id)
    await world.records.apply(one, ErasureRequested(), ACME)
    await world.events.restore_reference(one, "ref-1")
    assert await world.references.find("acme", "ref-1") == ()


async def test_references_cannot_be_reached(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll does its work although that part of Redis is away."""

    async def away(*_: str) -> tuple[str, ...]:
        raise StoreUnavailable("away")

    one = await world.invited()
    monkeypatch.setattr(world.references, "find", away)
    world.provider.script.on("status", NOT_DONE)
    polled = await world.completed_by_poll(one)
    assert polled.state is State.INVITED
    assert await world.next_due() is not None
