"""The embedded Redis: starts by itself, is shared, survives accidents, and does not stay behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Final

import pytest

from bridge.errors import RedisSetupError, StoreUnavailable
from bridge.store import embedded
from bridge.store.connect import open_client
from bridge.store.redis_inspection import find_durability_risks
from tests.flows.conftest import eventually

pytestmark = pytest.mark.redis

HOLD = """
import asyncio, sys
from pathlib import Path
from bridge.store import embedded

async def main():
    async with embedded.run_redis_server(Path(sys.argv[1])):
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
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, data_dir, stdin=pipe, stdout=pipe
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    return process


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


async def test_start_and_stop(tmp_path: Path) -> None:
    """It starts durable and reachable by its owner only, stops with its last user, and keeps what
    it was given.
    """
    data_dir = tmp_path / "deep" / "data"
    async with embedded.run_redis_server(data_dir) as url:
        pid = await server_pid(url)
        assert await count(url) == 1
        async with open_client(url) as commands:
            assert await find_durability_risks(commands) == []
    assert not alive(pid)
    async with embedded.run_redis_server(data_dir) as url:
        assert await count(url) == 2


async def test_shared(tmp_path: Path) -> None:
    """Two users of one directory share one server, which stays until the second leaves."""
    async with embedded.run_redis_server(tmp_path) as first:
        pid = await server_pid(first)
        process = await hold(tmp_path)
    assert alive(pid)
    async with embedded.run_redis_server(tmp_path) as again:
        assert await server_pid(again) == pid
        await process.communicate(b"\n")
    assert process.returncode == 0
    assert not alive(pid)


async def test_parallel_starts(tmp_path: Path) -> None:
    """Several processes that start at once start one server."""

    everybody = asyncio.Barrier(5)

    async def use() -> int:
        async with embedded.run_redis_server(tmp_path) as url:
            await count(url)
            await everybody.wait()
            return await server_pid(url)

    pids = await asyncio.gather(*(use() for _ in range(5)))
    assert len(set(pids)) == 1
    async with embedded.run_redis_server(tmp_path) as url:
        assert await count(url) == 6


async def test_user_killed(tmp_path: Path) -> None:
    """A server whose only user was killed is used again by the next one, which stops it."""
    process = await hold(tmp_path)
    process.kill()
    await process.wait()
    async with embedded.run_redis_server(tmp_path) as url:
        pid = await server_pid(url)
        assert alive(pid)
    assert not alive(pid)


async def test_server_killed(tmp_path: Path) -> None:
    """After the server itself was killed, the next user starts a new one, which knows all that was
    answered.
    """
    async with embedded.run_redis_server(tmp_path) as url:
        assert await count(url) == 1
        os.kill(await server_pid(url), signal.SIGKILL)
    async with embedded.run_redis_server(tmp_path) as url:
        assert await count(url) == 2


async def test_long_path(tmp_path: Path) -> None:
    """A path too long for a socket gets its socket elsewhere, which every user finds, and which
    goes in the end.
    """
    data_dir = tmp_path / ("x" * 120)
    async with (
        embedded.run_redis_server(data_dir) as first,
        embedded.run_redis_server(data_dir) as second,
    ):
        assert first == second
        socket = Path(first.removeprefix("unix://"))
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert not socket.parent.exists()
    socket.parent.mkdir()
    socket.parent.rmdir()
    async with embedded.run_redis_server(data_dir) as again:
        assert await count(again) == 1


async def test_unusable_directory(tmp_path: Path) -> None:
    """A data directory that cannot be made is a complaint about redis.data_dir."""
    (tmp_path / "file").touch()
    with pytest.raises(RedisSetupError, match="cannot be used") as raised:
        async with embedded.run_redis_server(tmp_path / "file"):
            pass
    assert raised.value.setting == "data_dir"


