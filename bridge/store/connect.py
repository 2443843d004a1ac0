"""From a URL to Redis: one server, Sentinel or Cluster.

::

    redis://[user:password@]host[:6379][/0]                      rediss:// is the same over TLS
    unix:///path/to/redis.sock[?db=0]                            user and password as above
    redis+sentinel://[user:password@]host[:26379],host.../service[/0][?tls=true][&sentinel_user=][&sentinel_password=]
    redis+cluster://[user:password@]host[:6379],host...[?tls=true]

With TLS: ``?ca=/path`` names the certificates to trust instead of the system's, ``cert=`` and
``key=`` our own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff, NoBackoff

from bridge.errors import Complaint, ConfigError
from bridge.store import tls
from bridge.store.cluster_client import ClusterClient
from bridge.store.redis_access import DEADLINE_S, PARALLEL, Client, RedisAccess, ReplicaWait
from bridge.store.sentinel_client import LOOK_S, PrimaryConnection, PrimaryTLSConnection, Sentinels

SOCKET_S: Final = 0.7
"""For one answer. Twice this, the one repetition included, is less than ``DEADLINE_S``."""
_WAIT_MARGIN_S: Final = 0.3
"""By how much we wait longer for a confirmation than Redis does."""
_FILES: Final = ("ca", "cert", "key")
_ENCODED: Final = (
    "in user and password % : / ? # @ [ ] must be written as %25 %3A %2F %3F %23 %40 %5B %5D"
)


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
    files: tuple[tuple[str, str], ...] = ()
    sentinel_user: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


class _Wrong(Exception):
    """What is wrong with a URL, in words of ours."""


def read_url(url: str) -> Target:
    """Read a Redis URL.

    The complaint about a wrong one repeats nothing of it: any part may be a piece of the password.
    """
    try:
        return _read_url(url)
    except _Wrong as error:
        message = str(error)
    except ValueError:  # urllib quotes what it does not like
        message = f"is not a URL that can be read; {_ENCODED}"
    raise ConfigError([Complaint("redis.url", 0, 0, message)])


@contextlib.asynccontextmanager
async def open_client(
    url: str,
    *,
    parallel: int = PARALLEL,
    deadline_s: float = DEADLINE_S,
    wait: ReplicaWait | None = None,
) -> AsyncIterator[RedisAccess]:
    """Commands for the Redis at *url*.

    Connects when it is first used: the bridge starts without Redis, and waits.

    *wait* is what makes a commit count as done; None: that one Redis has it.
    """
    target = read_url(url)
    patience_s = SOCKET_S
    if wait is not None:
        patience_s = max(patience_s, wait.timeout_s + _WAIT_MARGIN_S)
        deadline_s = max(deadline_s, wait.timeout_s + 2 * _WAIT_MARGIN_S)
    async with _OPENERS[target.scheme](target, parallel, patience_s) as client:
        yield RedisAccess(client, parallel=parallel, deadline_s=deadline_s, wait=wait)


async def durability(commands: RedisAccess) -> list[str]:
    """What keeps this Redis from surviving a power cut without loss, in words; empty: nothing does."""
    nodes = await commands.settings("appendonly", "appendfsync", "maxmemory-policy")
    complaints: dict[str, None] = {}
    if await commands.lacks_waitaof():
        complaints[
            "redis.wait.local_fsync is true, but this Redis has no WAITAOF (it came with 7.2): commits wait for replicas only"
        ] = None
    if await commands.replicas_among_us():
        complaints[
            "this Redis is a replica and takes no writes: name the primary, or Sentinel, in redis.url"
        ] = None
    if not nodes or not all(nodes):
        return [*complaints, "durability could not be checked: Redis does not permit CONFIG GET"]
    for node in nodes:
        if node.get("appendonly") != "yes":
            complaints[
                "Redis keeps no append-only file (appendonly no): a restart may lose results"
            ] = None
        elif node.get("appendfsync") != "always":
            complaints[
                f"appendfsync is {node.get('appendfsync')}, not always: a power cut may lose results"
            ] = None
        if node.get("maxmemory-policy") != "noeviction":
            complaints[
                f"maxmemory-policy is {node.get('maxmemory-policy')}: Redis may throw invitations away"
            ] = None
    return list(complaints)


async def isolation(commands: RedisAccess) -> str | None:
    """What makes one missing part of a cluster stop all others, in words; None: nothing, as far as
    can be seen.
    """
    for node in await commands.settings("cluster-enabled", "cluster-require-full-coverage") or ():
        if (
            node.get("cluster-enabled") == "yes"
            and node.get("cluster-require-full-coverage") == "yes"
        ):
            return "cluster-require-full-coverage is yes: one primary away stops the whole cluster; set it to no"
    return None


def _read_url(url: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme not in _OPENERS:
        known = ", ".join(f"{scheme}://" for scheme in _OPENERS)
        raise _Wrong(f"must begin with one of {known}")
    if (
        "@" in parts.path
        or parts.fragment
        or (parts.query and "@" not in parts.netloc and "@" in parts.query)
    ):
        raise _Wrong(f"has an @ or # where there can be none; {_ENCODED}")
    credentials, _, places = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    path = [part for part in unquote(parts.path).split("/") if part]
    sentinel = parts.scheme == "redis+sentinel"
    several = sentinel or parts.scheme == "redis+cluster"
    known_options = {"tls", *_FILES} if several else {"db"}
    known_options |= {"sentinel_user", "sentinel_password"} if sentinel else set()
    known_options |= set(_FILES) if parts.scheme == "rediss" else set()
    if options.keys() - known_options:
        known = ", ".join(sorted(known_options)) or "none"
        raise _Wrong(f"has an option that is not known here; known: {known}. And {_ENCODED}")
    over_tls = parts.scheme == "rediss" or options.get("tls", "false").lower() in (
        "true",
        "yes",
        "1",
    )
    files = tuple((name, options[name]) for name in _FILES if name in options)
    if files and not over_tls:
        raise _Wrong("names certificates, but is without tls=true")
    for name, file in files:
        if not os.access(file, os.R_OK):
            shown = (
                f": {file}" if os.path.isdir(os.path.dirname(file)) and file.count("/") > 1 else ""
            )
            raise _Wrong(f"names a file for {name} that cannot be read{shown}")
    hosts: tuple[tuple[str, int], ...] = ()
    service = ""
    if parts.scheme == "unix":
        db = options.get("db", "0")
        if places or not path:
            raise _Wrong("must name the socket like unix:///run/redis.sock")
    else:
        hosts = tuple(
            _read_place(place, 26379 if sentinel else 6379) for place in places.split(",")
        )
        service = path.pop(0) if sentinel and path else ""
        db = path.pop(0) if path else options.get("db", "0")
        if sentinel and not service:
            raise _Wrong("must name Sentinel's service like redis+sentinel://host/service")
        if path or (len(hosts) > 1 and not several):
            raise _Wrong("has more parts than its scheme knows")
    if not db.isascii() or not db.isdigit() or (parts.scheme == "redis+cluster" and db != "0"):
        raise _Wrong("names a database that there cannot be")
    return Target(
        scheme=parts.scheme,
        hosts=hosts,
        path=unquote(parts.path) if parts.scheme == "unix" else "",
        service=service,
        db=int(db),
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=over_tls,
        files=files,
        sentinel_user=options.get("sentinel_user") or None,
        sentinel_password=options.get("sentinel_password") or None,
    )


def _read_place(place: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise _Wrong("names no host")
    return parts.hostname, parts.port or port


def _common(target: Target, patience_s: float) -> dict[str, Any]:
    return {
        "username": target.username,
        "password": target.password,
        "socket_timeout": patience_s,
        "socket_connect_timeout": SOCKET_S,
        "protocol": 2,
        **_tls(target),
    }


def _tls(target: Target) -> dict[str, Any]:
    if not target.tls:
        return {}
    try:
        return {"tls": tls.trust(**dict(target.files))}
    except OSError as error:  # what OpenSSL does not like in a file is an OSError, too
        message = f"names certificates that cannot be used: {error.strerror or error}"
        raise ConfigError([Complaint("redis.url", 0, 0, message)]) from None


def _retry() -> Retry:
    """Once more, at once: for a connection that died while it lay in the pool."""
    return Retry(ConstantBackoff(0.02), 1)


def _client(
    host: str, port: int, parallel: int, retry: Retry, common: Mapping[str, Any], db: int = 0
) -> Redis:
    pool = BlockingConnectionPool(
        max_connections=parallel + 10,  # Commands lets fewer than these through; probes come on top
        timeout=None,
        connection_class=tls.TLSConnection if "tls" in common else Connection,
        host=host,
        port=port,
        db=db,
        retry=retry,
        **common,
    )
    return Redis.from_pool(pool)


@contextlib.asynccontextmanager
async def _open_single(target: Target, parallel: int, patience_s: float) -> AsyncIterator[Client]:
    client = _client(*target.hosts[0], parallel, _retry(), _common(target, patience_s), target.db)
    async with contextlib.aclosing(client):
        yield client


@contextlib.asynccontextmanager
async def _open_unix(target: Target, parallel: int, patience_s: float) -> AsyncIterator[Client]:
    pool = BlockingConnectionPool(
        max_connections=parallel + 10,
        timeout=None,
        connection_class=UnixDomainSocketConnection,
        path=target.path,
        db=target.db,
        retry=_retry(),
        **_common(target, patience_s),
    )
    async with contextlib.aclosing(Redis.from_pool(pool)) as client:
        yield client


@contextlib.asynccontextmanager
async def _open_sentinel(target: Target, parallel: int, patience_s: float) -> AsyncIterator[Client]:
    common = _common(target, patience_s)
    probing = {
        **common,
        "username": target.sentinel_user,
        "password": target.sentinel_password,
        "socket_timeout": LOOK_S,
        "socket_connect_timeout": LOOK_S,
    }
    probes = [_client(host, port, parallel, _retry(), probing) for host, port in target.hosts]
    primary: Redis = Sentinels(probes).master_for(
        target.service,
        connection_class=PrimaryTLSConnection if target.tls else PrimaryConnection,
        db=target.db,
        max_connections=parallel + 10,
        retry=_retry(),
        **common,
    )
    async with contextlib.AsyncExitStack() as stack:
        for probe in probes:
            await stack.enter_async_context(contextlib.aclosing(probe))
        yield await stack.enter_async_context(contextlib.aclosing(primary))


@contextlib.asynccontextmanager
async def _open_cluster(target: Target, parallel: int, patience_s: float) -> AsyncIterator[Client]:
    common = _common(target, patience_s)

    def open_node(host: str, port: int) -> Redis:
        once = Retry(NoBackoff(), 0)  # the next try goes where the slot is by then
        return _client(host, port, parallel, once, common)

    async with contextlib.aclosing(
        ClusterClient(target.hosts, open_node, parallel=parallel)
    ) as cluster:
        yield cluster


_OPENERS: Final[
    Mapping[str, Callable[[Target, int, float], AbstractAsyncContextManager[Client]]]
] = {
    "redis": _open_single,
    "rediss": _open_single,
    "unix": _open_unix,
    "redis+sentinel": _open_sentinel,
    "redis+cluster": _open_cluster,
}
