"""The customers: their mapping and policies, and who owns which token."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, NewType

from bridge.core.declaration import PatternRule, parse_any_text, setting
from bridge.core.display import DisplaySettings
from bridge.core.interview_guide import InterviewGuide
from bridge.core.score import SCORE_FIELDS, validate_score_pattern
from bridge.errors import ConfigMistake, CustomerSetAside

DONE_WORDS = ("completed", "hired")
TokenDigest = NewType("TokenDigest", str)
"""The SHA-256 of a bearer token, 64 hexadecimal digits in lower case."""


class Secret:
    """A string that keeps itself out of logs: ``repr`` and ``str`` are ``***``; *reveal* returns
    it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the one place that must send it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self._value.encode(), other._value.encode()
        )

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"


class CandidateLinkTarget(StrEnum):
    """Where the link that a candidate gets leads."""

    DIRECT = "direct"
    LANDING = "landing"


class ResultLinkTarget(StrEnum):
    """Where the link to a result leads."""

    REPORT = "report"
    DASHBOARD = "dashboard"


class RepeatAfterCompletion(StrEnum):
    """What a repeated order gets once its assessment was completed."""

    NEW = "new"
    SAME = "same"


def parse_token_digest(text: str) -> TokenDigest:
    """The digest in *text*; raises ValueError for anything else."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ValueError(
            "expected the SHA-256 of a token (64 hexadecimal digits), not the token itself;"
            " make both with `assessment-bridge token new`"
        )
    if not text.strip("0"):
        raise ValueError(
            "this is the sample's placeholder; make a token with `assessment-bridge token new`"
        )
    return TokenDigest(text.lower())


@dataclass(frozen=True, slots=True)
class AssessmentMappingEntry:
    """One line of the mapping: what the ATS shows for a job; *duration* in minutes."""

    id: str = setting(
        "Its id in the applicant tracking system, whose settings refer to it: keep it."
    )
    job_id: str = setting("The id of the provider's job.")
    name: str | None = setting("What HR sees; left out: the name of the job.", default=None)
    description: str = setting(
        "A sentence for HR; may be left out.", default="", rule=parse_any_text
    )
    duration: int | None = setting(
        "How long it takes, in minutes; null: not shown.",
        default=None,
        minimum=1,
        entry_name="minutes",
    )


@dataclass(frozen=True, slots=True)
class AssessmentMapping:
    """Which jobs appear as which assessments."""

    items: tuple[AssessmentMappingEntry, ...] = setting(
        "One entry for each job that should look different; ids and job_ids are unique.", default=()
    )
    publish_unmapped: bool = setting(
        "Whether jobs without an entry in items appear too, under their own id and name.",
        default=True,
    )
    hidden: frozenset[str] = setting("Ids of jobs that never appear.", default=frozenset())


@dataclass(frozen=True, slots=True)
class ResultPolicy:
    """How a result is shown in the ATS."""

    score: tuple[str, ...] = setting(
        "The score, a short text: one pattern, or several of which the first counts whose fields"
        f" all have values ({', '.join(SCORE_FIELDS)}). null: no score.",
        default=("{fit_label} ({in_range}/{traits})", "{average}"),
        rule=validate_score_pattern,
        scalar_or_list=True,
    )
    result_url: ResultLinkTarget = setting(
        "Where the link to the result leads: report, a page of the bridge; or dashboard, the"
        " provider's page, which asks for a login there.",
        default=ResultLinkTarget.REPORT,
    )
    share: bool = setting(
        "Whether HR also gets a link to the provider's public page of the result.",
        default=True,
    )
    share_fallback: bool = setting(
        "Whether that link shows the bridge's own page of the result while the provider has none to"
        " show.",
        default=False,
    )
    report: bool = setting("Whether HR also gets a link to the report as PDF.", default=True)
    after_completed: RepeatAfterCompletion = setting(
        "What a repeated order gets after completion: a new test, or the same invitation.",
        default=RepeatAfterCompletion.NEW,
    )
    interview_guide: bool = setting(
        "Whether page and report have a question for the interview at each trait outside of its"
        " wanted range.",
        default=False,
    )
    interview_questions: str | None = setting(
        "Questions of your own: the path of a YAML file below the folder of the configuration."
        " Each trait in it takes the place of the one that comes with the bridge.",
        default=None,
    )
    guide: InterviewGuide | None = None
    """The questions, where they are wanted."""


@dataclass(frozen=True, slots=True)
class HirePolicy:
    """Whether and how the ATS' data export triggers hiring at the provider."""

    enabled: bool = setting(
        "Whether the ATS' data export has the provider told of hired applicants.", default=False
    )
    tokens_sha256: tuple[TokenDigest, ...] = setting(
        "Digests of the tokens with which the data export calls.", default=()
    )
    id_field: str = setting(
        "The field of the export that holds the id of the application, with dots where nested.",
        default="applicationPublicId",
        rule=PatternRule(
            r"[^\s.]+(?:\.[^\s.]+)*", "the name of a field, with dots between nested names"
        ),
    )
    add_to_team: bool = setting(
        "Whether the provider also adds the person to the team of the job.", default=True
    )


