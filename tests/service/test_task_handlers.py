"""The three debts: what a task does, and how it is settled whatever happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from structlog.typing import EventDict

from bridge.core.assessment import ApplicationProgress, Result
from bridge.core.callback_urls import CallbackUrlPolicy
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle.events import ErasureRequested, HireRequested
from bridge.core.lifecycle.policy import UNREACHABLE_TIMEOUT
from bridge.core.queueing import LEASE_LIFE, DeadLetter, NotificationResponse, TaskKind
from bridge.core.retry import POISONED_AFTER
from bridge.errors import (
    BulkheadFull,
    CallNotMade,
    CircuitOpen,
    OutcomeUnknown,
    RecordTooNew,
    StoreUnavailable,
    UpstreamContractBroken,
    UpstreamRefused,
    UpstreamUnavailable,
)
from tests.service.fakes import ACME, PLAN, RESULT, World

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
FOREVER = timedelta(days=400)


async def letters(world: World) -> list[DeadLetter]:
    return [letter async for letter in world.store.dead_letters()]


async def until_quiet(world: World, rounds: int = 100) -> int:
    """Let time pass and perform what becomes due, until nothing is queued; how many
    performances.
    """
    performed = 0
    for _ in range(rounds):
        left = await world.next_due()
        if left is None:
            return performed
        world.clock.advance(max(left, timedelta(0)))
        performed += await world.work()
    pytest.fail(f"still at work after {rounds} rounds")


async def with_task(world: World, kind: TaskKind) -> Invitation:
    """An invitation about which a task of this kind is due, and no other."""
    if kind in (TaskKind.NOTIFY, TaskKind.HIRE):
        one = await world.completed()
        if kind is TaskKind.HIRE:
            await world.work()  # the notification
            await world.records.apply(one, HireRequested(add_to_team=True), ACME)
        return one
    one = await world.invited()
    if kind is TaskKind.CHECK:
        return await world.unconfirmed_result(one)
    await world.records.apply(one, ErasureRequested(), ACME)
    world.clock.advance(SECOND)
    return one


# -- NOTIFY


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (NotificationResponse(204), None),
        (NotificationResponse(200), None),
        (NotificationResponse(400), "rejected"),
        (NotificationResponse(401), PLAN[3]),
        (NotificationResponse(404), PLAN[0]),
        (NotificationResponse(408), PLAN[0]),
        (NotificationResponse(429, retry_after_s=90), 90 * SECOND),
        (NotificationResponse(429, retry_after_s=1), PLAN[0]),
        (NotificationResponse(429, retry_after_s=1e9), timedelta(days=1)),
        (NotificationResponse(500), PLAN[0]),
        (NotificationResponse(503, retry_after_s=7), 7 * SECOND),
        (NotificationResponse(302), PLAN[0]),
        (UpstreamUnavailable("softgarden", "notify", "no connection"), PLAN[0]),
        (OutcomeUnknown("softgarden", "notify", "no answer"), PLAN[0]),
    ],
    ids=lambda value: str(value) if isinstance(value, Exception) else repr(value)[:60],
)
async def test_notify_is_settled_by_the_answer(
    world: World, answer: Any, expected: timedelta | str | None
) -> None:
    """Each of softgarden's answers leads to one settlement: done (None), again after a delay, or a
    dead letter.
    """
    one = await world.completed()
    world.notifier.script.on("notify", answer)
    assert await world.work() == 1
    dead = [(letter.invitation_id, letter.kind, letter.reason) for letter in await letters(world)]
    assert await world.next_due() == (expected if isinstance(expected, timedelta) else None)
    assert dead == ([(one.id, TaskKind.NOTIFY, expected)] if isinstance(expected, str) else [])


async def test_the_plan_is_walked_to_its_end(world: World) -> None:
    """A plan of n entries makes n + 1 attempts; the dead letter keeps the log of each."""
    await world.completed()
    world.notifier.script.on(
        "notify",
        NotificationResponse(500, excerpt="busy"),
        NotificationResponse(404),
        OutcomeUnknown("softgarden", "n", "?"),
    )
    assert await until_quiet(world) == len(PLAN) + 1
    (letter,) = await letters(world)
    assert (letter.attempts, letter.reason) == (len(PLAN) + 1, "outcome_unknown")
    log = [(note.outcome, note.status, note.excerpt) for note in letter.history]
    assert log[:3] == [
        ("http_500", 500, "busy"),
        ("http_404", 404, ""),
        ("outcome_unknown", None, ""),
    ]
    assert len(log) == len(PLAN) + 1


@pytest.mark.parametrize(("random_fraction", "factor"), [(0.0, 0.8), (0.5, 1.0), (0.999, 1.2)])
async def test_jitter(world: World, random_fraction: float, factor: float) -> None:
    """Delays are spread by 20 % to either side."""
    world.random_fraction = random_fraction
    await world.completed()
    world.notifier.script.on("notify", NotificationResponse(500))
    await world.work()
    left = await world.next_due()
    assert left is not None
    assert left / PLAN[0] == pytest.approx(factor, abs=0.01)


async def test_callback_that_is_not_allowed_any_more(world: World) -> None:
    """A callback whose host was taken off the list is a dead letter, and nobody is called."""
    await world.completed()
    world.rule = CallbackUrlPolicy(["softgarden.de"])
    await world.work(world.make_tasks())
    (letter,) = await letters(world)
    assert (letter.reason, letter.attempts) == ("callback_not_allowed", 0)
    assert world.notifier.script.calls == []


async def test_an_erased_invitation_is_not_notified(world: World) -> None:
    """A notification that was leased when the candidate was deleted is not sent."""
    one = await world.completed()
    (lease,) = await world.lease()
    await world.records.apply(one, ErasureRequested(), ACME)
    await world.tasks.perform(lease)
    assert world.notifier.script.calls == []
    assert await letters(world) == []


# -- CHECK


async def test_confirmed_result(world: World) -> None:
    """A hint is confirmed by the provider's own result, which is kept in place of the report."""
    one = await world.invited()
    await world.unconfirmed_result(one, Result(fit="low"))
    await world.work()
    done = await world.load(one)
    assert (done.state, done.confirmed, done.result) == (State.COMPLETED, True, RESULT)
    assert world.kinds() == {TaskKind.NOTIFY}


