"""From a URL to Redis: one server, Sentinel or Cluster."""

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
from bridge.redis_url import RedisUrl, Scheme
from bridge.store import tls
from bridge.store.cluster_client import ClusterClient
from bridge.store.redis_access import DEADLINE_S, RedisAccess, ReplicaWait
from bridge.store.redis_client import RedisClient, SingleNodeClient
from bridge.store.sentinel_client import LOOK_S, PrimaryConnection, PrimaryTLSConnection, Sentinels

PARALLEL: Final = 50
"""Operations on the way at the same time; to have more wait is faster than more connections."""
SOCKET_S: Final = 0.7
"""For one answer. Twice this, the one repetition included, is less than ``DEADLINE_S``."""
_WAIT_MARGIN_S: Final = 0.3
"""By how much we wait longer for a confirmation than Redis does."""


@contextlib.asynccontextmanager
async def open_client(
    url: str,
    *,
    parallel: int = PARALLEL,
    deadline_s: float = DEADLINE_S,
    wait: ReplicaWait | None = None,
) -> AsyncIterator[RedisAccess]:
    """Access to the Redis at *url*, which is connected to when it is first used: the bridge starts
    without Redis, and waits.

    *wait* is what makes a commit count as done; None: that one Redis has it. Raises
    ``RedisSetupError`` where the URL cannot be used.
    """
    try:
        target = redis_url.read(url)
    except ValueError as error:
        raise RedisSetupError("url", str(error)) from None
    patience_s = SOCKET_S
    if wait is not None:
        patience_s = max(patience_s, wait.timeout_s + _WAIT_MARGIN_S)
        deadline_s = max(deadline_s, wait.timeout_s + 2 * _WAIT_MARGIN_S)
    connector = _Connector(target, parallel, _common(target, patience_s))
    async with AsyncExitStack() as stack:
        client = await connector.open(stack)
        yield RedisAccess(client, deadline_s=deadline_s, wait=wait)


def _common(url: RedisUrl, patience_s: float) -> dict[str, Any]:
    """What all connections have in common."""
    common: dict[str, Any] = {
        "username": url.username,
        "password": url.password,
        "socket_timeout": patience_s,
        "socket_connect_timeout": SOCKET_S,
        "protocol": 2,
    }
    if url.tls:
        try:
            common["tls"] = tls.trust(**dict(url.files))
        except OSError as error:  # what OpenSSL does not like in a file is an OSError, too
            message = f"names certificates that cannot be used: {error.strerror or error}"
            raise RedisSetupError("url", message) from None
    return common


def _once_more() -> Retry:
    """At once: for a connection that died while it lay in the pool."""
    return Retry(ConstantBackoff(0.02), 1)


@dataclass(frozen=True, slots=True)
class _Connector:
    """Opens clients; each is closed with the stack that it is given."""

    url: RedisUrl
    parallel: int
    common: dict[str, Any]

    async def open(self, stack: AsyncExitStack) -> RedisClient:
        """The client that the URL's scheme asks for."""
        match self.url.scheme:
            case Scheme.SENTINEL:
                return await self._sentinel(stack)
            case Scheme.CLUSTER:
                cluster = ClusterClient(self.url.hosts, self._node, parallel=self.parallel)
                return await stack.enter_async_context(aclosing(cluster))
            case Scheme.UNIX:
                kind, place = UnixDomainSocketConnection, {"path": self.url.path}
                node = self._pool(kind, **place, db=self.url.db, retry=_once_more())
            case _:
                host, port = self.url.hosts[0]
                node = self._tcp(host, port, db=self.url.db, retry=_once_more())
        return SingleNodeClient(
            await stack.enter_async_context(aclosing(node)), parallel=self.parallel
        )

    async def _sentinel(self, stack: AsyncExitStack) -> RedisClient:
        probing: dict[str, Any] = {
            "username": self.url.sentinel_user,
            "password": self.url.sentinel_password,
            "socket_timeout": LOOK_S,
            "socket_connect_timeout": LOOK_S,
        }
        probes = [self._tcp(*host, retry=_once_more(), **probing) for host in self.url.hosts]
        for probe in probes:
            await stack.enter_async_context(aclosing(probe))
        primary: Redis = Sentinels(probes).master_for(
            self.url.service,
            connection_class=PrimaryTLSConnection if self.url.tls else PrimaryConnection,
            db=self.url.db,
            max_connections=self.parallel + 10,
            retry=_once_more(),
            **self.common,
        )
        await stack.enter_async_context(aclosing(primary))
        return SingleNodeClient(primary, parallel=self.parallel)

    def _node(self, host: str, port: int) -> Redis:
        # A node of a cluster is not asked again by itself: the next try goes where the slot is
        # by then.
        return self._tcp(host, port, retry=Retry(NoBackoff(), 0))

    def _tcp(self, host: str, port: int, **more: Any) -> Redis:
        kind = tls.TLSConnection if self.url.tls else Connection
        return self._pool(kind, host=host, port=port, **more)

    def _pool(self, kind: type, **more: Any) -> Redis:
        pool = BlockingConnectionPool(
            max_connections=self.parallel + 10,  # for what is not counted in turns: probes, scans
            timeout=None,
            connection_class=kind,
            **{**self.common, **more},
        )
        return Redis.from_pool(pool)
