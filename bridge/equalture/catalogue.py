"""Equalture's job list with a memory: asked for once at a time, repeated for moments, kept for
outages.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import timedelta

import structlog
from aiocache import SimpleMemoryCache

from bridge.core.assessment import Job
from bridge.core.customers import Customer
from bridge.errors import UpstreamError
from bridge.ports import AssessmentProvider, Monotonic
from bridge.single_flight import SingleFlight

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    jobs: tuple[Job, ...]
    at: float


class JobCatalogue:
    """``JobSource`` over a provider.

    A list younger than *life* is given again without asking; one younger than *stale_limit* is
    given when the provider fails, whatever its error: an old list is worth more to HR than none.
    *monotonic* is the clock for both, in seconds.
    """

    def __init__(
        self,
        provider: AssessmentProvider,
        *,
        life: timedelta = timedelta(seconds=2),
        stale_limit: timedelta = timedelta(days=1),
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._provider = provider
        self._life_s = life.total_seconds()
        self._stale_s = stale_limit.total_seconds()
        self._monotonic = monotonic
        # timeout=None: every operation of aiocache is otherwise wrapped in a wait_for.
        self._memory = SimpleMemoryCache(timeout=None)
        self._flights: SingleFlight[str, tuple[Job, ...]] = SingleFlight()

    async def list_jobs(self, customer: Customer, *, fresh: bool = False) -> tuple[Job, ...]:
        """The jobs, perhaps *life* old, or older when the provider is down; *fresh*: asked for now
        (or being asked for).

        Callers share one request; cancelling one leaves the others alone. Raises the provider's
        ``UpstreamError`` where no list is left.
        """
        key = _key(customer)
        if not fresh:
            known = await self._recall(key, self._life_s)
            if known is not None:
                return known.jobs
        return await self._flights.run(key, lambda: self._fetch(key, customer))

    async def _fetch(self, key: str, customer: Customer) -> tuple[Job, ...]:
        try:
            jobs = await self._provider.list_jobs(customer)
        except UpstreamError as error:
            known = await self._recall(key, self._stale_s)
            if known is None:
                raise
            _log.warning(
                "catalogue.stale_served",
                customer=customer.key,
                age_s=round(self._monotonic() - known.at),
                error=error.code,
                status=error.status,
            )
            return known.jobs
        # The cache's own life only bounds memory (and 0 would mean for ever to it); age is judged
        # by our clock.
        keep_s = max(self._life_s, self._stale_s, 1.0)
        await self._memory.set(key, _Known(jobs, self._monotonic()), ttl=keep_s)
        return jobs

    async def _recall(self, key: str, max_age_s: float) -> _Known | None:
        known: _Known | None = await self._memory.get(key)
        return known if known is not None and self._monotonic() - known.at < max_age_s else None


def _key(customer: Customer) -> str:
    """Digest of the customer and its account: a changed account must not be shown the old one's
    jobs.
    """
    access = customer.equalture
    parts = (customer.key, access.base_url, access.client_id, access.client_secret.reveal())
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
