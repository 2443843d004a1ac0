"""``serve --workers N``: real processes, killed at will."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time

import pytest

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.processes.conftest import GRACE_S, Launch, Place, acme, eventually, running
from tests.stalls import net_since

pytestmark = pytest.mark.redis


async def test_a_killed_worker_is_replaced(
    launch: Launch, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> None:
    """kill -9 of one worker: requests go on being served, it is replaced, and its task is taken
    over within 15 s.
    """
    daemon = launch("--workers", "2")
    await daemon.ready()
    client = acme(softgarden, daemon)
    await eventually(
        lambda: len(daemon.children()) == 2 and len(daemon.entries("daemon.started")) == 2
    )
    invited = await client.invite("engineer")
    assert invited.status == 200

    # A notification that hangs: one of the two workers holds its lease and beats its heart. Which
    # one?
    hung = softgarden.fault("notify", hang="before", times=1)
    (reference,) = equalture.applications
    assert await equalture.complete(reference) == 200
    await hung.wait_applied()
    first, second = daemon.children()
    holder = first if _connected_to(first, softgarden.port) else second
    assert _connected_to(holder, softgarden.port)
    os.kill(holder, signal.SIGKILL)
    killed_at = time.monotonic()
    answers = await asyncio.gather(*(daemon.get("/readyz") for _ in range(50)))
    assert [status for status, _ in answers] == [200] * 50
    assert (await client.read_results(invited.json["invitationId"])).status == 200

    await softgarden.wait_calls("notify", status=204, timeout=16)
    assert net_since(killed_at) < 15
    hung.heal()
    await eventually(lambda: len(daemon.children()) == 2 and holder not in daemon.children())
    assert [entry["code"] for entry in daemon.entries("worker_process.died")] == [-9]
    assert (await client.invite("engineer")).status == 200
    workers = daemon.children()
    daemon.terminate()
    assert await daemon.ended() == 0
    assert [pid for pid in workers if running(pid)] == []


def _connected_to(pid: int, port: int) -> bool:
    """Whether the process has a connection to this local port."""
    inodes = set()
    for descriptor in os.scandir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(descriptor.path)
        except FileNotFoundError:
            continue
        inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    with open(f"/proc/{pid}/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return any(
        row[9] in inodes and int(row[2].rpartition(":")[2], 16) == port and row[3] == "01"
        for row in rows
    )


@pytest.mark.parametrize("when", ["serving", "starting"])
async def test_a_killed_parent_leaves_no_orphans(launch: Launch, when: str) -> None:
    """kill -9 of the parent: the workers end by themselves and let go of the port, even when they
    were just starting.
    """
    daemon = launch("--workers", "2")
    if when == "serving":
        await daemon.ready()
    await eventually(lambda: len(daemon.entries("worker_process.started")) == 2)
    workers = daemon.children()
    assert len(workers) == 2
    os.kill(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait()
    await eventually(lambda: not any(running(pid) for pid in workers), 15)
    assert (await daemon.get("/livez"))[0] == 0


@pytest.mark.parametrize("when", ["serving", "starting"])
async def test_sigterm_ends_all(launch: Launch, when: str) -> None:
    """SIGTERM at any time: exit code 0 within the grace period, and no process left."""
    daemon = launch("--workers", "2")
    if when == "serving":
        await daemon.ready()
    await eventually(lambda: len(daemon.entries("worker_process.started")) == 2)
    workers = daemon.children()
    daemon.terminate()
    assert await daemon.ended(GRACE_S) == 0
    assert [pid for pid in workers if running(pid)] == []
    assert (await daemon.get("/livez"))[0] == 0


async def test_a_taken_port_is_a_configuration_error(launch: Launch) -> None:
    """A port that somebody else listens on ends the daemon with exit code 2, and is named."""
    daemon = launch()
    await daemon.ready()
    config = daemon.folder
    other = await asyncio.create_subprocess_exec(
        *daemon.process.args[:-1],  # type: ignore[index]
        str(config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await other.communicate()
    assert other.returncode == 2
    assert daemon.url.removeprefix("http://") in out.decode()
    assert (await daemon.get("/livez"))[0] == 200


@pytest.mark.parametrize("arguments", [("--workers", "2"), ()], ids=["two", "one"])
async def test_what_no_restart_mends_is_not_restarted(
    launch: Launch, place: Place, arguments: tuple[str, ...]
) -> None:
    """A Redis URL that cannot be used ends the daemon with 2 at once, with workers too, and
    ``check`` tells it.
    """
    place.document["redis"]["url"] = "redis://127.0.0.1/0?ssl=true"
    daemon = launch(*arguments)
    assert await daemon.ended(15) == 2
    check = [sys.executable, "-m", "bridge", "check", "--config", str(daemon.folder)]
    told = await asyncio.create_subprocess_exec(*check, stderr=asyncio.subprocess.PIPE)
    await told.communicate()
    assert told.returncode == 2


async def test_embedded_redis_does_not_keep_the_ports(launch: Launch, place: Place) -> None:
    """After ``kill -9`` of parent and workers the embedded Redis goes on, holds none of their
    ports, and is used again.
    """
    place.document["redis"] = {"data_dir": str(place.folder / "data")}
    first = launch("--workers", "2")
    await first.ready()
    first.kill()
    await eventually(lambda: not first.children())
    address = first.url.removeprefix("http://").split(":")
    assert (await first.get("/livez"))[0] == 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address[0], int(address[1])))
    second = launch()
    await second.ready()
    second.terminate()
    assert await second.ended() == 0