@pytest.mark.parametrize(
    "silence",
    [
        UpstreamUnavailable("equalture", "status", "no connection"),
        OutcomeUnknown("equalture", "status", "no answer"),
        UpstreamContractBroken("equalture", "status", "html", status=200),
        UpstreamRefused("equalture", "token", "wrong secret", status=401),
        UpstreamUnavailable("equalture", "status", "later", status=429, retry_after_s=3600),
    ],
    ids=str,
)
async def test_silent_provider(world: World, silence: Exception) -> None:
    """A report counts 30 seconds after it came in while the provider cannot be asked, not earlier
    and hardly later.
    """
    one = await world.invited()
    hinted_at = world.clock()
    await world.unconfirmed_result(one)
    world.provider.script.on("status", silence)
    world.provider.script.on("results", silence)
    while (await world.load(one)).state is State.INVITED:
        left = await world.next_due()
        assert left is not None
        world.clock.advance(left)
        assert world.clock() <= hinted_at + UNREACHABLE_TIMEOUT
        assert await world.work() == 1
    done = await world.load(one)
    assert world.clock() == hinted_at + UNREACHABLE_TIMEOUT
    assert (done.state, done.confirmed, done.completed_at) == (State.COMPLETED, False, hinted_at)
    assert TaskKind.NOTIFY in world.kinds()


