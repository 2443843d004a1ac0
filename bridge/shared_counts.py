"""Numbers that all processes of a daemon count in and can read.

Each process has a file in a folder that all share: numbers, and the names of what they count. Files
go by the number of the worker, not by its process id: the successor of a dead worker goes on
counting in its file. A process that is alone has the same in its memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import operator
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import structlog

FILE_BYTES: Final = 8 * 1024 * 1024
"""Room for some four thousand customers, taken at the start: memory that is mapped to a full disk
would end the process that writes to it.
"""
MEMORY_BYTES: Final = 8 * FILE_BYTES
"""The same for a process that is alone, which takes only what it uses."""
_WIDEST: Final = 32
_FOLDER: Final = "bridge-metrics-"
_LOCK: Final = "lock"

Name = tuple[str, ...]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MetricsShare:
    """A worker's part of the shared folder; *number* is its own among the living."""

    folder: Path
    number: int


class SharedCounts:
    """The numbers of this process, to be counted up in place, and the sums over all processes.

    A name may have several numbers side by side. It is written before its place is given away, and
    ``numbers[0]`` is how many bytes of names there are: so whoever reads finds whole names only.
    """

    def __init__(self, share: MetricsShare | None = None) -> None:
        self._folder = share.folder if share is not None else None
        if share is None:
            self._memory = mmap.mmap(-1, MEMORY_BYTES)
        else:
            with (share.folder / f"counts_{share.number}.db").open("r+b") as file:
                self._memory = mmap.mmap(file.fileno(), FILE_BYTES)
        self.numbers = _view_numbers(self._memory)
        self._spare = len(self.numbers) - _WIDEST  # counted there is what has no room
        self._places: dict[Name, int] = {}
        self._free = 1
        for name, place, width in _list_places(self._memory):
            self._places[name] = place
            self._free = place + width
        self._full = False

    def find_place(self, name: Name, width: int = 1) -> int:
        """Where the numbers of this *name* begin in ``numbers``; they are 0 if it is new."""
        if name in self._places:
            return self._places[name]
        line = orjson.dumps([width, *name]) + b"\n"
        begin = self.numbers.nbytes + int(self.numbers[0])
        if self._free + width > self._spare or begin + len(line) > len(self._memory):
            if not self._full:
                text = "there is no room for the metrics of so many customers; some are not counted"
                log.error("metrics.full", text=text)
            self._full = True
            return self._spare
        self._memory[begin : begin + len(line)] = line
        self.numbers[0] += len(line)
        self._places[name] = place = self._free
        self._free += width
        return place

    def sum_up(self) -> dict[Name, list[float]]:
        """The numbers by name, of all processes together."""
        sums: dict[Name, list[float]] = {}
        for memory in self._open_all():
            numbers = _view_numbers(memory)
            for name, place, width in _list_places(memory):
                found = list(numbers[place : place + width])
                known = sums.get(name)
                sums[name] = found if known is None else list(map(operator.add, known, found))
        return sums

    def _open_all(self) -> Iterator[mmap.mmap]:
        if self._folder is None:
            yield self._memory
            return
        for path in sorted(self._folder.glob("counts_*.db")):
            with path.open("rb") as file:
                yield mmap.mmap(file.fileno(), FILE_BYTES, access=mmap.ACCESS_READ)


def _view_numbers(memory: mmap.mmap) -> memoryview[float]:
    """The first quarter: the rest is for names, which need more room."""
    return memoryview(memory)[: len(memory) // 4].cast("d")


def _list_places(memory: mmap.mmap) -> Iterator[tuple[Name, int, int]]:
    """Names with the place and the count of their numbers."""
    numbers, place = _view_numbers(memory), 1
    for line in memory[numbers.nbytes : numbers.nbytes + int(numbers[0])].splitlines():
        width, *name = orjson.loads(line)
        yield tuple(name), place, width
        place += width


@contextlib.contextmanager
def create_shared_metrics_folder(workers: int) -> Iterator[Path]:
    """A folder in which *workers* can keep their numbers; raises ``OSError`` where there is no room
    for it. What daemons that were killed left behind is removed first.
    """
    _remove_left_behind(Path(tempfile.gettempdir()))
    with (
        tempfile.TemporaryDirectory(prefix=_FOLDER, ignore_cleanup_errors=True) as made,
        (Path(made) / "lock.new").open("wb") as lock,
    ):
        folder = Path(made)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "lock.new").rename(folder / _LOCK)  # it is there only once it is held
        for number in range(workers):
            with (folder / f"counts_{number}.db").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
        yield folder


def _remove_left_behind(where: Path) -> None:
    """Remove folders of ours whose daemon has ended: their lock is free."""
    for folder in where.glob(f"{_FOLDER}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
