"""The provider's job list, cached: one request at a time, reused for a short time, kept for
outages.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

import structlog

from bridge.core.assessment import Job
from bridge.core.customers import Customer
from bridge.errors import UpstreamError
from bridge.ports import Monotonic, ProviderOf
from bridge.single_flight import SingleFlight

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    access: object
    jobs: tuple[Job, ...]
    at: float


class JobCache:
    """``JobSource`` over a provider.

    A list younger than *life* is returned without asking; one younger than *stale_limit* is
    returned when the provider fails, whatever its error: an old list is better for HR than none.
    *monotonic* is the clock for both, in seconds.
    """

    def __init__(
        self,
        provider_of: ProviderOf,
        *,
        life: timedelta = timedelta(seconds=2),
        stale_limit: timedelta = timedelta(days=1),
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._provider_of = provider_of
        self._life_s = life.total_seconds()
        self._stale_s = stale_limit.total_seconds()
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}
        """By the customer's key; grows with the customers only."""
        self._flights: SingleFlight[tuple[str, object], tuple[Job, ...]] = SingleFlight()

    async def list_jobs(self, customer: Customer, *, fresh: bool = False) -> tuple[Job, ...]:
        """The jobs, at most *life* old, or older when the provider is down; *fresh*: asked for now
        (a request under way is shared).

        Callers share one request; cancelling one does not affect the others. Raises the provider's
        ``UpstreamError`` if no list is left.
        """
        if not fresh and (known := self._recall(customer, self._life_s)):
            return known.jobs
        whose = (customer.key, customer.provider)
        return await self._flights.run(whose, lambda: self._fetch(customer))

    async def _fetch(self, customer: Customer) -> tuple[Job, ...]:
        try:
            jobs = await self._provider_of(customer).list_jobs(customer)
        except UpstreamError as error:
            known = self._recall(customer, self._stale_s)
            if known is None:
                raise
            log.warning(
                "catalogue.stale_served",
                customer=customer.key,
                age_s=round(self._monotonic() - known.at),
                error=error.code,
                status=error.status,
            )
            return known.jobs
        self._known[customer.key] = _Known(customer.provider, jobs, self._monotonic())
        return jobs

    def _recall(self, customer: Customer, max_age_s: float) -> _Known | None:
        known = self._known.get(customer.key)
        if known is None or self._monotonic() - known.at >= max_age_s:
            return None
        # A changed account must not get the old one's jobs, whatever was changed.
        same = known.access is customer.provider or known.access == customer.provider
        return known if same else None