@dataclass(frozen=True, slots=True)
class AtsAccount:
    """A customer's account at an ATS: what every vendor has; the vendor's package adds its own
    fields.
    """

    vendor: ClassVar[str] = ""
    """The name of the vendor, and of its section in a customer's file."""
    tokens_sha256: tuple[TokenDigest, ...] = setting(
        "Digests of the bearer tokens with which this ATS calls the bridge; several while one is"
        " replaced. `assessment-bridge token new` makes both.",
        entry_name="digest of a token",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAccount:
    """A customer's account at a provider: what every vendor has.

    The vendor's package adds its own fields; no other code reads those.
    """

    vendor: ClassVar[str] = ""
    """The name of the vendor, and of its section in a customer's file."""
    timeout: timedelta = setting(
        "The longest that one operation may take; the ATS waits meanwhile.",
        default=timedelta(seconds=8),
    )
    link_life: timedelta = setting(
        "How long a candidate's link to the test is valid; gives the deadline.",
        default=timedelta(days=7),
    )
    poll_every: timedelta = setting(
        "How often an open invitation is checked, in case a callback was lost.",
        default=timedelta(minutes=30),
    )
    locale: str = setting(
        "The language of results and of the report page: a code such as en, de or nl.",
        default="en",
        rule=PatternRule(
            r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*", "a language code such as en or de"
        ),
    )
    done_words: tuple[str, ...] = setting(
        "Words of the provider's status that mean finished, in any case; after a callback the"
        " results decide, whatever the word.",
        default=DONE_WORDS,
        minimum=1,
        entry_name="word",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerPolicy:
    """The part of a customer's file that is the same for all vendors."""

    tests: AssessmentMapping = setting(
        "Which of the provider's jobs appear as which tests.", default=AssessmentMapping()
    )
    test_url: CandidateLinkTarget = setting(
        "Where the candidate's link leads: direct, to the test; or landing, to a page of the bridge"
        " with one button in front of it.",
        default=CandidateLinkTarget.DIRECT,
    )
    results: ResultPolicy = setting("What HR sees of a result.", default=ResultPolicy())
    display: DisplaySettings = setting(
        "What the bridge's pages show of the employer.", default=DisplaySettings()
    )
    hire: HirePolicy = setting("Telling the provider who was hired.", default=HirePolicy())


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer(CustomerPolicy):
    """One customer; *key* is the name of its configuration file."""

    key: str
    ats: AtsAccount
    provider: ProviderAccount


@dataclass(frozen=True, slots=True)
class UnusableCustomer:
    """A customer whose file cannot be used: why, and those digests of its tokens that can still be
    read.
    """

    key: str
    mistakes: tuple[ConfigMistake, ...]
    tokens_sha256: frozenset[str] = frozenset()


class CustomerDirectory:
    """All customers of one configuration; immutable, swapped as a whole on reload.

    *set_aside* are those whose files cannot be used: they are known, but not served.
    """

    def __init__(
        self, customers: Iterable[Customer], set_aside: Iterable[UnusableCustomer] = ()
    ) -> None:
        self.set_aside: MappingOf[str, UnusableCustomer] = MappingProxyType(
            {one.key: one for one in set_aside}
        )
        self._waiting = {
            digest: one.key for one in self.set_aside.values() for digest in one.tokens_sha256
        }
        self._by_key = {customer.key: customer for customer in customers}
        self._by_digest: dict[str, Customer] = {
            digest: customer
            for customer in self._by_key.values()
            for digest in customer.ats.tokens_sha256
        }

    def get(self, key: str) -> Customer | None:
        """The customer of this key, if it is served."""
        return self._by_key.get(key)

    def is_configured(self, key: str) -> bool:
        """Whether there is a customer of this key, though it may be set aside: nobody waits for
        what is left of a removed one.
        """
        return key in self.set_aside or key in self._by_key

    def find(self, key: str) -> Customer | None:
        """The customer of this key; None: it does not exist (any more).

        Raises ``CustomerSetAside``.
        """
        if key in self.set_aside:
            raise CustomerSetAside(key)
        return self._by_key.get(key)

    def by_token(self, token: str) -> Customer | None:
        """The customer whose bearer token this is; the look-up is by digest, so its duration
        reveals nothing about the token.

        Raises ``CustomerSetAside`` for the token of a customer that is set aside, if its file could
        be read that far. Served customers come first: the same digest in a broken file (a copy,
        say) does not lock them out.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        customer = self._by_digest.get(digest)
        if customer is None and digest in self._waiting:
            raise CustomerSetAside(self._waiting[digest])
        return customer

    def list_mistakes(self) -> list[ConfigMistake]:
        """Everything that is wrong with the files of customers that are set aside."""
        return [mistake for one in self.set_aside.values() for mistake in one.mistakes]

    def __iter__(self) -> Iterator[Customer]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)
