"""The state of the Equalture fake: accounts with their switches, applications, tokens and links.

Pages: https://equalture-ats.readme.io/reference/introduction (sections in brackets) and
https://equalture-ats.readme.io/reference/webhooks-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

ApplicationState = Literal["invited", "started", "completed", "hired", "anonymized"]

TOKEN_LIFE = timedelta(minutes=15)
"""(access token)"""
PUBLIC_LINK_LIFE = timedelta(minutes=120)
"""(5a)"""


@dataclass(slots=True)
class Account:
    """One Equalture customer with switches for what the pages leave open.

    ``jobs`` (id -> name) may be changed at any time, e.g. to withdraw a job.
    """

    client_id: str
    client_secret: str
    jobs: dict[str, str]
    token_post: bool = True
    """Token by POST (access token); off: 405."""
    token_get: bool = False
    """Token by GET, as an older page has it; off: 405."""
    jobs_shape: Literal["bare", "wrapped", "data"] = "bare"
    """``[..]``, ``{"jobs": [..]}`` or ``{"data": [..]}`` (1)."""
    gives_link: bool = True
    """Off: a one_time_link application is answered without ``assessment_url``."""
    link_life: timedelta = timedelta(days=7)
    """How long the candidate may open the link (2)."""
    link_opens: int | None = None
    """How often the link may be opened; None: no limit (what "one time" means is undocumented)."""
    profile: bool = True
    """Off: jobs have no competency profile, results no ``fit``."""
    callback_headers: Mapping[str, str] = field(default_factory=dict)
    """The token "arranged by personal contact" (results)."""
    hire_flag: Literal["string", "boolean", "either"] = "string"
    """Which form of ``add_to_team`` is taken (3); the other gets 422."""
    status_words: Mapping[str, str] = field(default_factory=lambda: {"started": "in_progress"})
    """State -> word in the status answer, where it differs (only "completed" is documented, 5c)."""
    webhook_url: str | None = None
    """Deliver started and finished events there (webhooks-1)."""
    webhook_secret: str | None = None


@dataclass(slots=True)
class Application:
    """One application."""

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
    state: ApplicationState = "invited"
    started_at: datetime | None = None
    completed_at: datetime | None = None
    link_ended: bool = False
    """The link was let expire before its time."""
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
        """Delete the person and the scores."""
        self.state = "anonymized"
        self.first_name = self.last_name = self.email = ""
        self.fit, self.scores = None, {}


@dataclass(slots=True)
class AccessToken:
    """An access token that was issued."""

    account: str
    expires: datetime
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class IssuedPublicLink:
    """A link to a result without login."""

    application: Application
    language: str
    expires: datetime
