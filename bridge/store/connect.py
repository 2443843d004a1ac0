"""Connects to the Redis of a URL: one server, Sentinel or Cluster."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Connection, Redis, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff, NoBackoff

from bridge import redis_url
from bridge.errors import RedisSetupError
from bridge.redis_url import RedisScheme, RedisUrl
from bridge.store import tls
from bridge.store.cluster_client import ClusterClient
from bridge.store.redis_access import DEADLINE_S, RedisAccess, ReplicaWait
from bridge.store.redis_client import RedisClient, SingleNodeClient
from bridge.store.sentinel_client import (
    TOPOLOGY_TIMEOUT_S,
    PrimaryConnection,
    PrimaryTLSConnection,
    SentinelClient,
)

PARALLEL: Final = 50
"""Operations under way at a time; letting more wait is faster than more connections."""
SOCKET_S: Final = 0.7
"""For one answer. Twice this (an operation is repeated once) is less than ``DEADLINE_S``."""
_WAIT_MARGIN_S: Final = 0.3
"""How much longer than Redis the bridge waits for a confirmation."""


@contextlib.asynccontextmanager
async def open_client(
    url: str,
    *,
    parallel: int = PARALLEL,
    deadline_s: float = DEADLINE_S,
    wait: ReplicaWait | None = None,
) -> AsyncIterator[RedisAccess]:
    """Access to the Redis at *url*; connects at first use, since the bridge starts without Redis
    and waits.

    *wait* is what makes a commit count as done; None: it is enough that one Redis has it. Raises
    ``RedisSetupError`` if the URL cannot be used.
    """
    try:
        target = redis_url.parse_redis_url(url)
    except ValueError as error:
        raise RedisSetupError("url", str(error)) from None
    timeout_s = SOCKET_S
    if wait is not None:
        timeout_s = max(timeout_s, wait.timeout_s + _WAIT_MARGIN_S)
        deadline_s = max(deadline_s, wait.timeout_s + 2 * _WAIT_MARGIN_S)
    connector = _Connector(target, parallel, _common(target, timeout_s))
    async with AsyncExitStack() as stack:
        client = await connector.open(stack)
        yield RedisAccess(client, deadline_s=deadline_s, wait=wait)


def _common(url: RedisUrl, timeout_s: float) -> dict[str, Any]:
    """The options that all connections have in common."""
    common: dict[str, Any] = {
        "username": url.username,
        "password": url.password,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": SOCKET_S,
        "protocol": 2,
    }
    if url.tls:
        try:
            common["tls"] = tls.load_trusted_authorities(**dict(url.files))
        except OSError as error:  # OpenSSL raises OSError, too, for the content of a file
            message = f"names certificates that cannot be used: {error.strerror or error}"
            raise RedisSetupError("url", message) from None
    return common


def _retry_stale_connection() -> Retry:
    """One retry, at once: for a connection that died while it was idle in the pool."""
    return Retry(ConstantBackoff(0.02), 1)


@dataclass(frozen=True, slots=True)
class _Connector:
    """Opens clients; each is closed when the given stack closes."""

    url: RedisUrl
    parallel: int
    common: dict[str, Any]

    async def open(self, stack: AsyncExitStack) -> RedisClient:
        """The client that the URL's scheme asks for."""
        match self.url.scheme:
            case RedisScheme.SENTINEL:
                return await self._sentinel(stack)
            case RedisScheme.CLUSTER:
                cluster = ClusterClient(self.url.hosts, self._node, parallel=self.parallel)
                return await stack.enter_async_context(aclosing(cluster))
            case RedisScheme.UNIX:
                kind, place = UnixDomainSocketConnection, {"path": self.url.path}
                node = self._pool(kind, **place, db=self.url.db, retry=_retry_stale_connection())
            case _:
                host, port = self.url.hosts[0]
                node = self._tcp(host, port, db=self.url.db, retry=_retry_stale_connection())
        return SingleNodeClient(
            await stack.enter_async_context(aclosing(node)), parallel=self.parallel
        )

    async def _sentinel(self, stack: AsyncExitStack) -> RedisClient:
        probing: dict[str, Any] = {
            "username": self.url.sentinel_user,
            "password": self.url.sentinel_password,
            "socket_timeout": TOPOLOGY_TIMEOUT_S,
            "socket_connect_timeout": TOPOLOGY_TIMEOUT_S,
        }
        probes = [
            self._tcp(*host, retry=_retry_stale_connection(), **probing) for host in self.url.hosts
        ]
        for probe in probes:
            await stack.enter_async_context(aclosing(probe))
        primary: Redis = SentinelClient(probes).master_for(
            self.url.service,
            connection_class=PrimaryTLSConnection if self.url.tls else PrimaryConnection,
            db=self.url.db,
            max_connections=self.parallel + 10,
            retry=_retry_stale_connection(),
            **self.common,
        )
        await stack.enter_async_context(aclosing(primary))
        return SingleNodeClient(primary, parallel=self.parallel)

    def _node(self, host: str, port: int) -> Redis:
        # No retry at a node of a cluster: the next try goes to the node that then has the slot.
        return self._tcp(host, port, retry=Retry(NoBackoff(), 0))

    def _tcp(self, host: str, port: int, **more: Any) -> Redis:
        kind = tls.TLSConnection if self.url.tls else Connection
        return self._pool(kind, host=host, port=port, **more)

    def _pool(self, kind: type, **more: Any) -> Redis:
        pool = BlockingConnectionPool(
            max_connections=self.parallel + 10,  # for calls outside the limit: probes, scans
            timeout=None,
            connection_class=kind,
            **{**self.common, **more},
        )
        return Redis.from_pool(pool)
