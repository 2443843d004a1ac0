"""What use cases say of what somebody has to be alerted to."""

from __future__ import annotations

from typing import Protocol

from bridge.core.queueing import TaskKind


class AlertRaiser(Protocol):
    """Neither method raises, nor waits for longer than the store may take.

    Both are called before the change is committed: a process that is killed in between has raised
    an alert once too often, never once too little.
    """

    async def report_dead_letter(
        self, customer: str, invitation_id: str, kind: TaskKind, reason: str
    ) -> None:
        """A task becomes a dead letter."""

    async def report_orphan(self, customer: str, invitation_id: str) -> None:
        """A create may have left an application at the provider."""


class NoAlerts:
    """For who is alerted to nothing."""

    async def report_dead_letter(
        self, customer: str, invitation_id: str, kind: TaskKind, reason: str
    ) -> None:
        """Not said."""

    async def report_orphan(self, customer: str, invitation_id: str) -> None:
        """Not said."""


NO_ALERTS = NoAlerts()
