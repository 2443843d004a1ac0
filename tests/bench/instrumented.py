"""Runs the bridge and watches it between SIGUSR1 and SIGUSR2: ``python -m tests.bench.instrumented
samples|calls FILE serve --config DIR``.

FILE then holds what was seen, as JSON; while it is being watched, FILE is empty.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import orjson

from bridge.cli import main

INTERVAL_S = 0.002


class Instrument(Protocol):
    """Something that watches the main thread."""

    def start(self) -> None:
        """Begin anew."""

    def stop(self) -> Mapping[str, Any]:
        """End; what was seen."""


class Sampler:
    """Counts where the main thread is, some hundred times for each second of CPU.

    Self time is that of a Python frame with the C functions that it calls. What the event loop does
    outside of Python counts for whatever Python runs next.
    """

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._total: Counter[str] = Counter()
        signal.signal(signal.SIGPROF, self._look)
        signal.siginterrupt(signal.SIGPROF, False)

    def start(self) -> None:
        """Begin anew."""
        self._own.clear()
        self._total.clear()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self) -> Mapping[str, Any]:
        """Samples by frame and line, and by everything that was on the stack."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {"own": self._own, "total": self._total}

    def _look(self, _: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self._own[f"{_name(frame)}:{frame.f_lineno}"] += 1
        stack = set()
        while frame is not None:
            stack.add(_name(frame))
            frame = frame.f_back
        self._total.update(stack)


class CallCounter:
    """Counts the functions that the main thread calls, those in C included: a measure of work that
    does not depend on the machine.
    """

    def __init__(self) -> None:
        self._calls = 0

    def start(self) -> None:
        """Begin anew."""
        self._calls = 0
        sys.setprofile(self._count)

    def stop(self) -> Mapping[str, Any]:
        """How many there were."""
        sys.setprofile(None)
        return {"calls": self._calls}

    def _count(self, _: FrameType, event: str, __: object) -> None:
        if event in ("call", "c_call"):
            self._calls += 1


def _name(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"


INSTRUMENTS: Mapping[str, type[Instrument]] = {"samples": Sampler, "calls": CallCounter}


def obey(instrument: Instrument, file: Path) -> None:
    """Have the two signals start and stop it."""

    def start(*_: object) -> None:
        file.write_bytes(b"")
        instrument.start()

    def stop(*_: object) -> None:
        seen = instrument.stop()
        unfinished = file.with_suffix(".part")
        unfinished.write_bytes(orjson.dumps(seen))
        unfinished.rename(file)

    signal.signal(signal.SIGUSR1, start)
    signal.signal(signal.SIGUSR2, stop)


if __name__ == "__main__":
    obey(INSTRUMENTS[sys.argv[1]](), Path(sys.argv[2]))
    sys.argv = ["bridge", *sys.argv[3:]]
    main()
