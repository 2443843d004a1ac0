"""Redis URLs: one server, Sentinel or Cluster.

::

    redis://[user:password@]host[:6379][/0]                 rediss:// is the same over TLS
    unix:///path/to/redis.sock[?db=0]                       user and password as above
    redis+sentinel://[user:password@]host[:26379],host.../service[/0]
                     [?tls=true][&sentinel_user=][&sentinel_password=]
    redis+cluster://[user:password@]host[:6379],host...[?tls=true]

With TLS, ``?ca=/path`` names the certificates to trust instead of the system's, ``cert=`` and
``key=`` the bridge's own.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit


class RedisScheme(enum.StrEnum):
    """What stands before ``://``."""

    REDIS = "redis"
    REDISS = "rediss"
    UNIX = "unix"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


_FILES: Final = ("ca", "cert", "key")
_OPTIONS: Final[Mapping[RedisScheme, tuple[str, ...]]] = {
    RedisScheme.REDIS: ("db",),
    RedisScheme.REDISS: ("db", *_FILES),
    RedisScheme.UNIX: ("db",),
    RedisScheme.SENTINEL: ("tls", *_FILES, "sentinel_user", "sentinel_password"),
    RedisScheme.CLUSTER: ("tls", *_FILES),
}
_VISIBLE: Final = re.compile(r"[\x21-\x7e]*")
_ENCODED: Final = (
    "in user and password % : / ? # @ [ ] must be written as %25 %3A %2F %3F %23 %40 %5B %5D"
)
_NO_PLACE: Final = (
    "expected a Redis URL with a host, such as redis://localhost:6379/0,"
    " or a path, such as unix:///run/redis.sock"
)


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A Redis URL, read."""

    scheme: RedisScheme
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


class InvalidRedisUrl(ValueError):
    """What is wrong with a URL; contains no part of it: any part may belong to the password."""


def parse_redis_url(url: str) -> RedisUrl:
    """Read a Redis URL; raises ``InvalidRedisUrl``."""
    try:
        return _read(url)
    except InvalidRedisUrl:
        raise
    except ValueError:  # urllib's message quotes the URL
        raise InvalidRedisUrl(f"expected a URL that can be read; {_ENCODED}") from None


def _read(url: str) -> RedisUrl:
    scheme, parts = _split(url)
    credentials, _, places = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    if not options.keys() <= set(_OPTIONS[scheme]):
        known = ", ".join(sorted(_OPTIONS[scheme]))
        raise InvalidRedisUrl(
            f"has an option that is not known here; known: {known}. And {_ENCODED}"
        )
    tls = scheme is RedisScheme.REDISS or options.get("tls", "").lower() in ("true", "yes", "1")
    hosts, service, rest = _places(scheme, places, parts)
    return RedisUrl(
        scheme=scheme,
        hosts=hosts,
        path=unquote(parts.path) if scheme is RedisScheme.UNIX else "",
        service=service,
        db=_database(scheme, rest, options),
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=tls,
        files=_files(options, tls=tls),
        sentinel_user=options.get("sentinel_user") or None,
        sentinel_password=options.get("sentinel_password") or None,
    )


def _split(url: str) -> tuple[RedisScheme, SplitResult]:
    if not _VISIBLE.fullmatch(url):  # urlsplit drops line ends silently
        raise InvalidRedisUrl("expected a Redis URL without blanks and special characters")
    parts = urlsplit(url)
    if parts.scheme not in tuple(RedisScheme):
        known = ", ".join(f"{scheme}://" for scheme in RedisScheme)
        raise InvalidRedisUrl(f"expected a Redis URL that begins with one of {known}")
    misplaced = parts.query and "@" not in parts.netloc and "@" in parts.query
    if "@" in parts.path or parts.fragment or misplaced:
        raise InvalidRedisUrl(f"has an @ or # where there can be none; {_ENCODED}")
    return RedisScheme(parts.scheme), parts


def _places(
    scheme: RedisScheme, places: str, parts: SplitResult
) -> tuple[tuple[tuple[str, int], ...], str, list[str]]:
    """The hosts, Sentinel's service and what is left of the path."""
    if scheme is RedisScheme.UNIX:
        if places or not parts.path.strip("/"):
            raise InvalidRedisUrl(_NO_PLACE)
        return (), "", []
    sentinel = scheme is RedisScheme.SENTINEL
    hosts = tuple(_place(place, 26379 if sentinel else 6379) for place in places.split(","))
    path = [part for part in unquote(parts.path).split("/") if part]
    if sentinel and not path:
        raise InvalidRedisUrl(
            "expected the name of Sentinel's service,"
            " such as redis+sentinel://host:26379/mymaster/0"
        )
    service = path.pop(0) if sentinel else ""
    if len(path) > 1 or (len(hosts) > 1 and scheme in (RedisScheme.REDIS, RedisScheme.REDISS)):
        raise InvalidRedisUrl("has more parts than its scheme knows")
    return hosts, service, path


def _place(place: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise InvalidRedisUrl(_NO_PLACE)
    return parts.hostname, parts.port or port


def _database(scheme: RedisScheme, path: list[str], options: Mapping[str, str]) -> int:
    number = path[0] if path else options.get("db", "0")
    if (
        not number.isascii()
        or not number.isdigit()
        or (scheme is RedisScheme.CLUSTER and number != "0")
    ):
        raise InvalidRedisUrl("names a database that there cannot be")
    return int(number)


def _files(options: Mapping[str, str], *, tls: bool) -> tuple[tuple[str, str], ...]:
    files = tuple((name, options[name]) for name in _FILES if name in options)
    if files and not tls:
        raise InvalidRedisUrl("names certificates, but is without tls=true")
    for name, file in files:
        if not os.access(file, os.R_OK):
            # A password that was typed here must not be shown: only a path is.
            a_path = os.path.isdir(os.path.dirname(file)) and file.count("/") > 1
            shown = f": {file}" if a_path else ""
            raise InvalidRedisUrl(f"names a file for {name} that cannot be read{shown}")
    return files
