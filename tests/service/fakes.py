"""The use cases over a store in memory, a clock that only tests move, and vendors that answer by
script.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from bridge.core.answer_shape import ObservedFact, Shape
from bridge.core.assessment import (
    ApplicationProgress,
    Candidate,
    CreatedApplication,
    Job,
    NewApplication,
    Order,
    PublicLink,
    Result,
)
from bridge.core.callback_urls import CallbackUrlPolicy
from bridge.core.customers import (
    AssessmentMapping,
    AssessmentMappingEntry,
    Customer,
    CustomerDirectory,
    Secret,
)
from bridge.core.history_chain import derive_history_keys
from bridge.core.invitation import AddedReference, Invitation, State
from bridge.core.lifecycle.events import ResultReported
from bridge.core.links import LinkSigner
from bridge.core.queueing import LEASE_LIFE, Lease, LeaseRequest, NotificationResponse, TaskKind
from bridge.equalture.settings import EqualtureAccount
from bridge.ports import AssessmentProvider, Ats, Notifier
from bridge.service.assessments import OfferedAssessments
from bridge.service.commit_loop import CommitLoop
from bridge.service.erasure import Erasure
from bridge.service.hiring import Hiring
from bridge.service.invite import Invite
from bridge.service.operations import Operations
from bridge.service.provider_events import ProviderEvents
from bridge.service.shared_applications import SharedApplications
from bridge.service.status_words import StatusWords
from bridge.service.task_handlers import TaskHandlers
from bridge.softgarden.settings import SoftgardenAccount
from tests.fakes import MemoryStore

T = TypeVar("T")

NOW = datetime(2025, 6, 2, 9, 0, tzinfo=UTC)
HISTORY_KEYS = derive_history_keys([b"k" * 32])
RESULT = Result(fit="high")
PLAN = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 3600))
CALLBACK = "https://acme.softgarden.io/notify"


class Clock:
    """Stands still unless it is told to move; ``monotonic`` moves along, but not when the clock is
    set.
    """

    def __init__(self) -> None:
        self.now = NOW
        self.passed = 1000.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.passed

    def advance(self, by: timedelta) -> None:
        self.now += by
        self.passed += by.total_seconds()

    def set(self, by: timedelta) -> None:
        """Somebody sets the clock, forward or back; no time passes."""
        self.now += by


def make_customer(key: str = "acme", **access: Any) -> Customer:
    """A customer with one mapped test, ``engineer``."""
    return Customer(
        key=key,
        ats=SoftgardenAccount((), "10"),
        provider=EqualtureAccount(
            base_url="https://equalture.example.com",
            client_id=key,
            client_secret=Secret("s"),
            **access,
        ),
        tests=AssessmentMapping(items=(AssessmentMappingEntry("engineer", "job-1", "Engineer"),)),
    )


ACME = make_customer()


def order(application: str = "application-1", callback: str = CALLBACK) -> Order:
    """An order of the test ``engineer``."""
    return Order("engineer", Candidate(application, "Ada", "Muster", "ada@example.org"), callback)


Scripted = Any
"""What a script may hold: a value, an exception to raise, or a function to await (given the call's
arguments).
"""


class Script:
    """Answers in turn, operation by operation; the last one for good.

    Every call is noted in ``calls``.
    """

    def __init__(self, **usual: Scripted) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._plan: dict[str, deque[Scripted]] = {
            name: deque([value]) for name, value in usual.items()
        }

    def on(self, operation: str, *answers: Scripted) -> None:
        self._plan[operation] = deque(answers)

    def planned(self, operation: str) -> Scripted:
        """What the next call of this operation will get."""
        return self._plan[operation][0]

    def made(self, operation: str) -> list[tuple[str, ...]]:
        return [call for call in self.calls if call[0] == operation]

    async def answer(self, operation: str, *about: str | None) -> Any:
        self.calls.append((operation, *about))
        plan = self._plan[operation]
        found = plan.popleft() if len(plan) > 1 else plan[0]
        if isinstance(found, BaseException):
            raise found
        return await found(*about) if callable(found) else found


class ScriptedProvider:
    """``AssessmentProvider`` by script; makes applications ``ref-1``, ``ref-2`` and so on unless
    told otherwise.
    """

    name = "scripted"
    title = "Scripted"

    def __init__(self) -> None:
        numbers = itertools.count(1)

        async def make(*_: str) -> CreatedApplication:
            number = next(numbers)
            return CreatedApplication(
                f"ref-{number}", f"https://equalture.example.com/test/{number}"
            )

        self.drafts: list[NewApplication] = []
        self.script = Script(
            jobs=(Job("job-1", "Engineer"),),
            create=make,
            status=ApplicationProgress(True, "completed"),
            results=RESULT,
            link=PublicLink("https://equalture.example.com/public/1", 7200),
            hire=None,
            anonymise=None,
        )

    async def list_jobs(self, customer: Customer) -> tuple[Job, ...]:
        return await self.script.answer("jobs", customer.key)

    async def create_application(
        self, customer: Customer, draft: NewApplication
    ) -> CreatedApplication:
        self.drafts.append(draft)
        return await self.script.answer("create", customer.key)

    async def get_progress(self, customer: Customer, reference_id: str) -> ApplicationProgress:
        return await self.script.answer("status", customer.key, reference_id)

    async def get_result(
        self, customer: Customer, reference_id: str, *, locale: str | None = None
    ) -> Result | None:
        more = () if locale is None else (locale,)
        return await self.script.answer("results", customer.key, reference_id, *more)

    async def get_public_link(self, customer: Customer, reference_id: str) -> PublicLink:
        return await self.script.answer("link", customer.key, reference_id)

    async def hire(
        self, customer: Customer, reference_id: str, *, add_to_team: bool, start_date: str | None
    ) -> None:
        await self.script.answer("hire", customer.key, reference_id, str(add_to_team), start_date)

    async def anonymise(self, customer: Customer, reference_id: str) -> None:
        await self.script.answer("anonymise", customer.key, reference_id)


class ScriptedNotifier:
    """``Notifier`` by script; takes everything unless told otherwise."""

    def __init__(self) -> None:
        self.script = Script(notify=NotificationResponse(204))

    async def notify(
        self, customer: Customer, url: str, invitation_id: str
    ) -> NotificationResponse:
        return await self.script.answer("notify", customer.key, invitation_id)


class MemoryReferences:
    """``ReferenceIndex`` in dictionaries."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], list[str]] = {}
        self._waiting: dict[tuple[str, str], str] = {}
        self._seen: set[tuple[str, str]] = set()

    async def add(self, customer: str, reference_id: str, invitation_id: str) -> AddedReference:
        known = self._known.setdefault((customer, reference_id), [])
        known[:] = [*(one for one in known if one != invitation_id), invitation_id]
        word = self._waiting.get((customer, reference_id))
        return AddedReference(word, tuple(known[:-1]))

    async def find(self, customer: str, reference_id: str) -> tuple[str, ...]:
        return tuple(self._known.get((customer, reference_id), ()))

    async def hold_event(
        self, customer: str, reference_id: str, word: str, *, life: timedelta, replaces: str = ""
    ) -> None:
        place = (customer, reference_id)
        if place not in self._known and self._waiting.get(place) in (None, replaces):
            self._waiting[place] = word

    async def remove(self, customer: str, reference_id: str, invitation_id: str) -> None:
        known = self._known.pop((customer, reference_id), [])
        if left := [one for one in known if one != invitation_id]:
            self._known[customer, reference_id] = left

    async def is_event_seen(self, customer: str, event_id: str) -> bool:
        return (customer, event_id) in self._seen

    async def mark_event_seen(self, customer: str, event_id: str, *, life: timedelta) -> None:
        self._seen.add((customer, event_id))


