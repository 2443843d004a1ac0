"""Calls in the order in which they began.

Calls are reported when they end, but are shown where they began.
"""

from __future__ import annotations

from bridge.sandbox import LedgerEntry


class CallLog:
    """Keeps calls until they are shown."""

    def __init__(self) -> None:
        self._calls: list[LedgerEntry] = []

    def add(self, call: LedgerEntry) -> None:
        """Keep a call that has ended."""
        self._calls.append(call)

    def take(self, *operations: str) -> list[tuple[int, LedgerEntry]]:
        """Return and remove the calls so far, of these operations or all, each with the number of
        calls that waited for it.
        """
        taken = [call for call in self._calls if not operations or call.operation in operations]
        self._calls = [call for call in self._calls if call not in taken]
        waiting: list[LedgerEntry] = []
        nested = []
        for call in sorted(taken, key=lambda call: call.began):
            while waiting and waiting[-1].ended < call.ended:
                waiting.pop()
            nested.append((len(waiting), call))
            waiting.append(call)
        return nested
