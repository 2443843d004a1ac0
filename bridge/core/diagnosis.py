"""Which situation an invitation is in: why its result does not show."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bridge.core.history import HistoryEntry, HistoryEntryKind
from bridge.core.invitation import HireState, Invitation, State
from bridge.core.lifecycle.attempts import list_applications_to_anonymise
from bridge.core.queueing import DeadLetter, TaskKind


class InvitationSituation(enum.StrEnum):
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
    HIRE_WITHOUT_APPLICATION = "hire_without_application"
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
    ("notify", "rejected"): InvitationSituation.NOTIFY_REJECTED,
    ("notify", "unauthorized"): InvitationSituation.NOTIFY_UNAUTHORIZED,
    ("notify", "callback_not_allowed"): InvitationSituation.NOTIFY_NOT_ALLOWED,
    ("notify", "upstream_unavailable"): InvitationSituation.NOTIFY_UNREACHABLE,
    ("notify", "outcome_unknown"): InvitationSituation.NOTIFY_UNREACHABLE,
    ("anonymise", "refused"): InvitationSituation.ANONYMISE_REFUSED,
    ("hire", "refused"): InvitationSituation.HIRE_REFUSED,
    ("hire", "outcome_unknown"): InvitationSituation.HIRE_UNKNOWN,
    ("hire", "application_unknown"): InvitationSituation.HIRE_WITHOUT_APPLICATION,
}
_FAILED: Final = {
    "upstream_unavailable": InvitationSituation.CREATE_UNAVAILABLE,
    "upstream_broken": InvitationSituation.CREATE_BROKEN,
}


_NOTHING_AMISS: Final = frozenset(
    {
        *(InvitationSituation.INVITED, InvitationSituation.STARTED),
        *(InvitationSituation.DELIVERED, InvitationSituation.EXPIRED_DELIVERED),
    }
)
"""Not worth a word where something else is."""
_OVER: Final = frozenset(
    {
        *(
            InvitationSituation.DELIVERED,
            InvitationSituation.EXPIRED_DELIVERED,
            InvitationSituation.UNREAD,
        ),
        *(
            InvitationSituation.NOT_ISSUED,
            InvitationSituation.CREATE_REFUSED,
            InvitationSituation.CREATE_UNAVAILABLE,
        ),
        InvitationSituation.CREATE_BROKEN,
    }
)
"""Nothing of it waits for its customer to be served."""
_HIRES: Final = {
    HireState.REQUESTED: InvitationSituation.HIRE_WAITING,
    HireState.SENT: InvitationSituation.HIRE_UNCONFIRMED,
    HireState.UNKNOWN: InvitationSituation.HIRE_FORGOTTEN,
}


def list_situations(
    invitation: Invitation,
    letters: Sequence[DeadLetter],
    *,
    served: bool,
    set_aside: bool,
    now: datetime,
) -> tuple[InvitationSituation, ...]:
    """The situations that explain it, first the one that explains most; *letters* are the
    invitation's own.

    *served*, *set_aside*: whether its customer is in force, or known with an unusable file.
    """
    given_up = [diagnose_dead_letter(letter) for letter in letters]
    kinds = {letter.kind for letter in letters}
    hire, more = invitation.hire, []
    if hire and hire.state in _HIRES and served and TaskKind.HIRE not in kinds:
        more.append(_HIRES[hire.state])
    found: list[InvitationSituation] = []
    if kinds <= {TaskKind.HIRE}:
        found = _without_letters(invitation, served=served, set_aside=set_aside, now=now)
        if given_up or more:
            found = [one for one in found if one not in _NOTHING_AMISS]
    return tuple(dict.fromkeys((*given_up, *found, *more)))


def _without_letters(
    invitation: Invitation, *, served: bool, set_aside: bool, now: datetime
) -> list[InvitationSituation]:
    own = _own(invitation, now)
    if (served and not set_aside) or own is InvitationSituation.ERASED:
        return [own]
    if not set_aside:
        also = own in _OVER and own not in _NOTHING_AMISS
        return [InvitationSituation.REMOVED, own] if also else [InvitationSituation.REMOVED]
    if own in _OVER:
        return [own, InvitationSituation.SET_ASIDE]
    hidden = own in _NOTHING_AMISS or own is InvitationSituation.NOTIFY_DUE
    return [InvitationSituation.SET_ASIDE] if hidden else [InvitationSituation.SET_ASIDE, own]


def _own(invitation: Invitation, now: datetime) -> InvitationSituation:
    """Whatever becomes of its customer."""
    if invitation.state is State.ERASED:
        owed = list_applications_to_anonymise(invitation)
        return InvitationSituation.ERASED_OWED if owed else InvitationSituation.ERASED
    if invitation.state is State.FAILED:
        return _FAILED.get(invitation.failure or "", InvitationSituation.CREATE_REFUSED)
    if invitation.state in (State.COMPLETED, State.EXPIRED):
        return _ended(invitation)
    return _open(invitation, now)


def diagnose_dead_letter(letter: DeadLetter) -> InvitationSituation:
    """The situation of a task that was given up."""
    if letter.reason == "poisoned":
        return InvitationSituation.POISONED
    known = _GIVEN_UP.get((str(letter.kind), letter.reason))
    if known is not None:
        return known
    if letter.kind != "notify":
        return InvitationSituation.GIVEN_UP
    by_status = letter.reason.startswith("http_")
    return InvitationSituation.NOTIFY_STATUS if by_status else InvitationSituation.NOTIFY_GIVEN_UP


def _open(invitation: Invitation, now: datetime) -> InvitationSituation:
    if invitation.state is State.CREATING:
        return InvitationSituation.CREATING
    silent = invitation.history.count(HistoryEntryKind.UNANSWERED)
    asked = invitation.history.count(HistoryEntryKind.CHECKED)
    if silent and (asked is None or asked.last < silent.last):
        return InvitationSituation.PROVIDER_SILENT
    if invitation.unconfirmed_result is not None:
        return InvitationSituation.REPORTED
    if invitation.state is State.UNCERTAIN:
        return InvitationSituation.UNCERTAIN
    if invitation.deadline is not None and now >= invitation.deadline:
        return InvitationSituation.OVERDUE
    return (
        InvitationSituation.STARTED
        if invitation.state is State.STARTED
        else InvitationSituation.INVITED
    )


def _ended(invitation: Invitation) -> InvitationSituation:
    if not invitation.issued:
        return InvitationSituation.NOT_ISSUED
    told = _last_notification(invitation)
    if told is None:
        # A version before kept no history: then nothing is queued any more, or it would be due.
        return InvitationSituation.NOTIFY_DUE if invitation.history else InvitationSituation.UNREAD
    if told.text == "unauthorized":
        return InvitationSituation.NOTIFY_RETRIED_UNAUTHORIZED
    if told.text != "delivered":
        return InvitationSituation.NOTIFY_RETRIED
    if invitation.history.count(HistoryEntryKind.READ) is None:
        return InvitationSituation.UNREAD
    completed = invitation.state is State.COMPLETED
    return InvitationSituation.DELIVERED if completed else InvitationSituation.EXPIRED_DELIVERED


def _last_notification(invitation: Invitation) -> HistoryEntry | None:
    """The last one that was tried, also of those that are only counted by now."""
    entry = invitation.history.last(HistoryEntryKind.NOTIFIED)
    count = invitation.history.count(HistoryEntryKind.NOTIFIED)
    if count is not None and entry is not None and count.last >= entry.at:
        return HistoryEntry(
            HistoryEntryKind.NOTIFIED, count.last, text=count.text, status=count.status
        )
    return entry
