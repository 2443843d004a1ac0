"""The sockets of a process: callers never take those for Redis and the vendors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bridge import connection_limits

REDIS = 60
"""Connections of one process to one Redis, with what it asks beside its commands."""


@pytest.mark.parametrize("files", [64, 256, 1024, 8192, 65_536])
def test_shares(files: int) -> None:
    """Whatever the limit, all shares together are within it, each is there, and something is left
    for Redis.
    """
    shares = connection_limits.allocate_connections(files)
    left = files - shares.public - shares.admin - 2 * shares.vendor
    assert min(shares.public, shares.admin, shares.vendor) > 0
    assert left >= min(REDIS, files // 6)


@pytest.mark.parametrize(
    ("soft", "hard", "gives"),
    [(256, 4096, 4096), (1024, 1024, 1024), (64, 512, 512)],
)
def test_limit_is_raised(soft: int, hard: int, gives: int) -> None:
    """A process takes as many files as the system lets it, not only as many as it has at first."""
    code = (
        f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, ({soft}, {hard}));"
        "from bridge import connection_limits;"
        "print(connection_limits.raise_open_file_limit(), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == [str(gives)] * 2
