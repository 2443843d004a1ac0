"""Log lines reach whoever reads them: whole, in order, and without waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge import line_writer
from bridge.line_writer import DescriptorLines


def describe_loss(count: int) -> bytes:
    return b"lost %d\n" % count


def open_pipe() -> tuple[int, int]:
    """For containers and shells."""
    return os.pipe()


def open_nonblocking_pipe() -> tuple[int, int]:
    """A pipe that whoever else has it has made non-blocking."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    return reading, writing


def open_socket() -> tuple[int, int]:
    """As systemd has it."""
    reading, writing = socket.socketpair()
    return reading.detach(), writing.detach()


class Reader:
    """The other end of a pipe, or of what *ends* are."""

    def __init__(self, ends: tuple[int, int] | None = None) -> None:
        self.descriptor, self.writing = ends or os.pipe()
        os.set_blocking(self.descriptor, False)
        self._begun = b""

    def read(self) -> list[bytes]:
        """The lines that have arrived since."""
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self.descriptor, 65536):
                self._begun += more
        whole, line_break, self._begun = self._begun.rpartition(b"\n")
        return (whole + line_break).splitlines(keepends=True)

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self.writing)


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


@pytest.fixture
def lines(reader: Reader) -> Iterator[DescriptorLines]:
    lines = DescriptorLines(reader.writing, describe_loss)
    yield lines
    reader.read()
    lines.close()


def numbered(count: int, size: int = 100) -> list[bytes]:
    return [f"{number:0{size - 1}}\n".encode() for number in range(count)]


async def read_all(reader: Reader, expected: int) -> list[bytes]:
    """Wait for so many lines, while the loop goes on."""
    read: list[bytes] = []
    async with asyncio.timeout(60):
        while len(read) < expected:
            read += reader.read()
            await asyncio.sleep(0.001)
    return read


def test_without_a_loop(reader: Reader, lines: DescriptorLines) -> None:
    """Where no event loop runs a line is written at once."""
    lines.add(b"one\n")
    assert reader.read() == [b"one\n"]


async def test_one_turn(reader: Reader, lines: DescriptorLines) -> None:
    """The lines of one turn of the loop are written at its end."""
    lines.add(b"one\n")
    lines.add(b"two\n")
    assert reader.read() == []
    await asyncio.sleep(0)
    assert reader.read() == [b"one\n", b"two\n"]


async def test_an_error(reader: Reader, lines: DescriptorLines) -> None:
    """An error is written at once, after what was logged before it."""
    lines.add(b"one\n")
    lines.add_at_once(b"error\n")
    assert reader.read() == [b"one\n", b"error\n"]
    lines.add(b"two\n")
    await asyncio.sleep(0)
    assert reader.read() == [b"two\n"]


async def test_threads(reader: Reader, lines: DescriptorLines) -> None:
    """A thread's line comes after those that were logged before it."""
    lines.add(b"one\n")
    thread = threading.Thread(target=lines.add, args=(b"of a thread\n",))
    thread.start()
    thread.join()
    lines.add(b"two\n")
    await asyncio.sleep(0)
    assert reader.read() == [b"one\n", b"of a thread\n", b"two\n"]


def test_several_loops(reader: Reader, lines: DescriptorLines) -> None:
    """A loop that ended before its turn was over takes no line with it, nor the next loop's."""

    async def log(line: bytes) -> None:
        lines.add(line)

    for line in numbered(3):
        asyncio.run(log(line))
    lines.flush()
    assert reader.read() == numbered(3)


@pytest.mark.parametrize("open_ends", [open_pipe, open_nonblocking_pipe, open_socket])
async def test_a_reader_who_takes_nothing(open_ends: Callable[[], tuple[int, int]]) -> None:
    """Lines wait for a reader who takes nothing while everything else goes on, and all arrive, in
    order, errors and long lines too.
    """
    reader = Reader(open_ends())
    lines = DescriptorLines(reader.writing, describe_loss)
    logged = [*numbered(3000), *numbered(20, 9000)]
    for number, line in enumerate(logged):
        (lines.add if number % 3 else lines.add_at_once)(line)
        if not number % 100:
            await asyncio.sleep(0)
    assert await read_all(reader, len(logged)) == logged
    lines.close()
    reader.close()


