"""The values that the bridge thinks in: frozen, free of vendor words, all times aware UTC."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime


class State(enum.StrEnum):
    """Where an invitation stands; see ``core.lifecycle`` for the moves."""

    CREATING = "creating"
    """Claimed; the call to the provider is under way."""
    UNCERTAIN = "uncertain"
    """A create was sent and got no usable answer: an application may or may not exist."""
    INVITED = "invited"
    STARTED = "started"
    COMPLETED = "completed"
    EXPIRED = "expired"
    FAILED = "failed"
    """The create was surely not done; softgarden was told so and never got this id."""
    ERASED = "erased"
    """A tombstone: no personal data; reference ids only until the provider has confirmed."""


OPEN = frozenset({State.CREATING, State.UNCERTAIN, State.INVITED, State.STARTED})
"""softgarden sees PENDING; the order is taken."""


class Outcome(enum.StrEnum):
    """What became of one create call."""

    PENDING = "pending"
    CREATED = "created"
    UNKNOWN = "unknown"
    FAILED = "failed"
    """Surely not done."""
    ORPHAN = "orphan"
    """Done after all, when softgarden already had another attempt's link: to be anonymised."""


class TaskKind(enum.StrEnum):
    """What the bridge can owe the world."""

    CHECK = "check"
    """Ask the provider for the truth."""
    NOTIFY = "notify"
    """Tell softgarden that something changed."""
    ANONYMISE = "anonymise"
    """Have the provider anonymise what was deleted."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The person, as softgarden names her. Passed through, never stored, never logged."""

    id: str
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    email: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Order:
    """softgarden's request to invite, before anything exists."""

    test_id: str
    candidate: Candidate
    callback: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Job:
    """Something the provider can assess for (Equalture: job)."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Test:
    """Something HR can choose in softgarden; *duration* in minutes."""

    __test__ = False  # keeps pytest from collecting it

    id: str
    job_id: str
    name: str
    description: str = ""
    duration: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What the provider needs to make an application."""

    job_id: str
    candidate: Candidate
    callback_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Created:
    """The provider's answer to a draft; *assessment_url* is None where it broke the contract and sent no link."""

    reference_id: str
    assessment_url: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an application is; *word* is the provider's own, *known* whether we know what it means."""

    done: bool
    word: str
    known: bool = True


@dataclass(frozen=True, slots=True)
class PublicLink:
    """A link to a result that needs no login, for a short time."""

    url: str = field(repr=False)
    life_s: int | None


@dataclass(frozen=True, slots=True)
class Trait:
    """One measured trait; *score* 1..5, *wanted* the accepted scores of the job's profile (empty: no profile)."""

    code: str
    name: str
    score: int | None = None
    description: str = ""
    priority: str | None = None
    wanted: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a candidate achieved; every part may be missing."""

    fit: str | None = None
    dashboard_url: str | None = None
    summary: tuple[tuple[str, str], ...] = ()
    """Trait name and text, as the provider words them; display only."""
    traits: tuple[Trait, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One create call at the provider; *number* counts from 1."""

    number: int
    secret_digest: str
    """Hex SHA-256 of the secret in this attempt's callback URL; the secret itself is never stored."""
    started_at: datetime
    outcome: Outcome = Outcome.PENDING
    reference_id: str | None = None
    anonymised: bool = False


