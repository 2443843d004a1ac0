"""The folder of the embedded server: for its owner only, shared by processes through locks."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, Final

from bridge.errors import RedisSetupError, StoreUnavailable

_STEP_S: Final = 0.05
_SOCKET_PATH_BYTES: Final = 100
"""The system allows a little more; if the data directory's path is longer, the socket is
elsewhere.
"""
_OURS: Final = (
    *("appendonlydir", "appendonlydir/*", "appendonly.aof", "dump.rdb", "temp-*", "redis.log"),
    *("*.lock", "socket.path", "written-by"),
)


def create_unusable_folder_error(message: str, data_dir: Path) -> RedisSetupError:
    """The error for a folder that cannot be used."""
    return RedisSetupError("data_dir", f"{data_dir} {message}")


def holds_data(data_dir: Path) -> bool:
    """Whether a server has ever kept its data here; changes nothing."""
    names = ("appendonlydir", "appendonly.aof", "dump.rdb")
    return any((data_dir / name).exists() for name in names)


async def wait_until(check: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Wait until *check* is true, at most *seconds*; returns whether it was."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                if await check():
                    return True
                await asyncio.sleep(_STEP_S)
    return False


class DataFolder:
    """The folder at *path*, created if it is missing; raises ``RedisSetupError``.

    Two file locks track its users, since the system releases them however a process ends: every
    process that uses the server holds ``users.lock`` (shared), and the one that is starting or
    stopping it holds ``embedded.lock`` (exclusive).
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_mode & stat.S_ISVTX:
                raise create_unusable_folder_error(
                    "is a folder shared by all users: give the server one of its own",
                    self.path,
                )
            self._close_to_others()
            self._users = _opened(self.path / "users.lock")
        except OSError as error:
            raise create_unusable_folder_error(
                f"cannot be used: {error.strerror}", self.path
            ) from None

    def close(self) -> None:
        """Release every lock."""
        self._users.close()

    def register_user(self) -> None:
        """Register this process as a user of the server."""
        fcntl.flock(self._users, fcntl.LOCK_SH)

    def unregister_user(self) -> None:
        """Stop being a user of the server."""
        fcntl.flock(self._users, fcntl.LOCK_UN)

    def is_abandoned(self) -> bool:
        """Whether no process uses the server; call it with the lock held, after ``leave``."""
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    @contextlib.asynccontextmanager
    async def locked(self, timeout_s: float) -> AsyncIterator[None]:
        """Hold the lock, once no other process is starting or stopping the server."""
        path = self.path / "embedded.lock"
        with _opened(path) as file:

            async def free() -> bool:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                return True

            if not await wait_until(free, timeout_s):
                raise StoreUnavailable(f"another process has been holding {path} for too long")
            yield

    def choose_socket_path(self) -> Path:
        """Where the server listens; call it with the lock held."""
        socket = self.path / "redis.sock"
        if len(os.fsencode(socket)) < _SOCKET_PATH_BYTES:
            return socket
        note = self.path / "socket.path"
        if note.exists() and (elsewhere := Path(note.read_text("utf-8"))).parent.is_dir():
            return elsewhere
        elsewhere = Path(tempfile.mkdtemp(prefix="bridge-redis-")) / "redis.sock"
        note.touch(0o600)
        note.write_text(str(elsewhere), "utf-8")
        return elsewhere

    def forget_socket(self, socket: Path) -> None:
        """Remove the folder of a *socket* that is elsewhere."""
        if socket.parent != self.path:
            shutil.rmtree(socket.parent, ignore_errors=True)
            (self.path / "socket.path").unlink(missing_ok=True)

    def has_grown(self) -> bool:
        """Whether anything was added since the append-only file was last rewritten."""
        parts = list(self.path.glob("appendonlydir/*.incr.aof"))
        return any(_stat(file).st_size > 0 for file in parts or self.path.glob("appendonly.aof"))

    def get_last_rewrite(self, otherwise: float) -> float:
        """When it was last rewritten; *otherwise* for Redis 6.2, whose single file does not show
        it.
        """
        bases = self.path.glob("appendonlydir/*.base.*")
        return max((_stat(file).st_mtime for file in bases), default=otherwise)

    def _close_to_others(self) -> None:
        """Make sure that other users can neither list the folder nor read its files."""
        _set_mode(self.path, 0o700)
        for name in _OURS:
            for file in self.path.glob(name):
                if not file.is_symlink():
                    _set_mode(file, 0o700 if file.is_dir() else 0o600)


def _set_mode(path: Path, mode: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # the server may have replaced it
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(
        os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab"
    )


def _stat(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except FileNotFoundError:  # replaced at this moment
        return os.stat_result((0,) * 10)
