"""What every ``InvitationStore`` and ``TaskQueue`` promises, as suites to be inherited by one test
class per implementation.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.core import ids
from bridge.core.invitation import (
    CommitOutcome,
    CreateAttempt,
    CreateOutcome,
    Invitation,
    OrderClaimChange,
    State,
    Transition,
)
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import ApplicationAnonymised, CreateFailed, ErasureRequested
from bridge.core.queueing import (
    AttemptNote,
    CancelTask,
    DeadLetter,
    GiveUpTask,
    Lane,
    Lease,
    LeaseOffer,
    LeaseRequest,
    RetryTask,
    ScheduleTask,
    TaskDone,
    TaskKind,
)
from bridge.ports import InvitationStore, TaskQueue
from tests.core.build import POLICY

NOW = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
RETENTION = timedelta(days=365)
LEASE_LIFE = timedelta(seconds=10)
CHECK, NOTIFY, ANONYMISE = TaskKind.CHECK, TaskKind.NOTIFY, TaskKind.ANONYMISE


class Clock:
    """A clock that a test holds."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Backend:
    """An implementation under test; *life* tells how long the record, or the dead letter, with this
    id has to live (None: for ever).
    """

    invitations: InvitationStore
    tasks: TaskQueue
    clock: Clock
    life: Callable[[str], Awaitable[timedelta | None]]
    prefix: str = ""
    """Of its keys in Redis."""


_numbers = itertools.count(1)


def invitation(partition: int = 7, customer: str = "acme", **fields: object) -> Invitation:
    """A new record in this partition, of an order of its own."""
    number = next(_numbers)
    first = Invitation(
        id=ids.compose_invitation_id(partition, secrets.token_hex(12)),
        customer=customer,
        order_key=ids.compute_order_key(customer, str(number), "t1"),
        application_id=str(number),
        test_id="t1",
        test_name="Käufer & Co",
        duration=15,
        state=State.CREATING,
        created_at=NOW,
        updated_at=NOW,
        attempts=(CreateAttempt(1, "d" * 64, NOW),),
        callback="https://api.softgarden.de/callback",
    )
    return replace(first, **fields)  # type: ignore[arg-type]


def of_application(customer: str, application_id: str, number: int) -> Invitation:
    """A new record of this application, ordered so many seconds after the first one."""
    return invitation(
        ids.compute_partition(customer, application_id),
        customer,
        application_id=application_id,
        created_at=NOW + number * SECOND,
    )


def due(kind: TaskKind = CHECK, at: datetime = NOW, *, urgent: bool = False) -> ScheduleTask:
    return ScheduleTask(kind, at, urgent)


async def put(
    backend: Backend, *tasks: ScheduleTask | CancelTask, partition: int = 7, customer: str = "acme"
) -> Invitation:
    """Commit a new record with these tasks and give it as it was stored."""
    one = invitation(partition, customer)
    assert await backend.invitations.commit(Transition(one, tasks, OrderClaimChange.CLAIM))
    return replace(one, version=1)


async def lease(
    backend: Backend,
    now: datetime = NOW,
    *,
    owner: str = "w1",
    count: int = 100,
    per_lane: int = 100,
    **rest: object,
) -> tuple[Lease, ...]:
    """Lease for half a minute."""
    return await backend.tasks.lease(
        LeaseRequest(
            now,
            owner=owner,
            until=now + 30 * SECOND,
            count=count,
            per_lane=per_lane,
            **rest,  # type: ignore[arg-type]
        )
    )


def offer(kind: TaskKind = CHECK, *, urgent: bool = False) -> LeaseOffer:
    """A worker that would perform acme's task for half a minute."""
    return LeaseOffer(Lane("acme", kind, urgent), "w1", 77, NOW + 30 * SECOND)


async def dead_letters(backend: Backend) -> list[DeadLetter]:
    return [letter async for letter in backend.tasks.dead_letters()]


def note(number: int = 1) -> AttemptNote:
    return AttemptNote(NOW, "unavailable", 503, 12, f"später #{number}")


