"""The clock of a sandbox: tokens and links expire by it, and tests may push it forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SandboxClock:
    """Now, aware, UTC: ``clock()``. Starts at the real time or at *start*; stands still if not
    *ticking*.
    """

    def __init__(self, start: datetime | None = None, *, ticking: bool = True) -> None:
        origin = datetime.now(UTC)
        if start is not None and start.tzinfo is None:
            raise ValueError("the sandbox clock needs an aware start time")
        self._frozen = None if ticking else origin
        self._offset = timedelta(0) if start is None else start - origin

    def __call__(self) -> datetime:
        """Return the time."""
        return (self._frozen or datetime.now(UTC)) + self._offset

    def advance(self, by: timedelta) -> datetime:
        """Push the clock forward and return the new time; raises ``ValueError`` for a negative
        *by*, and ``OverflowError`` where no date is that late.
        """
        if by < timedelta(0):  # tokens that have expired would be valid again
            raise ValueError("the sandbox clock only goes forward")
        moved = self() + by  # before anything changes: it may be too late for a date
        self._offset += by
        return moved
