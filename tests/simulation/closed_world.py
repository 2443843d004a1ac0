"""Takes time and randomness away from Python, so that everything follows from a seed.

Import this before anything of the bridge: functions keep ``time.monotonic`` as a default argument.
``time-machine`` replaces the time of day (also for ``datetime.now``), but no monotonic clock.

A page's template is compiled once for all processes of all worlds: it took a twelfth of the time.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import jinja2
import time_machine

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""When every world begins."""

_real_monotonic, _real_urandom = time.monotonic, os.urandom
_monotonic: Callable[[], float] = _real_monotonic
_random_bytes: Callable[[int], bytes] = _real_urandom


def _read_monotonic() -> float:
    return _monotonic()


def _read_random_bytes(count: int) -> bytes:
    return _random_bytes(count)


time.monotonic = _read_monotonic
time.thread_time = lambda: 0.0  # nothing takes any of the processor
os.urandom = _read_random_bytes
# SystemRandom, hence ``secrets``, has its own name for the system's randomness.
vars(random)["_urandom"] = _read_random_bytes


_compile_template = jinja2.Environment.compile
_templates: dict[tuple[str, str | None], Any] = {}


def _compile_once(
    environment: jinja2.Environment, source: str, name: str | None = None, *rest: Any
) -> Any:
    if (source, name) not in _templates:
        _templates[source, name] = _compile_template(environment, source, name, *rest)
    return _templates[source, name]


jinja2.Environment.compile = _compile_once  # type: ignore[method-assign, assignment]


class WorldTime:
    """The virtual time: seconds since the world began, and the time of day that belongs to them."""

    def __init__(self, traveller: Any) -> None:
        self._traveller = traveller
        self.seconds = 0.0

    def advance_to(self, seconds: float) -> None:
        """Let time pass until then."""
        if seconds > self.seconds:
            self._traveller.shift(seconds - self.seconds)
            self.seconds = seconds

    def read(self) -> float:
        """Seconds since the world began."""
        return self.seconds


@contextlib.contextmanager
def close_world(seed: str) -> Iterator[WorldTime]:
    """While this is open, Python knows no other time and no other randomness than the world's."""
    global _monotonic, _random_bytes
    outside = random.getstate()
    random.seed(f"{seed}/global")
    with time_machine.travel(START, tick=False) as traveller:
        world_time = WorldTime(traveller)
        _monotonic = world_time.read
        _random_bytes = random.Random(f"{seed}/system").randbytes
        try:
            yield world_time
        finally:
            _monotonic, _random_bytes = _real_monotonic, _real_urandom
            random.setstate(outside)
