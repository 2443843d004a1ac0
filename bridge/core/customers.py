"""softgarden's customers as the bridge knows them: credentials, mapping, policies, and who owns
which token.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from bridge.errors import Complaint, CustomerSetAside

DONE_WORDS = ("completed", "hired")


class Secret:
    """A string that does not show itself: ``repr`` and ``str`` are ``***``; *reveal* gives it."""

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


@dataclass(frozen=True, slots=True)
class AtsAccess:
    """softgarden's side: whose token it is, and with which public OAuth client we notify."""

    tokens_sha256: tuple[str, ...]
    client_id: str


@dataclass(frozen=True, slots=True)
class ProviderAccess:
    """Equalture's side: the daemon's defaults with the customer's own values laid over them."""

    base_url: str
    client_id: str
    client_secret: Secret
    token_path: str = "/connect_ats/access_token"
    token_method: str = "auto"
    timeout: timedelta = timedelta(seconds=8)
    link_life: timedelta = timedelta(days=7)
    poll_every: timedelta = timedelta(minutes=30)
    locale: str = "en"
    done_words: tuple[str, ...] = DONE_WORDS
    """Words of the provider's status that mean finished, in any case."""
    callback_token: Secret | None = None
    callback_header: str = "Authorization"
    webhook_secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class MappedAssessment:
    """One line of the mapping: the test that softgarden shows for a job; *duration* in minutes."""

    __test__ = False

    id: str
    job_id: str
    name: str | None = None
    description: str = ""
    duration: int | None = None


@dataclass(frozen=True, slots=True)
class AssessmentMapping:
    """Which jobs appear as which tests."""

    items: tuple[MappedAssessment, ...] = ()
    publish_unmapped: bool = True
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ResultPolicy:
    """How a result is shown in softgarden."""

    score: tuple[str, ...] = ("{fit_label} ({in_range}/{traits})", "{average}")
    """Patterns: the first whose fields all have values is the score. None: no score."""
    result_url: str = "report"
    share: bool = True
    report: bool = True
    after_completed: str = "new"


@dataclass(frozen=True, slots=True)
class HirePolicy:
    """Whether and how softgarden's data export triggers hiring at the provider."""

    enabled: bool = False
    tokens_sha256: tuple[str, ...] = ()
    id_field: str = "applicationPublicId"
    add_to_team: bool = True


@dataclass(frozen=True, slots=True)
class Customer:
    """One softgarden customer; *key* is the name of its configuration file."""

    key: str
    softgarden: AtsAccess
    equalture: ProviderAccess
    tests: AssessmentMapping = field(default_factory=AssessmentMapping)
    results: ResultPolicy = field(default_factory=ResultPolicy)
    hire: HirePolicy = field(default_factory=HirePolicy)
    test_url: str = "direct"


@dataclass(frozen=True, slots=True)
class UnusableCustomer:
    """A customer whose file cannot be used: why, and the digests of its tokens as far as they can
    be read all the same.
    """

    key: str
    complaints: tuple[Complaint, ...]
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
        self._by_digest = {
            digest: customer
            for customer in self._by_key.values()
            for digest in customer.softgarden.tokens_sha256
        }

    def get(self, key: str) -> Customer | None:
        """The customer of this key, if it is served."""
        return self._by_key.get(key)

    def find(self, key: str) -> Customer | None:
        """The customer of this key; None: there is none (any more). Raises ``CustomerSetAside``."""
        if key in self.set_aside:
            raise CustomerSetAside(key)
        return self._by_key.get(key)

    def by_token(self, token: str) -> Customer | None:
        """The customer whose bearer token this is; the look-up is by digest, so its time says
        nothing of the token.

        Raises ``CustomerSetAside`` for a token of one that is not served, where its file tells that
        much. A customer that is served comes first: what looks like its digest in somebody's broken
        file, say a copy of its own, takes nothing from it.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        customer = self._by_digest.get(digest)
        if customer is None and digest in self._waiting:
            raise CustomerSetAside(self._waiting[digest])
        return customer

    def complaints(self) -> list[Complaint]:
        """Everything that is wrong with the files of those who are set aside."""
        return [complaint for one in self.set_aside.values() for complaint in one.complaints]

    def __iter__(self) -> Iterator[Customer]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)
