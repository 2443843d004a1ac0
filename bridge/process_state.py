"""What changes while a process runs: the customers in force, and whether it takes work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bridge.core.customers import CustomerDirectory
from bridge.errors import ConfigMistake

_TIME_UNKNOWN = "Redis has not answered since the start, so the time is not known."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadResult:
    """The result of a reload: how many customers are served, and the keys of those that changed."""

    customers: int
    added: list[str]
    changed: list[str]
    removed: list[str]
    warnings: list[str]
    restart_needed: bool
    """``bridge.yaml`` has changed as well, which needs a restart."""


class CustomersInForce:
    """The customers that are served now; a reload replaces them all at once or not at all."""

    def __init__(self, customers: CustomerDirectory) -> None:
        self._customers = customers
        self.changed = asyncio.Event()
        """Set when other customers than before are in force."""
        self.refused: tuple[ConfigMistake, ...] = ()
        """Why the last reload was refused; empty: it was not, or there was none."""
        self._watchers: list[Callable[[], None]] = []

    def __call__(self) -> CustomerDirectory:
        """The customers in force."""
        return self._customers

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call *watcher* after every reload, also after one that was refused."""
        self._watchers.append(watcher)

    def replace(self, customers: CustomerDirectory) -> None:
        """Replace the customers."""
        self._customers, self.refused = customers, ()
        self.changed.set()
        self._tell()

    def refuse(self, mistakes: tuple[ConfigMistake, ...]) -> None:
        """Record why a reload was refused; the customers stay as they are."""
        self.refused = mistakes
        self._tell()

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()


@dataclass(slots=True)
class ProcessState:
    """Whether this process takes work."""

    draining: bool = False
    """It is shutting down: it still answers, but every answer ends its connection."""
    not_ready_reason: str | None = None
    """Why nothing can be accepted, beside the time; None: nothing speaks against it."""
    is_time_known: Callable[[], bool] = lambda: True
    """Whether the time that all processes share is known."""
    restart_needed: bool = False
    """Whether ``bridge.yaml`` has changed since the start."""

    def get_refusal(self) -> str | None:
        """Why nothing can be accepted; None: requests are accepted."""
        return self.not_ready_reason if self.is_time_known() else _TIME_UNKNOWN