@dataclass(frozen=True, slots=True)
class Hint:
    """A report that came in by callback and is not confirmed yet."""

    attempt: int
    seen_at: datetime
    report: Result | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """Our record. *version* is 0 before the first commit and counts commits from then on."""

    id: str
    customer: str
    order_key: str
    """Digest of customer, application and test: the idempotency key. Empty in a tombstone."""
    application_id: str
    """softgarden's public id of the application. Empty in a tombstone."""
    test_id: str
    test_name: str
    duration: int | None
    state: State
    created_at: datetime
    updated_at: datetime
    attempts: tuple[Attempt, ...]
    callback: str = field(default="", repr=False)
    assessment_url: str | None = field(default=None, repr=False)
    deadline: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expired_at: datetime | None = None
    erased_at: datetime | None = None
    hint: Hint | None = None
    result: Result | None = None
    confirmed: bool = False
    """The result was read from the provider with our own token."""
    live_attempt: int = 0
    """The attempt whose link softgarden gets; 0: none yet."""
    issued: bool = False
    """softgarden was given the id. Only then is it notified: of an id that it never got it can make nothing."""
    replaces: str | None = None
    """The earlier invitation of the same order, where there was one."""
    failure: str | None = None
    """Error code of a FAILED invitation, for those who waited for the same order."""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """Put a task on the queue (or replace the queued one of this kind).

    *urgent*: somebody waits for it, so it goes ahead of the customer's backlog.
    """

    kind: TaskKind
    at: datetime
    urgent: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take a task of this kind off the queue, dead letter included."""

    kind: TaskKind


class OrderChange(enum.StrEnum):
    """What a step does with the claim on its order."""

    KEEP = "keep"
    CLAIM = "claim"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Step:
    """One move: the new record and the debts that come with it, committed together or not at all."""

    invitation: Invitation
    tasks: tuple[Due | Cancel, ...] = ()
    order: OrderChange = OrderChange.KEEP
    replaces: str | None = None
    """With CLAIM: the invitation id that the order must still point to (None: to nothing)."""
    order_key: str = ""
    """With RELEASE: the key to free, since a tombstone no longer knows it."""


@dataclass(frozen=True, slots=True)
class AttemptNote:
    """One line of a task's attempt log; *excerpt* is at most 2 kB, without secrets."""

    at: datetime
    outcome: str
    status: int | None = None
    latency_ms: int = 0
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """The queue of one customer's tasks of one kind: a backlog holds up nobody else.

    Urgent tasks have a lane of their own beside it.
    """

    customer: str
    kind: TaskKind
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """A task that is ours for a while; *owner* and *revision* prove that it is still ours.

    *attempt* is the number (from 1) of the call that this lease may make: leases themselves are
    not counted.
    """

    invitation_id: str
    kind: TaskKind
    customer: str
    attempt: int
    owner: str
    revision: int
    history: tuple[AttemptNote, ...] = ()
    urgent: bool = False

    @property
    def lane(self) -> Lane:
        """Where it was leased from."""
        return Lane(self.customer, self.kind, self.urgent)

    @property
    def task_id(self) -> str:
        """``<invitation id>:<kind>``."""
        return f"{self.invitation_id}:{self.kind}"


@dataclass(frozen=True, slots=True)
class Done:
    """The debt is paid."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try once more at *at*; *counted* False: no call was made, so it was no attempt.

    *urgent*: still ahead of the customer's backlog.
    """

    at: datetime
    note: AttemptNote | None = None
    counted: bool = True
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """Give up until an operator says otherwise; *counted* False: no call was made this time."""

    reason: str
    note: AttemptNote | None = None
    counted: bool = True


Settlement = Done | Again | Dead


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A task that was given up, with its attempt log; *attempts* are the calls that were really made."""

    invitation_id: str
    kind: TaskKind
    customer: str
    attempts: int
    reason: str
    since: datetime
    history: tuple[AttemptNote, ...] = ()

    @property
    def task_id(self) -> str:
        """``<invitation id>:<kind>``, the id that operators use."""
        return f"{self.invitation_id}:{self.kind}"


@dataclass(frozen=True, slots=True)
class QuarantineNote:
    """Something in the store that could not be read and was put aside.

    *name*: an invitation id (its record), a task id, ``lane:...`` or ``key:...``; *what*: ``record``,
    ``task``, ``lane`` or ``key``.
    """

    partition: int
    name: str
    what: str
    reason: str
    since: datetime


@dataclass(slots=True)
class Reconciled:
    """What a reconciliation of records and queues found wrong, and mended unless it was a dry run."""

    records: int = 0
    requeued: list[str] = field(default_factory=list)
    """Task ids that no queue held, or only for a time that never comes."""
    reindexed: list[str] = field(default_factory=list)
    """Lanes that were not looked at when they should be."""
    forgotten: int = 0
    """Entries in the list of dead letters whose letter is gone."""
    damaged: list[str] = field(default_factory=list)
    """Invitation ids whose record cannot be read."""
    incomplete: bool = False
    """A part of Redis did not answer."""

    @property
    def mended(self) -> int:
        """How many things were wrong and can be mended."""
        return len(self.requeued) + len(self.reindexed) + self.forgotten


@dataclass(frozen=True, slots=True)
class Answer:
    """How softgarden answered a notification."""

    status: int
    retry_after_s: float | None = None
    excerpt: str = ""
