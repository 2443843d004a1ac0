"""Runs the bridge and looks, between SIGUSR1 and SIGUSR2, a few hundred times a second of CPU at
what it does: ``python -m tests.bench.sampler FILE serve --config DIR``.

Self time is that of a Python frame with the C functions that it calls. What the event loop does
outside of Python counts for whatever Python runs next.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import orjson

from bridge.cli import main

INTERVAL_S = 0.002


class Sampler:
    """Counts where the main thread is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._own: Counter[str] = Counter()
        self._total: Counter[str] = Counter()

    def start(self, *_: object) -> None:
        """Begin anew."""
        self._own.clear()
        self._total.clear()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def look(self, _: int, frame: FrameType | None) -> None:
        """One sample."""
        seen = set()
        first = True
        while frame is not None:
            code = frame.f_code
            name = f"{code.co_filename}:{code.co_qualname}"
            if first:
                self._own[f"{name}:{frame.f_lineno}"] += 1
                first = False
            seen.add(name)
            frame = frame.f_back
        self._total.update(seen)

    def stop(self, *_: object) -> None:
        """End, and write what was seen."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        unfinished = self._file.with_suffix(".part")
        unfinished.write_bytes(orjson.dumps({"own": self._own, "total": self._total}))
        unfinished.rename(self._file)


if __name__ == "__main__":
    sampler = Sampler(Path(sys.argv[1]))
    signal.signal(signal.SIGPROF, sampler.look)
    signal.signal(signal.SIGUSR1, sampler.start)
    signal.signal(signal.SIGUSR2, sampler.stop)
    signal.siginterrupt(signal.SIGPROF, False)
    sys.argv = ["bridge", *sys.argv[2:]]
    main()
