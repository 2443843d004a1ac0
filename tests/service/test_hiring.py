"""An applicant who was hired is hired at the provider, once, whatever goes wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bridge.core.assessment import ApplicationProgress, CreatedApplication
from bridge.core.customers import HirePolicy
from bridge.core.history import HistoryEntryKind
from bridge.core.invitation import HireState, Invitation, State
from bridge.core.lifecycle.events import (
    ApplicationCreated,
    ErasureRequested,
    HireCallStarted,
    HireRequested,
)
from bridge.core.queueing import LEASE_LIFE, DeadLetter, TaskKind
from bridge.core.timeline import build_timeline
from bridge.errors import (
    OutcomeUnknown,
    StoreUnavailable,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from bridge.service.commit_loop import CommitLoop
from bridge.service.hire_task import LOOKS, LOOKS_FOR_APPLICATION
from bridge.service.hiring import HireOutcome
from bridge.service.operations import DeadLetterFilter
from tests.fakes import MemoryStore
from tests.service.fakes import ACME, World, make_customer

EXPORTING = replace(ACME, hire=HirePolicy(enabled=True, add_to_team=False))
OTHER = make_customer("other")
COMPLETED, HIRED = (
    ApplicationProgress(True, "completed"),
    ApplicationProgress(True, "hired", hired=True),
)


def refused(status: int) -> UpstreamRefused:
    return UpstreamRefused("scripted", "hire", "no", status=status, excerpt="no")


UNKNOWN = OutcomeUnknown("scripted", "hire", "silence")
AWAY = UpstreamUnavailable("scripted", "hire", "away")


async def letters(world: World) -> list[DeadLetter]:
    return await world.operations.dead_letters(DeadLetterFilter())


async def until_quiet(world: World) -> None:
    """Let time pass until nothing is queued."""
    for _ in range(50):
        left = await world.next_due()
        if left is None:
            return
        world.clock.advance(max(left, 0 * left))
        await world.work()
    pytest.fail("still at work")


async def completed(world: World, application: str = "application-1") -> Invitation:
    """A completed invitation about which nothing is left to do."""
    one = await world.completed(application)
    await world.work()
    return one


async def state(world: World, one: Invitation) -> HireState | None:
    hire = (await world.load(one)).hire
    return hire.state if hire else None


async def test_exported_applicant(world: World) -> None:
    """Every test of the application is hired, once, however often the export comes; the customer's
    setting says whether into the team.
    """
    one = await completed(world)
    for _ in range(3):
        await world.hiring.applicant_hired(EXPORTING, "application-1")
        await until_quiet(world)
    assert world.provider.script.made("hire") == [("hire", "acme", "ref-1", "False", None)]
    assert await state(world, one) is HireState.DONE
    kinds = [row.kind for row in build_timeline(await world.load(one))]
    assert [
        kinds.count(kind) for kind in (HistoryEntryKind.HIRE_REQUESTED, HistoryEntryKind.HIRED)
    ] == [1, 1]


@pytest.mark.parametrize(
    ("customer", "application"), [(EXPORTING, "somebody else's"), (OTHER, "application-1")]
)
async def test_nobody_to_hire(world: World, customer: object, application: str) -> None:
    """An application without a test, or of another customer, is no error and hires nobody."""
    await completed(world)
    await world.hiring.applicant_hired(customer, application)  # type: ignore[arg-type]
    assert world.kinds() == set()


async def completed_without_name(world: World) -> Invitation:
    """Completed by a report, while the answer to its create is not known."""
    world.provider.script.on("create", OutcomeUnknown("scripted", "create", "silence"))
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    (one,) = await world.store.find_by_application("acme", "application-1")
    await world.unconfirmed_result(one)
    await until_quiet(world)
    one = await world.load(one)
    assert (one.state, one.attempts[0].reference_id) == (State.COMPLETED, None)
    return one


async def test_application_becomes_known(world: World) -> None:
    """A hire that is exported before the create's answer is known is made with it (found by worlds:
    it was answered 200, and nobody was hired).
    """
    one = await completed_without_name(world)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await world.work()
    assert world.provider.script.made("hire") == []
    created = ApplicationCreated(1, "ref-late", "https://app.equalture.example/late")
    await world.records.apply(await world.load(one), created, ACME)
    await until_quiet(world)
    assert world.provider.script.made("hire") == [("hire", "acme", "ref-late", "False", None)]
    assert await state(world, one) is HireState.DONE
    assert await letters(world) == []


async def test_application_stays_unknown(world: World) -> None:
    """Where that answer got lost, an operator is told that nobody was hired; should it come in the
    end, it is done.
    """
    one = await completed_without_name(world)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await until_quiet(world)
    (letter,) = await letters(world)
    assert (letter.kind, letter.reason) == (TaskKind.HIRE, "application_unknown")
    assert len(letter.history) == LOOKS_FOR_APPLICATION
    assert world.provider.script.made("hire") == []
    created = ApplicationCreated(1, "ref-late", "https://app.equalture.example/late")
    await world.records.apply(await world.load(one), created, ACME)
    await until_quiet(world)
    assert await state(world, one) is HireState.DONE
    assert await letters(world) == []


async def test_deleted(world: World) -> None:
    """Nobody is hired whose data was deleted, not even if that came in between."""
    one = await completed(world)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await world.records.apply(one, ErasureRequested(), ACME)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await until_quiet(world)
    assert world.provider.script.made("hire") == []


async def test_without_a_store(world: World) -> None:
    """What cannot be kept is not accepted."""
    await completed(world)
    world.store.down = True
    with pytest.raises(StoreUnavailable):
        await world.hiring.applicant_hired(EXPORTING, "application-1")


@pytest.mark.parametrize("error", [AWAY, refused(401)], ids=["away", "credentials"])
async def test_not_done(world: World, error: UpstreamError) -> None:
    """What was certainly not done is tried again."""
    one = await completed(world)
    world.provider.script.on("hire", error, error, None)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await until_quiet(world)
    assert len(world.provider.script.made("hire")) == 3
    assert await state(world, one) is HireState.DONE


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
async def test_refused(world: World, status: int) -> None:
    """A refusal is a dead letter; a repeated export, or a replay, tries once more."""
    one = await completed(world)
    world.provider.script.on("hire", refused(status))
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await until_quiet(world)
    (letter,) = await letters(world)
    noted = (letter.kind, letter.reason, letter.attempts, letter.history[0].status)
    assert noted == (TaskKind.HIRE, "refused", 1, status)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await until_quiet(world)
    assert len(world.provider.script.made("hire")) == 2
    world.provider.script.on("hire", None)
    assert await world.operations.replay(await letters(world)) == 1
    await until_quiet(world)
    assert (await state(world, one), await letters(world)) == (HireState.DONE, [])


async def test_hired_there_by_hand(world: World) -> None:
    """Where the provider refuses since the applicant is hired already, nothing is left to do."""
    one = await completed(world)
    world.provider.script.on("hire", refused(409))
    world.provider.script.on("status", HIRED)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await until_quiet(world)
    assert (await state(world, one), await letters(world)) == (HireState.DONE, [])


async def test_refused_and_then_silent(world: World) -> None:
    """A refusal stays one where the provider cannot be asked why."""
    await completed(world)
    world.provider.script.on("hire", refused(409))
    world.provider.script.on("status", AWAY)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await until_quiet(world)
    assert [letter.reason for letter in await letters(world)] == ["refused"]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((HIRED,), HireState.DONE),
        ((AWAY, COMPLETED, HIRED), HireState.DONE),
        ((COMPLETED,), HireState.UNKNOWN),
        ((refused(404),), HireState.UNKNOWN),
    ],
    ids=["seen", "seen later", "never seen", "not found"],
)
async def test_outcome_unknown(
    world: World, answers: tuple[object, ...], expected: HireState
) -> None:
    """A call without an answer is never repeated: the status tells, or it is a dead letter."""
    one = await completed(world)
    world.provider.script.on("hire", UNKNOWN)
    world.provider.script.on("status", *answers)
    for _ in range(2):
        await world.hiring.applicant_hired(EXPORTING, "application-1")
        await until_quiet(world)
    assert len(world.provider.script.made("hire")) == 1
    assert await state(world, one) is expected
    reasons = [letter.reason for letter in await letters(world)]
    assert reasons == (["outcome_unknown"] if expected is HireState.UNKNOWN else [])
    if expected is HireState.UNKNOWN and answers == (COMPLETED,):
        assert len(world.provider.script.made("status")) >= LOOKS


async def test_replayed_by_an_operator(world: World) -> None:
    """Only a replay makes a call again whose outcome nobody knows."""
    one = await completed(world)
    world.provider.script.on("hire", UNKNOWN, None)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await until_quiet(world)
    assert await world.operations.replay(await letters(world)) == 1
    await until_quiet(world)
    assert len(world.provider.script.made("hire")) == 2
    assert await state(world, one) is HireState.DONE


@pytest.mark.parametrize("hired", [True, False])
async def test_died_in_the_call(world: World, hired: bool) -> None:
    """After a crash in the call nobody makes it again: the status tells, or it is a dead letter."""
    one = await completed(world)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    (lease,) = await world.lease()
    await world.records.apply(await world.load(one), HireCallStarted(lease.revision), ACME)
    world.provider.script.on("status", HIRED if hired else COMPLETED)
    world.clock.advance(2 * LEASE_LIFE)
    await until_quiet(world)
    assert world.provider.script.made("hire") == []
    assert await state(world, one) is (HireState.DONE if hired else HireState.UNKNOWN)
    assert len(await letters(world)) == (not hired)


async def test_died_after_giving_up(world: World) -> None:
    """A crash right after it was noted that nobody knows does not have it called again."""
    one = await completed(world)
    world.provider.script.on("hire", UNKNOWN)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    await until_quiet(world)
    world.store.enqueue(one.id, TaskKind.HIRE, "acme")
    await until_quiet(world)
    assert len(world.provider.script.made("hire")) == 1


async def test_late_answer(world: World) -> None:
    """Who took too long for its lease still says what it knows; nobody calls in the meantime."""
    one = await completed(world)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    (slow,) = await world.lease()
    world.clock.advance(2 * LEASE_LIFE)
    (quick,) = await world.lease()
    answered = asyncio.Event()

    async def answer(*_: object) -> None:
        answered.set()

    world.provider.script.on("hire", answer)
    await asyncio.gather(world.tasks.perform(slow), world.tasks.perform(quick))
    await until_quiet(world)
    assert len(world.provider.script.made("hire")) == 1
    assert answered.is_set()
    assert await state(world, one) is HireState.DONE


class HesitantStore:
    """A store whose readers let others go first."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def load(self, invitation_id: str) -> Invitation | None:
        found = await self._store.load(invitation_id)
        await asyncio.sleep(0)
        return found


