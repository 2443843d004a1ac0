"""The interfaces that the use cases need. Adapters implement them; ``bridge.app`` chooses which.

Every method may raise ``StoreUnavailable`` (store, queue) or an ``UpstreamError`` (provider,
notifier) besides the errors that it names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bridge.core.answer_shape import ObservedFact, Shape
from bridge.core.assessment import (
    ApplicationProgress,
    CreatedApplication,
    Job,
    NewApplication,
    PublicLink,
    Result,
)
from bridge.core.callback_urls import CallbackUrlPolicy
from bridge.core.customers import Customer, CustomerDirectory
from bridge.core.invitation import AddedReference, CommitOutcome, Invitation, Transition
from bridge.core.queueing import (
    DeadLetter,
    Lane,
    Lease,
    LeaseOffer,
    LeaseRequest,
    NotificationResponse,
    QuarantineNote,
    ReconciliationReport,
    Settlement,
    TaskKind,
)

Clock = Callable[[], datetime]
"""Now, aware, UTC."""

Monotonic = Callable[[], float]
"""Seconds on a clock that never jumps: for durations inside this process, never for stored times.
"""

BeforeClockStep = Callable[[datetime], Awaitable[None]]
"""Called before the clock makes a step, with the new time."""

Pause = Callable[[float], Awaitable[None]]
"""Waits that many seconds."""

RandomFraction = Callable[[], float]
"""A random number in [0, 1)."""

NewSecret = Callable[[], str]
"""A fresh unguessable URL-safe string of at least 128 bits."""

CurrentCustomers = Callable[[], CustomerDirectory]
"""The directory in force now (a reload swaps it)."""


class AssessmentProvider(Protocol):
    """A provider of assessments, as the use cases need it."""

    @property
    def name(self) -> str:
        """Its name in errors, logs and callback URLs: one lower-case word."""

    @property
    def title(self) -> str:
        """Its name as people write it."""

    async def list_jobs(self, customer: Customer) -> tuple[Job, ...]:
        """The customer's published jobs."""

    async def create_application(
        self, customer: Customer, draft: NewApplication
    ) -> CreatedApplication:
        """Make an application.

        Never repeated after ``OutcomeUnknown``; ``UpstreamRefused`` and
        ``UpstreamUnavailable``: not made.
        """

    async def get_progress(self, customer: Customer, reference_id: str) -> ApplicationProgress:
        """How far the application is."""

    async def get_result(
        self, customer: Customer, reference_id: str, *, locale: str | None = None
    ) -> Result | None:
        """The result in the customer's language, or for a reader in that of *locale* if the
        provider has it; None: not ready yet.
        """

    async def get_public_link(self, customer: Customer, reference_id: str) -> PublicLink:
        """A fresh short-lived link to the result."""

    async def hire(
        self, customer: Customer, reference_id: str, *, add_to_team: bool, start_date: str | None
    ) -> None:
        """Hire the applicant; irreversible and with side effects at the provider, so never repeated
        by the client.
        """

    async def anonymise(self, customer: Customer, reference_id: str) -> None:
        """Anonymise the application; returns when it is done or was done already."""


ProviderOf = Callable[[Customer], AssessmentProvider]
"""The provider with which a customer has its account."""


class JobSource(Protocol):
    """The provider's job list, cached."""

    async def list_jobs(self, customer: Customer, *, fresh: bool = False) -> tuple[Job, ...]:
        """The jobs, perhaps a short time old; older ones when the provider is down.

        *fresh*: not from the short-lived cache.
        """


class Notifier(Protocol):
    """Notifies the ATS of changes."""

    async def notify(
        self, customer: Customer, url: str, invitation_id: str
    ) -> NotificationResponse:
        """Notify the ATS that this invitation changed; any HTTP status is an answer, no answer is
        an ``UpstreamError``.
        """


@dataclass(frozen=True, slots=True)
class Ats:
    """What the use cases need of an applicant tracking system.

    *callback_policy* says which URLs may be notified, *retry_plan* the pauses between attempts.
    """

    notifier: Notifier
    callback_policy: CallbackUrlPolicy
    retry_plan: tuple[timedelta, ...]


AtsOf = Callable[[Customer], Ats]
"""The ATS that a customer uses."""


class InvitationStore(Protocol):
    """The invitations' records."""

    async def load(self, invitation_id: str) -> Invitation | None:
        """The record, or None; accepts any string."""

    async def find_order(self, partition: int, order_key: str) -> Invitation | None:
        """The latest invitation of this order, or None."""

    async def find_by_application(
        self, customer: str, application_id: str
    ) -> tuple[Invitation, ...]:
        """The customer's invitations for this application, oldest first, whatever their state; none
        that was deleted, or that the ATS never got.
        """

    async def commit(
        self, step: Transition, *, offer: LeaseOffer | None = None, ending: Lease | None = None
    ) -> CommitOutcome:
        """Write the record and its tasks in one atomic, durable change.

        ``step.invitation.version`` is the version that was read (0: new). A repeated delivery of
        the same commit (by a retrying connection) is recognised and has the same outcome again.

        The task of *offer* is leased as it becomes due, unless another owner holds it. The lease
        *ending* ends, as by ``TaskQueue.settle`` with ``TaskDone``, if it is still ours.
        """

    def scan(self, *, whole: bool = False) -> AsyncIterator[Invitation]:
        """Every record. A part that is away is left out; if *whole*, ``StoreUnavailable``."""


