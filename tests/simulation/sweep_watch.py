"""Whether anybody sweeps: a process that ends amid a pass keeps the others from it for a minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bridge.store.lua_scripts import Command
from tests.simulation.stage_settings import load_settings

STEP_S: Final = 5.0
"""Who sweeps says so more often than this."""


class SweepWatch:
    """Follows the claim on passes of the sweep."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._claim = f"{load_settings().redis.key_prefix}:reconcile"
        self._said_at: float | None = None
        """When who holds the claim last said so; None: nobody does."""
        self._gaps: list[tuple[float, float]] = []

    def look(self, command: Command, answer: Any) -> None:
        """After a command that Redis has executed."""
        if command[1:2] != (self._claim,) or not answer or isinstance(answer, Exception):
            return
        self._gaps = self.list_gaps()
        self._said_at = self._now() if command[0] in ("SET", "PEXPIRE") else None

    def list_gaps(self) -> list[tuple[float, float]]:
        """From when until when the claim was held by a process that had ended or stood still."""
        if self._said_at is None or self._now() - self._said_at <= STEP_S:
            return self._gaps
        return [*self._gaps, (self._said_at, self._now())]
