"""From a URL to Redis: one server, Sentinel or Cluster.

::

    redis://[user:password@]host[:6379][/0]                      rediss:// is the same over TLS
    unix:///path/to/redis.sock[?db=0]                            user and password as above
    redis+sentinel://[user:password@]host[:26379],host.../service[/0][?tls=true]
    redis+cluster://[user:password@]host[:6379],host...[?tls=true]
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ConstantBackoff

from bridge.errors import Complaint, ConfigError
from bridge.store.commands import DEADLINE_S, PARALLEL, Client, Commands

SOCKET_S: Final = 0.7
"""For one answer. Twice this, the one repetition included, is less than ``DEADLINE_S``."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Redis URL, read."""

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False


def read_url(url: str) -> Target:
    """Read a Redis URL. The complaint about a wrong one does not repeat it: it may hold a password."""
    try:
        return _read_url(url)
    except ValueError as error:
        raise ConfigError([Complaint("redis.url", 0, 0, str(error))]) from None


@contextlib.asynccontextmanager
async def open_client(url: str, *, parallel: int = PARALLEL, deadline_s: float = DEADLINE_S) -> AsyncIterator[Commands]:
    """Commands for the Redis at *url*. Connects when it is first used: the bridge starts without Redis, and waits."""
    target = read_url(url)
    async with _OPENERS[target.scheme](target, parallel) as client:
        yield Commands(client, parallel=parallel, deadline_s=deadline_s)


async def durability(commands: Commands) -> list[str]:
    """What keeps this Redis from surviving a power cut without loss, in words; empty: nothing does."""
    nodes = await commands.settings("appendonly", "appendfsync", "maxmemory-policy")
    if not nodes or not all(nodes):
        return ["durability could not be checked: Redis does not permit CONFIG GET"]
    complaints: dict[str, None] = {}
    for node in nodes:
        if node.get("appendonly") != "yes":
            complaints["Redis keeps no append-only file (appendonly no): a restart may lose results"] = None
        elif node.get("appendfsync") != "always":
            complaints[f"appendfsync is {node.get('appendfsync')}, not always: a power cut may lose results"] = None
        if node.get("maxmemory-policy") != "noeviction":
            complaints[f"maxmemory-policy is {node.get('maxmemory-policy')}: Redis may throw invitations away"] = None
    return list(complaints)


def _read_url(url: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme not in _OPENERS:
        known = ", ".join(f"{scheme}://" for scheme in _OPENERS)
        raise ValueError(f"must begin with one of {known}")
    credentials, _, places = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    path = [part for part in unquote(parts.path).split("/") if part]
    sentinel = parts.scheme == "redis+sentinel"
    several = sentinel or parts.scheme == "redis+cluster"
    if strange := options.keys() - ({"tls"} if several else {"db"}):
        raise ValueError(f"does not know the option {min(strange)}")
    hosts: tuple[tuple[str, int], ...] = ()
    service = ""
    if parts.scheme == "unix":
        db = options.get("db", "0")
        if places or not path:
            raise ValueError("must name the socket like unix:///run/redis.sock")
    else:
        hosts = tuple(_read_place(place, 26379 if sentinel else 6379) for place in places.split(","))
        service = path.pop(0) if sentinel and path else ""
        db = path.pop(0) if path else options.get("db", "0")
        if sentinel and not service:
            raise ValueError("must name Sentinel's service like redis+sentinel://host/service")
        if path or (len(hosts) > 1 and not several):
            raise ValueError("has more parts than its scheme knows")
    if not db.isascii() or not db.isdigit() or (parts.scheme == "redis+cluster" and db != "0"):
        raise ValueError("names a database that there cannot be")
    return Target(
        scheme=parts.scheme,
        hosts=hosts,
        path=unquote(parts.path) if parts.scheme == "unix" else "",
        service=service,
        db=int(db),
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=parts.scheme == "rediss" or options.get("tls", "false").lower() in ("true", "yes", "1"),
    )


def _read_place(place: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("names no host")
    return parts.hostname, parts.port or port


def _common(target: Target) -> dict[str, Any]:
    return {
        "username": target.username,
        "password": target.password,
        "socket_timeout": SOCKET_S,
        "socket_connect_timeout": SOCKET_S,
        "protocol": 2,
    }


def _retry() -> Retry:
    """Once more, at once: for a connection that died while it lay in the pool."""
    return Retry(ConstantBackoff(0.02), 1)


@contextlib.asynccontextmanager
async def _open_single(target: Target, parallel: int) -> AsyncIterator[Client]:
    kind: type[Connection | UnixDomainSocketConnection]
    place: dict[str, Any]
    if target.scheme == "unix":
        kind, place = UnixDomainSocketConnection, {"path": target.path}
    else:
        host, port = target.hosts[0]
        kind, place = SSLConnection if target.tls else Connection, {"host": host, "port": port}
    pool = BlockingConnectionPool(
        max_connections=parallel + 10,  # Commands lets fewer than these through; probes come on top
        timeout=None,
        connection_class=kind,
        retry=_retry(),
        db=target.db,
        **place,
        **_common(target),
    )
    async with contextlib.aclosing(Redis.from_pool(pool)) as client:
        yield client


@contextlib.asynccontextmanager
async def _open_sentinel(target: Target, parallel: int) -> AsyncIterator[Client]:
    ssl = {"ssl": True} if target.tls else {}
    settings = {**_common(target), **ssl, "retry": _retry()}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        list(target.hosts),
        sentinel_kwargs={**settings, "username": None, "password": None},  # Assumption: Sentinel itself has no password
        db=target.db,
        max_connections=parallel + 10,
        **settings,
    )
    async with contextlib.AsyncExitStack() as stack:
        for probe in sentinel.sentinels:
            await stack.enter_async_context(contextlib.aclosing(probe))
        yield await stack.enter_async_context(contextlib.aclosing(sentinel.master_for(target.service)))


@contextlib.asynccontextmanager
async def _open_cluster(target: Target, parallel: int) -> AsyncIterator[Client]:
    cluster = RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in target.hosts],
        retry=_retry(),
        max_connections=parallel * 16,  # run_all sends to every partition at once
        ssl=target.tls,
        **_common(target),
    )
    async with contextlib.aclosing(cluster) as client:
        yield client


_OPENERS: Final[Mapping[str, Callable[[Target, int], AbstractAsyncContextManager[Client]]]] = {
    "redis": _open_single,
    "rediss": _open_single,
    "unix": _open_single,
    "redis+sentinel": _open_sentinel,
    "redis+cluster": _open_cluster,
}
