"""What situation an invitation is in, for whoever asks why nothing is to be seen of it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bridge.core.history import HistoryEntry, HistoryEntryKind
from bridge.core.invitation import HireState, Invitation, State
from bridge.core.lifecycle.attempts import list_applications_to_anonymise
from bridge.core.queueing import DeadLetter, TaskKind


class Situation(enum.StrEnum):
    """Each has its likely cause and its next step in the commands' table."""

    UNKNOWN = "unknown"
    """Nothing is stored under this id."""
    BAD_LINK = "bad_link"
    """A link of ours whose signature no listed key made."""
    DAMAGED = "damaged"
    """The record cannot be read."""
    SET_ASIDE = "set_aside"
    REMOVED = "removed"

    NOTIFY_REJECTED = "notify_rejected"
    NOTIFY_UNAUTHORIZED = "notify_unauthorized"
    NOTIFY_NOT_ALLOWED = "notify_not_allowed"
    NOTIFY_UNREACHABLE = "notify_unreachable"
    NOTIFY_STATUS = "notify_status"
    NOTIFY_GIVEN_UP = "notify_given_up"
    """For a reason that this version does not know."""
    ANONYMISE_REFUSED = "anonymise_refused"
    HIRE_REFUSED = "hire_refused"
    HIRE_UNKNOWN = "hire_unknown"
    HIRE_WAITING = "hire_waiting"
    """To be told, and not taken by the provider yet."""
    HIRE_UNCONFIRMED = "hire_unconfirmed"
    """Told, without an answer: the provider is asked whether it was done."""
    HIRE_FORGOTTEN = "hire_forgotten"
    """Told, without an answer, and the dead letter was dropped."""
    POISONED = "poisoned"
    """An error of ours, again and again."""
    GIVEN_UP = "given_up"

    ERASED = "erased"
    ERASED_OWED = "erased_owed"
    CREATING = "creating"
    UNCERTAIN = "uncertain"
    CREATE_REFUSED = "create_refused"
    CREATE_UNAVAILABLE = "create_unavailable"
    CREATE_BROKEN = "create_broken"
    NOT_ISSUED = "not_issued"
    INVITED = "invited"
    STARTED = "started"
    OVERDUE = "overdue"
    """Open past its deadline: soon expired."""
    REPORTED = "reported"
    """A report waits for the provider to confirm it."""
    PROVIDER_SILENT = "provider_silent"
    NOTIFY_DUE = "notify_due"
    NOTIFY_RETRIED = "notify_retried"
    NOTIFY_RETRIED_UNAUTHORIZED = "notify_retried_unauthorized"
    UNREAD = "unread"
    """The ATS was told and never asked for the result."""
    DELIVERED = "delivered"
    EXPIRED_DELIVERED = "expired_delivered"


_GIVEN_UP: Final = {
    ("notify", "rejected"): Situation.NOTIFY_REJECTED,
    ("notify", "unauthorized"): Situation.NOTIFY_UNAUTHORIZED,
    ("notify", "callback_not_allowed"): Situation.NOTIFY_NOT_ALLOWED,
    ("notify", "upstream_unavailable"): Situation.NOTIFY_UNREACHABLE,
    ("notify", "outcome_unknown"): Situation.NOTIFY_UNREACHABLE,
    ("anonymise", "refused"): Situation.ANONYMISE_REFUSED,
    ("hire", "refused"): Situation.HIRE_REFUSED,
    ("hire", "outcome_unknown"): Situation.HIRE_UNKNOWN,
}
_FAILED: Final = {
    "upstream_unavailable": Situation.CREATE_UNAVAILABLE,
    "upstream_broken": Situation.CREATE_BROKEN,
}


_NOTHING_AMISS: Final = frozenset(
    {
        *(Situation.INVITED, Situation.STARTED),
        *(Situation.DELIVERED, Situation.EXPIRED_DELIVERED),
    }
)
"""Not worth a word where something else is."""
_OVER: Final = frozenset(
    {
        *(Situation.DELIVERED, Situation.EXPIRED_DELIVERED, Situation.UNREAD),
        *(Situation.NOT_ISSUED, Situation.CREATE_REFUSED, Situation.CREATE_UNAVAILABLE),
        Situation.CREATE_BROKEN,
    }
)
"""Nothing of it waits for its customer to be served."""
_HIRES: Final = {
    HireState.REQUESTED: Situation.HIRE_WAITING,
    HireState.SENT: Situation.HIRE_UNCONFIRMED,
    HireState.UNKNOWN: Situation.HIRE_FORGOTTEN,
}