async def test_a_dead_server_is_started_again(tmp_path: Path) -> None:
    """A server that dies while somebody uses it is back by itself, with its data, also if another
    process started it.
    """
    holder = await hold(tmp_path)
    async with embedded.run_redis_server(tmp_path) as url:
        assert await count(url) == 1
        first = await server_pid(url)
        os.kill(first, signal.SIGKILL)

        async def back() -> bool:
            try:
                return await server_pid(url) != first
            except StoreUnavailable:
                return False

        await eventually(back, 20)
        assert await count(url) == 2
    assert holder.stdin is not None
    holder.stdin.close()
    assert await holder.wait() == 0


def modes(data_dir: Path) -> dict[str, int]:
    """What others may do with the folder and all that is in it."""
    found = {
        ".": data_dir,
        **{str(file.relative_to(data_dir)): file for file in data_dir.rglob("*")},
    }
    return {name: stat.S_IMODE(file.lstat().st_mode) for name, file in found.items()}


async def test_nobody_else_may_read(tmp_path: Path) -> None:
    """Folder and files are their owner's alone, also where they were open to all before, whatever
    the umask.
    """
    before = os.umask(0)
    try:
        for _ in range(2):
            async with embedded.run_redis_server(tmp_path / "data") as url:
                await count(url)
                shown = modes(tmp_path / "data")
                folders = {".", "appendonlydir", "redis.sock"}
                assert shown == {name: 0o700 if name in folders else 0o600 for name in shown}
                assert len(shown) >= 7
            for file in (tmp_path / "data").rglob("*"):
                file.chmod(0o777 if file.is_dir() else 0o666)
            (tmp_path / "data").chmod(0o777)
    finally:
        os.umask(before)


async def test_a_folder_for_everybody(tmp_path: Path) -> None:
    """A folder such as /tmp is refused, and left as it is: nobody meant to close it."""
    os.chmod(tmp_path, 0o1777)
    with pytest.raises(RedisSetupError, match="one of its own"):
        async with embedded.run_redis_server(tmp_path):
            pass
    assert modes(tmp_path) == {".": 0o1777}


CANDIDATE: Final = "what-a-candidate-achieved"


def on_disk(data_dir: Path) -> bool:
    for file in data_dir.rglob("*"):
        # Sockets and folders cannot be read; a temporary file may be gone before it is opened.
        with contextlib.suppress(OSError):
            if CANDIDATE.encode() in file.read_bytes():
                return True
    return False


async def test_what_was_deleted_leaves_the_file(tmp_path: Path) -> None:
    """What was deleted is out of the files after a while, without anybody's doing."""
    async with (
        embedded.run_redis_server(tmp_path, rewrite_s=0.2) as url,
        open_client(url) as commands,
    ):
        await commands.run(("SET", "one", CANDIDATE))
        assert on_disk(tmp_path)
        await commands.run(("DEL", "one"))

        async def gone() -> bool:
            return not on_disk(tmp_path)

        await eventually(gone, 20)


async def test_what_was_deleted_last_leaves_the_file_at_the_end(tmp_path: Path) -> None:
    """A server that stops leaves nothing deleted behind: its files may lie there for long."""
    async with embedded.run_redis_server(tmp_path) as url, open_client(url) as commands:
        await commands.run(("SET", "one", CANDIDATE))
        await commands.run(("SET", "two", "stays"))
        await commands.run(("DEL", "one"))
        assert on_disk(tmp_path)
    assert not on_disk(tmp_path)
    async with embedded.run_redis_server(tmp_path) as url, open_client(url) as commands:
        assert await commands.run(("GET", "two")) == b"stays"


async def test_an_idle_server_leaves_its_file_alone(tmp_path: Path) -> None:
    """Where nothing was added, nothing is written anew."""
    async with embedded.run_redis_server(tmp_path) as url:
        await count(url)
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "appendonlydir").iterdir()}
    async with (
        embedded.run_redis_server(tmp_path, rewrite_s=0.05) as url,
        open_client(url) as commands,
    ):
        for _ in range(10):
            await commands.ping()
            await asyncio.sleep(0.05)
    parts = (tmp_path / "appendonlydir").glob("*.base.*")
    assert all(before.get(file.name) == file.stat().st_mtime_ns for file in parts)
