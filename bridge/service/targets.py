"""A circuit breaker and a bulkhead for each vendor and customer, in front of the two ports that
lead outside.

A dead host then costs one probe now and then instead of a time-out for every task, and one
customer's slow endpoint holds a bounded number of connections, never those of another. Both are per
process and forget on restart: they save effort, they are not the truth. Their time is monotonic: a
clock that is set neither keeps a breaker open nor closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import structlog

from bridge.core.assessment import (
    CreatedApplication,
    Job,
    NewApplication,
    Progress,
    PublicLink,
    Result,
)
from bridge.core.customers import Customer
from bridge.core.queueing import NotificationResponse
from bridge.errors import CircuitOpen, Queued, UpstreamError
from bridge.ports import AssessmentProvider, Monotonic, Notifier

THRESHOLD = 5
"""Calls in a row without any answer after which a target counts as dead.

An HTTP error is an answer: somebody is there.
"""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=30)
ABREAST = 128
"""Calls to one vendor for one customer at the same time."""
CLICKS_ABREAST = 16
"""Of those that anybody causes who clicks a link; they have turns of their own."""
PATIENCE = timedelta(seconds=3)
"""How long a call waits for its turn; then it was surely not made."""
FORGOTTEN_AFTER = timedelta(hours=1)
"""A dead target that nobody calls any more is forgotten: perhaps its customer was removed."""

_T = TypeVar("_T")
log = structlog.get_logger()

Key = tuple[str, str, str]
"""Vendor, customer, and purpose of the calls: each has turns and a breaker of its own."""


class _Target:
    """What is known of one target. One without users that has nothing to remember is not kept."""

    def __init__(self, abreast: int) -> None:
        self.turns = asyncio.Semaphore(abreast)
        self.users = 0
        self.failures = 0
        self.pause_s = FIRST_PAUSE.total_seconds()
        self.closed_until: float | None = None
        self.silent_since = 0.0
        self.last_failed = 0.0
        self.probing = False


@dataclass(frozen=True, slots=True)
class _Call:
    target: _Target
    key: Key
    operation: str
    probe: bool


class Targets:
    """Calls that go through here are let out only while their target answers, and one by one while
    nobody knows.
    """

    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._targets: dict[Key, _Target] = {}

    def __len__(self) -> int:
        """How many targets are in use or have something to remember."""
        return len(self._targets)

    async def call(
        self,
        vendor: str,
        customer: Customer,
        operation: str,
        make: Callable[[], Awaitable[_T]],
        *,
        purpose: str = "",
        abreast: int = ABREAST,
    ) -> _T:
        """What *make* gives or raises; or ``CircuitOpen``, or ``Queued`` when the turn did not come
        in time.

        Calls of another *purpose* neither wait for each other nor share a breaker; *abreast* of one
        go out at a time.
        """
        with contextlib.ExitStack() as stack:
            key = (vendor, customer.key, purpose)
            target = stack.enter_context(self._used(key, abreast))
            call = _Call(target, key, operation, self._admit(target, vendor, operation))
            if call.probe:
                stack.callback(setattr, target, "probing", False)
            try:
                async with _turn(call):
                    answer = await make()
            except Queued:
                raise
            except UpstreamError as error:
                if error.status is None:
                    self._failed(call)
                else:
                    self._answered(call)
                raise
            self._answered(call)
            return answer

    @contextlib.contextmanager
    def _used(self, key: Key, abreast: int) -> Iterator[_Target]:
        target = self._targets.get(key)
        if target is None:
            self._forget_old()
            target = self._targets[key] = _Target(abreast)
        target.users += 1
        try:
            yield target
        finally:
            target.users -= 1
            if not target.users and not target.failures and target.closed_until is None:
                del self._targets[key]

    def _forget_old(self) -> None:
        long_ago = self._monotonic() - FORGOTTEN_AFTER.total_seconds()
        for key, target in tuple(self._targets.items()):
            if not target.users and target.last_failed < long_ago:
                del self._targets[key]

    def _admit(self, target: _Target, vendor: str, operation: str) -> bool:
        """Whether this call is the probe; raises ``CircuitOpen`` where it may not go out."""
        if target.closed_until is None:
            return False
        left_s = target.closed_until - self._monotonic()
        if left_s > 0 or target.probing:
            raise CircuitOpen(
                vendor, operation, "it has not answered for a while", retry_after_s=max(left_s, 1.0)
            )
        target.probing = True
        return True

    def _failed(self, call: _Call) -> None:
        target, now = call.target, self._monotonic()
        target.failures += 1
        target.last_failed = now
        if target.failures < THRESHOLD:
            return
        if target.closed_until is None:
            target.silent_since = now
            _say(logging.WARNING, "target.silent", call, failures=target.failures)
        elif call.probe:
            target.pause_s = min(target.pause_s * 2, LONGEST_PAUSE.total_seconds())
        else:
            return  # it went out before the others failed, so it says nothing new
        target.closed_until = now + target.pause_s

    def _answered(self, call: _Call) -> None:
        target = call.target
        if target.closed_until is not None:
            silent_s = round(self._monotonic() - target.silent_since)
            _say(logging.INFO, "target.answers_again", call, silent_s=silent_s)
        target.failures = 0
        target.closed_until = None
        target.pause_s = FIRST_PAUSE.total_seconds()


@contextlib.asynccontextmanager
async def _turn(call: _Call) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await call.target.turns.acquire()
    except TimeoutError:
        raise Queued(
            call.key[0], call.operation, "too many calls at once for this customer", retry_after_s=2
        ) from None
    try:
        yield
    finally:
        call.target.turns.release()


def _say(level: int, event: str, call: _Call, **more: object) -> None:
    vendor, customer, purpose = call.key
    log.log(level, event, vendor=vendor, customer=customer, purpose=purpose or "all", **more)


class GuardedProvider:
    """``AssessmentProvider`` behind the customer's breaker and bulkhead."""

    def __init__(self, inner: AssessmentProvider, targets: Targets) -> None:
        self._inner = inner
        self._targets = targets

    async def list_jobs(self, customer: Customer) -> tuple[Job, ...]:
        """The customer's published jobs."""
        return await self._call(customer, "jobs", lambda: self._inner.list_jobs(customer))

    async def create_application(
        self, customer: Customer, draft: NewApplication
    ) -> CreatedApplication:
        """Make an application."""
        return await self._call(
            customer, "create", lambda: self._inner.create_application(customer, draft)
        )

    async def get_progress(self, customer: Customer, reference_id: str) -> Progress:
        """How far the application is."""
        return await self._call(
            customer, "status", lambda: self._inner.get_progress(customer, reference_id)
        )

    async def get_result(self, customer: Customer, reference_id: str) -> Result | None:
        """The result; None: not ready yet."""
        return await self._call(
            customer, "results", lambda: self._inner.get_result(customer, reference_id)
        )

    async def get_public_link(self, customer: Customer, reference_id: str) -> PublicLink:
        """A fresh short-lived link to the result; its failures say nothing to the other calls, nor
        theirs to it.

        Whoever has a link can cause these calls, so they must not be able to keep others from
        inviting.
        """
        return await self._targets.call(
            "equalture",
            customer,
            "public_link",
            lambda: self._inner.get_public_link(customer, reference_id),
            purpose="links",
            abreast=CLICKS_ABREAST,
        )

    async def hire(
        self, customer: Customer, reference_id: str, *, add_to_team: bool, start_date: str | None
    ) -> None:
        """Hire the applicant."""
        await self._call(
            customer,
            "hire",
            lambda: self._inner.hire(
                customer, reference_id, add_to_team=add_to_team, start_date=start_date
            ),
        )

    async def anonymise(self, customer: Customer, reference_id: str) -> None:
        """Anonymise the application."""
        await self._call(
            customer, "anonymise", lambda: self._inner.anonymise(customer, reference_id)
        )

    async def _call(
        self, customer: Customer, operation: str, make: Callable[[], Awaitable[_T]]
    ) -> _T:
        return await self._targets.call("equalture", customer, operation, make)


class GuardedNotifier:
    """``Notifier`` behind the customer's breaker and bulkhead."""

    def __init__(self, inner: Notifier, targets: Targets) -> None:
        self._inner = inner
        self._targets = targets

    async def notify(
        self, customer: Customer, url: str, invitation_id: str
    ) -> NotificationResponse:
        """Tell softgarden that this invitation changed."""
        return await self._targets.call(
            "softgarden",
            customer,
            "notify",
            lambda: self._inner.notify(customer, url, invitation_id),
        )