async def test_two_at_once(world: World) -> None:
    """Of two processes that hold the same task, and read the same record, one makes the call."""
    one = await completed(world)
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    (slow,) = await world.lease()
    world.clock.advance(2 * LEASE_LIFE)
    (quick,) = await world.lease()
    performing = []
    for lease in (slow, quick):
        world.records = CommitLoop(
            HesitantStore(world.store),  # type: ignore[arg-type]
            world.clock,
            lambda: None,
            monotonic=world.clock.monotonic,
        )
        performing.append(world.make_tasks().perform(lease))
    await asyncio.gather(*performing)
    assert len(world.provider.script.made("hire")) == 1
    await until_quiet(world)
    assert await state(world, one) is HireState.DONE


async def test_shared_application(world: World) -> None:
    """Two invitations to which the provider gave one application are hired there once."""
    world.provider.script.on("create", CreatedApplication("ref-1", "https://equalture.example/1"))
    first, second = await completed(world), await completed(world, "application-2")
    for application in ("application-1", "application-2"):
        await world.hiring.applicant_hired(EXPORTING, application)
    await until_quiet(world)
    assert len(world.provider.script.made("hire")) == 1
    assert {await state(world, one) for one in (first, second)} == {HireState.DONE}


@pytest.mark.parametrize("known", [True, False])
async def test_shared_application_at_once(world: World, known: bool) -> None:
    """While the other one's hire is under way it waits; where nobody knows what became of it,
    neither does it.
    """
    world.provider.script.on("create", CreatedApplication("ref-1", "https://equalture.example/1"))
    first, second = await completed(world), await completed(world, "application-2")
    await world.hiring.applicant_hired(EXPORTING, "application-1")
    (lease,) = await world.lease()
    await world.records.apply(await world.load(first), HireCallStarted(lease.revision), ACME)
    await world.hiring.applicant_hired(EXPORTING, "application-2")
    await world.work()
    assert await state(world, second) is HireState.REQUESTED
    world.provider.script.on("status", HIRED if known else COMPLETED)
    world.clock.advance(2 * LEASE_LIFE)
    await until_quiet(world)
    assert world.provider.script.made("hire") == []
    assert len(await letters(world)) == (0 if known else 2)


