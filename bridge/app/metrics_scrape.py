"""What ``/metrics`` answers: what the processes have counted, and what Redis says when asked."""

from __future__ import annotations

import asyncio

from bridge.core.customers import CustomerDirectory
from bridge.core.queueing import Backlog
from bridge.errors import StoreUnavailable
from bridge.metrics import CONTENT_TYPE, ConfigurationInForce, Metrics
from bridge.ports import Clock
from bridge.process_state import CustomersInForce
from bridge.settings.daemon import DaemonSettings
from bridge.settings.masking import compute_settings_digest
from bridge.store.backlog import RedisBacklog
from bridge.vendors import Vendors

STORE_S = 2.0
"""How long Redis is waited for; without its answer the rest is given."""


class MetricsScrape:
    """Puts together what this process, its siblings and Redis know.

    *clock* is the one that tasks go by, *wall* this host's.
    """

    def __init__(
        self,
        metrics: Metrics,
        backlog: RedisBacklog,
        customers: CustomersInForce,
        *,
        settings: DaemonSettings,
        vendors: Vendors,
        clock: Clock,
        wall: Clock,
    ) -> None:
        self._metrics = metrics
        self._backlog = backlog
        self._customers = customers
        self._settings = settings
        self._clock = clock
        self._wall = wall
        self._expected: CustomerDirectory | None = None
        self._digest = ""
        self._since = 0.0
        for provider in vendors.providers:
            metrics.expect_calls(provider.name, provider.operations)
            metrics.expect_requests_of(provider.name, provider.requests)
        for ats in vendors.ats:
            metrics.expect_calls(ats.name, ats.operations)
            metrics.expect_requests_of(ats.name, ats.requests)
        self._note()
        customers.watch(self._note)

    async def __call__(self) -> tuple[bytes, str]:
        """The text, and its media type."""
        backlog = await self._waiting()
        # In a thread: with many customers it takes longer than a request should have to wait.
        return await asyncio.to_thread(self._metrics.text, backlog), CONTENT_TYPE

    def _note(self) -> None:
        """A reload has put other customers in force, or was refused."""
        customers = self._customers()
        if customers is not self._expected:
            self._metrics.expect_customers(one.key for one in customers)
            self._digest = compute_settings_digest(self._settings, customers)
            self._since = self._wall().timestamp()
            self._expected = customers
        self._metrics.serve_by(
            ConfigurationInForce(
                digest=self._digest,
                set_aside=len(customers.set_aside),
                reload_successful=not self._customers.refused,
                since=self._since,
            )
        )

    async def _waiting(self) -> Backlog | None:
        try:
            async with asyncio.timeout(STORE_S):
                return await self._backlog.count(self._clock(), self._customers().is_configured)
        except (StoreUnavailable, TimeoutError):
            return None