def list_situations(
    invitation: Invitation,
    letters: Sequence[DeadLetter],
    *,
    served: bool,
    set_aside: bool,
    now: datetime,
) -> tuple[Situation, ...]:
    """The situations that explain it, first the one that explains most; *letters* are the
    invitation's own.

    *served*, *set_aside*: whether its customer is in force, or known with an unusable file.
    """
    given_up = [diagnose_dead_letter(letter) for letter in letters]
    kinds = {letter.kind for letter in letters}
    hire, more = invitation.hire, []
    if hire and hire.state in _HIRES and served and TaskKind.HIRE not in kinds:
        more.append(_HIRES[hire.state])
    found: list[Situation] = []
    if kinds <= {TaskKind.HIRE}:
        found = _without_letters(invitation, served=served, set_aside=set_aside, now=now)
        if given_up or more:
            found = [one for one in found if one not in _NOTHING_AMISS]
    return tuple(dict.fromkeys((*given_up, *found, *more)))


def _without_letters(
    invitation: Invitation, *, served: bool, set_aside: bool, now: datetime
) -> list[Situation]:
    own = _own(invitation, now)
    if (served and not set_aside) or own is Situation.ERASED:
        return [own]
    if not set_aside:
        also = own in _OVER and own not in _NOTHING_AMISS
        return [Situation.REMOVED, own] if also else [Situation.REMOVED]
    if own in _OVER:
        return [own, Situation.SET_ASIDE]
    hidden = own in _NOTHING_AMISS or own is Situation.NOTIFY_DUE
    return [Situation.SET_ASIDE] if hidden else [Situation.SET_ASIDE, own]


def _own(invitation: Invitation, now: datetime) -> Situation:
    """Whatever becomes of its customer."""
    if invitation.state is State.ERASED:
        owed = list_applications_to_anonymise(invitation)
        return Situation.ERASED_OWED if owed else Situation.ERASED
    if invitation.state is State.FAILED:
        return _FAILED.get(invitation.failure or "", Situation.CREATE_REFUSED)
    if invitation.state in (State.COMPLETED, State.EXPIRED):
        return _ended(invitation)
    return _open(invitation, now)


def diagnose_dead_letter(letter: DeadLetter) -> Situation:
    """The situation of a task that was given up."""
    if letter.reason == "poisoned":
        return Situation.POISONED
    known = _GIVEN_UP.get((str(letter.kind), letter.reason))
    if known is not None:
        return known
    if letter.kind != "notify":
        return Situation.GIVEN_UP
    by_status = letter.reason.startswith("http_")
    return Situation.NOTIFY_STATUS if by_status else Situation.NOTIFY_GIVEN_UP


def _open(invitation: Invitation, now: datetime) -> Situation:
    if invitation.state is State.CREATING:
        return Situation.CREATING
    silent = invitation.history.count(HistoryEntryKind.UNANSWERED)
    asked = invitation.history.count(HistoryEntryKind.CHECKED)
    if silent and (asked is None or asked.last < silent.last):
        return Situation.PROVIDER_SILENT
    if invitation.unconfirmed_result is not None:
        return Situation.REPORTED
    if invitation.state is State.UNCERTAIN:
        return Situation.UNCERTAIN
    if invitation.deadline is not None and now >= invitation.deadline:
        return Situation.OVERDUE
    return Situation.STARTED if invitation.state is State.STARTED else Situation.INVITED


def _ended(invitation: Invitation) -> Situation:
    if not invitation.issued:
        return Situation.NOT_ISSUED
    told = _last_notification(invitation)
    if told is None:
        # A version before kept no history: then nothing is queued any more, or it would be due.
        return Situation.NOTIFY_DUE if invitation.history else Situation.UNREAD
    if told.text == "unauthorized":
        return Situation.NOTIFY_RETRIED_UNAUTHORIZED
    if told.text != "delivered":
        return Situation.NOTIFY_RETRIED
    if invitation.history.count(HistoryEntryKind.READ) is None:
        return Situation.UNREAD
    completed = invitation.state is State.COMPLETED
    return Situation.DELIVERED if completed else Situation.EXPIRED_DELIVERED


def _last_notification(invitation: Invitation) -> HistoryEntry | None:
    """The last one that was tried, also of those that are only counted by now."""
    entry = invitation.history.last(HistoryEntryKind.NOTIFIED)
    count = invitation.history.count(HistoryEntryKind.NOTIFIED)
    if count is not None and entry is not None and count.last >= entry.at:
        return HistoryEntry(
            HistoryEntryKind.NOTIFIED, count.last, text=count.text, status=count.status
        )
    return entry
