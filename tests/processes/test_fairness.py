"""One customer's flood, seen by another customer."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.sandbox import SoftgardenSandbox
from tests.processes.conftest import TOKENS, Daemon, Launch, acme, eventually

pytestmark = pytest.mark.redis

CONNECTIONS = 300


@contextmanager
def flood(daemon: Daemon, path: str) -> Iterator[None]:
    """acme asks as fast as it can, from another process."""
    port = daemon.url.rpartition(":")[2]
    script = Path(__file__).with_name("flood.py")
    arguments = [sys.executable, str(script), port, TOKENS["acme"], str(CONNECTIONS), path]
    process = subprocess.Popen(arguments)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "path", ["/softgarden/tests", "/softgarden/results/iv_7" + "A" * 24, "/results/nothing"]
)
async def test_flood(launch: Launch, softgarden: SoftgardenSandbox, path: str) -> None:
    """While one customer (or a stranger) asks as fast as it is answered, another waits for a few of
    its turns, not for all.

    Counted, not timed: how many requests of the flood are answered from one answer of the other
    customer's to its next.
    """
    daemon = launch()
    await daemon.ready()
    client = acme(softgarden, daemon, "globex")
    unknown = "iv_7" + "B" * 24
    with flood(daemon, path):
        await eventually(lambda: len(floods(daemon)) > 10 * CONNECTIONS)
        for _ in range(60):
            assert (await client.read_results(unknown)).status == 404
    between: list[int] = []
    for entry in daemon.entries("request.handled"):
        if entry.get("customer") == "globex":
            between.append(0)
        elif between:
            between[-1] += 1
    assert len(between) == 60
    assert statistics.median(between[:-1]) < CONNECTIONS / 3


def floods(daemon: Daemon) -> list[str]:
    """The log's lines about requests; the newest may be half written."""
    return [line for line in daemon.log.read_text().splitlines() if '"request.handled"' in line]
