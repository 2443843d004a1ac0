"""Every error of the bridge, sorted by who must act.

::

    BridgeError
    |- ConfigError                  the administrator; start-up and reload only, exit code 2
    |- RequestError                 the caller of our HTTP interface
    |  |- InvalidRequest            400, names the fields
    |  |  |- UnknownAssessment      400
    |  |  '- CallbackNotAllowed     400
    |  |- Unauthorized              401
    |  |- BadSignature              401
    |  |- CrossSiteRequest          403
    |  |- EndpointNotEnabled        404
    |  |- UnknownInvitation         404
    |  |  '- UnknownInvitationOnDelete  400: the ATS's rule
    |  |- BodyTimeout               408
    |  |- InvitationGone            410
    |  |- BodyTooLarge              413
    |  |- UnsupportedEncoding       415
    |  |- TooManyRequests           429
    |  |- ProcessOverloaded         503, come back shortly
    |  '- RequestInProgress         503, come back shortly
    |- UpstreamError                a vendor
    |  |- UpstreamRefused           our request or our credentials; not done; do not repeat
    |  |- UpstreamUnavailable       not done; repeat later
    |  |  '- CallNotMade            no call was made, so it is not counted as an attempt
    |  |     |- CircuitOpen         the vendor has not answered for a while
    |  |     '- BulkheadFull        the bridge's own calls use all connections
    |  |- UpstreamOutcomeUnknown    sent, no usable answer: perhaps done; never repeat a create
    |  '- UpstreamContractBroken    answered, but not in a shape that the vendor documents
    |- CustomerSetAside             the administrator; the customer's file cannot be used
    |- RedisSetupError              the administrator; the start reports it as a ConfigError
    |- NoStoredData                 the operator; a command where no daemon keeps its data
    |- UpstreamNotConfirmed         a vendor has not confirmed; the bridge goes on; 502 meanwhile
    |- StoreUnavailable             Redis; nothing was accepted
    '- RecordUnreadable             the administrator; the record is left untouched meanwhile
       |- RecordDamaged             not a record; manual changes in Redis, a bad disk, a bad restore
       |- RecordTooNew              written by a newer version of the bridge
       '- RecordKeyMissing          encrypted with a key that is not listed

Messages never contain a name, an e-mail address, a token or a link with a secret: they are logged
and shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class BridgeError(Exception):
    """Base of all errors that the bridge raises on purpose."""


@dataclass(frozen=True, slots=True)
class ConfigMistake:
    """One thing wrong in a file; *line* and *column* count from 1, 0 means unknown.

    *code* is the stable name of this kind of mistake, *path* the key with all above it.
    """

    file: str
    line: int
    column: int
    message: str
    code: str = "unusable"
    path: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class ConfigError(BridgeError):
    """The configuration cannot be used; holds every mistake found, not only the first."""

    def __init__(self, mistakes: Sequence[ConfigMistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


class CustomerSetAside(BridgeError):
    """The file of this customer cannot be used now.

    Nothing is lost: its callers are asked to come back.
    """

    code = "customer_set_aside"
    retry_after_s = 60

    def __init__(self, customer: str) -> None:
        super().__init__(
            "The configuration of this customer has to be corrected here first; please"
            " try again later."
        )
        self.customer = customer


class RedisSetupError(BridgeError):
    """Redis cannot be reached as configured, or the embedded one cannot run in its folder.

    *setting* is the setting of Redis that has to be changed: ``url`` or ``data_dir``.
    """

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


class NoStoredData(BridgeError):
    """A command found no data: probably it was started in the wrong folder."""


class RequestError(BridgeError):
    """The caller must change something (or come back later)."""

    code = "invalid_request"


class InvalidRequest(RequestError):
    """The request breaks a rule; *errors* maps field paths (``candidate.email``) to messages."""

    def __init__(self, detail: str, errors: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(detail)
        self.errors = {field: list(messages) for field, messages in (errors or {}).items()}


class UnknownAssessment(InvalidRequest):
    """The customer does not offer this test: it is hidden, or the provider does not list it."""

    code = "unknown_test"


class CallbackNotAllowed(InvalidRequest):
    """The callback URL names a host to which the bridge sends no credentials."""

    code = "callback_not_allowed"


class Unauthorized(RequestError):
    """No bearer token, or one that belongs to no customer."""

    code = "unauthorized"


class BadSignature(RequestError):
    """An event that was not signed with the shared secret, or too long ago."""

    code = "bad_signature"


class CrossSiteRequest(RequestError):
    """Sent by another site's page through a user's browser."""

    code = "forbidden"


class EndpointNotEnabled(RequestError):
    """An endpoint that is not enabled for this customer."""

    code = "not_enabled"


class UnknownInvitation(RequestError):
    """Never issued to this customer, failed, erased, or no longer kept."""

    code = "unknown_invitation"


class UnknownInvitationOnDelete(UnknownInvitation):
    """The same on deletion, where the ATS expects 400."""


class BodyTimeout(RequestError):
    """The body did not arrive in time."""

    code = "request_timeout"


class InvitationGone(RequestError):
    """It existed and was erased."""

    code = "gone"


class TooManyRequests(RequestError):
    """The customer has sent too many requests; *retry_after_s* says when to come back."""

    code = "too_many_requests"

    def __init__(self, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class BodyTooLarge(RequestError):
    """The body exceeds the limit of its endpoint."""

    code = "body_too_large"


class UnsupportedEncoding(RequestError):
    """The body is compressed, which only some callers may send."""

    code = "unsupported_encoding"


class ProcessOverloaded(RequestError):
    """This process is overloaded; nothing was accepted."""

    code = "overloaded"


class RequestInProgress(RequestError):
    """Another request is doing this right now; *retry_after_s* says when to come back."""

    code = "busy"

    def __init__(self, detail: str, retry_after_s: int = 2) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class UpstreamError(BridgeError):
    """A call to a vendor failed.

    *vendor* is the name that the adapter gives itself; *operation* the protocol's name of the call;
    *status* the HTTP status or None without one; *retry_after_s* what the vendor asked for;
    *excerpt* the beginning of its answer, redacted.
    """

    code = "upstream_error"

    def __init__(
        self,
        vendor: str,
        operation: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        excerpt: str = "",
    ) -> None:
        super().__init__(f"{vendor} {operation}: {detail}")
        self.vendor = vendor
        self.operation = operation
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s
        self.excerpt = excerpt

    @property
    def title(self) -> str:
        """The vendor's name as people write it at the beginning of a sentence."""
        return self.vendor.capitalize()

    def converted_to(self, kind: type[UpstreamError]) -> UpstreamError:
        """The same failure as another class of error."""
        return kind(
            self.vendor,
            self.operation,
            self.detail,
            status=self.status,
            retry_after_s=self.retry_after_s,
            excerpt=self.excerpt,
        )