class ReferenceIndex(Protocol):
    """Finds invitations by the provider's ids, for events that name nothing else, and for
    applications that two invitations share.

    An entry is stored before the record has the id, and again when that is completed, so that it is
    kept as long as the record; callers must check it against the record.
    """

    async def add(self, customer: str, reference_id: str, invitation_id: str) -> AddedReference:
        """Store an invitation's id; an event that came before is told each time."""

    async def find(self, customer: str, reference_id: str) -> tuple[str, ...]:
        """The invitation ids, oldest first; more than one if the provider gave them the same
        application.
        """

    async def hold_event(
        self, customer: str, reference_id: str, word: str, *, life: timedelta, replaces: str = ""
    ) -> None:
        """Keep an event for an application that is not known (yet), for this time. Only one is
        kept: the first, or one that *replaces* its word.
        """

    async def remove(self, customer: str, reference_id: str, invitation_id: str) -> None:
        """Remove this invitation: its candidate was deleted."""

    async def is_event_seen(self, customer: str, event_id: str) -> bool:
        """Whether this event was marked as seen."""

    async def mark_event_seen(self, customer: str, event_id: str, *, life: timedelta) -> None:
        """Mark this event as seen, for this time."""


class UnservedCustomers(Protocol):
    """The customers whose tasks wait, since they are not served: they are removed, or their files
    cannot be used.
    """

    async def settle(self, serves: Callable[[str], bool], now: datetime) -> int:
        """Store which customers have waiting tasks, and make checks and anonymisations of those
        that are served again due at once; returns how many.
        """


class ContractStore(Protocol):
    """What was seen of the vendors' contracts, kept for a while."""

    async def facts(self) -> tuple[ObservedFact, ...]:
        """Everything that is kept, in no order."""

    async def add(self, vendor: str, operation: str, facts: Shape, at: datetime) -> Shape:
        """Keep *facts*, seen at *at*; gives those that were not there before."""


class StatusWordStore(Protocol):
    """Unknown status words, kept for operators for some time."""

    async def keep(self, customer: str, word: str, at: datetime, *, limit: int) -> None:
        """Store *word*, received at *at*, among at most *limit* of this customer."""

    async def words(self, customer: str) -> tuple[str, ...]:
        """The customer's words, in alphabetical order."""


class TaskQueue(Protocol):
    """The tasks of all invitations, which survive the death of processes.

    Tasks are put on the queue by ``InvitationStore.commit`` only.
    """

    async def lease(self, request: LeaseRequest) -> tuple[Lease, ...]:
        """The due tasks that *request* asks for; perhaps fewer than there are.

        Urgent lanes come first. Entries that cannot be read are quarantined; a part of the store
        that does not answer gives nothing meanwhile, while the rest goes on.
        """

    async def take(
        self, invitation_id: str, kind: TaskKind, now: datetime, *, owner: str, until: datetime
    ) -> Lease | None:
        """Lease one queued task, due or not; None: not queued, or leased by another owner."""

    async def bring_forward(
        self, customer: str, invitation_id: str, kind: TaskKind, now: datetime, *, every: timedelta
    ) -> bool:
        """Make a queued task due now, at most once in *every*; False: not queued, due or leased
        already, or done just now.
        """

    async def extend(self, leases: Sequence[Lease], until: datetime) -> None:
        """Heartbeat: extend the leases that are still ours to *until*."""

    async def settle(self, lease: Lease, settlement: Settlement, now: datetime) -> bool:
        """End the lease; False: it was no longer ours.

        A task renewed meanwhile stays queued with its newer time.
        """

    async def release(self, leases: Sequence[Lease], now: datetime) -> None:
        """Give leases back unperformed; the attempt does not count."""

    async def next_due(self) -> datetime | None:
        """When the earliest queued task is due."""

    def dead_letters(self) -> AsyncIterator[DeadLetter]:
        """Every dead letter that can be read, in no particular order."""

    async def replay(self, invitation_id: str, kind: TaskKind, now: datetime) -> bool:
        """Queue a dead letter's task again, from attempt 1, due now; False: no such dead letter."""

    async def drop(self, invitation_id: str, kind: TaskKind) -> bool:
        """Delete a dead letter; False: no such dead letter."""


class TaskPerformer(Protocol):
    """Performs the tasks that the worker leases."""

    def serves(self, customer: str) -> bool:
        """Whether the tasks of the customer with this key are to be performed here."""

    async def perform(self, lease: Lease, known: Invitation | None = None) -> bool:
        """Perform a task and settle it; whether it went as well as it can. Raises
        ``StoreUnavailable`` only.

        *known* is the record as it was just committed, where the caller has it.
        """


class TaskTaker(Protocol):
    """Takes tasks over that a commit of the same process makes due, so that nobody has to look for
    them.
    """

    def offer_lease(self, lane: Lane) -> LeaseOffer | None:
        """Keep a place for a task of this lane; None: there is none, so the queue has to do. Each
        offer is followed by ``start`` or ``withdraw``.
        """

    def start(self, offer: LeaseOffer, invitation: Invitation) -> None:
        """The task of *invitation*, as it was just committed, is leased as offered."""

    def withdraw(self, offer: LeaseOffer) -> None:
        """It was not leased, or nobody knows."""


class Quarantine(Protocol):
    """Data that could not be read and was quarantined; for operators."""

    def notes(self) -> AsyncIterator[QuarantineNote]:
        """Every note, in no particular order."""

    async def drop(self, found: QuarantineNote) -> bool:
        """Delete a note and the data that it is about; False: it was deleted already."""


class Reconciler(Protocol):
    """Compares records with queues."""

    async def claim(self, owner: str) -> bool:
        """Whether this process may run a pass now; the claim lasts a minute after the last step."""

    async def release(self) -> None:
        """Let another process run a pass."""

    async def run(
        self, *, dry_run: bool = False, pause: Callable[[], Awaitable[None]] | None = None
    ) -> ReconciliationReport:
        """Check everything once and repair it; *pause* is awaited between the steps."""
