"""Several Python processes play at the same time; one that crashes costs the world that it played.

Each plays some seeds, and keeps a file of what they came to; the sum of all is written after each
of them, so that nothing is lost when a long run is ended.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final

import click

from tests.simulation.summary import Summary

SHARE: Final = 25
"""Seeds that a process plays before the next one begins: each needs seconds for its start."""
_PLAYED: Final = re.compile(r"^seed (\d+): ")
_ENDED: Final = re.compile(r" of one core: ")
_WHOLE: Final = re.compile(r", 0 broken promises$")


@dataclass(slots=True)
class WorkerProcesses:
    """Plays *seeds* from *first* on, by *count* processes, with the other *options*; what they come
    to is added to *summary*, and written to *path*.
    """

    count: int
    first: int
    seeds: int
    minutes: float
    options: list[str]
    summary: Summary
    path: Path | None = None
    _left: deque[tuple[int, int]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> Summary:
        """Until all are played, or time is over."""
        end = self.first + self.seeds
        self._left.extend(
            (start, min(SHARE, end - start)) for start in range(self.first, end, SHARE)
        )
        ends_at = perf_counter() + 60 * self.minutes
        threads = [
            threading.Thread(target=self._play_shares, args=(ends_at,)) for _ in range(self.count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.summary

    def _play_shares(self, ends_at: float) -> None:
        while (left_s := ends_at - perf_counter()) > 0:
            with self._lock:
                if not self._left:
                    return
                start, count = self._left.popleft()
            self._play_share(start, count, left_s)

    def _play_share(self, start: int, count: int, left_s: float) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "summary.json"
            command = [sys.executable, "-m", "tests.simulation", *self.options]
            command += ["--seed", f"{start}", "--seeds", f"{count}"]
            command += ["--minutes", f"{left_s / 60}", "--summary", f"{path}"]
            played = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert played.stdout is not None
            last, ended = start - 1, False
            for line in played.stdout:
                if found := _PLAYED.match(line):
                    last = int(found[1])
                ended = bool(_ENDED.search(line))
                if not ended and not _WHOLE.search(line):
                    click.echo(line, nl=False)
            status = played.wait()
            with self._lock:
                self.summary.add(Summary.read(path))
                if not ended:
                    click.echo(f"seed {last + 1}: the process that played it ended with {status}")
                    self.summary.crashed.append(last + 1)
                    if last + 2 < start + count:
                        self._left.appendleft((last + 2, start + count - last - 2))
                if self.path is not None:
                    self.summary.write(self.path)
                click.echo(self.summary.describe())
