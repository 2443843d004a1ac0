"""A circuit breaker and a bulkhead for each vendor and customer, in front of the two ports that lead outside.

A dead host then costs one probe now and then instead of a time-out for every task, and one customer's slow endpoint holds a
bounded number of connections, never those of another. Both are per process and forget on restart: they save effort, they are
not the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from bridge.core.customers import Customer
from bridge.core.models import Answer, Created, Draft, Job, Progress, PublicLink, Result
from bridge.errors import CircuitOpen, Unavailable, UpstreamError
from bridge.ports import AssessmentProvider, Clock, Notifier

THRESHOLD = 5
"""Calls in a row without any answer after which a target counts as dead. An HTTP error is an answer: somebody is there."""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=30)
ABREAST = 128
"""Calls to one vendor for one customer at the same time."""
PATIENCE = timedelta(seconds=3)
"""How long a call waits for its turn; then it was surely not made."""

_T = TypeVar("_T")
log = structlog.get_logger()


@dataclass(slots=True)
class _Target:
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ABREAST))
    failures: int = 0
    pause: timedelta = FIRST_PAUSE
    closed_until: datetime | None = None
    probing: bool = False


class Targets:
    """Calls that go through here are let out only while their target answers, and one by one while nobody knows."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._targets: dict[tuple[str, str], _Target] = {}

    async def call(self, vendor: str, customer: Customer, operation: str, make: Callable[[], Awaitable[_T]]) -> _T:
        """What *make* gives or raises; or ``CircuitOpen``, or ``Unavailable`` when the turn did not come in time."""
        target = self._targets.setdefault((vendor, customer.key), _Target())
        probe = self._admit(target, vendor, operation)
        try:
            await self._turn(target, vendor, operation)
            try:
                answer = await make()
            finally:
                target.turns.release()
        except UpstreamError as error:
            if error.status is None and not isinstance(error, _Queued):
                self._failed(target, vendor, customer, probe=probe)
            elif error.status is not None:
                self._answered(target)
            raise
        else:
            self._answered(target)
            return answer
        finally:
            if probe:
                target.probing = False

    def _admit(self, target: _Target, vendor: str, operation: str) -> bool:
        """Whether this call is the probe; raises ``CircuitOpen`` where it may not go out."""
        if target.closed_until is None:
            return False
        now = self._clock()
        if now < target.closed_until or target.probing:
            left = max((target.closed_until - now).total_seconds(), 1.0)
            raise CircuitOpen(vendor, operation, "it has not answered for a while", retry_after_s=left)
        target.probing = True
        return True

    async def _turn(self, target: _Target, vendor: str, operation: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await target.turns.acquire()
        except TimeoutError:
            raise _Queued(vendor, operation, "too many calls at once for this customer", retry_after_s=2) from None

    def _failed(self, target: _Target, vendor: str, customer: Customer, *, probe: bool) -> None:
        target.failures += 1
        if target.failures < THRESHOLD:
            return
        if target.closed_until is None:
            log.warning("target.silent", vendor=vendor, customer=customer.key, failures=target.failures)
        elif probe:
            target.pause = min(target.pause * 2, LONGEST_PAUSE)
        else:
            return  # it went out before the others failed, so it says nothing new
        target.closed_until = self._clock() + target.pause

    @staticmethod
    def _answered(target: _Target) -> None:
        target.failures = 0
        target.closed_until = None
        target.pause = FIRST_PAUSE


class _Queued(Unavailable):
    """Our own queue was full: says nothing of the target."""


class GuardedProvider:
    """``AssessmentProvider`` behind the customer's breaker and bulkhead."""

    def __init__(self, inner: AssessmentProvider, targets: Targets) -> None:
        self._inner = inner
        self._targets = targets

    async def list_jobs(self, customer: Customer) -> tuple[Job, ...]:
        """The customer's published jobs."""
        return await self._call(customer, "jobs", lambda: self._inner.list_jobs(customer))

    async def create_application(self, customer: Customer, draft: Draft) -> Created:
        """Make an application."""
        return await self._call(customer, "create", lambda: self._inner.create_application(customer, draft))

    async def get_progress(self, customer: Customer, reference_id: str) -> Progress:
        """How far the application is."""
        return await self._call(customer, "status", lambda: self._inner.get_progress(customer, reference_id))

    async def get_result(self, customer: Customer, reference_id: str) -> Result | None:
        """The result; None: not ready yet."""
        return await self._call(customer, "results", lambda: self._inner.get_result(customer, reference_id))

    async def get_public_link(self, customer: Customer, reference_id: str) -> PublicLink:
        """A fresh short-lived link to the result."""
        return await self._call(customer, "public_link", lambda: self._inner.get_public_link(customer, reference_id))

    async def hire(self, customer: Customer, reference_id: str, *, add_to_team: bool, start_date: str | None) -> None:
        """Hire the applicant."""
        await self._call(
            customer,
            "hire",
            lambda: self._inner.hire(customer, reference_id, add_to_team=add_to_team, start_date=start_date),
        )

    async def anonymise(self, customer: Customer, reference_id: str) -> None:
        """Anonymise the application."""
        await self._call(customer, "anonymise", lambda: self._inner.anonymise(customer, reference_id))

    async def _call(self, customer: Customer, operation: str, make: Callable[[], Awaitable[_T]]) -> _T:
        return await self._targets.call("equalture", customer, operation, make)


class GuardedNotifier:
    """``Notifier`` behind the customer's breaker and bulkhead."""

    def __init__(self, inner: Notifier, targets: Targets) -> None:
        self._inner = inner
        self._targets = targets

    async def notify(self, customer: Customer, url: str, invitation_id: str) -> Answer:
        """Tell softgarden that this invitation changed."""
        return await self._targets.call(
            "softgarden", customer, "notify", lambda: self._inner.notify(customer, url, invitation_id)
        )
