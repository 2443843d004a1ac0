"""A circuit breaker and a bulkhead for each target: one vendor's host, as one customer calls it.

A dead host then costs an occasional probe instead of a time-out for every call, and one customer's
slow endpoint holds a bounded number of connections, never those of another. Both are per process
and forget on restart: they save effort and decide nothing. Why no library: decisions/0060.
"""

from __future__ import annotations

import asyncio
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
FORGET_EVERY = timedelta(minutes=1)
"""How often it is looked for such targets, when a new one is called."""

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

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for a probe."""
        return self._probe_at is not None

    def can_be_forgotten(self) -> bool:
        """Whether there is no recent information about the target."""
        if not self._failures:
            return True
        return self._failed_at < self._monotonic() - FORGOTTEN_AFTER.total_seconds()

    def admit(self, operation: str) -> bool:
        """Before a call: whether it is the probe; raises ``CircuitOpen`` if it may not be sent.

        Its end must be told with ``settle``.
        """
        if self._probe_at is None:
            return False
        left_s = self._probe_at - self._monotonic()
        if left_s > 0 or self._probing:
            detail = "it has not answered for a while"
            retry_after_s = max(left_s, 1.0)
            raise CircuitOpen(self._target.vendor, operation, detail, retry_after_s=retry_after_s)
        self._probing = True
        return True

    def settle(self, error: BaseException | None, *, probe: bool) -> None:
        """A call that was admitted has ended with *error*, or well."""
        if error is None:
            self._answered()
        elif isinstance(error, UpstreamError) and not isinstance(error, CallNotMade):
            if error.status is None:
                self._failed(probe=probe)
            else:
                self._answered()
        if probe:
            self._probing = False

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
            self._probe_at = None
            self._pause_s = FIRST_PAUSE.total_seconds()
        self._failures = 0


class Bulkhead:
    """Limits the calls to a target that are under way; others wait for their turn."""

    def __init__(self, target: CallTarget) -> None:
        self._target = target
        self._turns = asyncio.Semaphore(target.pool.size)

    async def take_turn(self, operation: str) -> None:
        """Before a call; raises ``BulkheadFull`` if its turn does not come in time."""
        if not self._turns.locked():
            await self._turns.acquire()  # at once: a timer would cost more than the turn
            return
        try:
            async with asyncio.timeout(QUEUE_TIMEOUT.total_seconds()):
                await self._turns.acquire()
        except TimeoutError:
            detail = "too many calls at once for this customer"
            raise BulkheadFull(self._target.vendor, operation, detail, retry_after_s=2) from None

    def end_turn(self) -> None:
        """After the call."""
        self._turns.release()


class _Guards:
    def __init__(self, target: CallTarget, monotonic: Monotonic, observer: CallObserver) -> None:
        self.target = target
        self.breaker = CircuitBreaker(target, monotonic, observer)
        self.bulkhead = Bulkhead(target)
        self.users = 0


class GuardedCall:
    """``async with`` this around one call; who makes it notes the answer's status.

    Written out, not put together of context managers: every call to a vendor passes here.
    """

    __slots__ = ("_guards", "_observed", "_owner", "_probe")

    def __init__(self, owner: Resilience, guards: _Guards, observed: OutgoingCall) -> None:
        self._owner = owner
        self._guards = guards
        self._observed = observed
        self._probe = False

    async def __aenter__(self) -> OutgoingCall:
        guards, operation = self._guards, self._observed.operation
        guards.users += 1
        try:
            self._probe = guards.breaker.admit(operation)
            try:
                await guards.bulkhead.take_turn(operation)
            except BaseException as error:
                guards.breaker.settle(error, probe=self._probe)
                raise
        except BaseException as error:
            self._leave(error)
            raise
        return self._observed

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._guards.bulkhead.end_turn()
        self._guards.breaker.settle(error, probe=self._probe)
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        try:
            self._observed.end(error)
        finally:
            self._owner.leave(self._guards)


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
        self._guards: dict[tuple[str, str], _Guards] = {}
        self._forget_at = 0.0

    def __len__(self) -> int:
        """How many targets are in use or remembered."""
        return len(self._guards)

    def call(self, customer: str, operation: str, pool: CallPool = ALL) -> GuardedCall:
        """``async with`` this around one call for the customer of this key; who makes it notes the
        answer's status.

        Raises ``CircuitOpen`` or ``BulkheadFull`` if it may not be made. An ``UpstreamError``
        without a status counts as no answer, one with a status and a success as an answer; anything
        else, such as a cancelled caller, does not count.
        """
        guards = self._guards.get((customer, pool.name))
        if guards is None:
            self._forget()
            target = CallTarget(self._vendor, customer, pool)
            guards = _Guards(target, self._monotonic, self._observer)
            self._guards[customer, pool.name] = guards
        observed = self._observer.track_outgoing(self._vendor, customer, operation, self._monotonic)
        return GuardedCall(self, guards, observed)

    def leave(self, guards: _Guards) -> None:
        """A call has ended."""
        guards.users -= 1
        if not guards.users and guards.breaker.can_be_forgotten():
            self._drop(guards)

    def _forget(self) -> None:
        now = self._monotonic()
        if now < self._forget_at:
            return
        self._forget_at = now + FORGET_EVERY.total_seconds()
        for guards in tuple(self._guards.values()):
            if not guards.users and guards.breaker.can_be_forgotten():
                self._drop(guards)

    def _drop(self, guards: _Guards) -> None:
        del self._guards[guards.target.customer, guards.target.pool.name]
        if guards.breaker.is_open:
            self._observer.contacts.record_circuit_closed(**_names(guards.target))


def _names(target: CallTarget) -> dict[str, str]:
    return {"vendor": target.vendor, "customer": target.customer, "purpose": target.pool.name}
