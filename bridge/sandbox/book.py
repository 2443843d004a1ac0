"""What a sandbox knows apart from its socket: clock, ledger, violations and faults."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from typing import Any, TypedDict, Unpack

from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.faults import Fault, Faults, What
from bridge.sandbox.ledger import Bounded, Entry, Observer
from bridge.sandbox.wire import Answer, Call


class BookOptions(TypedDict, total=False):
    """What ``Book`` takes."""

    clock: SandboxClock | None
    on_call: Observer | None
    max_entries: int
    rng: random.Random | None


class Book:
    """The records and switches of one sandbox.

    *max_entries* bounds ledger and violations (the oldest go). *rng* throws the dice of faults with a probability.
    *on_call* is told about every call when it has ended.
    """

    operations: tuple[str, ...] = ()
    """The vendor's API; ``"*"`` as a fault's operation means these."""
    page_operations: tuple[str, ...] = ()
    """Pages for people."""
    made_operations: tuple[str, ...] = ()
    """Calls that the sandbox makes; faults can delay, hang and drop them."""

    def __init__(
        self,
        *,
        clock: SandboxClock | None = None,
        on_call: Observer | None = None,
        max_entries: int = 100_000,
        rng: random.Random | None = None,
    ) -> None:
        self.clock = clock or SandboxClock()
        self.on_call = on_call
        self.ledger: list[Entry] = Bounded(max_entries)
        self.violations: list[str] = Bounded(max_entries)
        dice = rng or random.Random(0)  # noqa: S311 - dice for faults, seeded so that a chaos run can be repeated
        self.faults = Faults(self.operations, self.page_operations, self.made_operations, dice)
        self.numbers = count(1)
        self._arrivals = asyncio.Condition()

    async def admin(self, call: Call) -> Answer | None:
        """Further ``/_sandbox/`` routes of this fake; None: no such route."""
        return None

    def fault(self, operation: str, **what: Unpack[What]) -> Fault:
        """Switch a fault on for an operation or ``"*"``; see ``faults.What``."""
        return self.faults.add(operation, **what)

    def heal(self, *operations: str) -> int:
        """Switch faults off, of these operations or all; returns how many."""
        return self.faults.heal(*operations)

    def calls(self, operation: str | None = None, **match: Any) -> list[Entry]:
        """Ended calls of an operation (None: all) whose ``Entry`` attributes have the given values."""
        return [
            entry
            for entry in self.ledger
            if operation in (None, entry.operation) and (not match or entry.matches(match))
        ]

    async def wait_calls(
        self, operation: str | None = None, count: int = 1, *, timeout: float = 5.0, **match: Any
    ) -> list[Entry]:
        """As ``calls``, once there are *count*; raises ``TimeoutError`` after *timeout* seconds."""
        async with asyncio.timeout(timeout), self._arrivals:
            await self._arrivals.wait_for(lambda: len(self.calls(operation, **match)) >= count)
        return self.calls(operation, **match)

    def violation(self, text: str) -> str:
        """Note a broken rule; returns it."""
        self.violations.append(text)
        return text

    async def record(self, entry: Entry) -> None:
        """Put an ended call into the ledger and tell those who wait for it."""
        self.ledger.append(entry)
        if self.on_call is not None:
            self.on_call(entry)
        async with self._arrivals:
            self._arrivals.notify_all()


__all__ = ["Book", "BookOptions"]
