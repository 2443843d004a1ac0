"""What somebody has to be alerted to, how often, and when a post is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class IncidentKind(StrEnum):
    """What is wrong."""

    DEAD_LETTER = "dead_letter"
    """A task was given up."""
    UNAUTHORIZED = "unauthorized"
    """A vendor does not accept a customer's credentials."""
    ORPHAN = "orphan"
    """A create whose outcome is unknown may have left an application at the provider."""
    RELOAD_REFUSED = "reload_refused"
    """Changed files have a mistake, so they are not in force."""
    WAITING = "waiting"
    """A result, or any work that is due, has waited for too long."""
    TRIAL = "trial"
    """Nothing: somebody tries whether posts arrive. Never stored."""


HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
REPEATED_AFTER = {
    IncidentKind.DEAD_LETTER: HOUR,
    IncidentKind.UNAUTHORIZED: DAY,
    IncidentKind.ORPHAN: HOUR,
    IncidentKind.RELOAD_REFUSED: HOUR,
    IncidentKind.WAITING: DAY,
}
"""How soon an incident that goes on is said again, if something new happened in it."""
REMINDED_OF = frozenset({IncidentKind.DEAD_LETTER, IncidentKind.RELOAD_REFUSED})
"""Kinds that stay until somebody acts: said again every day, although nothing new happens."""
FORGOTTEN_AFTER = 2 * DAY
"""A refusal of credentials that did not come again: nobody calls there any more."""

POST_RETRY_DELAYS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 30, 2 * 60, 10 * 60, 60 * 60, 3 * 60 * 60, 6 * 60 * 60, 12 * 60 * 60)
)
"""Pauses between attempts to post; after the last one the post is dropped, and the log says so."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that is wrong: however often it is reported, it is one as long as its key is.

    *customer* is a key, empty for what concerns the whole daemon; *about* tells apart what the
    customer has several of, such as vendors. *text* says what is wrong and who must act, *command*
    is what an operator runs first; both are free of personal data and secrets.
    """

    kind: IncidentKind
    customer: str
    about: str
    text: str
    command: str

    @property
    def key(self) -> str:
        """The same for the same incident."""
        return f"{self.kind}|{self.about}|{self.customer}"


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that is not over, as far as is known; *last_at* is when something new happened in
    it, *said_at* when it was last posted.
    """

    incident: Incident
    said_at: datetime
    last_at: datetime

    def is_repeated(self, now: datetime) -> bool:
        """Whether it is to be said again: something new has happened, or a day has passed."""
        kind, silent = self.incident.kind, now - self.said_at
        has_news = self.last_at > self.said_at and silent >= REPEATED_AFTER[kind]
        return has_news or (kind in REMINDED_OF and silent >= DAY)

    def ends_by_itself(self, now: datetime) -> bool:
        """Whether nothing would ever tell that it is over, and long enough nothing new came."""
        match self.incident.kind:
            case IncidentKind.ORPHAN:
                return self.last_at <= self.said_at and now - self.said_at >= HOUR
            case IncidentKind.UNAUTHORIZED:
                return now - self.last_at >= FORGOTTEN_AFTER
            case _:
                return False


@dataclass(frozen=True, slots=True)
class AlertPost:
    """An incident that is to be posted to one endpoint; *id* is the same at every attempt, and to
    every endpoint, *attempt* counts from 1.
    """

    id: str
    incident: Incident
    at: datetime
    attempt: int = 1


def decide_next_attempt(post: AlertPost, now: datetime) -> datetime | None:
    """When a post that failed is tried again; None: it is given up."""
    if post.attempt > len(POST_RETRY_DELAYS):
        return None
    return now + POST_RETRY_DELAYS[post.attempt - 1]
