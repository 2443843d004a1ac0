"""The daemon as systemd sees it: a real process and a real notification socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from tests.processes.conftest import Daemon, Launch, eventually
from tests.redis_servers import free_port

pytestmark = pytest.mark.redis


class Manager:
    """A notification socket, and what came in, each message as its names and values."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def names(self) -> list[str]:
        """The first name of each message so far, but for the watchdog's."""
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self._socket.recv(4096).decode().splitlines()
                self.told.append(dict(line.split("=", 1) for line in lines))
        firsts = [next(iter(message)) for message in self.told]
        return [name for name in firsts if name != "WATCHDOG"]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    """Who starts the daemons of this test."""
    address = f"@bridge-{uuid4()}" if request.param == "abstract" else str(tmp_path / "notify")
    listening = Manager(address)
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    yield listening
    listening.close()


def drop_a_customer(daemon: Daemon) -> None:
    """Make the next reload find one customer less."""
    (daemon.folder / "customers" / "globex.yaml").unlink()


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one", "two workers"])
async def test_its_life(launch: Launch, manager: Manager, arguments: tuple[str, ...]) -> None:
    """READY only when requests are answered; a reload between RELOADING, with its time, and READY;
    STOPPING before the end. The status says how many customers are served.
    """
    daemon = launch(*arguments)
    await eventually(lambda: manager.names() == ["READY"], 60)
    assert (await daemon.get("/livez"))[0] == 200
    assert manager.told[-1]["STATUS"] == "Serving 2 customers"
    if arguments:
        assert len(daemon.entries("daemon.started")) == 2

    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    drop_a_customer(daemon)
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(lambda: manager.names()[-1] == "READY" and len(manager.names()) > 1)
    assert manager.names()[:2] == ["READY", "RELOADING"]
    reloading = next(message for message in manager.told if "RELOADING" in message)
    assert int(reloading["MONOTONIC_USEC"]) >= before
    await eventually(
        lambda: (
            manager.names()[-1] == "READY" and manager.told[-1]["STATUS"] == "Serving 1 customers"
        )
    )

    daemon.terminate()
    assert await daemon.ended() == 0
    assert manager.names()[-1] == "STOPPING"
    assert manager.names().count("STOPPING") == 1


async def test_a_refused_reload(launch: Launch, manager: Manager) -> None:
    """A reload that is refused ends like any other, and the status says so."""
    daemon = launch()
    await eventually(lambda: manager.names() == ["READY"], 60)
    (daemon.folder / "customers" / "acme.yaml").write_text("softgarden: 7\n")
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(lambda: manager.names()[-1] == "READY" and "RELOADING" in manager.names())
    assert manager.told[-1]["STATUS"] == "Serving 2 customers; the last reload was refused"
    daemon.terminate()
    assert await daemon.ended() == 0


@pytest.mark.parametrize("manager", ["path"], indirect=True)
@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one", "two workers"])
async def test_the_watchdog_is_fed(
    launch: Launch, manager: Manager, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Where systemd asks for it, a process that serves says again and again that it lives."""
    monkeypatch.setenv("WATCHDOG_USEC", "6000000")
    daemon = launch(*arguments)
    await eventually(lambda: manager.names() == ["READY"], 60)

    def fed() -> bool:
        manager.names()
        return sum("WATCHDOG" in message for message in manager.told) > 2

    await eventually(fed)
    daemon.terminate()
    assert await daemon.ended() == 0


@pytest.mark.parametrize("manager", ["path"], indirect=True)
async def test_a_worker_that_hangs_is_replaced(
    launch: Launch, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that answers nothing any more is killed and replaced; the others go on."""
    monkeypatch.setenv("WATCHDOG_USEC", "8000000")
    daemon = launch("--workers", "2")
    await eventually(lambda: manager.names() == ["READY"], 60)
    hung, other = daemon.children()
    os.kill(hung, signal.SIGSTOP)
    await eventually(lambda: daemon.entries("worker_process.silent"), 60)
    os.kill(hung, signal.SIGCONT)  # a stopped process takes the signal only now
    await eventually(lambda: hung not in daemon.children() and len(daemon.children()) == 2, 60)
    assert other in daemon.children()
    daemon.terminate()
    assert await daemon.ended() == 0


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one", "two workers"])
async def test_a_port_that_is_let_go_late(launch: Launch, arguments: tuple[str, ...]) -> None:
    """A daemon that starts while its predecessor has the port serves as soon as it is free."""
    first = launch(*arguments)
    await first.ready(60)
    successor = await asyncio.create_subprocess_exec(
        *first.process.args[:-1] if not arguments else first.process.args[:-3],  # type: ignore[index]
        str(with_other_admin(first)),
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert successor.stderr is not None
    try:
        while b"listen.waiting" not in await successor.stderr.readline():
            assert successor.returncode is None
        first.terminate()
        assert await first.ended() == 0

        async def serves() -> bool:
            return (await first.get("/readyz"))[0] == 200

        await eventually(serves, 60)
    finally:
        successor.terminate()
        await successor.communicate()


def with_other_admin(daemon: Daemon) -> Path:
    """Its configuration, but for the admin listener."""
    file = daemon.folder / "bridge.yaml"
    document = yaml.safe_load(file.read_text())
    document["admin_listen"] = f"127.0.0.1:{free_port()}"
    file.write_text(yaml.safe_dump(document))
    return daemon.folder
