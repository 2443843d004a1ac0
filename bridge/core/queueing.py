"""Tasks, their leases and how leases end; all times aware UTC."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

LOG_LINES: Final = 20
"""How many lines of an attempt log are kept."""


LEASE_LIFE = timedelta(seconds=10)
"""How long a lease lasts without a heartbeat; a killed process's work is taken over after that
(promised: 15 s).
"""


class TaskKind(enum.StrEnum):
    """The kinds of work that are queued in the store, so that they survive a crash."""

    CHECK = "check"
    """Ask the provider how far the application is."""
    NOTIFY = "notify"
    """Notify the ATS that something changed."""
    ANONYMISE = "anonymise"
    """Have the provider anonymise the applications of a deleted invitation."""
    HIRE = "hire"
    """Tell the provider that the applicant was hired."""

    __hash__ = str.__hash__  # enum's own is slower, and lanes are looked up all the time


def format_task_id(invitation_id: str, kind: TaskKind) -> str:
    """The id of a task, as operators use it: an invitation has at most one task of each kind."""
    return f"{invitation_id}:{kind}"


def parse_task_id(text: str) -> tuple[str, TaskKind]:
    """The inverse of ``format_task_id``; raises ``ValueError`` for a kind that is unknown."""
    invitation_id, _, kind = text.rpartition(":")
    return invitation_id, TaskKind(kind)


@dataclass(frozen=True, slots=True)
class ScheduleTask:
    """Put a task on the queue (or replace the queued one of this kind).

    *urgent*: a person or the ATS waits for it, so it goes ahead of the customer's backlog.
    """

    kind: TaskKind
    at: datetime
    urgent: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Take a task of this kind off the queue, dead letter included."""

    kind: TaskKind


@dataclass(frozen=True, slots=True)
class AttemptNote:
    """One line of a task's attempt log; *excerpt* is at most 2 kB, without secrets."""

    at: datetime
    outcome: str
    status: int | None = None
    latency_ms: int = 0
    excerpt: str = ""


class Lane(NamedTuple):
    """The queue of one customer's tasks of one kind: a backlog delays no other customer.

    Urgent tasks have a lane of their own beside it.
    """

    customer: str
    kind: TaskKind
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """A request for up to *count* tasks that are due *now*, at most *per_lane* of one lane.

    They are leased to *owner* until *until*. Lanes in *avoid*, and customers that this process does
    not serve (*serves*, by key), are skipped: their tasks stay queued, for later or for other
    processes.
    """

    now: datetime
    owner: str
    until: datetime
    count: int
    per_lane: int
    avoid: Collection[Lane] = ()
    urgent_only: bool = False
    serves: Callable[[str], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class Lease:
    """A task that one worker holds for a limited time; *owner* and *revision* prove that it still
    does.

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

    def count_calls(self, ended: RetryTask | GiveUpTask) -> int:
        """How many calls were made once the lease has *ended* this way."""
        return self.attempt if ended.counted else self.attempt - 1

    def build_attempt_log(self, ended: RetryTask | GiveUpTask) -> tuple[AttemptNote, ...]:
        """The attempt log, with the note of how the lease *ended*."""
        return (*self.history, *(() if ended.note is None else (ended.note,)))[-LOG_LINES:]

    def build_dead_letter(self, ended: GiveUpTask, since: datetime) -> DeadLetter:
        """Give up the task: it becomes a dead letter."""
        return DeadLetter(
            invitation_id=self.invitation_id,
            kind=self.kind,
            customer=self.customer,
            attempts=self.count_calls(ended),
            reason=ended.reason,
            since=since,
            history=self.build_attempt_log(ended),
        )

    @property
    def lane(self) -> Lane:
        """The lane that it was leased from."""
        return Lane(self.customer, self.kind, self.urgent)

    @property
    def task_id(self) -> str:
        """See ``format_task_id``."""
        return format_task_id(self.invitation_id, self.kind)


@dataclass(frozen=True, slots=True)
class LeaseOffer:
    """A worker of this process would perform a task of this lane at once: the commit that makes it
    due then leases it to *owner* until *until*.
    """

    lane: Lane
    owner: str
    revision: int
    until: datetime

    def build_lease(self, invitation_id: str) -> Lease:
        """The lease of this invitation's task, once it is granted."""
        return Lease(
            invitation_id=invitation_id,
            kind=self.lane.kind,
            customer=self.lane.customer,
            attempt=1,
            owner=self.owner,
            revision=self.revision,
            urgent=self.lane.urgent,
        )


@dataclass(frozen=True, slots=True)
class TaskDone:
    """The task is finished; *settled*: a commit ended its lease already."""

    settled: bool = False


@dataclass(frozen=True, slots=True)
class RetryTask:
    """Try once more at *at*; *counted* False: no call was made, so it was no attempt.

    *urgent*: still ahead of the customer's backlog.
    """

    at: datetime
    note: AttemptNote | None = None
    counted: bool = True
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class GiveUpTask:
    """Give up until an operator says otherwise; *counted* False: no call was made this time."""

    reason: str
    note: AttemptNote | None = None
    counted: bool = True


Settlement = TaskDone | RetryTask | GiveUpTask


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A task that was given up, with its attempt log; *attempts* are the calls that were really
    made.
    """

    invitation_id: str
    kind: TaskKind
    customer: str
    attempts: int
    reason: str
    since: datetime
    history: tuple[AttemptNote, ...] = ()

    @property
    def task_id(self) -> str:
        """See ``format_task_id``."""
        return format_task_id(self.invitation_id, self.kind)

    @property
    def expires(self) -> bool:
        """Whether it goes when records do; an anonymisation that was asked for is never
        forgotten.
        """
        return self.kind is not TaskKind.ANONYMISE


@dataclass(frozen=True, slots=True)
class QuarantineNote:
    """An entry of the store that could not be read and was quarantined.

    *name*: an invitation id (its record), a task id, ``lane:...`` or ``key:...``; *what*:
    ``record``, ``task``, ``lane`` or ``key``.
    """

    partition: int
    name: str
    what: str
    reason: str
    since: datetime


@dataclass(slots=True)
class ReconciliationReport:
    """What a reconciliation of records and queues found wrong, and repaired unless it was a dry
    run.
    """

    records: int = 0
    requeued: list[str] = field(default_factory=list)
    """Task ids that were in no queue, or queued for a time that never comes."""
    reindexed: list[str] = field(default_factory=list)
    """Lanes with due tasks that were not scheduled to be read."""
    indexed: int = 0
    """Records that could not be found by their application, as all records of an older version."""
    forgotten: int = 0
    """Entries in the list of dead letters whose letter is gone."""
    damaged: list[str] = field(default_factory=list)
    """Invitation ids whose record cannot be read."""
    incomplete: bool = False
    """A part of Redis did not answer."""

    @property
    def repairable(self) -> int:
        """How many things were wrong and can be repaired; a record that was only not indexed is
        not wrong.
        """
        return len(self.requeued) + len(self.reindexed) + self.forgotten


@dataclass(slots=True)
class Backlog:
    """How much work waits; *missing* is how many parts of the store did not answer."""

    due: dict[TaskKind, int]
    """Tasks that could be performed now, by kind; those that are being performed are not."""
    oldest_due_s: float = 0.0
    """How long the longest waiting of them has been due."""
    due_of: dict[str, int] = field(default_factory=dict)
    """The same tasks by customer."""
    dead: int = 0
    quarantined: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class NotificationResponse:
    """How the ATS answered a notification."""

    status: int
    retry_after_s: float | None = None
    excerpt: str = ""
