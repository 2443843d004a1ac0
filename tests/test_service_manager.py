"""What systemd, or a supervisor, is told."""

from __future__ import annotations

import os

from bridge.service_manager import (
    ServiceManager,
    WorkerReports,
    create_supervisor_sender,
    read_report,
)

READY = {"READY": "1", "STATUS": "Serving 1 customers"}


class Told:
    """What a service manager heard, without its times."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def take(self, text: str) -> None:
        self.lines += [line for line in text.splitlines() if not line.startswith("MONOTONIC")]

    def since(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reports(workers: int) -> tuple[WorkerReports, Told, Clock]:
    told, clock = Told(), Clock()
    return WorkerReports(workers, ServiceManager(told.take, 30.0), clock), told, clock


def test_ready_when_all_are() -> None:
    """READY is told once, when the last worker serves."""
    workers, told, _ = reports(2)
    workers.take(0, READY)
    assert told.since() == []
    workers.take(1, READY)
    assert told.since() == ["READY=1", "STATUS=Serving 1 customers"]
    workers.note_death(0)
    workers.take(0, READY)
    assert told.since() == []


def test_a_reload_ends_with_the_last() -> None:
    """RELOADING is told at once, READY when every worker has read its files again."""
    workers, told, _ = reports(2)
    for number in (0, 1):
        workers.take(number, READY)
    told.since()
    workers.reload([0, 1])
    workers.take(0, {"RELOADING": "1", "MONOTONIC_USEC": "7"})
    assert told.since() == ["RELOADING=1"]
    workers.take(0, {"READY": "1", "STATUS": "Serving 2 customers"})
    assert told.since() == []
    workers.take(1, {"READY": "1", "STATUS": "Serving 2 customers"})
    assert told.since() == ["READY=1", "STATUS=Serving 2 customers"]


def test_who_dies_ends_no_reload_too_late() -> None:
    """A worker that dies while it reloads is not waited for, nor one that is only starting."""
    workers, told, _ = reports(2)
    workers.take(0, READY)
    workers.reload([0, 1])
    assert told.since() == []
    workers.take(1, READY)
    assert told.since() == []
    workers.take(0, READY)
    assert told.since()[0] == "READY=1"
    workers.reload([0, 1])
    workers.take(1, READY)
    workers.note_death(0)
    assert told.since() == ["RELOADING=1", "READY=1", "STATUS=Serving 1 customers"]


def test_a_worker_that_hangs() -> None:
    """A worker that was ready and is not heard of for longer than the limit is silent; one that is
    only starting, or has died, is not.
    """
    workers, _, clock = reports(3)
    for number in (0, 1):
        workers.take(number, READY)
    clock.now = 29.0
    workers.take(1, {"WATCHDOG": "1"})
    workers.take(2, {"WATCHDOG": "1"})
    clock.now = 31.0
    assert workers.list_silent() == [0]
    clock.now = 100.0
    workers.note_death(0)
    assert workers.list_silent() == [1]


def test_a_worker_that_ends() -> None:
    """A worker that ends is not taken for hung while its last requests are answered; it is, once
    it takes longer than it may.
    """
    workers, _, clock = reports(2)
    for number in (0, 1):
        workers.take(number, READY)
    workers.take(0, {"STOPPING": "1"})
    clock.now = 1.0
    workers.take(0, {"WATCHDOG": "1"})
    clock.now = 50.0
    workers.take(1, {"WATCHDOG": "1"})
    assert workers.list_silent() == []
    clock.now = 75.0
    assert workers.list_silent() == [0]


def test_the_pipe_of_a_worker() -> None:
    """What a worker writes into its pipe is one line, and is read as it was told."""
    reading, writing = os.pipe()
    ServiceManager(create_supervisor_sender(writing, 3)).tell_ready(
        "Serving 7 customers, 1 set aside"
    )
    line = os.read(reading, 4096).decode()
    assert line.endswith("\n")
    assert read_report(line.removesuffix("\n")) == (
        3,
        {"READY": "1", "STATUS": "Serving 7 customers, 1 set aside"},
    )
    os.close(reading)
    os.close(writing)


def test_nobody_takes_it() -> None:
    """A service manager that has gone, or none at all, ends nothing."""
    reading, writing = os.pipe()
    os.close(reading)
    ServiceManager(create_supervisor_sender(writing, 0)).tell_ready("")
    ServiceManager().tell_ready("")
    os.close(writing)
