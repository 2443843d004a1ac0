"""What operators look at and decide."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.core.invitation import Invitation, State
from bridge.core.queueing import NotificationResponse, TaskKind
from bridge.errors import OutcomeUnknown, UnknownInvitation
from bridge.service.operations import DeadLetterFilter
from tests.service.fakes import NOW, World, make_customer

HOUR = timedelta(hours=1)


async def dead(world: World, application: str = "application-1") -> Invitation:
    """An invitation whose notification is a dead letter."""
    one = await world.completed(application)
    world.notifier.script.on("notify", NotificationResponse(400, excerpt="what is this?"))
    await world.work()
    world.notifier.script.on("notify", NotificationResponse(204))
    return one


async def replay(world: World, wanted: DeadLetterFilter) -> int:
    """How many of these dead letters were queued again."""
    return await world.operations.replay(await world.operations.dead_letters(wanted))


async def test_a_dead_letter_keeps_its_log(world: World) -> None:
    """A dead letter tells what was tried and how it was answered."""
    one = await dead(world)
    (letter,) = await world.operations.dead_letters(DeadLetterFilter())
    assert (letter.task_id, letter.customer, letter.attempts) == (f"{one.id}:notify", "acme", 1)
    (note,) = letter.history
    assert (note.at, note.outcome, note.status, note.excerpt) == (
        NOW,
        "rejected",
        400,
        "what is this?",
    )


async def test_choices(world: World) -> None:
    """Dead letters are chosen by task id, invitation id, customer and age, and listed oldest
    first.
    """
    first = await dead(world)
    world.clock.advance(HOUR)
    second = await dead(world, "application-2")
    choices = (
        (DeadLetterFilter(), [first.id, second.id]),
        (DeadLetterFilter(first.id), [first.id]),
        (DeadLetterFilter(f"{second.id}:notify"), [second.id]),
        (DeadLetterFilter(f"{second.id}:check"), []),
        (DeadLetterFilter(None, "acme"), [first.id, second.id]),
        (DeadLetterFilter(None, "globex"), []),
        (DeadLetterFilter(first.id, "globex"), []),
        (DeadLetterFilter(None, None, HOUR), [first.id]),
        (DeadLetterFilter(None, None, 2 * HOUR), []),
    )
    for choice, expected in choices:
        assert [
            letter.invitation_id for letter in await world.operations.dead_letters(choice)
        ] == expected


async def test_replay_twice_runs_twice(world: World) -> None:
    """Each replay performs the task once more, from the first attempt; one that is not dead is not
    replayed.
    """
    one = await dead(world)
    for runs in (1, 2):
        world.notifier.script.on("notify", NotificationResponse(400))
        world.notifier.script.calls.clear()
        assert await replay(world, DeadLetterFilter(one.id)) == 1
        assert await replay(world, DeadLetterFilter(one.id)) == 0
        (lease,) = await world.lease()
        assert (lease.attempt, lease.history, lease.kind) == (1, (), TaskKind.NOTIFY)
        await world.tasks.perform(lease)
        assert len(world.notifier.script.calls) == 1, runs
    (letter,) = await world.operations.dead_letters(DeadLetterFilter())
    assert letter.attempts == 1


async def test_replay_is_due_now(world: World) -> None:
    """A replayed task is due at once, and delivered it leaves nothing."""
    await dead(world)
    await dead(world, "application-2")
    assert await replay(world, DeadLetterFilter()) == 2
    assert await world.work() == 2
    assert await world.operations.dead_letters(DeadLetterFilter()) == []
    assert await world.next_due() is None


async def test_drop(world: World) -> None:
    """A dropped letter is gone for good, and its task does not run again."""
    one = await dead(world)
    letters = await world.operations.dead_letters(DeadLetterFilter(one.id))
    assert await world.operations.drop(letters) == 1
    assert await world.operations.drop(letters) == 0
    assert await replay(world, DeadLetterFilter(one.id)) == 0
    assert await world.work() == 0


async def test_invitations_by_customer_and_state(world: World) -> None:
    """Invitations are found by customer, by state, and by a create that was never answered."""
    globex = make_customer("globex")
    world.customers["globex"] = globex
    invited = await world.invited()
    done = await world.completed("application-2")
    world.provider.script.on("create", OutcomeUnknown("equalture", "create", "?"))
    with pytest.raises(OutcomeUnknown):
        await world.invited("application-3")

    async def found(
        customer: str | None = None, state: State | None = None, uncertain: bool = False
    ) -> set[str]:
        return {
            one.id
            async for one in world.operations.invitations(customer, state, uncertain=uncertain)
        }

    everything = await found()
    (lost,) = everything - {invited.id, done.id}
    assert await found("acme") == everything
    assert await found("globex") == set()
    assert await found(state=State.COMPLETED) == {done.id}
    assert await found(uncertain=True) == await found("acme", State.UNCERTAIN) == {lost}
    assert await found(state=State.INVITED, uncertain=True) == set()


async def test_customers_of_whom_something_is_stored(world: World) -> None:
    """Customers are known by what is stored of them, also when they are not configured any more."""
    assert await world.operations.customers() == set()
    await dead(world)
    world.customers.clear()
    assert await world.operations.customers() == {"acme"}


async def test_unknown_invitation(world: World) -> None:
    """An id that is not stored is said to be unknown."""
    for an_id in ("nonsense", "iv_0" + "a" * 24):
        with pytest.raises(UnknownInvitation):
            await world.operations.invitation(an_id)