class UpstreamRefused(UpstreamError):
    """The vendor understood and said no: not done, and repeating will not help."""

    code = "upstream_refused"

    @property
    def not_found(self) -> bool:
        """The vendor does not know what the request is about: not yet, or not any more."""
        return self.status in (404, 410)

    @property
    def is_permanent(self) -> bool:
        """The vendor refuses this for the thing that the request is about, for good."""
        return self.status in (409, 422)


class UpstreamUnavailable(UpstreamError):
    """The vendor could not be asked, or said "not now": not done."""

    code = "upstream_unavailable"


class CallNotMade(UpstreamUnavailable):
    """No call was made: this is not an attempt, and says nothing about the vendor."""


class BulkheadFull(CallNotMade):
    """Too many of our calls for this customer were under way; come back in *retry_after_s*."""


class CircuitOpen(CallNotMade):
    """The vendor has not answered this customer's calls; *retry_after_s* to the next probe."""


class OutcomeUnknown(UpstreamError):
    """The request was sent and got no usable answer: it may have been done."""

    code = "outcome_unknown"


class UpstreamContractBroken(UpstreamError):
    """The vendor answered in a shape that it does not document."""

    code = "upstream_broken"


class UpstreamNotConfirmed(BridgeError):
    """Recorded, and the bridge keeps trying; the vendor has not confirmed yet."""

    code = "upstream_unconfirmed"


class StoreUnavailable(BridgeError):
    """Redis did not answer in time: nothing was accepted, nothing is half-done."""

    code = "store_unavailable"


class RecordUnreadable(BridgeError):
    """A record cannot be read with this installation and configuration; it is left untouched."""

    code = "record_unreadable"


class RecordDamaged(RecordUnreadable):
    """A record cannot be decoded; it is left untouched, and noted in the quarantine."""

    code = "record_damaged"


class RecordTooNew(RecordUnreadable):
    """A record was written by a newer version of the bridge; it is left untouched."""

    code = "record_too_new"


class RecordKeyMissing(RecordUnreadable):
    """A record is encrypted with a key that is not listed; it is left untouched."""

    code = "record_sealed"