class MemoryContract:
    """``ContractStore`` in a dictionary."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str, str], ObservedFact] = {}

    async def facts(self) -> tuple[ObservedFact, ...]:
        return tuple(self._facts.values())

    async def add(self, vendor: str, operation: str, facts: Shape, at: datetime) -> Shape:
        added = set()
        for text in facts:
            key = (vendor, operation, text)
            if key not in self._facts:
                added.add(text)
                self._facts[key] = ObservedFact(*key, at, at)
            self._facts[key] = replace(self._facts[key], last_at=at)
        return frozenset(added)


class MemoryWords:
    """``StatusWordStore`` in a dictionary."""

    def __init__(self) -> None:
        self._words: dict[str, set[str]] = {}

    async def keep(self, customer: str, word: str, at: datetime, *, limit: int) -> None:
        kept = self._words.setdefault(customer, set())
        if len(kept) < limit:
            kept.add(word)

    async def words(self, customer: str) -> tuple[str, ...]:
        return tuple(sorted(self._words.get(customer, ())))


class Catalogue:
    """``JobSource`` without a memory."""

    def __init__(self, provider: AssessmentProvider) -> None:
        self._provider = provider

    async def list_jobs(self, customer: Customer, *, fresh: bool = False) -> tuple[Job, ...]:
        return await self._provider.list_jobs(customer)


@dataclass
class World:
    """Use cases wired as ``bridge.app`` does it, without Redis, sockets and time."""

    clock: Clock = field(default_factory=Clock)
    customers: dict[str, Customer] = field(default_factory=lambda: {"acme": ACME})
    provider: ScriptedProvider = field(default_factory=ScriptedProvider)
    notifier: ScriptedNotifier = field(default_factory=ScriptedNotifier)
    random_fraction: float = 0.5
    rule: CallbackUrlPolicy = field(default_factory=lambda: CallbackUrlPolicy(["softgarden.io"]))
    references: MemoryReferences = field(default_factory=MemoryReferences)
    word_store: MemoryWords = field(default_factory=MemoryWords)
    woken: int = 0

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self._numbers = itertools.count(1)
        self.records = CommitLoop(
            self.store,
            self.clock,
            self._wake,
            monotonic=self.clock.monotonic,
            random_fraction=lambda: self.random_fraction,
            pause=self.pause,
            keys=HISTORY_KEYS,
        )
        self.words = StatusWords(self.word_store, self.clock)
        self.events = ProviderEvents(
            self.records,
            self.references,
            SharedApplications(self.store, self.references),
            self.directory,
            self.pause,
        )
        self.tasks = self.make_tasks()
        self.invitations = self.make_invitations()
        self.erasure = Erasure(self.records, self.tasks, self.references, self.pause)
        self.hiring = Hiring(self.records, self.tasks, self.pause)
        self.operations = Operations(self.records, self.store)
        self.pauses: list[float] = []
        self.on_pause: Callable[[], None] = lambda: None

    def make_tasks(
        self, provider: AssessmentProvider | None = None, notifier: Notifier | None = None
    ) -> TaskHandlers:
        """Tasks over the same store, by default with the scripted vendors."""
        asked, told = provider or self.provider, notifier or self.notifier
        return TaskHandlers(
            records=self.records,
            queue=self.store,
            provider_of=lambda _: asked,
            ats_of=lambda _: Ats(told, self.rule, PLAN),
            customers=self.directory,
            random_fraction=lambda: self.random_fraction,
            new_secret=self.new_secret,
            words=self.words,
            references=self.references,
            events=self.events,
        )

    def make_invitations(self) -> Invite:
        """Another process's ``Invite`` over the same store."""
        links = LinkSigner("https://bridge.example.com", [b"k" * 32])
        tests = OfferedAssessments(Catalogue(self.provider))
        return Invite(
            records=self.records,
            provider_of=lambda _: self.provider,
            ats_of=lambda _: Ats(self.notifier, self.rule, PLAN),
            assessments=tests,
            links=links,
            new_secret=self.new_secret,
            events=self.events,
            pause=self.pause,
        )

    def directory(self) -> CustomerDirectory:
        return CustomerDirectory(self.customers.values())

    def new_secret(self) -> str:
        return f"{next(self._numbers):024d}-and-more-of-it"

    async def pause(self, seconds: float) -> None:
        """Time passes while somebody waits, and others get their turn."""
        self.pauses.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))
        self.on_pause()
        await asyncio.sleep(0)

    def _wake(self) -> None:
        self.woken += 1

    # What tests ask for all the time

    async def invited(self, application: str = "application-1") -> Invitation:
        """A fresh invitation of acme's."""
        return await self.invitations.invite(ACME, order(application))

    async def completed(self, application: str = "application-1") -> Invitation:
        """A completed one, whose notification is due."""
        one = await self.invited(application)
        await self.unconfirmed_result(one)
        await self.work()
        done = await self.load(one)
        assert done.state is State.COMPLETED
        return done

    async def completed_by_poll(self, invitation: Invitation) -> Invitation:
        """The provider is asked at the next poll, and has a result."""
        self.clock.advance(ACME.provider.poll_every)
        await self.work()
        return await self.load(invitation)

    async def unconfirmed_result(
        self, invitation: Invitation, report: Result | None = RESULT
    ) -> Invitation:
        """The provider's callback comes in."""
        return await self.records.apply(invitation, ResultReported(1, report), ACME)

    async def load(self, invitation: Invitation) -> Invitation:
        found = await self.store.load(invitation.id)
        assert found is not None
        return found

    async def lease(self) -> tuple[Lease, ...]:
        """What is due now, leased."""
        now = self.clock()
        return await self.store.lease(
            LeaseRequest(
                now,
                owner="worker",
                until=now + LEASE_LIFE,
                count=64,
                per_lane=8,
                serves=self.tasks.serves,
            )
        )

    async def work(self, tasks: TaskHandlers | None = None) -> int:
        """Perform what is due now, once; how many."""
        leases = await self.lease()
        for lease in leases:
            await (tasks or self.tasks).perform(lease)
        return len(leases)

    async def next_due(self) -> timedelta | None:
        """How long until the next task is due."""
        due = await self.store.next_due()
        return None if due is None else due - self.clock()

    def kinds(self) -> set[TaskKind]:
        """The kinds of what is queued."""
        return {kind for _, kind in self.store.queued()}


async def until(check: Callable[[], object]) -> None:
    """Give others their turn until *check* is true; fails if that does not help."""
    for _ in range(10_000):
        if check():
            return
        await asyncio.sleep(0)
    raise AssertionError("nobody made it true")


async def settled(*calls: Awaitable[T]) -> list[T | BaseException]:
    """What every one of the calls, made at once, gives or raises."""
    return await asyncio.gather(*calls, return_exceptions=True)
