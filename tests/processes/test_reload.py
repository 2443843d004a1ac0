"""Customers' files are read again, all or none: by themselves, on SIGHUP, and when asked."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import yaml

from bridge.sandbox import SoftgardenSandbox
from tests.processes.conftest import TOKENS, Daemon, Launch, Place, eventually

TOKEN = "another-token-of-acme"


def add_token(place: Place) -> str:
    """acme's file with one more token."""
    changed = place.customers["acme"]
    changed["softgarden"]["tokens_sha256"].append(hashlib.sha256(TOKEN.encode()).hexdigest())
    return yaml.safe_dump(changed)


async def answered_always(softgarden: SoftgardenSandbox, daemon: Daemon, status: int) -> None:
    """Return once every process of the daemon answers the new token like this."""
    client = softgarden.connect(daemon.url, TOKEN, customer="acme")

    async def all_of_them() -> bool:
        return all([(await client.list_tests()).status == status for _ in range(6)])

    await eventually(all_of_them)


def write_in_place(file: Path, text: str) -> None:
    """As an editor that empties the file first."""
    file.write_text(text)


def write_and_rename(file: Path, text: str) -> None:
    """As an editor, or a deployment, that never leaves half a file."""
    (new := file.with_suffix(".new")).write_text(text)
    new.replace(file)


def swap_link(file: Path, text: str) -> None:
    """As Kubernetes does with its volumes, here for the whole folder."""
    folder = file.parent
    (new := folder.with_name("..2026")).mkdir()
    for one in folder.iterdir():
        (new / one.name).write_text(one.read_text())
    (new / file.name).write_text(text)
    folder.rename(folder.with_name("before"))
    folder.symlink_to(new)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("change", [write_in_place, write_and_rename, swap_link])
async def test_by_itself(
    launch: Launch,
    place: Place,
    softgarden: SoftgardenSandbox,
    change: Callable[[Path, str], None],
    workers: str,
) -> None:
    """A changed file is in force a moment later in every process, and read once by each; a bad one
    is refused once, with its position, and the old one serves on.
    """
    daemon = launch("--workers", workers)
    await daemon.ready()
    await eventually(lambda: len(daemon.entries("daemon.started")) == int(workers))
    change(daemon.folder / "customers" / "acme.yaml", add_token(place))
    await answered_always(softgarden, daemon, 200)
    await eventually(lambda: len(daemon.entries("config.reloaded")) == int(workers))
    assert {entry["trigger"] for entry in daemon.entries("config.reloaded")} == {"change"}
    assert {tuple(entry["changed"]) for entry in daemon.entries("config.reloaded")} == {("acme",)}
    (daemon.folder / "customers" / "globex.yaml").write_text("softgarden: [\n")
    await eventually(lambda: len(daemon.entries("config.reload_refused")) == int(workers))
    assert "globex.yaml:1:13" in daemon.entries("config.reload_refused")[0]["complaints"][0]
    await answered_always(softgarden, daemon, 200)
    assert len(daemon.entries("config.reload_refused")) == int(workers)
    daemon.terminate()
    assert await daemon.ended() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_when_asked(
    launch: Launch, place: Place, softgarden: SoftgardenSandbox, workers: str
) -> None:
    """``POST /-/reload`` reaches every process of the daemon, whichever of them is asked."""
    daemon = launch("--workers", workers)
    await daemon.ready()
    await eventually(lambda: len(daemon.entries("daemon.started")) == int(workers))
    (daemon.folder / "customers" / "acme.yaml").write_text(add_token(place))
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{daemon.admin_url}/-/reload") as response,
    ):
        assert (response.status, (await response.json())["changed"]) == (200, ["acme"])
    await eventually(lambda: len(daemon.entries("config.reloaded")) >= int(workers))
    await answered_always(softgarden, daemon, 200)
    daemon.terminate()
    assert await daemon.ended() == 0


async def test_on_a_signal(launch: Launch, place: Place, softgarden: SoftgardenSandbox) -> None:
    """SIGHUP has them read at once, also where nothing has changed but what they name; a changed
    bridge.yaml is told.
    """
    daemon = launch()
    await daemon.ready()
    served = softgarden.connect(daemon.url, TOKENS["acme"], customer="acme")
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(
        lambda: [one["trigger"] for one in daemon.entries("config.reloaded")] == ["signal"]
    )
    assert (await served.list_tests()).status == 200
    assert not daemon.entries("config.needs_restart")
    with (daemon.folder / "bridge.yaml").open("a") as file:
        file.write("retention: 30d\n")
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(lambda: daemon.entries("config.needs_restart"))


async def test_signals_while_processes_start(launch: Launch, place: Place) -> None:
    """A signal ends no process that has only just been started: it waits until it can be taken."""
    daemon = launch("--workers", "2")
    await eventually(lambda: len(daemon.entries("worker_process.started")) == 2)
    while len(daemon.entries("daemon.started")) < 2:
        daemon.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0)
        assert daemon.process.poll() is None
    await eventually(lambda: len(daemon.entries("config.reloaded")) >= 2)
    assert daemon.entries("worker_process.died") == []
    daemon.terminate()
    assert await daemon.ended() == 0