class InvitationPromises:
    """The suite of ``InvitationStore``."""

    async def test_what_was_committed_is_loaded(self, backend: Backend) -> None:
        """A record comes back as it was committed, with its version counted up."""
        one = invitation()
        assert await backend.invitations.commit(Transition(one, order=OrderClaimChange.CLAIM))
        assert await backend.invitations.load(one.id) == replace(one, version=1)

    async def test_unknown_ids(self, backend: Backend) -> None:
        """Any string may be asked for and is nothing unless it was committed."""
        for an_id in (
            "",
            "iv_",
            "x",
            "iv_7" + "a" * 24,
            "iv_7*",
            "iv_é" + "a" * 24,
            "a\nb",
            "\ud800",
        ):
            assert await backend.invitations.load(an_id) is None

    async def test_compare_and_set(self, backend: Backend) -> None:
        """Only who has read the newest version may write; the others change nothing."""
        one = await put(backend)
        assert await backend.invitations.commit(Transition(replace(one, state=State.INVITED)))
        assert not await backend.invitations.commit(
            Transition(replace(one, state=State.FAILED), (due(),))
        )
        assert not await backend.invitations.commit(Transition(replace(one, version=0)))
        assert not await backend.invitations.commit(Transition(replace(one, version=3)))
        assert await backend.invitations.load(one.id) == replace(
            one, state=State.INVITED, version=2
        )
        assert await backend.tasks.next_due() is None

    async def test_forgotten_version(self, backend: Backend) -> None:
        """Who has read what a fail-over has forgotten does not write over another change that was
        given the same number.
        """
        one = await put(backend)
        forgotten = replace(one, version=2, commit_id="forgotten", state=State.EXPIRED)
        step = Transition(replace(one, state=State.INVITED), commit_id="kept")
        assert await backend.invitations.commit(step)
        assert not await backend.invitations.commit(Transition(forgotten, (due(),)))
        stored = await backend.invitations.load(one.id)
        assert stored == replace(one, state=State.INVITED, version=2)
        assert stored.commit_id == "kept"
        assert await backend.invitations.commit(Transition(stored))

    async def test_version_of_nothing(self, backend: Backend) -> None:
        """A change of a record that is not there is refused."""
        one = invitation(version=1)
        assert not await backend.invitations.commit(Transition(one))
        assert await backend.invitations.load(one.id) is None

    async def test_parallel_changes(self, backend: Backend) -> None:
        """Of 20 parallel changes of one version exactly one is done."""
        one = await put(backend)
        steps = [Transition(replace(one, test_name=str(number))) for number in range(20)]
        done = await asyncio.gather(*map(backend.invitations.commit, steps))
        assert done.count(True) == 1
        assert await backend.invitations.load(one.id) == replace(
            one, test_name=str(done.index(True)), version=2
        )

    async def test_parallel_claims(self, backend: Backend) -> None:
        """Of 20 parallel claims of one order exactly one wins, and the others leave nothing
        behind.
        """
        key = ids.compute_order_key("acme", "a", "t")
        rivals = [invitation(order_key=key) for _ in range(20)]
        steps = [Transition(one, (due(),), OrderClaimChange.CLAIM) for one in rivals]
        done = await asyncio.gather(*map(backend.invitations.commit, steps))
        assert done.count(True) == 1
        winner = rivals[done.index(True)]
        assert await backend.invitations.find_order(7, key) == replace(winner, version=1)
        assert [one async for one in backend.invitations.scan()] == [replace(winner, version=1)]
        assert [one.kind for one in await lease(backend)] == [CHECK]

    async def test_unknown_order(self, backend: Backend) -> None:
        """An order that nobody placed is not found, nor is one of another partition."""
        one = await put(backend)
        assert await backend.invitations.find_order(7, "0" * 40) is None
        assert await backend.invitations.find_order(8, one.order_key) is None

    async def test_replacing_claim(self, backend: Backend) -> None:
        """A claim may replace the invitation that it names, and no other."""
        old = await put(backend)
        new, other = invitation(order_key=old.order_key), invitation(order_key=old.order_key)
        assert not await backend.invitations.commit(Transition(new, order=OrderClaimChange.CLAIM))
        assert not await backend.invitations.commit(
            Transition(new, order=OrderClaimChange.CLAIM, replaces=other.id)
        )
        assert await backend.invitations.commit(
            Transition(new, order=OrderClaimChange.CLAIM, replaces=old.id)
        )
        assert not await backend.invitations.commit(
            Transition(other, order=OrderClaimChange.CLAIM, replaces=old.id)
        )
        assert await backend.invitations.find_order(7, old.order_key) == replace(new, version=1)
        assert await backend.invitations.load(old.id) == old

    async def test_claim_expecting_a_holder(self, backend: Backend) -> None:
        """A claim that expects to replace somebody fails if the order is free."""
        one = invitation()
        assert not await backend.invitations.commit(
            Transition(one, order=OrderClaimChange.CLAIM, replaces=invitation().id)
        )
        assert await backend.invitations.load(one.id) is None

    async def test_own_claim_again(self, backend: Backend) -> None:
        """Claiming an order that is ours already is no conflict."""
        one = await put(backend)
        assert await backend.invitations.commit(Transition(one, order=OrderClaimChange.CLAIM))

    async def test_release(self, backend: Backend) -> None:
        """A released order is free; the record itself stays."""
        one = await put(backend)
        failed = replace(one, state=State.FAILED, failure="unavailable")
        assert await backend.invitations.commit(Transition(failed, order=OrderClaimChange.RELEASE))
        assert await backend.invitations.find_order(7, one.order_key) is None
        assert await backend.invitations.load(one.id) == replace(failed, version=2)
        successor = invitation(order_key=one.order_key)
        assert await backend.invitations.commit(Transition(successor, order=OrderClaimChange.CLAIM))

    async def test_release_of_somebody_elses(self, backend: Backend) -> None:
        """Releasing an order that meanwhile belongs to another invitation leaves it alone."""
        old = await put(backend)
        new = invitation(order_key=old.order_key)
        assert await backend.invitations.commit(
            Transition(new, order=OrderClaimChange.CLAIM, replaces=old.id)
        )
        assert await backend.invitations.commit(Transition(old, order=OrderClaimChange.RELEASE))
        assert await backend.invitations.find_order(7, old.order_key) == replace(new, version=1)

    async def test_tombstone(self, backend: Backend) -> None:
        """An erased record keeps ids, times and secret digests, nothing else, and frees the order
        it no longer knows.
        """
        one = await put(backend)
        attempts = (replace(one.attempts[0], outcome=CreateOutcome.CREATED, reference_id="r1"),)
        erased = replace(one, state=State.ERASED, order_key="", erased_at=NOW, attempts=attempts)
        step = Transition(erased, order=OrderClaimChange.RELEASE, order_key=one.order_key)
        assert await backend.invitations.commit(step)
        stored = await backend.invitations.load(one.id)
        assert stored == replace(
            erased,
            application_id="",
            test_id="",
            test_name="",
            duration=None,
            callback="",
            version=2,
        )
        assert await backend.invitations.find_order(7, one.order_key) is None

    async def test_found_by_application(self, backend: Backend) -> None:
        """Every invitation of an application is found by its id, oldest first, in whatever state;
        nobody else's is.
        """
        first, second, *others = (
            of_application(customer, application, number)
            for number, (customer, application) in enumerate(
                [("acme", "app-1"), ("acme", "app-1"), ("acme", "app-2"), ("other", "app-1")]
            )
        )
        for one in (second, *others, first):
            assert await backend.invitations.commit(Transition(one, order=OrderClaimChange.CLAIM))
        done = replace(second, version=1, state=State.COMPLETED)
        assert await backend.invitations.commit(Transition(done))
        found = await backend.invitations.find_by_application("acme", "app-1")
        assert found == (replace(first, version=1), replace(done, version=2))
        for nothing in (("acme", "app-9"), ("acme", ""), ("nobody", "app-1"), ("acme", "\ud800")):
            assert await backend.invitations.find_by_application(*nothing) == ()

    async def test_deleted_application(self, backend: Backend) -> None:
        """What was deleted, or was never made, is no longer found by its application; the rest
        is.
        """
        erased, failed, kept = (of_application("acme", "app-1", number) for number in range(3))
        for one in (erased, failed, kept):
            assert await backend.invitations.commit(Transition(one, order=OrderClaimChange.CLAIM))
        for one, event in ((erased, ErasureRequested()), (failed, CreateFailed(1, "refused"))):
            step = decide(replace(one, version=1), event, POLICY, NOW)
            assert await backend.invitations.commit(step)
        found = await backend.invitations.find_by_application("acme", "app-1")
        assert found == (replace(kept, version=1),)

    async def test_retention(self, backend: Backend) -> None:
        """A record lives for the retention, counted anew from every change."""
        one = await put(backend)
        assert await backend.life(one.id) == RETENTION
        backend.clock.now += timedelta(days=1)
        assert await backend.invitations.commit(Transition(one))
        assert await backend.life(one.id) == RETENTION

    async def test_a_note_keeps_nothing_longer(self, backend: Backend) -> None:
        """A change that is nothing but a note leaves the end of a record's life as it is, and one
        that has none without it.
        """
        one = await put(backend)
        backend.clock.now += timedelta(days=1)
        assert await backend.invitations.commit(Transition(one, renews=False))
        assert await backend.life(one.id) in (RETENTION, RETENTION - timedelta(days=1))
        noted = replace(one, version=one.version + 1)
        assert await backend.invitations.commit(Transition(noted, expires=False))
        noted = replace(noted, version=noted.version + 1)
        assert await backend.invitations.commit(Transition(noted, renews=False))
        assert await backend.life(one.id) is None

    @pytest.mark.parametrize("state", [State.ERASED, State.FAILED, State.COMPLETED])
    async def test_debts_do_not_expire(self, backend: Backend, state: State) -> None:
        """Whatever its state, a record of which something is still to be anonymised lives for ever:
        a tombstone's and a failed one's applications, and the orphans of every other.

        Once the last anonymisation is confirmed, it lives for the retention.
        """
        one = await put(backend)
        outcome = CreateOutcome.ORPHAN if state is State.COMPLETED else CreateOutcome.CREATED
        attempts = (
            CreateAttempt(1, "a" * 64, NOW, CreateOutcome.ORPHAN, "r1"),
            CreateAttempt(2, "b" * 64, NOW, outcome, "r2"),
        )
        known = replace(one, state=state, attempts=attempts)
        for reference_id, life in (("r1", None), ("r2", RETENTION)):
            step = decide(known, ApplicationAnonymised(reference_id), POLICY, NOW)
            assert await backend.invitations.commit(step)
            assert await backend.life(one.id) == life
            known = replace(step.invitation, version=step.invitation.version + 1)

    async def test_scan(self, backend: Backend) -> None:
        """A scan finds every record of every partition, once."""
        stored = [await put(backend, partition=number % 16) for number in range(250)]
        found = [one async for one in backend.invitations.scan()]
        assert sorted(found, key=lambda one: one.id) == sorted(stored, key=lambda one: one.id)

    async def test_scan_of_nothing(self, backend: Backend) -> None:
        """A scan of an empty store ends at once."""
        assert [one async for one in backend.invitations.scan()] == []

    async def test_many_at_once(self, backend: Backend) -> None:
        """200 parallel commits all succeed."""
        new = [invitation(partition=number % 16) for number in range(200)]
        steps = [Transition(one, (due(),), OrderClaimChange.CLAIM) for one in new]
        assert all(await asyncio.gather(*map(backend.invitations.commit, steps)))