async def hire(world: World, one: Invitation, **options: object) -> HireOutcome:
    said = {"team": True, "start_date": None, **options}
    return (await world.hiring.hire(ACME, await world.load(one), **said))[1]  # type: ignore[arg-type]


async def test_by_an_operator(world: World) -> None:
    """An operator's hire is done at once, and the second time says so."""
    one = await completed(world)
    assert await hire(world, one, team=False, start_date="2026-01-01") is HireOutcome.HIRED
    assert await hire(world, one) is HireOutcome.ALREADY_HIRED
    assert world.provider.script.made("hire") == [("hire", "acme", "ref-1", "False", "2026-01-01")]


async def test_nothing_for_an_operator(world: World) -> None:
    """What has no application at the provider cannot be hired."""
    one = await completed(world)
    await world.records.apply(one, ErasureRequested(), ACME)
    assert await hire(world, one) is HireOutcome.NOTHING_TO_HIRE


async def test_operator_and_daemon(world: World) -> None:
    """Where a daemon is at it already the operator waits for its outcome, for as long as one call
    may take.
    """
    one = await completed(world)
    await world.records.apply(one, HireRequested(add_to_team=True), ACME)
    (lease,) = await world.lease()
    assert await hire(world, one) is HireOutcome.WAITING

    def begin() -> None:
        tasks.append(asyncio.ensure_future(world.tasks.perform(lease)))

    tasks: list[asyncio.Future[None]] = []
    world.on_pause = begin
    assert await hire(world, one) is HireOutcome.HIRED
    assert len(world.provider.script.made("hire")) == 1


@pytest.mark.parametrize(
    ("error", "outcome"), [(AWAY, HireOutcome.WAITING), (refused(409), HireOutcome.WAITING)]
)
async def test_operator_without_success(
    world: World, error: UpstreamError, outcome: HireOutcome
) -> None:
    """An operator is told that it is not done."""
    one = await completed(world)
    world.provider.script.on("hire", error)
    assert await hire(world, one) is outcome


async def test_operator_and_the_unknown(world: World) -> None:
    """An operator's hire repeats no call whose outcome is unknown."""
    one = await completed(world)
    world.provider.script.on("hire", UNKNOWN)
    await hire(world, one)
    await until_quiet(world)
    assert await hire(world, one) is HireOutcome.UNKNOWN
    assert len(world.provider.script.made("hire")) == 1
    given_up = [row.text for row in build_timeline(await world.load(one)) if row.kind == "given_up"]
    assert given_up == ["hire outcome_unknown"]