async def test_unconfirmed_result_is_confirmed_later(world: World) -> None:
    """A report that had to count is confirmed once the provider answers; another notification only
    if it differs.
    """
    one = await world.invited()
    await world.unconfirmed_result(one, Result(fit="low"))
    world.provider.script.on("results", UpstreamUnavailable("equalture", "results", "no"))
    world.clock.advance(UNREACHABLE_TIMEOUT)
    await world.work()
    await world.work()
    assert len(world.notifier.script.calls) == 1
    world.provider.script.on("results", RESULT)
    await until_quiet(world)
    done = await world.load(one)
    assert (done.confirmed, done.result) == (True, RESULT)
    assert len(world.notifier.script.calls) == 2


@pytest.mark.parametrize("is_found", [True, False])
async def test_report_during_a_check(world: World, is_found: bool) -> None:
    """A report that comes while the provider is asked for the status alone is looked into at once:
    that answer says nothing about it.
    """
    one = await world.invited()

    async def report_meanwhile(*_: str) -> ApplicationProgress:
        await world.unconfirmed_result(one)
        if not is_found:
            raise UpstreamRefused("equalture", "status", "no", status=404)
        return ApplicationProgress(False, "pending")

    world.provider.script.on("status", report_meanwhile)
    world.clock.advance(ACME.provider.poll_every)
    assert await world.work() == 1
    assert await world.next_due() == timedelta(0)
    world.provider.script.on("status", ApplicationProgress(False, "pending"))
    await world.work()
    assert (await world.load(one)).state is State.COMPLETED


@pytest.mark.parametrize("status", [404, 410])
async def test_no_result_there(world: World, status: int) -> None:
    """A provider that says "no such thing" about the application has answered: there is no result
    yet.
    """
    one = await world.invited()
    world.provider.script.on("status", UpstreamRefused("equalture", "status", "no", status=status))
    world.clock.advance(ACME.provider.poll_every)
    assert await world.work() == 1
    assert (await world.load(one)).state is State.INVITED
    assert world.kinds() == {TaskKind.CHECK}


async def die_in_create(world: World) -> Invitation:
    """An invitation whose process died while the provider made its application."""

    async def dies(*_: str) -> None:
        raise KeyError("as if the process had died in mid-create")

    world.provider.script.on("create", dies)
    with pytest.raises(KeyError):
        await world.invited()
    (one,) = [one async for one in world.store.scan()]
    return one


async def test_create_of_a_dead_process(world: World) -> None:
    """A create that nobody reported on becomes uncertain by its CHECK, no sooner than its time is
    over.
    """
    one = await die_in_create(world)
    assert one.state is State.CREATING
    left = await world.next_due()
    assert left == world.records.policy(ACME).create_timeout
    world.clock.advance(left)
    await world.work()
    assert (await world.load(one)).state is State.UNCERTAIN


async def test_create_of_a_dead_process_is_listed_after_a_deletion(world: World) -> None:
    """A create that nobody reported on is listed as uncertain also where the invitation was deleted
    meanwhile: its application may stand at the provider.
    """
    one = await die_in_create(world)
    await world.records.apply(one, ErasureRequested(), ACME)
    left = await world.next_due()
    assert left == world.records.policy(ACME).create_timeout
    world.clock.advance(left)
    await world.work()
    found = world.operations.invitations("acme", None, uncertain=True)
    assert [(one.id, one.state) async for one in found] == [(one.id, State.ERASED)]
    assert world.kinds() == set()


# -- ANONYMISE


async def test_anonymising_is_tried_without_end(world: World) -> None:
    """The provider is asked to anonymise, ever more slowly, for as long as it does not answer."""
    one = await world.invited()
    await world.records.apply(one, ErasureRequested(), ACME)
    world.provider.script.on(
        "anonymise", *[UpstreamUnavailable("equalture", "anonymise", "no")] * 40, None
    )
    assert await until_quiet(world) == 41
    assert (await world.load(one)).attempts[0].anonymised
    assert await letters(world) == []


