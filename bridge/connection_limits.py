"""Allocates the sockets that this process may open, so that callers never use up those for Redis
and the vendors.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

MAX_OPEN_FILES: Final = 65_536
"""The most that is requested, even if the system would allow more."""
_VENDOR: Final = 1024
_RESERVED: Final = 3 * _VENDOR
_ADMIN: Final = 256


OpenConnector = Callable[[int], aiohttp.BaseConnector]
"""Opens at most so many connections over something else than TCP; whoever gives it decides what can
be reached.
"""


@dataclass(frozen=True, slots=True)
class OutwardConnections:
    """At most *limit* connections to a vendor, opened by *connect* (None: over TCP)."""

    limit: int
    connect: OpenConnector | None = None


@dataclass(frozen=True, slots=True)
class ConnectionShares:
    """Connections of the *public* and the *admin* listener, and to each *vendor*.

    The rest is for Redis and files.
    """

    public: int
    admin: int
    vendor: int


def allocate_connections(files: int) -> ConnectionShares:
    """Allocate *files*, of which at most half are reserved."""
    kept = min(files // 2, _RESERVED)
    admin = min(files // 16, _ADMIN)
    return ConnectionShares(
        public=files - kept - admin, admin=admin, vendor=max(1, min(_VENDOR, kept // 3))
    )


def raise_open_file_limit() -> int:
    """Raise this process's limit of open files as far as the system allows; returns the limit.

    Usually 1024 are allowed at first, for old programs that fail with more.
    """
    now, most = (_count(one) for one in resource.getrlimit(resource.RLIMIT_NOFILE))
    wanted = max(now, min(most, MAX_OPEN_FILES))
    try:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        )
    except (OSError, ValueError):  # macOS has a lower limit than the one that it reports
        wanted = now
    return min(wanted, MAX_OPEN_FILES)


def _count(limit: int) -> int:
    return MAX_OPEN_FILES if limit == resource.RLIM_INFINITY else limit
