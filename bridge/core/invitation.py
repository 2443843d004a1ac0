"""The record of an invitation, and the change that is committed to it; all times aware UTC."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from bridge.core.assessment import Result
from bridge.core.history import NO_HISTORY, History
from bridge.core.queueing import CancelTask, ScheduleTask


class State(enum.StrEnum):
    """Where an invitation stands; ``.github/STATES.md`` draws all transitions."""

    CREATING = "creating"
    """Claimed; the call to the provider is under way."""
    UNCERTAIN = "uncertain"
    """The create got no usable answer: the application may or may not exist."""
    INVITED = "invited"
    STARTED = "started"
    COMPLETED = "completed"
    EXPIRED = "expired"
    FAILED = "failed"
    """No application was made; the ATS got an error and never this id."""
    ERASED = "erased"
    """A tombstone: no personal data; reference ids only until the provider has confirmed."""


OPEN = frozenset({State.CREATING, State.UNCERTAIN, State.INVITED, State.STARTED})
"""The ATS sees PENDING; the order is taken."""


class CreateOutcome(enum.StrEnum):
    """The outcome of one create call."""

    PENDING = "pending"
    CREATED = "created"
    UNKNOWN = "unknown"
    FAILED = "failed"
    """No application was made."""
    ORPHAN = "orphan"
    """An application was made after all, but the ATS already had another attempt's link: this one
    is to be anonymised.
    """


@dataclass(frozen=True)
class CreateAttempt:
    """One create call at the provider; *number* counts from 1."""

    number: int
    secret_digest: str
    """Hex SHA-256 of the secret in this attempt's callback URL; the secret itself is never stored.
    """
    started_at: datetime
    outcome: CreateOutcome = CreateOutcome.PENDING
    reference_id: str | None = None
    anonymised: bool = False


@dataclass(frozen=True, slots=True)
class UnconfirmedResult:
    """A result that was reported by callback and is not confirmed yet."""

    attempt: int
    seen_at: datetime
    report: Result | None = None


class HireState(enum.StrEnum):
    """How far the provider was told that the applicant is hired."""

    REQUESTED = "requested"
    """To be done: not sent yet, or certainly not done."""
    SENT = "sent"
    """The call is under way; after a crash it is unknown whether it was done."""
    UNKNOWN = "unknown"
    """The call got no usable answer: never repeated unless an operator says so."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class HireRecord:
    """The applicant is hired, and the provider is to know it."""

    reference_id: str
    """The provider's application; empty: not known when the hire was requested."""
    requested_at: datetime
    add_to_team: bool
    start_date: str | None = None
    """``YYYY-MM-DD``; forgotten once it was told."""
    state: HireState = HireState.REQUESTED
    sent_by: int | None = None
    """The lease under which the call is made."""
    hired_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """The stored record of an invitation; *version* counts commits, 0 before the first."""

    id: str
    customer: str
    order_key: str = ""
    """Digest of customer, application and test: the idempotency key. Empty in a tombstone."""
    application_id: str = ""
    """The ATS' public id of the application. Empty in a tombstone."""
    test_id: str = ""
    test_name: str = ""
    duration: int | None = None
    state: State
    created_at: datetime
    updated_at: datetime
    attempts: tuple[CreateAttempt, ...] = ()
    callback: str = field(default="", repr=False)
    assessment_url: str | None = field(default=None, repr=False)
    deadline: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expired_at: datetime | None = None
    erased_at: datetime | None = None
    unconfirmed_result: UnconfirmedResult | None = None
    result: Result | None = None
    corrected_at: datetime | None = None
    """When the ATS was last to be told of another result than before."""
    confirmed: bool = False
    """The result was read from the provider with our own token."""
    live_attempt: int = 0
    """The attempt whose link the ATS gets; 0: none yet."""
    issued: bool = False
    """The ATS was given the id.

    The ATS is notified only then: it could not recognise an id that it never got.
    """
    replaces: str | None = None
    """The earlier invitation of the same order, where there was one."""
    hire: HireRecord | None = None
    """Set once the applicant was hired."""
    failure: str | None = None
    """Error code of a FAILED invitation, for requests that waited for the same order."""
    history: History = NO_HISTORY
    trace: str = ""
    """Where its trace goes on: W3C's ``traceparent`` of what last changed it. Empty: not traced."""
    version: int = 0
    commit_id: str = field(default="", compare=False)
    """Identifies the commit that stored it; empty if unknown. A fail-over may forget commits, and
    then their version numbers are used again.
    """


class OrderClaimChange(enum.StrEnum):
    """What a transition does with the claim on its order key."""

    KEEP = "keep"
    CLAIM = "claim"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class AddedReference:
    """What the index of the provider's ids had for an application before: the *word* of an event
    that came early, and the *others* that use it.
    """

    word: str | None = None
    others: tuple[str, ...] = ()


class CommitOutcome(enum.IntEnum):
    """What became of a commit; false if it was not made."""

    LOST = 0
    """Another change came first, or the claim failed: nothing was written."""
    WRITTEN = 1
    LEASED = 2
    """Written, and the task that was offered to be leased is."""


@dataclass(frozen=True)
class Transition:
    """The new record and the changes to its tasks, committed together or not at all."""

    invitation: Invitation
    tasks: tuple[ScheduleTask | CancelTask, ...] = ()
    order: OrderClaimChange = OrderClaimChange.KEEP
    replaces: str | None = None
    """With CLAIM: the invitation id that the order must still point to (None: to nothing)."""
    order_key: str = ""
    """With RELEASE: the key to free, since a tombstone no longer contains it."""
    application_id: str = ""
    """With RELEASE: the application that the record must no longer be found by, for the same
    reason.
    """
    expires: bool = True
    """Whether the record is deleted once it has not changed for the retention period."""
    renews: bool = True
    """Whether that period begins anew; not for what is only noted in the history."""
    commit_id: str = ""
    """Identifies its commit; the store makes one up where this is empty."""