@pytest.mark.parametrize("status", [409, 422])
async def test_anonymising_refused(world: World, status: int) -> None:
    """A provider that will not anonymise, whatever we do, is a dead letter: somebody has to look at
    it.
    """
    one = await world.invited()
    await world.records.apply(one, ErasureRequested(), ACME)
    world.provider.script.on(
        "anonymise",
        UpstreamRefused("equalture", "anonymise", "hired", status=status, excerpt="hired"),
    )
    await until_quiet(world)
    (letter,) = await letters(world)
    assert (letter.kind, letter.reason, letter.history[0].status) == (
        TaskKind.ANONYMISE,
        "refused",
        status,
    )


# -- whatever happens


@pytest.mark.parametrize("kind", list(TaskKind))
async def test_poisoned_task(world: World, kind: TaskKind) -> None:
    """A task that fails by a bug, every time, is a dead letter after POISONED_AFTER attempts and
    never loops.
    """
    await with_task(world, kind)
    for operation in ("status", "anonymise", "hire"):
        world.provider.script.on(operation, ZeroDivisionError("a bug"))
    world.notifier.script.on("notify", ZeroDivisionError("a bug"))
    assert await until_quiet(world) == POISONED_AFTER
    (letter,) = await letters(world)
    assert (letter.kind, letter.attempts, letter.reason) == (kind, POISONED_AFTER, "poisoned")
    assert {note.outcome for note in letter.history} == {"bug:ZeroDivisionError"}
    assert len(letter.history) == POISONED_AFTER


async def test_damaged_record(world: World) -> None:
    """A damaged record's tasks are put off, uncounted, and performed once somebody has repaired
    it.
    """
    one = await world.completed()
    kept = world.store.overwrite(one.id, b"this is no record")
    for _ in range(3 * POISONED_AFTER):
        assert await world.work() == 1
        left = await world.next_due()
        assert left is not None
        assert left > SECOND
        world.clock.advance(left)
    assert await letters(world) == []
    world.store.overwrite(one.id, kept)
    await world.work()
    assert len(world.notifier.script.calls) == 1


async def test_record_of_a_newer_bridge(world: World) -> None:
    """A record that a newer bridge wrote is left to that one: put off, uncounted, however long the
    upgrade takes.
    """
    one = await world.completed()
    kept = world.store.overwrite(one.id, b'{"f": 99}')
    with pytest.raises(RecordTooNew):
        await world.store.load(one.id)
    for _ in range(3 * POISONED_AFTER):
        assert await world.work() == 1
        left = await world.next_due()
        assert left is not None
        assert left > SECOND
        world.clock.advance(left)
    assert await letters(world) == []
    world.store.overwrite(one.id, kept)
    await world.work()
    assert len(world.notifier.script.calls) == 1


@pytest.mark.parametrize("kind", list(TaskKind))
async def test_customer_no_longer_configured(world: World, kind: TaskKind) -> None:
    """Debts of a customer who is not configured wait, uncounted, and are paid at once when the
    customer is back.
    """
    one = await (world.completed() if kind is TaskKind.NOTIFY else world.invited())
    if kind is TaskKind.CHECK:
        await world.unconfirmed_result(one)
    elif kind is TaskKind.ANONYMISE:
        await world.records.apply(one, ErasureRequested(), ACME)
        world.clock.advance(SECOND)
    world.customers.clear()
    world.provider.script.calls.clear()
    for _ in range(20):
        assert await world.work() == 0
        world.clock.advance(HOUR)
    assert world.provider.script.calls == world.notifier.script.calls == []
    world.customers["acme"] = ACME
    (lease,) = await world.lease()
    assert (lease.attempt, lease.history) == (1, ())
    await world.tasks.perform(lease)
    assert world.provider.script.calls or world.notifier.script.calls
    assert await letters(world) == []


async def test_record_that_is_gone(world: World) -> None:
    """A task whose record is no longer kept is done."""
    one = await world.completed()
    world.store.forget(one.id)
    await world.work()
    assert await world.next_due() is None
    assert world.notifier.script.calls == []


