"""What happened to an invitation, kept with its record: values only.

What matters is an entry of its own, chained to the one before. What is repeated without end (reads,
page views, checks without news) is counted: first, last, how often. ``history_chain`` says how the
two are signed, ``history_events`` what an event adds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

MOST_OF_A_KIND: Final = 12
"""Entries of a kind that can come again and again; further ones are counted."""
MOST_ENTRIES: Final = 60
"""Entries in all, but for what can happen only a few times."""
LONGEST_TEXT: Final = 80
COUNT_PAUSE: Final = timedelta(minutes=10)
"""How often at most a record is written only to count one more of the same."""


class HistoryEntryKind(enum.StrEnum):
    """The kinds of entries and counts. Stored as text, so that a newer version may know more."""

    ORDERED = "ordered"
    REPEATED = "repeated"
    """The ATS sent the same order again."""
    ATTEMPT = "attempt"
    """A create call ended, or was given up: its outcome."""
    ISSUED = "issued"
    LINK_OPENED = "link_opened"
    """Our page in front of the provider's link was shown."""
    LINK_FOLLOWED = "link_followed"
    """Its button was pressed."""
    STARTED = "started"
    CALLBACK = "callback"
    WEBHOOK = "webhook"
    CHECKED = "checked"
    """The provider was asked, and had no result yet."""
    UNANSWERED = "unanswered"
    """The provider was asked, and gave no usable answer."""
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    CORRECTED = "corrected"
    EXPIRED = "expired"
    NOTIFIED = "notified"
    """The ATS was notified, or that was tried: its answer."""
    READ_OPEN = "read_open"
    """The ATS read it before there was an end."""
    READ = "read"
    """The ATS read the end."""
    PAGE_OPENED = "page_opened"
    REPORT_OPENED = "report_opened"
    SHARE_USED = "share_used"
    HIRE_REQUESTED = "hire_requested"
    """The ATS or an operator said that the applicant was hired."""
    HIRED = "hired"
    ERASED = "erased"
    ANONYMISED = "anonymised"
    PASSED_ON = "passed_on"
    """Another invitation uses the application, whose deletion will have it anonymised."""
    GIVEN_UP = "given_up"
    """A task was given up: its kind and the reason."""
    BEGUN = "begun"
    """The history begins here: the version that wrote the record before kept none."""
    DISTURBED = "disturbed"
    """At this time the history was found changed, or unsigned."""


ONCE: Final = frozenset(
    {
        *(
            HistoryEntryKind.ORDERED,
            HistoryEntryKind.ISSUED,
            HistoryEntryKind.STARTED,
            HistoryEntryKind.COMPLETED,
        ),
        *(HistoryEntryKind.EXPIRED, HistoryEntryKind.ERASED, HistoryEntryKind.BEGUN),
        *(HistoryEntryKind.HIRE_REQUESTED, HistoryEntryKind.HIRED),
    }
)
"""What happens a few times at most: always an entry."""
COUNTED: Final = frozenset(
    {
        *(
            HistoryEntryKind.REPEATED,
            HistoryEntryKind.LINK_OPENED,
            HistoryEntryKind.LINK_FOLLOWED,
            HistoryEntryKind.CHECKED,
        ),
        *(
            HistoryEntryKind.UNANSWERED,
            HistoryEntryKind.READ_OPEN,
            HistoryEntryKind.READ,
            HistoryEntryKind.PAGE_OPENED,
        ),
        *(HistoryEntryKind.REPORT_OPENED, HistoryEntryKind.SHARE_USED),
    }
)
"""What is repeated without end: never an entry."""


class HistoryEntry(NamedTuple):
    """One entry; *number* is the attempt's, *text* a code or a pattern of ours, never what somebody
    sent. *mac* is empty where it was written without a signing key.

    A tuple, since each record has several of them: it is made in a third of the time.
    """

    kind: str
    at: datetime
    number: int = 0
    text: str = ""
    status: int | None = None
    latency_ms: int | None = None
    mac: str = ""


@dataclass(frozen=True, slots=True)
class HistoryCounter:
    """How often something happened, at least: what one process counted last may be lost with it.

    *text* and *status* are the last one's.
    """

    kind: str
    first: datetime
    last: datetime
    count: int = 1
    text: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """All that is kept; empty in the record of a version that kept none."""

    entries: tuple[HistoryEntry, ...] = ()
    counts: tuple[HistoryCounter, ...] = ()
    before: str = ""
    """In a tombstone the last MAC of the history that was deleted."""
    seal: str = ""

    def __bool__(self) -> bool:
        """Whether anything is kept."""
        return bool(self.entries or self.counts or self.before or self.seal)

    def count(self, kind: str) -> HistoryCounter | None:
        """What was counted of this kind."""
        return next((one for one in self.counts if one.kind == kind), None)

    def last(self, kind: str) -> HistoryEntry | None:
        """The last entry of this kind."""
        return next((one for one in reversed(self.entries) if one.kind == kind), None)


NO_HISTORY: Final = History()
