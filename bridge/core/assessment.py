"""What the provider is asked for and what it answers: frozen values, without vendor words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Candidate:
    """The candidate, named as the ATS names them. Passed through, never stored, never logged."""

    id: str
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    email: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Order:
    """The ATS' request to invite, before anything exists."""

    test_id: str
    candidate: Candidate
    callback: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Job:
    """A job for which the provider can assess candidates."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """An assessment that HR can choose in the ATS; *duration* in minutes."""

    id: str
    job_id: str
    name: str
    description: str = ""
    duration: int | None = None


@dataclass(frozen=True, slots=True)
class NewApplication:
    """What the provider needs to make an application."""

    job_id: str
    candidate: Candidate
    callback_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CreatedApplication:
    """The provider's answer to a new application; *assessment_url* is None where the provider mails
    the link to the candidate (*mailed*), or broke the contract and sent none.
    """

    reference_id: str
    assessment_url: str | None = field(repr=False)
    mailed: bool = False


@dataclass(frozen=True, slots=True)
class ApplicationProgress:
    """How far an application is; *word* is the provider's own status word, *known* whether we know
    what it means, *hired* whether it says that the applicant was hired.
    """

    done: bool
    word: str
    known: bool = True
    hired: bool = False


@dataclass(frozen=True, slots=True)
class PublicLink:
    """A link to a result that needs no login, for a short time."""

    url: str = field(repr=False)
    life_s: int | None


class Trait(NamedTuple):
    """One measured trait; *score* 1..5, *wanted* the accepted scores of the job's profile (empty:
    no profile), *weight* the provider's word for how much the trait counts there.

    A tuple, as each result has several of them.
    """

    code: str
    name: str
    score: int | None = None
    description: str = ""
    wanted: tuple[int, ...] = ()
    weight: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a candidate achieved; every part may be missing."""

    fit: str | None = None
    dashboard_url: str | None = None
    summary: tuple[tuple[str, str], ...] = ()
    """Trait name and text, as the provider words them; display only."""
    traits: tuple[Trait, ...] = ()