async def test_too_many_wait(
    reader: Reader, lines: DescriptorLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the oldest lines that wait are lost, and a line in their place says how
    many.
    """
    monkeypatch.setattr(line_writer, "LIMIT", 1000)
    logged = numbered(2000)
    for line in logged:
        lines.add_at_once(line)
    read: list[bytes] = []
    async with asyncio.timeout(60):
        while not read or read[-1] != logged[-1]:
            read += reader.read()
            await asyncio.sleep(0.001)
    [place] = [number for number, line in enumerate(read) if line.startswith(b"lost")]
    lost = len(logged) - (len(read) - 1)
    assert lost > 0
    assert read[place] == describe_loss(lost)
    assert read[:place] == logged[:place]
    assert read[place + 1 :] == logged[place + lost :]


def test_nobody_reads(tmp_path: Path) -> None:
    """A reader that is gone is no error for whoever logs; who comes instead is told how much is
    missing.
    """
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(fifo, os.O_WRONLY)
    lines = DescriptorLines(writing, describe_loss)
    os.close(reading)
    for line in numbered(3):
        lines.add(line)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    lines.add(b"again\n")
    lines.close()
    assert os.read(reading, 65536) == b"lost 3\nagain\n"
    os.close(reading)
    os.close(writing)


async def test_several_processes(reader: Reader) -> None:
    """Lines of several writers to one pipe stay whole, though it is full again and again."""
    fcntl.fcntl(reader.writing, fcntl.F_SETPIPE_SZ, 4096)
    writers = [DescriptorLines(reader.writing, describe_loss) for _ in range(3)]
    logged = [numbered(300, size) for size in (91, 103, 997)]
    for each in zip(*logged, strict=True):
        for writer, line in zip(writers, each, strict=True):
            writer.add(line)
    read = await read_all(reader, 900)
    assert [[line for line in read if line in set(those)] for those in logged] == logged
    for writer in writers:
        writer.close()


def test_close_waits_for_a_slow_reader(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end a reader who is behind is waited for."""
    monkeypatch.setattr(line_writer, "FAREWELL_S", 100)
    lines = DescriptorLines(reader.writing, describe_loss)
    logged, read = numbered(3000), list[bytes]()
    for line in logged:
        lines.add(line)
    closing = threading.Thread(target=lines.close)
    closing.start()
    while closing.is_alive():
        read += reader.read()
    assert read + reader.read() == logged


def test_close_does_not_wait_for_ever(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end a reader who takes nothing does not keep the process."""
    monkeypatch.setattr(line_writer, "FAREWELL_S", 0.01)
    lines = DescriptorLines(reader.writing, describe_loss)
    for line in numbered(3000):
        lines.add(line)
    lines.close()
    assert 0 < len(reader.read()) < 3000


def test_closed(reader: Reader, tmp_path: Path) -> None:
    """What is closed may be closed again, and writes into no file that was opened since."""
    lines = DescriptorLines(reader.writing, describe_loss)
    lines.close()
    others = [os.open(tmp_path / str(number), os.O_CREAT | os.O_RDWR) for number in range(3)]
    lines.add(b"late\n")
    lines.close()
    assert [os.read(one, 100) for one in others] == [b""] * 3
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0] * 3
    for one in others:
        os.close(one)


PROCESS = """
import asyncio, os, signal, sys
import structlog
from bridge import logs

log = structlog.get_logger()
logs.configure_logging("info", "json", lasting=True)

async def main():
    for number in range(500):
        log.debug("too.little")
        log.info("a.line", number=number)
        if number % 7 == 0:
            await asyncio.sleep(0)
    {ending}

asyncio.run(main())
"""
ENDINGS = {
    "return": ("return", 0),
    "exit": ("sys.exit(3)", 3),
    "crash": ("raise KeyError('a bug')", 1),
    "kill": (
        "await asyncio.sleep(0); await asyncio.sleep(0); os.kill(os.getpid(), signal.SIGKILL)",
        -signal.SIGKILL,
    ),
}


@pytest.mark.parametrize(("ending", "code"), ENDINGS.values(), ids=ENDINGS)
def test_the_end_of_a_process(ending: str, code: int) -> None:
    """Nothing is lost however a process ends; if it is killed, nothing of the turns before."""
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS.replace("{ending}", ending)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    numbers = [
        line.partition(":")[2].partition(",")[0]
        for line in ended.stderr.splitlines()
        if line.startswith('{"number"')
    ]
    assert (ended.returncode, numbers) == (code, [str(number) for number in range(500)])
    assert "too.little" not in ended.stderr
