"""TLS to Redis with one context for all connections: redis-py reads every authority of the system anew for each of them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Connection


def context(*, ca: str | None = None, cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """Trusts what *ca* holds, or else what the system trusts; shows *cert* to a server that asks."""
    made = ssl.create_default_context(cafile=ca)
    if cert is not None:
        made.load_cert_chain(cert, key)
    return made


class Shared:
    """Mixed into a connection: TLS with the context it is given."""

    def __init__(self, *, tls: ssl.SSLContext, **kwargs: Any) -> None:
        self._tls = tls
        super().__init__(**kwargs)

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._tls}  # type: ignore[misc]


class TLSConnection(Shared, Connection):
    """A connection over TLS."""
