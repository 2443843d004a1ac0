"""Tells the parent of this process how it is: systemd, or the supervisor of several workers.

Both are told the same, in systemd's words:
https://www.freedesktop.org/software/systemd/man/252/sd_notify.html
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable

import structlog

from bridge.ports import Monotonic

Send = Callable[[str], None]
"""Takes lines of ``NAME=value``; raises ``OSError`` if there is no receiver."""

STOP_S = 40.0
"""How long all workers may take to end after SIGTERM; then they are killed.

A worker's own time limits add up to less (see ``serve``).
"""
_SEND_TIMEOUT_S = 2.0
_PINGS_PER_LIMIT = 3

log = structlog.get_logger()


def create_socket_sender(address: str) -> Send:
    """Send to the Unix datagram socket that ``NOTIFY_SOCKET`` names; ``@``: an abstract one."""
    place = "\0" + address[1:] if address.startswith("@") else address

    def send(text: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_SEND_TIMEOUT_S)
            sender.sendto(text.encode(), place)

    return send


def create_supervisor_sender(descriptor: int, number: int) -> Send:
    """Send through the pipe that a supervisor handed to its worker *number*, one line each."""

    def send(text: str) -> None:
        # No longer than PIPE_BUF, so lines of several workers do not mix.
        os.write(descriptor, "\t".join((str(number), *text.splitlines())).encode() + b"\n")

    return send


def read_report(line: str) -> tuple[int, dict[str, str]]:
    """What ``create_supervisor_sender`` sent: whose it is, and its names and values."""
    number, *fields = line.split("\t")
    return int(number), dict(field.split("=", 1) for field in fields)


class ServiceManager:
    """Whoever started this process and wants to know how it is; without *send* nobody does.

    *alive_within_s*: how long it hears nothing before it takes this process for hung; None: for
    ever.
    """

    def __init__(self, send: Send | None = None, alive_within_s: float | None = None) -> None:
        self.alive_within_s = alive_within_s
        self._send = send

    def tell_ready(self, status: str) -> None:
        """It serves: after the start, and again after a reload. *status* is for people."""
        self._tell("READY=1", f"STATUS={status}")

    def tell_reloading(self) -> None:
        """It reads its configuration again; ``tell_ready`` ends that."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}")

    def tell_stopping(self) -> None:
        """It has begun to shut down."""
        self._tell("STOPPING=1", "STATUS=Finishing what is under way")

    async def keep_alive(self) -> None:
        """Say as long as this loop runs that it does; return at once where nobody asks for it."""
        while self._send is not None and self.alive_within_s is not None:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.alive_within_s / _PINGS_PER_LIMIT)

    def _tell(self, *lines: str) -> None:
        if self._send is None:
            return
        try:
            self._send("\n".join(lines))
        except OSError as error:
            log.warning("service_manager.not_told", told=lines[0], error=str(error))


class WorkerReports:
    """Sums up what several workers report: ready once all are, reloading while any is."""

    def __init__(self, workers: int, manager: ServiceManager, monotonic: Monotonic) -> None:
        self._expected = set(range(workers))
        self._manager = manager
        self._monotonic = monotonic
        self._ready: set[int] = set()
        self._reloading: set[int] = set()
        self._heard: dict[int, float] = {}
        self._told_ready = False
        self._status = ""

    def take(self, number: int, report: dict[str, str]) -> None:
        """Worker *number* reported this."""
        now = self._monotonic()
        # Requests under way may take longer than the limit, and a worker that ends no longer pings.
        until = now + STOP_S if "STOPPING" in report else now
        self._heard[number] = max(until, self._heard.get(number, until))
        if "RELOADING" in report:
            self.reload((number,))
        elif "READY" in report:
            self._status = report.get("STATUS", "")
            self._ready.add(number)
            self._done(number)

    def reload(self, numbers: Iterable[int]) -> None:
        """These workers have to reload; that ends with their next ``READY``."""
        self._reloading |= self._ready.intersection(numbers)
        if self._reloading and self._told_ready:
            self._told_ready = False
            self._manager.tell_reloading()

    def note_death(self, number: int) -> None:
        """This worker is no more; its successor reads the configuration as it is then."""
        self._heard.pop(number, None)
        self._done(number)

    def list_silent(self) -> list[int]:
        """Workers that have been ready, and were not heard of for as long as the service manager
        would wait.
        """
        limit = self._manager.alive_within_s
        if limit is None:
            return []
        now = self._monotonic()
        return [
            number
            for number, at in self._heard.items()
            if number in self._ready and now - at > limit
        ]

    def _done(self, number: int) -> None:
        self._reloading.discard(number)
        if self._ready == self._expected and not self._reloading and not self._told_ready:
            self._told_ready = True
            self._manager.tell_ready(self._status)


class ReportPipe:
    """The pipe through which workers report; *take* is called with each line, whole."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = b""
        self._reading, self.writing = os.pipe()
        for end in (self._reading, self.writing):
            os.set_blocking(end, False)

    def read(self) -> None:
        """Take what has come."""
        with contextlib.suppress(BlockingIOError):
            *lines, self._rest = (self._rest + os.read(self._reading, 65536)).split(b"\n")
            for line in lines:
                self._take(line.decode())

    def fileno(self) -> int:
        """Readable when something has come."""
        return self._reading

    def close(self) -> None:
        """Close both ends."""
        os.close(self._reading)
        os.close(self.writing)
