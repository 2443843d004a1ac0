"""What can happen to an invitation: every event that ``decide`` knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridge.core.assessment import Result
from bridge.core.invitation import HireState


@dataclass(frozen=True, slots=True)
class CreateAttemptStarted:
    """The ATS repeated an order whose create has an unknown outcome, so another create is sent."""

    secret_digest: str
    callback: str


@dataclass(frozen=True, slots=True)
class ApplicationCreated:
    """The provider made the application; *assessment_url* None: it mails the link to the candidate
    itself (*mailed*), or it broke its contract.
    """

    attempt: int
    reference_id: str
    assessment_url: str | None
    mailed: bool = False


@dataclass(frozen=True, slots=True)
class CreateFailed:
    """The application was certainly not made; *code* is the error's."""

    attempt: int
    code: str


@dataclass(frozen=True, slots=True)
class CreateOutcomeUnknown:
    """It is unknown whether the application was made."""

    attempt: int


@dataclass(frozen=True, slots=True)
class InvitationIdIssued:
    """The ATS is given the id, in an answer that follows this commit; *callback* is its URL to
    notify.

    An answer that is then lost counts as given: the bridge cannot know.
    """

    callback: str


@dataclass(frozen=True, slots=True)
class ResultReported:
    """A callback, made with the secret of *attempt*, says that there is a result.

    *report* is None where it does not say (readably) what the result is.
    """

    attempt: int
    report: Result | None


@dataclass(frozen=True, slots=True)
class AssessmentStarted:
    """The candidate started the test at this time."""

    at: datetime


@dataclass(frozen=True, slots=True)
class ResultConfirmed:
    """The provider itself, asked with our credentials, gave this result."""

    result: Result


@dataclass(frozen=True, slots=True)
class ResultRefreshed:
    """An operator asked the provider again: this result replaces even a confirmed one.

    *visible_changed*: what the ATS shows of it has changed.
    """

    result: Result
    visible_changed: bool


@dataclass(frozen=True, slots=True)
class NoResultYet:
    """The provider itself says that it has no result, or there is nothing to ask it about."""

    report_known: bool = True
    """False: it was asked when no report was known; one that came meanwhile is still to be looked
    into.
    """


@dataclass(frozen=True, slots=True)
class ProviderUnreachable:
    """The provider was asked and gave no usable answer."""


@dataclass(frozen=True, slots=True)
class ReportedResultAccepted:
    """The reported result cannot be verified, since there is nothing to ask about: it counts as
    it is.
    """


@dataclass(frozen=True, slots=True)
class ErasureRequested:
    """The ATS or an operator wants the candidate's data deleted."""


@dataclass(frozen=True, slots=True)
class ApplicationAnonymised:
    """The provider has anonymised this application."""

    reference_id: str


@dataclass(frozen=True, slots=True)
class ApplicationShared:
    """Another living invitation uses this application too, so it must not be anonymised now.

    The last of these invitations to be erased has it anonymised.
    """

    reference_id: str


@dataclass(frozen=True, slots=True)
class HireRequested:
    """The applicant was hired, says the ATS or an operator; *start_date* is ``YYYY-MM-DD``."""

    add_to_team: bool
    start_date: str | None = None


@dataclass(frozen=True, slots=True)
class HireCallStarted:
    """The provider is about to be told, by the holder of this *lease*."""

    lease: int


@dataclass(frozen=True, slots=True)
class HireCallEnded:
    """What became of that call: done, certainly not done (requested still), or unknown."""

    state: HireState


@dataclass(frozen=True, slots=True)
class HireRepeatAllowed:
    """An operator wants a call whose outcome is unknown made once more."""


Event = (
    CreateAttemptStarted
    | ApplicationCreated
    | CreateFailed
    | CreateOutcomeUnknown
    | InvitationIdIssued
    | ResultReported
    | AssessmentStarted
    | ResultConfirmed
    | ResultRefreshed
    | NoResultYet
    | ProviderUnreachable
    | ReportedResultAccepted
    | ErasureRequested
    | ApplicationAnonymised
    | ApplicationShared
    | HireRequested
    | HireCallStarted
    | HireCallEnded
    | HireRepeatAllowed
)
