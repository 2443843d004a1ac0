"""``serve --workers N``: one parent that owns the listening sockets and N children that accept on
them.

The sockets are shared, not one for each child (SO_REUSEPORT): a connection that waits in the queue
of a dying child would be lost; from a shared queue the next child takes it. A dead child is
replaced, with growing pauses if it keeps dying at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from bridge.errors import ConfigError, ConfigMistake
from bridge.service_manager import (
    STOP_S,
    ReportPipe,
    ServiceManager,
    WorkerReports,
    create_socket_sender,
    create_supervisor_sender,
    read_report,
)
from bridge.settings.rules import ListenAddress
from bridge.shared_counts import MetricsShare, create_shared_metrics_folder

SOCKETS = "BRIDGE_SOCKETS"
"""Environment variable by which a child finds its inherited listeners: ``<public fd>,<admin fd>``.
"""

PARENT = "BRIDGE_PARENT"
"""Environment variable with the supervisor's process id: a child notices if it was killed
meanwhile.
"""

METRICS = "BRIDGE_METRICS"
"""Environment variable by which a child knows the folder in which all count, and its own number
there: ``<number>:<folder>``.
"""

REPORTS = "BRIDGE_REPORTS"
"""Environment variable by which a child finds the pipe for its reports, and knows its number:
``<number>:<fd>``.
"""

GIVE_UP = 78
"""Exit code of a child if a restart would not help; the supervisor then ends with 1."""

RECEIVE_BUFFER = 64 * 1024
BACKLOG = 1024

PORT_WAIT_S = 10.0
"""How long a port that another process still has is waited for: a predecessor that was told to end
keeps it for its last moments.
"""
_PORT_POLL_INTERVAL_S = 0.2
_HEALTHY_S = 5.0
_FINAL = {GIVE_UP: 1, 2: 2}
"""Exit codes of a child that no restart would change, and ours then; 2 is a configuration that
cannot be used, which counts only for those with whom we start.
"""
_LONGEST_PAUSE_S = 10.0

log = structlog.get_logger()


class PortTaken(ConfigError):
    """Somebody else listens there."""


async def wait_for_listening_socket(address: ListenAddress, stop: asyncio.Event) -> socket.socket:
    """The same as ``open_listening_socket``, but a port that is taken is waited for, unless
    *stop* is set.
    """
    deadline = time.monotonic() + PORT_WAIT_S
    told = False
    while True:
        try:
            return open_listening_socket(address)
        except PortTaken:
            if stop.is_set() or time.monotonic() > deadline:
                raise
        if not told:
            log.warning(
                "listen.waiting",
                address=str(address),
                text=f"somebody else listens there; trying again for {PORT_WAIT_S:.0f} s",
            )
        told = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PORT_POLL_INTERVAL_S):
                await stop.wait()


def open_listening_socket(address: ListenAddress) -> socket.socket:
    """A listening socket at *address*; raises ``ConfigError`` if that is not possible, and
    ``PortTaken`` if another has it.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it: the system buffers no more than this of an unwanted body.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    try:
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        kind = PortTaken if error.errno == errno.EADDRINUSE else ConfigError
        raise kind(
            [ConfigMistake("listen", 0, 0, f"cannot listen on {address}: {error.strerror}")]
        ) from None
    listener.setblocking(False)
    return listener


def take_inherited_sockets() -> tuple[socket.socket, socket.socket] | None:
    """The listeners that a supervising parent handed down; None: this process listens by itself."""
    numbers = os.environ.get(SOCKETS)
    if not numbers:
        return None
    public, admin = (socket.socket(fileno=int(number)) for number in numbers.split(","))
    for listener in (public, admin):
        listener.set_inheritable(
            False
        )  # or an embedded Redis would hold the ports for longer than this process lives
    return public, admin


def read_metrics_share() -> MetricsShare | None:
    """Where this process counts, if it is one of several; None: by itself."""
    number, _, folder = os.environ.get(METRICS, "").partition(":")
    return MetricsShare(Path(folder), int(number)) if folder else None


def connect_service_manager() -> ServiceManager:
    """Who is told how this process is: its supervisor, systemd, or none."""
    limit, asked = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    alive_within_s = None
    if limit.isdecimal() and asked in (None, str(os.getpid())):
        alive_within_s = int(limit) / 1e6 or None
    number, _, pipe = os.environ.get(REPORTS, "").partition(":")
    if pipe:
        os.set_inheritable(int(pipe), False)
        return ServiceManager(create_supervisor_sender(int(pipe), int(number)), alive_within_s)
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return ServiceManager()
    return ServiceManager(create_socket_sender(address), alive_within_s)


def is_supervised() -> bool:
    """Whether this process is a child of a supervisor."""
    return PARENT in os.environ


def is_orphaned() -> bool:
    """Whether the supervisor of this process has gone."""
    return os.getppid() != int(os.environ[PARENT])


def request_reload_of_all() -> None:
    """Have the supervisor tell all its children, this one too, to reload."""
    if not is_orphaned():
        os.kill(os.getppid(), signal.SIGHUP)


@contextlib.contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    signal.pthread_sigmask(signal.SIG_BLOCK, (number,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))


