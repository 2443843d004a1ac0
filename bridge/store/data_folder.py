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
"""The system allows a little more; longer data directories get their socket elsewhere."""
_OURS: Final = (
    *("appendonlydir", "appendonlydir/*", "appendonly.aof", "dump.rdb", "temp-*", "redis.log"),
    *("*.lock", "socket.path", "written-by"),
)


def unusable(message: str, data_dir: Path) -> RedisSetupError:
    """What is wrong with the folder."""
    return RedisSetupError("data_dir", f"{data_dir} {message}")


def holds_data(data_dir: Path) -> bool:
    """Whether a server has ever kept its data here; looking leaves no trace."""
    names = ("appendonlydir", "appendonly.aof", "dump.rdb")
    return any((data_dir / name).exists() for name in names)


async def until(check: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Whether *check* is true within so many *seconds*."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                if await check():
                    return True
                await asyncio.sleep(_STEP_S)
    return False


class DataFolder:
    """The folder at *path*, made where it is missing; raises ``RedisSetupError``.

    Two locks keep count of its users, since the system gives them back however a process ends:
    ``users.lock`` is held (shared) by everybody who uses the server, ``embedded.lock`` (exclusive)
    by whoever is just starting or stopping it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_mode & stat.S_ISVTX:
                raise unusable(
                    "is a folder for everybody: give the server one of its own", self.path
                )
            self._close_to_others()
            self._users = _opened(self.path / "users.lock")
        except OSError as error:
            raise unusable(f"cannot be used: {error.strerror}", self.path) from None

    def close(self) -> None:
        """Be no user any more."""
        self._users.close()

    def join(self) -> None:
        """Be one of its users."""
        fcntl.flock(self._users, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Be none any more."""
        fcntl.flock(self._users, fcntl.LOCK_UN)

    def is_abandoned(self) -> bool:
        """Whether nobody uses it; to be asked with the lock held, after ``leave``."""
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    @contextlib.asynccontextmanager
    async def locked(self, patience_s: float) -> AsyncIterator[None]:
        """Hold the lock, once everybody who starts or stops the server is through."""
        path = self.path / "embedded.lock"
        with _opened(path) as file:

            async def free() -> bool:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                return True

            if not await until(free, patience_s):
                raise StoreUnavailable(f"somebody has been holding {path} for too long")
            yield

    def socket(self) -> Path:
        """Where the server listens; to be asked with the lock held."""
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
        """Clear away the folder of a *socket* that is elsewhere."""
        if socket.parent != self.path:
            shutil.rmtree(socket.parent, ignore_errors=True)
            (self.path / "socket.path").unlink(missing_ok=True)

    def has_grown(self) -> bool:
        """Was anything added since the append-only file was last written as a whole?"""
        parts = list(self.path.glob("appendonlydir/*.incr.aof"))
        return any(_stat(file).st_size > 0 for file in parts or self.path.glob("appendonly.aof"))

    def rewritten(self, otherwise: float) -> float:
        """When that was. Redis 6.2 keeps all in one file, which does not tell: *otherwise*."""
        bases = self.path.glob("appendonlydir/*.base.*")
        return max((_stat(file).st_mtime for file in bases), default=otherwise)

    def _close_to_others(self) -> None:
        """Whatever was there before: others may neither look into the folder nor read its files."""
        _set_mode(self.path, 0o700)
        for name in _OURS:
            for file in self.path.glob(name):
                if not file.is_symlink():
                    _set_mode(file, 0o700 if file.is_dir() else 0o600)


def _set_mode(path: Path, mode: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # the server may be at work there
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(
        os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab"
    )


def _stat(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except FileNotFoundError:  # replaced this very moment
        return os.stat_result((0,) * 10)
