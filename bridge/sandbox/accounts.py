"""What the Equalture fake remembers: accounts with their switches, applications, tokens and links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict, TypeVar

V = TypeVar("V")

State = Literal["invited", "started", "completed", "hired", "anonymized"]
JobsShape = Literal["bare", "wrapped", "data"]
Jobs = Iterable[tuple[str, str] | Mapping[str, str]]
"""Published jobs: ``(id, name)`` or ``{"id": ..., "name": ...}``."""

TOKEN_LIFE = timedelta(minutes=15)
"""introduction, "access token"."""


class Switches(TypedDict, total=False):
    """How one account behaves where the vendor's pages differ or are silent; the defaults stand in ``Account``."""

    token_post: bool
    token_get: bool
    jobs_shape: JobsShape
    gives_link: bool
    link_life: timedelta
    link_opens: int | None
    public_link_life: timedelta
    profile: bool
    callback_language: str
    callback_headers: Mapping[str, str]
    hire_flag: Literal["string", "boolean", "either"]
    second_anonymise: int
    status_words: Mapping[str, str]
    webhook_url: str | None
    webhook_secret: str | None
    webhook_prefix: Literal["assessment", "application"]


@dataclass(slots=True)
class Account:
    """One Equalture customer. ``jobs`` (id -> name) may be changed at any time, e.g. to withdraw a job."""

    client_id: str
    client_secret: str
    jobs: dict[str, str]
    token_post: bool = True
    """Token by POST (introduction, "access token"); off: 405."""
    token_get: bool = False
    """Token by GET (EQ-A); off: 405."""
    jobs_shape: JobsShape = "bare"
    """``[..]``, ``{"jobs": [..]}`` or ``{"data": [..]}`` (introduction, 1)."""
    gives_link: bool = True
    """Off: a one_time_link application is answered without ``assessment_url``."""
    link_life: timedelta = timedelta(days=7)
    """How long the candidate may open the link (introduction, 2)."""
    link_opens: int | None = None
    """How often the link may be opened; None: without limit (undocumented what "one time" means)."""
    public_link_life: timedelta = timedelta(minutes=120)
    """introduction, 5a."""
    profile: bool = True
    """Off: jobs have no competency profile, results no ``fit``."""
    callback_language: str = "de"
    """Of ``detailed_scores`` in the callback, whose ``scores`` stay English as in the vendor's sample (introduction, "results")."""
    callback_headers: Mapping[str, str] = field(default_factory=dict)
    """The token "arranged by personal contact" (introduction, "results")."""
    hire_flag: Literal["string", "boolean", "either"] = "string"
    """Which form of ``add_to_team`` is taken (introduction, 3); the other gets 422."""
    second_anonymise: int = 404
    """Status for an application that is anonymised already (undocumented, introduction, 4)."""
    status_words: Mapping[str, str] = field(default_factory=lambda: {"started": "in_progress"})
    """State -> word in the status answer, where it is another (only "completed" is documented, introduction, 5c)."""
    webhook_url: str | None = None
    """Deliver started and finished events there (webhooks-1)."""
    webhook_secret: str | None = None
    webhook_prefix: Literal["assessment", "application"] = "assessment"
    """``assessment_started`` as in the samples, or ``application_started`` as in the list."""


@dataclass(slots=True)
class Application:
    """One application; an entity that changes. Anonymising takes the person and the scores out of it."""

    reference_id: str
    number: int
    account: str
    job_id: str
    job_name: str
    callback_url: str
    first_name: str
    last_name: str
    email: str
    invitation_type: str
    link_token: str
    assessment_url: str
    """For both types; an ``email`` application's is only "mailed"."""
    created_at: datetime
    state: State = "invited"
    started_at: datetime | None = None
    completed_at: datetime | None = None
    opened: int = 0
    """How often the candidate's page was shown."""
    fit: str | None = None
    scores: dict[str, int] = field(default_factory=dict)
    add_to_team: bool | None = None
    start_date: str | None = None

    @property
    def done(self) -> bool:
        """Whether there are results to see."""
        return self.state in ("completed", "hired")

    def anonymise(self) -> None:
        """Forget the person."""
        self.state = "anonymized"
        self.first_name = self.last_name = self.email = ""
        self.fit = None
        self.scores = {}

    def as_json(self) -> dict[str, Any]:
        """The application for ``/_sandbox/applications``."""
        times = {name: None if (at := getattr(self, name)) is None else at.isoformat() for name in _TIMES}
        return asdict(self) | times


_TIMES = ("created_at", "started_at", "completed_at")


class Limited(dict[str, V]):
    """A dict that forgets its oldest item when it outgrows *limit*."""

    def __init__(self, limit: int, forget: Callable[[V], None] | None = None) -> None:
        super().__init__()
        self._limit = limit
        self._forget = forget

    def put(self, key: str, value: V) -> None:
        """Set an item, at the price of the oldest when full."""
        self[key] = value
        while len(self) > self._limit:
            oldest = self.pop(next(iter(self)))
            if self._forget is not None:
                self._forget(oldest)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that was issued."""

    account: str
    expires: datetime
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class PublicLink:
    """A link to a result without login."""

    reference_id: str
    locale: str
    expires: datetime


def read_jobs(jobs: Jobs) -> dict[str, str]:
    """Id -> name, in order."""
    pairs = [(job["id"], job["name"]) if isinstance(job, Mapping) else job for job in jobs]
    return dict(pairs)


__all__ = [
    "TOKEN_LIFE",
    "Account",
    "Application",
    "Jobs",
    "Limited",
    "PublicLink",
    "State",
    "Switches",
    "Token",
    "read_jobs",
]
