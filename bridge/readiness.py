"""Whether this process should get work, and what an operator should know besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.process_state import CustomersInForce, ProcessState
from bridge.web.health import Readiness


class WriteCheckReport(Protocol):
    """Whether the store takes writes; see ``store.write_probe``."""

    @property
    def refusal(self) -> str | None:
        """Why no part takes writes; None: some do."""

    @property
    def missing(self) -> Mapping[str, str]:
        """Why these parts do not, by name."""


class WriteCheck(Protocol):
    """Checks whether the store takes writes."""

    async def check(self) -> WriteCheckReport:
        """The current state."""


class ClockCheck(Protocol):
    """The time that all processes share."""

    def problem(self) -> str | None:
        """What is wrong with this host's clock; None: nothing."""


@dataclass(frozen=True, slots=True)
class ReadinessProbe:
    """Combines the states of the parts of this process."""

    state: ProcessState
    customers: CustomersInForce
    writes: WriteCheck
    clock: ClockCheck | None = None

    async def check(self) -> Readiness:
        """How it is now; see ``web.health``."""
        if self.state.draining:
            return Readiness({"process": "shutting down"})
        if (refusal := self.state.get_refusal()) is not None:
            return Readiness({"redis": refusal})
        writes = await self.writes.check()
        if writes.refusal is not None:
            return Readiness({"redis": writes.refusal})
        missing = {"missing_partitions": writes.missing} if writes.missing else {}
        return Readiness(details={**missing, **self.details()})

    def details(self) -> dict[str, object]:
        """What is not served although the process is ready; empty if everything is."""
        found = {
            "customers_set_aside": {
                customer.key: [str(mistake) for mistake in customer.mistakes]
                for customer in self.customers().set_aside.values()
            },
            "reload_refused": [str(mistake) for mistake in self.customers.refused],
            "restart_needed": (
                "bridge.yaml has changed since the start" if self.state.restart_needed else None
            ),
            "clock": self.clock.problem() if self.clock is not None else None,
        }
        return {name: value for name, value in found.items() if value}