class QueuePromises:
    """The suite of ``TaskQueue``."""

    async def test_nothing_to_do(self, backend: Backend) -> None:
        """An empty queue gives nothing and has no next time."""
        assert await lease(backend) == ()
        assert await backend.tasks.next_due() is None
        assert await dead_letters(backend) == []

    async def test_not_due_yet(self, backend: Backend) -> None:
        """A task is leased when it is due, not a millisecond before."""
        one = await put(backend, due(at=NOW + MINUTE))
        assert await lease(backend, NOW + MINUTE - timedelta(milliseconds=1)) == ()
        assert await backend.tasks.next_due() == NOW + MINUTE
        (mine,) = await lease(backend, NOW + MINUTE)
        assert (mine.invitation_id, mine.kind, mine.customer) == (one.id, CHECK, "acme")
        assert (mine.attempt, mine.owner, mine.history) == (1, "w1", ())

    async def test_leased_once(self, backend: Backend) -> None:
        """While a lease runs nobody else gets the task, however many ask."""
        await put(backend, due())
        got = await asyncio.gather(*(lease(backend, owner=f"w{number}") for number in range(20)))
        assert [len(leases) for leases in got].count(1) == 1
        assert sum(map(len, got)) == 1

    async def test_done(self, backend: Backend) -> None:
        """A task that is done is gone."""
        await put(backend, due())
        (mine,) = await lease(backend)
        assert await backend.tasks.settle(mine, TaskDone(), NOW)
        assert await backend.tasks.next_due() is None
        assert await lease(backend, NOW + MINUTE) == ()

    async def test_settled_twice(self, backend: Backend) -> None:
        """Settling twice changes nothing the second time."""
        await put(backend, due())
        (mine,) = await lease(backend)
        assert await backend.tasks.settle(mine, RetryTask(NOW + MINUTE), NOW)
        assert not await backend.tasks.settle(mine, TaskDone(), NOW)
        assert await backend.tasks.next_due() == NOW + MINUTE

    async def test_again(self, backend: Backend) -> None:
        """A task to be tried again is due at its new time, with its attempts counted and logged."""
        await put(backend, due())
        (first,) = await lease(backend)
        assert await backend.tasks.settle(first, RetryTask(NOW + MINUTE, note()), NOW)
        assert await lease(backend, NOW + 59 * SECOND) == ()
        (second,) = await lease(backend, NOW + MINUTE)
        assert (second.attempt, second.history) == (2, (note(),))

    async def test_uncounted(self, backend: Backend) -> None:
        """An attempt that was not the task's fault is logged, but not counted."""
        await put(backend, due())
        (first,) = await lease(backend)
        assert await backend.tasks.settle(
            first, RetryTask(NOW + SECOND, note(), counted=False), NOW
        )
        (second,) = await lease(backend, NOW + SECOND)
        assert (second.attempt, second.history) == (1, (note(),))

    async def test_long_history(self, backend: Backend) -> None:
        """The attempt log keeps the newest 20 lines; the attempts go on counting."""
        await put(backend, due())
        for number in range(25):
            (mine,) = await lease(backend, NOW + number * MINUTE)
            assert await backend.tasks.settle(
                mine, RetryTask(NOW + (number + 1) * MINUTE, note(number)), NOW
            )
        (mine,) = await lease(backend, NOW + 25 * MINUTE)
        assert mine.attempt == 26
        assert mine.history == tuple(note(number) for number in range(5, 25))

    async def test_expired_lease(self, backend: Backend) -> None:
        """When a lease has run out somebody else takes the task over, and its former owner can no
        longer end it.
        """
        await put(backend, due())
        (first,) = await lease(backend)
        assert await backend.tasks.next_due() == NOW + 30 * SECOND
        assert await lease(backend, NOW + 29 * SECOND, owner="w2") == ()
        (second,) = await lease(backend, NOW + 30 * SECOND, owner="w2")
        assert (second.attempt, second.owner) == (1, "w2")
        assert not await backend.tasks.settle(first, TaskDone(), NOW + 31 * SECOND)
        assert await backend.tasks.settle(second, TaskDone(), NOW + 31 * SECOND)

    async def test_leases_are_not_attempts(self, backend: Backend) -> None:
        """Leases that end without a settlement count no attempts, however many there were."""
        await put(backend, due(NOTIFY))
        for number in range(6):
            (mine,) = await lease(backend, NOW + number * MINUTE)
            assert mine.attempt == 1
        assert await backend.tasks.settle(mine, RetryTask(NOW + 9 * MINUTE, note()), NOW)
        (mine,) = await lease(backend, NOW + 9 * MINUTE)
        assert mine.attempt == 2

    async def test_urgent_first(self, backend: Backend) -> None:
        """An urgent task does not wait behind its own customer's backlog, nor when the worker has
        only urgent places.
        """
        for number in range(64):
            await put(backend, due(at=NOW - MINUTE), partition=number % 16)
        one = await put(backend, due(urgent=True), partition=3)
        (first,) = await lease(backend, count=1)
        assert (first.invitation_id, first.urgent) == (one.id, True)
        await backend.tasks.release([first], NOW)
        (again,) = await lease(backend, urgent_only=True)
        assert (again.invitation_id, again.urgent) == (one.id, True)
        assert await lease(backend, urgent_only=True) == ()

    async def test_urgent_lanes_have_places_of_their_own(self, backend: Backend) -> None:
        """Avoiding a customer's backlog does not avoid its urgent tasks, and the other way
        round.
        """
        one = await put(backend, due())
        other = await put(backend, due(urgent=True))
        assert [got.invitation_id for got in await lease(backend, avoid=[Lane("acme", CHECK)])] == [
            other.id
        ]
        assert [
            got.invitation_id
            for got in await lease(backend, avoid=[Lane("acme", CHECK, urgent=True)])
        ] == [one.id]

    async def test_a_task_changes_its_lane(self, backend: Backend) -> None:
        """However a task becomes urgent, or ceases to be, it is queued once."""
        one = await put(backend, due(at=NOW + MINUTE))
        assert await backend.invitations.commit(Transition(one, (due(urgent=True),)))
        (mine,) = await lease(backend)
        assert mine.urgent
        assert await backend.invitations.commit(
            Transition(replace(one, version=2), (due(at=NOW + SECOND),))
        )
        assert await backend.tasks.settle(mine, TaskDone(), NOW)
        (mine,) = await lease(backend, NOW + SECOND)
        assert not mine.urgent
        assert await backend.tasks.settle(mine, RetryTask(NOW + 2 * SECOND, urgent=True), NOW)
        (mine,) = await lease(backend, NOW + 2 * SECOND)
        assert mine.urgent
        assert await backend.invitations.commit(
            Transition(replace(one, version=3), (due(at=NOW + MINUTE, urgent=True),))
        )
        (mine,) = await lease(backend, NOW + MINUTE)  # its owner died
        assert mine.urgent
        assert await backend.tasks.settle(mine, RetryTask(NOW + 2 * MINUTE), NOW)
        assert await backend.invitations.commit(
            Transition(replace(one, version=4), (CancelTask(CHECK),))
        )
        assert await backend.tasks.next_due() is None

    async def test_an_urgent_renewal_outlives_its_owner(self, backend: Backend) -> None:
        """If the owner of a task dies that was renewed for later and as urgent, it is urgent
        then.
        """
        one = await put(backend, due())
        await lease(backend)
        assert await backend.invitations.commit(
            Transition(one, (due(at=NOW + 2 * MINUTE, urgent=True),))
        )
        assert await lease(backend, NOW + MINUTE) == ()
        (mine,) = await lease(backend, NOW + 2 * MINUTE)
        assert mine.urgent
        assert await backend.tasks.settle(mine, TaskDone(), NOW)
        assert await backend.tasks.next_due() is None

    async def test_taken_with_its_urgency(self, backend: Backend) -> None:
        """A task that is taken out of turn says whether it was urgent, and can be settled."""
        one = await put(backend, due(urgent=True))
        mine = await backend.tasks.take(one.id, CHECK, NOW, owner="w1", until=NOW + MINUTE)
        assert mine is not None
        assert mine.urgent
        await backend.tasks.extend([mine], NOW + 2 * MINUTE)
        assert await lease(backend, NOW + MINUTE) == ()
        assert await backend.tasks.settle(mine, TaskDone(), NOW)
        assert await backend.tasks.next_due() is None

    async def test_expired_lease_of_ones_own(self, backend: Backend) -> None:
        """Taking over one's own expired lease gives a new one; the old one is worth nothing."""
        await put(backend, due())
        (first,) = await lease(backend)
        (second,) = await lease(backend, NOW + MINUTE)
        assert first.revision != second.revision
        assert not await backend.tasks.settle(first, TaskDone(), NOW + MINUTE)
        assert await backend.tasks.settle(second, TaskDone(), NOW + MINUTE)

    async def test_late_but_alone(self, backend: Backend) -> None:
        """A lease that ran out, but was taken over by nobody, may still be settled."""
        await put(backend, due())
        (mine,) = await lease(backend)
        assert await backend.tasks.settle(mine, TaskDone(), NOW + MINUTE)

    async def test_extend(self, backend: Backend) -> None:
        """A heartbeat keeps one's leases, and only one's own."""
        await put(backend, due())
        (first,) = await lease(backend)
        await backend.tasks.extend([first], NOW + 2 * MINUTE)
        assert await lease(backend, NOW + MINUTE, owner="w2") == ()
        (second,) = await lease(backend, NOW + 2 * MINUTE, owner="w2")
        await backend.tasks.extend([first], NOW + 9 * MINUTE)
        assert await backend.tasks.next_due() == NOW + 2 * MINUTE + 30 * SECOND
        await backend.tasks.extend([], NOW)
        assert await backend.tasks.settle(second, TaskDone(), NOW)

    async def test_release(self, backend: Backend) -> None:
        """A lease that is given back is due at once, and its attempt does not count."""
        await put(backend, due())
        await put(backend, due(), partition=3)
        mine = await lease(backend)
        await backend.tasks.release(mine, NOW)
        again = await lease(backend, owner="w2")
        assert [one.attempt for one in again] == [1, 1]
        await backend.tasks.release(mine, NOW)
        assert await lease(backend) == ()

    async def test_replaced(self, backend: Backend) -> None:
        """A task that is put on the queue again takes the new time and starts from attempt 1
        without a log.
        """
        one = await put(backend, due())
        (first,) = await lease(backend)
        assert await backend.tasks.settle(first, RetryTask(NOW + MINUTE, note()), NOW)
        assert await backend.invitations.commit(Transition(one, (due(at=NOW + SECOND),)))
        (second,) = await lease(backend, NOW + SECOND)
        assert (second.attempt, second.history) == (1, ())
        assert await lease(backend, NOW + 2 * SECOND) == ()

    async def test_renewed_while_leased(self, backend: Backend) -> None:
        """A task renewed during its lease does not run twice at once, and runs again afterwards,
        from attempt 1.
        """
        one = await put(backend, due())
        (first,) = await lease(backend)
        assert await backend.invitations.commit(Transition(one, (due(at=NOW + SECOND),)))
        assert await lease(backend, NOW + 2 * SECOND, owner="w2") == ()
        for settlement in (
            TaskDone(),
            RetryTask(NOW + 9 * MINUTE, note()),
            GiveUpTask("no", note()),
        ):
            assert await backend.tasks.settle(first, settlement, NOW)
            assert await backend.tasks.next_due() == NOW + SECOND
            (first,) = await lease(backend, NOW + SECOND)
            assert (first.attempt, first.history) == (1, ())
            stored = await backend.invitations.load(one.id)
            assert stored is not None
            assert await backend.invitations.commit(Transition(stored, (due(at=NOW + SECOND),)))
        assert await dead_letters(backend) == []

    async def test_renewed_while_leased_and_extended(self, backend: Backend) -> None:
        """A heartbeat does not forget that the task was renewed."""
        one = await put(backend, due())
        (mine,) = await lease(backend)
        assert await backend.invitations.commit(Transition(one, (due(at=NOW + MINUTE),)))
        await backend.tasks.extend([mine], NOW + 2 * MINUTE)
        assert await backend.tasks.settle(mine, TaskDone(), NOW)
        assert await backend.tasks.next_due() == NOW + MINUTE

    async def test_renewed_and_owner_died(self, backend: Backend) -> None:
        """If the owner of a renewed task dies, it is due at its newer time, from attempt 1."""
        one = await put(backend, due())
        await lease(backend)
        assert await backend.invitations.commit(Transition(one, (due(at=NOW + 2 * MINUTE),)))
        assert await lease(backend, NOW + MINUTE, owner="w2") == ()
        assert await backend.tasks.next_due() == NOW + 2 * MINUTE
        (second,) = await lease(backend, NOW + 2 * MINUTE, owner="w2")
        assert (second.attempt, second.history) == (1, ())

    async def test_replaced_after_the_lease(self, backend: Backend) -> None:
        """A task replaced after its lease ran out cannot be ended by its former owner."""
        one = await put(backend, due())
        (first,) = await lease(backend)
        backend.clock.now = NOW + MINUTE
        assert await backend.invitations.commit(Transition(one, (due(at=NOW + MINUTE),)))
        assert not await backend.tasks.settle(first, TaskDone(), NOW + MINUTE)
        (second,) = await lease(backend, NOW + MINUTE)
        assert second.attempt == 1
        assert not await backend.tasks.settle(first, TaskDone(), NOW + MINUTE)

    async def test_lease_from_a_later_time(self, backend: Backend) -> None:
        """A lease that would run for hours, since the clock was set back, does not keep a newer
        fact waiting.
        """
        one = await put(backend, due())
        (mine,) = await lease(backend, NOW + timedelta(hours=1))
        assert await backend.invitations.commit(Transition(one, (due(),)))
        (other,) = await lease(backend)
        assert other.invitation_id == one.id
        assert not await backend.tasks.settle(mine, TaskDone(), NOW)

    async def test_cancelled(self, backend: Backend) -> None:
        """A cancelled task is gone, whether it was waiting or leased; other tasks of the invitation
        stay.
        """
        one = await put(backend, due(), due(NOTIFY))
        (check,) = await lease(backend, avoid=[Lane("acme", NOTIFY)])
        assert await backend.invitations.commit(
            Transition(one, (CancelTask(CHECK), CancelTask(ANONYMISE)))
        )
        assert not await backend.tasks.settle(check, RetryTask(NOW), NOW)
        (notify,) = await lease(backend, NOW + MINUTE)
        assert notify.kind is NOTIFY

    async def test_leased_by_its_commit(self, backend: Backend) -> None:
        """A task that becomes due can be leased in the same commit: nobody else gets it before that
        lease ends, and it is settled like any other.
        """
        one = await put(backend)
        outcome = await backend.invitations.commit(
            Transition(one, (due(urgent=True),)), offer=offer(urgent=True)
        )
        assert outcome is CommitOutcome.LEASED
        assert await lease(backend, NOW + 29 * SECOND, owner="w2") == ()
        assert await backend.tasks.next_due() == NOW + 30 * SECOND
        mine = offer(urgent=True).build_lease(one.id)
        await backend.tasks.extend([mine], NOW + MINUTE)
        assert await lease(backend, NOW + 59 * SECOND, owner="w2") == ()
        assert await backend.tasks.settle(mine, RetryTask(NOW + 2 * MINUTE, note()), NOW)
        (again,) = await lease(backend, NOW + 2 * MINUTE, owner="w2")
        assert (again.attempt, again.history) == (2, (note(),))

    async def test_left_by_the_process_that_committed(self, backend: Backend) -> None:
        """A task leased by a commit whose process dies is taken over when that lease ends."""
        one = await put(backend)
        await backend.invitations.commit(Transition(one, (due(),)), offer=offer())
        (other,) = await lease(backend, NOW + 30 * SECOND, owner="w2")
        assert (other.invitation_id, other.attempt) == (one.id, 1)
        assert not await backend.tasks.settle(offer().build_lease(one.id), TaskDone(), NOW)

    async def test_somebody_else_is_at_it(self, backend: Backend) -> None:
        """A task that another owner performs is not leased by a commit: it is queued again for
        afterwards.
        """
        one = await put(backend, due())
        (theirs,) = await lease(backend, owner="w2")
        outcome = await backend.invitations.commit(Transition(one, (due(),)), offer=offer())
        assert outcome is CommitOutcome.WRITTEN
        assert await backend.tasks.settle(theirs, TaskDone(), NOW)
        (mine,) = await lease(backend)
        assert mine.invitation_id == one.id

    async def test_lost_commit_leases_nothing(self, backend: Backend) -> None:
        """A commit that another change forestalled leases nothing, and ends no lease."""
        one = await put(backend, due())
        (mine,) = await lease(backend)
        late = replace(one, version=7)
        outcome = await backend.invitations.commit(
            Transition(late, (due(NOTIFY),)), offer=offer(NOTIFY), ending=mine
        )
        assert outcome is CommitOutcome.LOST
        assert await lease(backend, owner="w2") == ()
        assert await backend.tasks.settle(mine, TaskDone(), NOW)
        assert await backend.tasks.next_due() is None

    @pytest.mark.parametrize("change", [None, due(at=NOW + MINUTE), CancelTask(CHECK)])
    async def test_ended_by_a_commit(
        self, backend: Backend, change: ScheduleTask | CancelTask | None
    ) -> None:
        """A commit can end the lease of the task that led to it: the task is gone, or queued for
        when the commit says, and there is nothing left to settle.
        """
        one = await put(backend, due(), due(NOTIFY))
        (mine,) = await lease(backend, avoid=[Lane("acme", NOTIFY)])
        changes = () if change is None else (change,)
        assert await backend.invitations.commit(Transition(one, changes), ending=mine)
        assert not await backend.tasks.settle(mine, RetryTask(NOW, note()), NOW)
        (notify,) = await lease(backend)
        assert await backend.tasks.settle(notify, TaskDone(), NOW)
        again = await lease(backend, NOW + MINUTE)
        assert [(lease.kind, lease.attempt) for lease in again] == (
            [(CHECK, 1)] if isinstance(change, ScheduleTask) else []
        )

    async def test_ended_though_renewed(self, backend: Backend) -> None:
        """A task that was queued again during its lease runs again, also if a commit ends it."""
        one = await put(backend, due())
        (mine,) = await lease(backend)
        assert await backend.invitations.commit(Transition(one, (due(at=NOW + SECOND),)))
        assert await backend.invitations.commit(Transition(replace(one, version=2)), ending=mine)
        (again,) = await lease(backend, NOW + SECOND, owner="w2")
        assert (again.kind, again.attempt) == (CHECK, 1)

    async def test_commit_ends_no_lease_of_others(self, backend: Backend) -> None:
        """A lease that ran out and was taken over is not ended by its former owner's commit."""
        one = await put(backend, due())
        (mine,) = await lease(backend)
        (theirs,) = await lease(backend, NOW + MINUTE, owner="w2")
        backend.clock.now = NOW + MINUTE
        assert await backend.invitations.commit(Transition(one), ending=mine)
        assert await backend.tasks.settle(theirs, TaskDone(), NOW)

    async def test_one_ends_another_is_leased(self, backend: Backend) -> None:
        """One commit ends a check's lease and leases the notification that follows from it."""
        one = await put(backend, due())
        (mine,) = await lease(backend)
        outcome = await backend.invitations.commit(
            Transition(one, (CancelTask(CHECK), due(NOTIFY))), offer=offer(NOTIFY), ending=mine
        )
        assert outcome is CommitOutcome.LEASED
        assert await lease(backend, owner="w2") == ()
        notify = offer(NOTIFY).build_lease(one.id)
        assert await backend.invitations.commit(Transition(replace(one, version=2)), ending=notify)
        assert await backend.tasks.next_due() is None

    async def test_take(self, backend: Backend) -> None:
        """A task may be taken before it is due; nothing else may."""
        one = await put(backend, due(at=NOW + timedelta(days=1)))
        until = NOW + MINUTE
        assert await backend.tasks.take(one.id, NOTIFY, NOW, owner="w1", until=until) is None
        assert (
            await backend.tasks.take("iv_7" + "a" * 24, CHECK, NOW, owner="w1", until=until) is None
        )
        assert await backend.tasks.take("nonsense", CHECK, NOW, owner="w1", until=until) is None
        mine = await backend.tasks.take(one.id, CHECK, NOW, owner="w1", until=until)
        assert mine is not None
        assert (mine.invitation_id, mine.kind, mine.customer, mine.attempt) == (
            one.id,
            CHECK,
            "acme",
            1,
        )
        assert await backend.tasks.take(one.id, CHECK, NOW, owner="w2", until=until) is None
        assert await lease(backend) == ()
        assert await backend.tasks.settle(mine, RetryTask(NOW + MINUTE, note()), NOW)
        again = await backend.tasks.take(one.id, CHECK, NOW, owner="w2", until=until)
        assert again is not None
        assert (again.attempt, again.history) == (2, (note(),))

    async def test_bring_forward(self, backend: Backend) -> None:
        """A queued task is due now once it is brought forward, once in a while; its attempts
        stay.
        """

        async def forward(invitation_id: str, at: datetime = NOW, customer: str = "acme") -> bool:
            return await backend.tasks.bring_forward(
                customer, invitation_id, CHECK, at, every=MINUTE
            )

        one = await put(backend, due(at=NOW + timedelta(days=1)))
        mine = await backend.tasks.take(one.id, CHECK, NOW, owner="w1", until=NOW + MINUTE)
        assert mine is not None
        assert not await forward(one.id)
        assert await backend.tasks.settle(mine, RetryTask(NOW + timedelta(days=1), note()), NOW)
        assert await forward(one.id)
        assert not await forward(one.id)
        (again,) = await lease(backend)
        assert (again.attempt, again.history) == (2, (note(),))
        assert await backend.tasks.settle(again, RetryTask(NOW + timedelta(days=1)), NOW)
        assert not await forward(one.id, NOW + MINUTE - SECOND)
        assert await forward(one.id, NOW + MINUTE)
        assert await backend.tasks.next_due() == NOW + MINUTE

    async def test_nothing_to_bring_forward(self, backend: Backend) -> None:
        """What is not queued, due already or urgent is left alone, as is what belongs to somebody
        else.
        """
        ready = await put(backend, due(at=NOW - SECOND))
        urgent = await put(backend, due(at=NOW + MINUTE, urgent=True))
        later = await put(backend, due(at=NOW + MINUTE))
        for customer, an_id in (
            ("acme", ready.id),
            ("acme", urgent.id),
            ("globex", later.id),
            ("acme", "iv_7" + "a" * 24),
            ("acme", "nonsense"),
        ):
            assert not await backend.tasks.bring_forward(customer, an_id, CHECK, NOW, every=MINUTE)
        assert [one.invitation_id for one in await lease(backend)] == [ready.id]

    async def test_taken_in_parallel(self, backend: Backend) -> None:
        """Of 20 who take a task one gets it."""
        one = await put(backend, due())
        got = await asyncio.gather(
            *(
                backend.tasks.take(one.id, CHECK, NOW, owner=f"w{number}", until=NOW + MINUTE)
                for number in range(20)
            )
        )
        assert got.count(None) == 19

    async def test_taken_over(self, backend: Backend) -> None:
        """An expired lease may be taken; a renewed one starts from attempt 1."""
        one = await put(backend, due())
        await lease(backend)
        assert await backend.invitations.commit(Transition(one, (due(),)))
        mine = await backend.tasks.take(
            one.id, CHECK, NOW + MINUTE, owner="w2", until=NOW + 2 * MINUTE
        )
        assert mine is not None
        assert mine.attempt == 1
        assert await backend.tasks.settle(mine, TaskDone(), NOW + MINUTE)
        assert await backend.tasks.next_due() is None

    async def test_dead(self, backend: Backend) -> None:
        """A task that is given up leaves the queue for the dead letters, with its whole log."""
        one = await put(backend, due(NOTIFY))
        (first,) = await lease(backend)
        assert await backend.tasks.settle(first, RetryTask(NOW, note(1)), NOW)
        (second,) = await lease(backend)
        assert await backend.tasks.settle(second, GiveUpTask("refused", note(2)), NOW + SECOND)
        assert await backend.tasks.next_due() is None
        letter = DeadLetter(one.id, NOTIFY, "acme", 2, "refused", NOW + SECOND, (note(1), note(2)))
        assert await dead_letters(backend) == [letter]
        assert await backend.life(letter.task_id) == RETENTION

    async def test_debt_to_a_deleted_person_stays(self, backend: Backend) -> None:
        """The dead letter of an anonymisation is still listed years later, when others of its
        partition have come and gone.
        """
        one = await put(backend, due(TaskKind.ANONYMISE))
        (mine,) = await lease(backend)
        assert await backend.tasks.settle(mine, GiveUpTask("refused"), NOW)
        years_later = NOW + timedelta(days=3 * 365)
        await put(backend, due(NOTIFY))
        (other,) = await lease(backend)
        assert await backend.tasks.settle(other, GiveUpTask("rejected"), years_later)
        assert await backend.life(mine.task_id) is None
        assert one.id in [letter.invitation_id for letter in await dead_letters(backend)]

    async def test_replay(self, backend: Backend) -> None:
        """A replayed dead letter is due at once from attempt 1; a second replay finds nothing."""
        one = await put(backend, due(NOTIFY))
        (mine,) = await lease(backend)
        assert await backend.tasks.settle(mine, GiveUpTask("refused", note()), NOW)
        assert not await backend.tasks.replay(one.id, CHECK, NOW)
        assert await backend.tasks.replay(one.id, NOTIFY, NOW)
        assert not await backend.tasks.replay(one.id, NOTIFY, NOW)
        assert await dead_letters(backend) == []
        (again,) = await lease(backend)
        assert (again.kind, again.attempt, again.history) == (NOTIFY, 1, ())
        assert not await backend.tasks.replay("nonsense", NOTIFY, NOW)

    async def test_parallel_replays(self, backend: Backend) -> None:
        """Of 20 parallel replays of one dead letter one works."""
        one = await put(backend, due(NOTIFY))
        (mine,) = await lease(backend)
        assert await backend.tasks.settle(mine, GiveUpTask("refused"), NOW)
        done = await asyncio.gather(*(backend.tasks.replay(one.id, NOTIFY, NOW) for _ in range(20)))
        assert done.count(True) == 1
        assert [one.kind for one in await lease(backend)] == [NOTIFY]

    async def test_drop(self, backend: Backend) -> None:
        """A dropped dead letter is forgotten."""
        one = await put(backend, due(NOTIFY))
        (mine,) = await lease(backend)
        assert await backend.tasks.settle(mine, GiveUpTask("refused"), NOW)
        assert await backend.tasks.drop(one.id, NOTIFY)
        assert not await backend.tasks.drop(one.id, NOTIFY)
        assert not await backend.tasks.replay(one.id, NOTIFY, NOW)
        assert await dead_letters(backend) == []
        assert await lease(backend) == ()

    async def test_newer_fact_ends_dead_letter(self, backend: Backend) -> None:
        """A dead letter goes when its task is put on the queue again, and when it is cancelled."""
        one = await put(backend, due(NOTIFY), due(CHECK))
        for mine in await lease(backend):
            assert await backend.tasks.settle(mine, GiveUpTask("refused"), NOW)
        assert len(await dead_letters(backend)) == 2
        assert await backend.invitations.commit(Transition(one, (due(NOTIFY), CancelTask(CHECK))))
        assert await dead_letters(backend) == []
        assert not await backend.tasks.replay(one.id, CHECK, NOW)
        (mine,) = await lease(backend)
        assert (mine.kind, mine.attempt) == (NOTIFY, 1)

    async def test_count(self, backend: Backend) -> None:
        """Never more than *count*, from all partitions together, and in the end all of them, each
        once.
        """
        stored = {(await put(backend, due(), partition=number % 16)).id for number in range(50)}
        seen: list[str] = []
        for number in range(20):
            got = await lease(backend, owner=f"w{number}", count=7)
            assert len(got) <= 7
            seen += [one.invitation_id for one in got]
        assert sorted(seen) == sorted(stored)

    async def test_count_of_nothing(self, backend: Backend) -> None:
        """A full worker gets nothing."""
        await put(backend, due())
        assert await lease(backend, count=0) == ()
        assert await lease(backend, per_lane=0) == ()

    async def test_full_use(self, backend: Backend) -> None:
        """One lane in one partition may fill all places if nobody else has anything to do."""
        for _ in range(30):
            await put(backend, due())
        assert len(await lease(backend, count=20, per_lane=20)) == 20

    async def test_per_lane(self, backend: Backend) -> None:
        """At most *per_lane* tasks of one customer and kind, counted over all partitions."""
        for number in range(64):
            await put(backend, due(), due(NOTIFY), partition=number % 16)
        got = await lease(backend, per_lane=5)
        assert sorted(one.kind for one in got) == [CHECK] * 5 + [NOTIFY] * 5

    async def test_fair(self, backend: Backend) -> None:
        """A customer with a long overdue backlog does not shut out the others."""
        for number in range(100):
            await put(
                backend, due(at=NOW - timedelta(days=1)), customer="noisy", partition=number % 16
            )
        for number in range(5):
            await put(backend, due(), customer=f"quiet{number}", partition=number)
        got = await lease(backend, count=10, per_lane=8)
        assert {one.customer for one in got} >= {f"quiet{number}" for number in range(5)}

    async def test_whom_nobody_serves(self, backend: Backend) -> None:
        """Tasks of a customer that is not served stay due, untouched, and go to whoever serves
        it.
        """
        theirs = await put(backend, ScheduleTask(CHECK, NOW), customer="beta")
        mine = await put(backend, ScheduleTask(CHECK, NOW))
        assert [one.invitation_id for one in await lease(backend, serves="acme".__eq__)] == [
            mine.id
        ]
        assert await lease(backend, serves="acme".__eq__) == ()
        (taken,) = await lease(backend, serves="beta".__eq__)
        assert (taken.invitation_id, taken.attempt) == (theirs.id, 1)

    async def test_avoid(self, backend: Backend) -> None:
        """Lanes to be avoided give nothing; the same customer's other kind does."""
        await put(backend, due(), due(NOTIFY))
        await put(backend, due(), customer="beta")
        got = await lease(backend, avoid=[Lane("acme", CHECK), Lane("beta", NOTIFY)])
        assert sorted((one.customer, one.kind) for one in got) == [
            ("acme", NOTIFY),
            ("beta", CHECK),
        ]

    async def test_oldest_first(self, backend: Backend) -> None:
        """Within a lane of a partition the longest overdue task comes first."""
        new = await put(backend, due(at=NOW))
        old = await put(backend, due(at=NOW - MINUTE))
        assert [one.invitation_id for one in await lease(backend, count=1)] == [old.id]
        assert [one.invitation_id for one in await lease(backend, count=1)] == [new.id]

    async def test_next_due(self, backend: Backend) -> None:
        """The next time is the earliest of all partitions and lanes, and follows every change."""
        one = await put(backend, due(at=NOW + 3 * MINUTE), due(NOTIFY, NOW + MINUTE), partition=1)
        await put(backend, due(at=NOW + 2 * MINUTE), partition=2)
        assert await backend.tasks.next_due() == NOW + MINUTE
        assert await backend.invitations.commit(Transition(one, (CancelTask(NOTIFY),)))
        assert await backend.tasks.next_due() == NOW + 2 * MINUTE
