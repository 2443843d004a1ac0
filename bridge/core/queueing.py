"""Tasks, their leases and what ends them; all times aware UTC."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

LOG_LINES: Final = 20
"""Lines of an attempt log that are kept."""


LEASE_LIFE = timedelta(seconds=10)
"""How long a lease lasts without a heartbeat; a killed process's work is taken over after that
(promised: 15 s).
"""


class TaskKind(enum.StrEnum):
    """The kinds of work that are queued, so that they survive a crash."""

    CHECK = "check"
    """Ask the provider how far the application is."""
    NOTIFY = "notify"
    """Notify the ATS that something changed."""
    ANONYMISE = "anonymise"
    """Have the provider anonymise what was deleted."""


def task_id(invitation_id: str, kind: TaskKind) -> str:
    """The id of a task, which operators use: an invitation has at most one of each kind."""
    return f"{invitation_id}:{kind}"


def read_task_id(text: str) -> tuple[str, TaskKind]:
    """The inverse of ``task_id``; raises ``ValueError`` for a kind that is unknown."""
    invitation_id, _, kind = text.rpartition(":")
    return invitation_id, TaskKind(kind)


@dataclass(frozen=True, slots=True)
class ScheduleTask:
    """Put a task on the queue (or replace the queued one of this kind).

    *urgent*: somebody waits for it, so it goes ahead of the customer's backlog.
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


@dataclass(frozen=True, slots=True)
class Lane:
    """The queue of one customer's tasks of one kind: a backlog holds up nobody else.

    Urgent tasks have a lane of their own beside it.
    """

    customer: str
    kind: TaskKind
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """For up to *count* tasks that are due *now*, at most *per_lane* of one lane.

    They are leased to *owner* until *until*. None is of a lane in *avoid*, nor of a customer whom
    this process does not serve (*serves*, by key): those stay as they are, for later or for others.
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

    def calls(self, ended: Retry | GiveUp) -> int:
        """How many calls were made by the time that the lease is *ended* so."""
        return self.attempt if ended.counted else self.attempt - 1

    def log(self, ended: Retry | GiveUp) -> tuple[AttemptNote, ...]:
        """The attempt log, with the note of how the lease *ended*."""
        return (*self.history, *(() if ended.note is None else (ended.note,)))[-LOG_LINES:]

    def dead_letter(self, ended: GiveUp, since: datetime) -> DeadLetter:
        """What becomes of a task that is given up."""
        return DeadLetter(
            invitation_id=self.invitation_id,
            kind=self.kind,
            customer=self.customer,
            attempts=self.calls(ended),
            reason=ended.reason,
            since=since,
            history=self.log(ended),
        )

    @property
    def lane(self) -> Lane:
        """Where it was leased from."""
        return Lane(self.customer, self.kind, self.urgent)

    @property
    def task_id(self) -> str:
        """See ``task_id``."""
        return task_id(self.invitation_id, self.kind)


@dataclass(frozen=True, slots=True)
class Done:
    """The task is finished."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try once more at *at*; *counted* False: no call was made, so it was no attempt.

    *urgent*: still ahead of the customer's backlog.
    """

    at: datetime
    note: AttemptNote | None = None
    counted: bool = True
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Give up until an operator says otherwise; *counted* False: no call was made this time."""

    reason: str
    note: AttemptNote | None = None
    counted: bool = True


Settlement = Done | Retry | GiveUp


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
        """See ``task_id``."""
        return task_id(self.invitation_id, self.kind)

    @property
    def expires(self) -> bool:
        """Whether it goes when records do; an anonymisation that was asked for is never
        forgotten.
        """
        return self.kind is not TaskKind.ANONYMISE


@dataclass(frozen=True, slots=True)
class QuarantineNote:
    """Something in the store that could not be read and was put aside.

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
    """What a reconciliation of records and queues found wrong, and mended unless it was a dry
    run.
    """

    records: int = 0
    requeued: list[str] = field(default_factory=list)
    """Task ids that no queue held, or only for a time that never comes."""
    reindexed: list[str] = field(default_factory=list)
    """Lanes that were not looked at when they should be."""
    indexed: int = 0
    """Records that could not be found by their application; of an older version none can."""
    forgotten: int = 0
    """Entries in the list of dead letters whose letter is gone."""
    damaged: list[str] = field(default_factory=list)
    """Invitation ids whose record cannot be read."""
    incomplete: bool = False
    """A part of Redis did not answer."""

    @property
    def mended(self) -> int:
        """How many things were wrong and can be mended; what was only not indexed is not wrong."""
        return len(self.requeued) + len(self.reindexed) + self.forgotten


@dataclass(frozen=True, slots=True)
class NotificationResponse:
    """How the ATS answered a notification."""

    status: int
    retry_after_s: float | None = None
    excerpt: str = ""
