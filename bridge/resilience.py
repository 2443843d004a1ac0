"""A circuit breaker and a bulkhead for each target: one vendor's host, as one customer calls it.

A dead host then costs an occasional probe instead of a time-out for every call, and one customer's
slow endpoint holds a bounded number of connections, never those of another. Both are per process
and forget on restart: they save effort and decide nothing. Why no library: decisions/0060.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta

import structlog

from bridge.call_observer import CallObserver, OutgoingCall
from bridge.errors import BulkheadFull, CallNotMade, CircuitOpen, UpstreamError
from bridge.ports import Monotonic

THRESHOLD = 5
"""Calls in a row without any answer that open a breaker. An HTTP error is an answer."""
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=30)
QUEUE_TIMEOUT = timedelta(seconds=3)
"""How long a call waits for its turn; then it was not made."""
FORGOTTEN_AFTER = timedelta(hours=1)
"""A dead target that is no longer called is forgotten: perhaps its customer was removed."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CallPool:
    """Calls that share a breaker, and of which at most *size* are under way for one customer."""

    name: str
    size: int


ALL = CallPool("all", 128)
"""The bulkhead of calls that need no separate one."""


@dataclass(frozen=True, slots=True)
class CallTarget:
    """The receiver of calls and the customer (its key) that they are made for."""

    vendor: str
    customer: str
    pool: CallPool = ALL


class CircuitBreaker:
    """Refuses calls to a target that does not answer.

    ::

        closed -- THRESHOLD calls in a row without an answer --> open
        open -- the pause is over --> one call goes out as a probe
        probe -- any answer --> closed
        probe -- no answer --> open, with twice the pause (1 s at first, at most 30 s)

    *monotonic* returns seconds: setting a clock neither keeps a breaker open nor closes it.
    """

    def __init__(self, target: CallTarget, monotonic: Monotonic, observer: CallObserver) -> None:
        self._target = target
        self._monotonic = monotonic
        self._observer = observer
        self._failures = 0
        self._failed_at = 0.0
        self._opened_at = 0.0
        self._probe_at: float | None = None  # None: closed
        self._probing = False
        self._pause_s = FIRST_PAUSE.total_seconds()

    @contextlib.contextmanager
    def call(self, operation: str) -> Iterator[None]:
        """Around one call, whose outcome counts. Raises ``CircuitOpen`` if it may not be sent."""
        probe = self._admit(operation)
        try:
            yield
        except CallNotMade:
            raise
        except UpstreamError as error:
            if error.status is None:
                self._failed(probe=probe)
            else:
                self._answered()
            raise
        else:
            self._answered()
        finally:
            if probe:
                self._probing = False

    def can_be_forgotten(self) -> bool:
        """Whether there is no recent information about the target."""
        long_ago = self._monotonic() - FORGOTTEN_AFTER.total_seconds()
        return not self._failures or self._failed_at < long_ago

    def _admit(self, operation: str) -> bool:
        """Whether this call is the probe."""
        if self._probe_at is None:
            return False
        left_s = self._probe_at - self._monotonic()
        if left_s > 0 or self._probing:
            detail = "it has not answered for a while"
            retry_after_s = max(left_s, 1.0)
            raise CircuitOpen(self._target.vendor, operation, detail, retry_after_s=retry_after_s)
        self._probing = True
        return True

    def _failed(self, *, probe: bool) -> None:
        self._failures += 1
        self._failed_at = self._monotonic()
        if self._failures < THRESHOLD:
            return
        if self._probe_at is None:
            self._opened_at = self._failed_at
            log.warning("circuit.opened", **_names(self._target), failures=self._failures)
            self._observer.contacts.record_circuit_opened(**_names(self._target))
        elif probe:
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE.total_seconds())
        else:
            # It was sent before the breaker opened. A burst of such calls that fail together is no
            # new information: counting each as a probe once made the first pause half a minute.
            return
        self._probe_at = self._failed_at + self._pause_s

    def _answered(self) -> None:
        if self._probe_at is not None:
            silent_s = round(self._monotonic() - self._opened_at)
            log.info("circuit.closed", **_names(self._target), silent_s=silent_s)
            self._observer.contacts.record_circuit_closed(**_names(self._target))
        self._failures = 0
        self._probe_at = None
        self._pause_s = FIRST_PAUSE.total_seconds()


class Bulkhead:
    """Limits the calls to a target that are under way; others wait for their turn."""

    def __init__(self, target: CallTarget) -> None:
        self._target = target
        self._turns = asyncio.Semaphore(target.pool.size)

    @contextlib.asynccontextmanager
    async def turn(self, operation: str) -> AsyncIterator[None]:
        """Around one call. Raises ``BulkheadFull`` if its turn does not come in time."""
        try:
            async with asyncio.timeout(QUEUE_TIMEOUT.total_seconds()):
                await self._turns.acquire()
        except TimeoutError:
            detail = "too many calls at once for this customer"
            raise BulkheadFull(self._target.vendor, operation, detail, retry_after_s=2) from None
        try:
            yield
        finally:
            self._turns.release()


class _Guards:
    def __init__(self, target: CallTarget, monotonic: Monotonic, observer: CallObserver) -> None:
        self.breaker = CircuitBreaker(target, monotonic, observer)
        self.bulkhead = Bulkhead(target)
        self.users = 0


class Resilience:
    """One vendor's breakers and bulkheads, made when a target is first called; *observer* is told
    of every call.
    """

    def __init__(
        self, vendor: str, monotonic: Monotonic, observer: CallObserver | None = None
    ) -> None:
        self._vendor = vendor
        self._monotonic = monotonic
        self._observer = observer or CallObserver()
        self._guards: dict[CallTarget, _Guards] = {}

    def __len__(self) -> int:
        """How many targets are in use or remembered."""
        return len(self._guards)

    @contextlib.asynccontextmanager
    async def call(
        self, customer: str, operation: str, pool: CallPool = ALL
    ) -> AsyncIterator[OutgoingCall]:
        """Around one call for the customer of this key; who makes it notes the answer's status.

        Raises ``CircuitOpen`` or ``BulkheadFull`` if it may not be made. An ``UpstreamError``
        without a status counts as no answer, one with a status and a success as an answer; anything
        else, such as a cancelled caller, does not count.
        """
        target = CallTarget(self._vendor, customer, pool)
        guards = self._guards.get(target)
        if guards is None:
            self._forget()
            guards = self._guards[target] = _Guards(target, self._monotonic, self._observer)
        guards.users += 1
        try:
            with (
                self._observer.track_outgoing(
                    self._vendor, customer, operation, self._monotonic
                ) as observed,
                guards.breaker.call(operation),
            ):
                async with guards.bulkhead.turn(operation):
                    yield observed
        finally:
            guards.users -= 1
            if not guards.users and guards.breaker.can_be_forgotten():
                self._drop(target)

    def _forget(self) -> None:
        for target, guards in tuple(self._guards.items()):
            if not guards.users and guards.breaker.can_be_forgotten():
                self._drop(target)

    def _drop(self, target: CallTarget) -> None:
        del self._guards[target]
        self._observer.contacts.record_circuit_closed(**_names(target))


def _names(target: CallTarget) -> dict[str, str]:
    return {"vendor": target.vendor, "customer": target.customer, "purpose": target.pool.name}