async def test_store_away(world: World) -> None:
    """A store that is away leaves the task leased: it is performed again when the lease has run
    out.
    """
    await world.completed()
    (lease,) = await world.lease()

    async def gone(*_: str) -> NotificationResponse:
        world.store.down = True
        return NotificationResponse(204)

    world.notifier.script.on("notify", gone, NotificationResponse(204))
    with pytest.raises(StoreUnavailable):
        await world.tasks.perform(lease)
    world.store.down = False
    assert await world.lease() == ()
    world.clock.advance(LEASE_LIFE)
    assert await world.work() == 1
    assert await world.next_due() is None
    assert len(world.notifier.script.calls) == 2


async def test_perform_now(world: World) -> None:
    """A task can be performed out of turn, before it is due; not while somebody else is at it, nor
    without one.
    """
    one = await world.invited()
    left = await world.next_due()
    assert left is not None
    assert left > SECOND
    assert await world.tasks.perform_now(one.id, TaskKind.CHECK)
    assert (await world.load(one)).state is State.COMPLETED
    assert not await world.tasks.perform_now(one.id, TaskKind.ANONYMISE)
    await world.lease()
    assert not await world.tasks.perform_now(one.id, TaskKind.NOTIFY)


async def test_a_late_settlement_changes_nothing(world: World) -> None:
    """A worker that lost its lease settles in vain: what the other one decided stands."""
    await world.completed()
    (lost,) = await world.lease()
    world.clock.advance(LEASE_LIFE)
    (taken,) = await world.lease()
    world.notifier.script.on("notify", NotificationResponse(400))
    await world.tasks.perform(lost)
    assert await letters(world) == []
    world.notifier.script.on("notify", NotificationResponse(204))
    await world.tasks.perform(taken)
    assert await world.next_due() is None


@pytest.mark.parametrize("kind", list(TaskKind))
async def test_a_task_whose_record_is_gone(
    world: World, kind: TaskKind, journal: list[EventDict]
) -> None:
    """A task without a record is over, and somebody is told."""
    one = await with_task(world, kind)
    world.store.forget()
    await world.work()
    assert await world.next_due() is None
    (lost,) = [entry for entry in journal if entry["event"] == "record.lost"]
    assert (lost["invitation_id"], lost["during"], lost["log_level"]) == (
        one.id,
        str(kind),
        "error",
    )


async def test_a_dead_letter_counts_calls(world: World) -> None:
    """What a breaker or a full queue kept from going out is no attempt: a dead letter names the
    calls that were made.
    """
    await world.completed()
    quiet = CircuitOpen("softgarden", "notify", "silent", retry_after_s=1)
    full = BulkheadFull("softgarden", "notify", "too many", retry_after_s=1)
    made = NotificationResponse(500)
    world.notifier.script.on("notify", quiet, full, made, quiet, made, full, quiet, made)
    await until_quiet(world)
    (letter,) = await letters(world)
    assert letter.attempts == len(PLAN) + 1
    assert [note.outcome for note in letter.history] == ["http_500"] * (len(PLAN) + 1)


@pytest.mark.parametrize("kind", list(TaskKind))
@pytest.mark.parametrize("refusal", [CircuitOpen, BulkheadFull])
async def test_a_call_that_was_not_made_is_no_attempt(
    world: World, kind: TaskKind, refusal: type[CallNotMade]
) -> None:
    """A task whose call the breaker refused, or for which our own calls left no turn, is put off,
    uncounted and unlogged.
    """
    await with_task(world, kind)
    refused = refusal("vendor", "call", "no call was made", retry_after_s=2)
    for operation in ("status", "results", "anonymise", "hire"):
        world.provider.script.on(operation, refused)
    world.notifier.script.on("notify", refused)
    assert await world.work() == 1
    due = await world.next_due()
    assert due is not None
    assert 2 * SECOND <= due <= 4 * SECOND
    world.clock.advance(due)
    (lease,) = await world.lease()
    assert (lease.kind, lease.attempt, lease.history) == (kind, 1, ())
