"""Decide and commit: the one loop through which every use case changes an invitation."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bridge.core.customers import Customer
from bridge.core.invitation import Invitation, State, Transition
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import ErasureRequested, Event
from bridge.core.lifecycle.policy import Policy
from bridge.core.queueing import ScheduleTask
from bridge.errors import Busy, StoreUnavailable, UnknownInvitation
from bridge.meter import NO_METER, Meter
from bridge.ports import Clock, InvitationStore, Monotonic, Pause, RandomFraction

CREATE_MARGIN = timedelta(seconds=5)
"""Added to the provider's time-out, for the wait in the bulkhead (``resilience.QUEUE_TIMEOUT``) and
the commits.

After that the outcome of a create that was not recorded counts as unknown.
"""

CHANGE_TIMEOUT = timedelta(seconds=5)
"""How long a change waits for other changes to the same invitation, in this process and in others;
then it raises ``Busy``.
"""

_ENDS = (State.COMPLETED, State.EXPIRED, State.ERASED)
_RACES_BEFORE_BACKOFF = 2
"""Races that a change may lose before it pauses between its tries."""
_LONGEST_WAIT_S = 0.2


@dataclass(slots=True)
class _InvitationQueue:
    """The changes to one invitation that wait in this process, one after the other."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    latest: Invitation | None = None
    """The record that the previous change left in the store; None: it must be read."""
    failures: int = 0
    failure: str = ""


class CommitLoop:
    """Loads invitations and applies events to them; *wake* is called when a task is due now.

    Changes to one invitation take turns in this process: otherwise hundreds at once would keep each
    other from committing.
    """

    def __init__(
        self,
        store: InvitationStore,
        clock: Clock,
        wake: Callable[[], None],
        *,
        monotonic: Monotonic = time.monotonic,
        random_fraction: RandomFraction = random.random,
        pause: Pause = asyncio.sleep,
        meter: Meter = NO_METER,
    ) -> None:
        self._meter = meter
        self.store = store
        self.clock = clock
        self.monotonic = monotonic
        self.wake = wake
        self._random_fraction = random_fraction
        self._pause = pause
        self._queues: dict[str, _InvitationQueue] = {}

    @property
    def changes_in_progress(self) -> int:
        """How many invitations have changes under way or waiting in this process."""
        return len(self._queues)

    @staticmethod
    def policy(customer: Customer | None) -> Policy:
        """The customer's settings as decisions need them; defaults for a customer that is no longer
        configured.
        """
        if customer is None:
            return Policy()
        access = customer.provider
        return Policy(
            link_life=access.link_life,
            poll_every=access.poll_every,
            create_timeout=access.timeout + CREATE_MARGIN,
            after_completed=customer.results.after_completed,
        )

    async def load_owned(self, customer: Customer, invitation_id: str) -> Invitation:
        """The customer's own invitation; raises the same ``UnknownInvitation`` for a missing one
        and for another customer's.
        """
        invitation = await self.store.load(invitation_id)
        if invitation is None or invitation.customer != customer.key:
            raise not_found()
        return invitation

    async def commit(self, step: Transition) -> bool:
        """Commit one step; False: another change came first."""
        committed = await self.store.commit(step)
        if committed and any(
            isinstance(task, ScheduleTask) and task.at <= self.clock() for task in step.tasks
        ):
            self.wake()
        return committed

    async def apply(
        self, invitation: Invitation, event: Event, customer: Customer | None
    ) -> Invitation:
        """Decide on *event* and commit, on the newest record, even if many others do the same.

        Returns the record as it is stored afterwards, with its version; an event that changes
        nothing is not written. Raises ``Busy`` if other changes took too long,
        ``UnknownInvitation`` if the record is gone, ``StoreUnavailable`` also if the change before
        it could not reach the store.
        """
        give_up_at = self.monotonic() + CHANGE_TIMEOUT.total_seconds()
        policy = self.policy(customer)
        async with self._turn(invitation.id, give_up_at) as waiting:
            latest = max(waiting.latest or invitation, invitation, key=lambda one: one.version)
            for lost in itertools.count():
                waiting.latest = None
                step = decide(latest, event, policy, self.clock())
                if step.invitation == latest and not step.tasks:
                    waiting.latest = latest
                    return latest
                if await self.commit(step):
                    state = step.invitation.state
                    if state is not latest.state and state in _ENDS:
                        self._meter.invitation(latest.customer, str(state))
                    waiting.latest = committed_record(step)
                    return waiting.latest
                if self.monotonic() >= give_up_at:
                    break
                if (
                    lost >= _RACES_BEFORE_BACKOFF
                ):  # another process changes it too: pause, or both lose
                    await self._pause(
                        self._random_fraction() * min(_LONGEST_WAIT_S, 0.005 * 2 ** min(lost, 10))
                    )
                found = await self.store.load(invitation.id)
                if found is None:
                    raise not_found()
                latest = found
        raise _too_many()

    async def recreate_as_tombstone(
        self, invitation: Invitation, customer: Customer | None
    ) -> Invitation | None:
        """Store a tombstone for a record that has vanished, so that its task has the applications
        at the provider anonymised.

        *invitation* is the record as it was last known. Returns None if there is a record after
        all.
        """
        lost = replace(invitation, version=0)
        step = decide(lost, ErasureRequested(), self.policy(customer), self.clock())
        return committed_record(step) if await self.commit(step) else None

    @contextlib.asynccontextmanager
    async def _turn(self, invitation_id: str, give_up_at: float) -> AsyncIterator[_InvitationQueue]:
        """Wait for the turn to change an invitation.

        Each change decides on the record that the change before it left.
        """
        waiting = self._queues.setdefault(invitation_id, _InvitationQueue())
        waiting.users += 1
        failures = waiting.failures
        try:
            try:
                async with asyncio.timeout(max(0.0, give_up_at - self.monotonic())):
                    await waiting.turn.acquire()
            except TimeoutError:
                raise _too_many() from None
            try:
                if waiting.failures > failures:  # else each would wait for the store in turn
                    raise StoreUnavailable(waiting.failure)
                try:
                    yield waiting
                except StoreUnavailable as error:
                    waiting.failures, waiting.failure = waiting.failures + 1, str(error)
                    raise
            finally:
                waiting.turn.release()
        finally:
            waiting.users -= 1
            if not waiting.users:
                del self._queues[invitation_id]


def _too_many() -> Busy:
    return Busy("too many changes to this invitation at once")


def committed_record(step: Transition) -> Invitation:
    """The record of a committed step, with the version that the commit gave it."""
    return replace(step.invitation, version=step.invitation.version + 1)


def not_found() -> UnknownInvitation:
    """The same error for every id that is not the caller's."""
    return UnknownInvitation("No invitation with this id was issued to this customer.")