class Supervisor:
    """Keeps *workers* children running until SIGTERM or SIGINT."""

    def __init__(
        self,
        config: Path,
        workers: int,
        public: ListenAddress,
        admin: ListenAddress,
        *,
        strict: bool = False,
    ) -> None:
        self._command = [sys.executable, "-m", "bridge", "serve", "--config", str(config)]
        self._strict = strict
        self._workers = workers
        self._addresses = public, admin
        self._listeners: list[socket.socket] = []
        self._stop = asyncio.Event()
        self._children: dict[int, asyncio.subprocess.Process] = {}
        self._metrics: Path | None = None
        self._manager = connect_service_manager()
        self._reports = WorkerReports(workers, self._manager, time.monotonic)
        self._pipe = ReportPipe(lambda line: self._reports.take(*read_report(line)))

    async def run(self) -> int:
        """Supervise; the exit code: 0 if every child ended in good order when told to."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end_all)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        for address in self._addresses:
            self._listeners.append(await wait_for_listening_socket(address, self._stop))
        loop.add_reader(self._pipe, self._pipe.read)
        watches = [asyncio.create_task(one) for one in (self._watch(), self._manager.keep_alive())]
        try:
            with self._metrics_shared():
                codes = await asyncio.gather(
                    *(self._keep(number) for number in range(self._workers))
                )
        finally:
            for watch in watches:
                watch.cancel()
            loop.remove_reader(self._pipe)
            self._pipe.close()
        return max(codes)

    async def _watch(self) -> None:
        """Kill a worker that has stopped to answer, so that it is replaced."""
        while self._manager.alive_within_s is not None:
            await asyncio.sleep(self._manager.alive_within_s)
            for number in self._reports.list_silent():
                log.error("worker_process.silent", number=number)
                child = self._children.get(number)
                if child is not None and child.returncode is None:
                    child.send_signal(signal.SIGABRT)  # Python can say where it hangs

    @contextlib.contextmanager
    def _metrics_shared(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                self._metrics = stack.enter_context(create_shared_metrics_folder(self._workers))
            except OSError as error:
                log.error(
                    "metrics.not_shared",
                    error=str(error),
                    text="each worker's /metrics counts for itself alone; make room in the folder"
                    " for temporary files (TMPDIR)",
                )
            yield

    async def _keep(self, number: int) -> int:
        pause, first = 0.1, True
        while True:
            begun = asyncio.get_running_loop().time()
            child = await self._start(number, first)
            ended, stopped = (
                asyncio.create_task(child.wait()),
                asyncio.create_task(self._stop.wait()),
            )
            await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set():
                stopped.cancel()
                return await self._end(child, ended)
            stopped.cancel()
            del self._children[number]
            self._reports.note_death(number)
            if child.returncode in _FINAL and (first or child.returncode == GIVE_UP):
                self._end_all()
                return _FINAL[child.returncode]
            first = False
            lived = asyncio.get_running_loop().time() - begun
            pause = 0.1 if lived > _HEALTHY_S else min(pause * 2, _LONGEST_PAUSE_S)
            log.error(
                "worker_process.died", number=number, code=child.returncode, restart_in_s=pause
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
                return 0

    async def _start(self, number: int, first: bool) -> asyncio.subprocess.Process:
        descriptors = [listener.fileno() for listener in self._listeners]
        environment = {
            **os.environ,
            SOCKETS: ",".join(map(str, descriptors)),
            PARENT: str(os.getpid()),
            REPORTS: f"{number}:{self._pipe.writing}",
        }
        for ours in ("NOTIFY_SOCKET", "WATCHDOG_PID"):
            environment.pop(ours, None)
        if self._metrics is not None:
            environment[METRICS] = f"{number}:{self._metrics}"
        # A later one takes a dead one's place, while others serve: a mistake made since then must
        # not end them all.
        strictly = ("--strict",) if self._strict and first else ()
        # It inherits that the signal waits until it can be taken; the default would end it.
        with _held_back(signal.SIGHUP):
            child = await asyncio.create_subprocess_exec(
                *self._command,
                *strictly,
                env=environment,
                pass_fds=(*descriptors, self._pipe.writing),
            )
        self._children[number] = child
        log.info("worker_process.started", number=number, pid=child.pid)
        return child

    async def _end(self, child: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> int:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                code = await asyncio.shield(ended)
                # A child that was only starting has no handler for the signal yet, and nothing to
                # finish.
                return 0 if code in (0, -signal.SIGTERM) else 1
        except TimeoutError:
            log.error("worker_process.killed", pid=child.pid)
            child.kill()
            await ended
            return 1

    def _end_all(self) -> None:
        if not self._stop.is_set():
            self._manager.tell_stopping()
        self._stop.set()
        for listener in self._listeners:
            if listener.fileno() >= 0:
                listener.listen(
                    0
                )  # as few connections as possible may wait in a queue that is no longer served
                listener.close()

    def _reload(self) -> None:
        self._reports.reload(self._children)
        for child in self._children.values():
            if child.returncode is None:
                child.send_signal(signal.SIGHUP)
