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
from bridge.store.multiplexed_client import MultiplexedClient
from bridge.store.redis_access import DEADLINE_S, RedisAccess, ReplicaWait
from bridge.store.redis_client import RedisClient
from bridge.store.sentinel_client import (
    TOPOLOGY_TIMEOUT_S,
    PrimaryConnection,
    PrimaryTLSConnection,
    SentinelClient,
    find_demotion,
)

SCANS: Final = 10
"""Scans and probes under way at a time, each over a connection of its own; more wait."""
SOCKET_S: Final = 0.7
"""For one answer. Twice this (an operation is repeated once) is less than ``DEADLINE_S``."""
_WAIT_MARGIN_S: Final = 0.3
"""How much longer than Redis the bridge waits for a confirmation."""


@contextlib.asynccontextmanager
async def open_client(
    url: str,
    *,
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
    confirm_s = SOCKET_S
    if wait is not None:
        confirm_s = max(confirm_s, wait.timeout_s + _WAIT_MARGIN_S)
        deadline_s = max(deadline_s, wait.timeout_s + 2 * _WAIT_MARGIN_S)
    connector = _Connector(target, deadline_s, confirm_s, _common(target))
    async with AsyncExitStack() as stack:
        client = await connector.open(stack)
        yield RedisAccess(client, deadline_s=deadline_s, wait=wait)


def _common(url: RedisUrl) -> dict[str, Any]:
    """The options that all connections have in common."""
    common: dict[str, Any] = {
        "username": url.username,
        "password": url.password,
        "socket_timeout": SOCKET_S,
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
    deadline_s: float
    confirm_s: float
    common: dict[str, Any]

    async def open(self, stack: AsyncExitStack) -> RedisClient:
        """The client that the URL's scheme asks for."""
        match self.url.scheme:
            case RedisScheme.SENTINEL:
                return await self._sentinel(stack)
            case RedisScheme.CLUSTER:
                cluster = ClusterClient(self.url.hosts, self._open_node, deadline_s=self.deadline_s)
                return await stack.enter_async_context(aclosing(cluster))
            case RedisScheme.UNIX:
                kind, place = UnixDomainSocketConnection, {"path": self.url.path}
                node = self._pool(kind, **place, db=self.url.db, retry=_retry_stale_connection())
            case _:
                host, port = self.url.hosts[0]
                node = self._tcp(host, port, db=self.url.db, retry=_retry_stale_connection())
        return await stack.enter_async_context(aclosing(self._share(node)))

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
            max_connections=SCANS,
            retry=_retry_stale_connection(),
            **self.common,
        )
        shared = self._share(primary, find_fatal=find_demotion)
        return await stack.enter_async_context(aclosing(shared))

    def _open_node(self, host: str, port: int) -> MultiplexedClient:
        # No retry at a node of a cluster: the next try goes to the node that then has the slot.
        return self._share(self._tcp(host, port, retry=Retry(NoBackoff(), 0)), repeats=False)

    def _share(self, node: Redis, **more: Any) -> MultiplexedClient:
        return MultiplexedClient(
            node,
            silence_s=SOCKET_S,
            confirm_s=self.confirm_s,
            deadline_s=self.deadline_s,
            **more,
        )

    def _tcp(self, host: str, port: int, **more: Any) -> Redis:
        kind = tls.TLSConnection if self.url.tls else Connection
        return self._pool(kind, host=host, port=port, **more)

    def _pool(self, kind: type, **more: Any) -> Redis:
        pool = BlockingConnectionPool(
            max_connections=SCANS,
            timeout=None,
            connection_class=kind,
            **{**self.common, **more},
        )
        return Redis.from_pool(pool)
