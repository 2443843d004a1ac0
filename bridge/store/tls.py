"""TLS to Redis with one context for all connections: redis-py would read all authorities for
each.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from redis.asyncio import Connection
from redis.exceptions import ConnectionError

_STRICT: Final = range(80, 94)
"""OpenSSL's codes for certificates that break RFC 5280, which only VERIFY_X509_STRICT checks."""

log = structlog.get_logger()


class UntrustedCertificate(ConnectionError):
    """Redis's certificate is refused; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class TrustedAuthorities:
    """Which certificates are accepted. Refusals are logged once for each reason."""

    context: ssl.SSLContext
    logged_reasons: set[str] = field(default_factory=set)

    def log_refusal(self, error: ssl.SSLCertVerificationError) -> UntrustedCertificate:
        """Log OpenSSL's *error*, once, and return the exception to raise."""
        reason = explain_certificate_error(error)
        if reason not in self.logged_reasons:
            self.logged_reasons.add(reason)
            log.error("redis.certificate_refused", reason=reason)
        return UntrustedCertificate(reason)


def load_trusted_authorities(
    *, ca: str | None = None, cert: str | None = None, key: str | None = None
) -> TrustedAuthorities:
    """Trust the authorities in *ca*, by default the system's; present *cert* to a server that
    asks.
    """
    made = ssl.create_default_context(cafile=ca)
    if cert is not None:
        made.load_cert_chain(cert, key)
    return TrustedAuthorities(made)


def explain_certificate_error(error: ssl.SSLCertVerificationError) -> str:
    """The error in words for the administrator; the certificate's own content is left out."""
    reason = error.verify_message.rstrip(".")
    if error.verify_code in _STRICT:
        return (
            f"{reason}. Python 3.13 and newer accept only authorities and certificates that follow"
            " RFC 5280; have the authority's certificate issued anew, from the same key, with"
            " basicConstraints=critical,CA:TRUE, keyUsage=critical,keyCertSign,cRLSign and a"
            " subjectKeyIdentifier, and name the new file in redis.url (ca=)"
        )
    if error.verify_code in (18, 19, 20, 21):
        return f"{reason}. Name the file of the authority that issued it in redis.url: ?ca=/path"
    return reason


def find_untrusted_certificate(error: BaseException) -> UntrustedCertificate | None:
    """The ``UntrustedCertificate`` that caused *error*, if any: redis-py wraps it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UntrustedCertificate):
        cause = cause.__cause__ or cause.__context__
    return cause


class SharedContextMixin:
    """Mixed into a connection: TLS with the trust it is given."""

    def __init__(self, *, tls: TrustedAuthorities, **kwargs: Any) -> None:
        self._trust = tls
        super().__init__(**kwargs)

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._trust.context}  # type: ignore[misc]

    async def _connect(self) -> None:
        try:
            await super()._connect()  # type: ignore[misc]
        except ssl.SSLCertVerificationError as error:
            raise self._trust.log_refusal(error) from None


class TLSConnection(SharedContextMixin, Connection):
    """A connection over TLS."""
