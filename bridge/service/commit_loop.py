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
"""Added to the provider's time-out, for the wait for a turn (``resilience.QUEUE_TIMEOUT``) and the
commits.

After that a create which nobody reported on is given up as unknown.
"""

CHANGE_TIMEOUT = timedelta(seconds=5)
"""How long a change waits for others to the same invitation, in this process and elsewhere; then it
is ``Busy``.
"""

_ENDS = (State.COMPLETED, State.EXPIRED, State.ERASED)
_AT_ONCE = 2
"""Lost races after which a change waits a moment before it tries again."""
_LONGEST_WAIT_S = 0.2


@dataclass(slots=True)
class _Line:
    """Those who want to change one invitation, one after the other."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    latest: Invitation | None = None
    """What the one before left in the store; None: it must be read."""
    failures: int = 0
    failure: str = ""


class CommitLoop:
    """Loads invitations and applies events to them; *wake* is told when something is due now.

    Changes to one invitation take turns in this process: hundreds at once would else keep each
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
        self._lines: dict[str, _Line] = {}

    @property
    def changes_in_progress(self) -> int:
        """Of how many invitations changes are under way, or wait for their turn, in this
        process.
        """
        return len(self._lines)

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
        """The customer's own invitation; raises ``UnknownInvitation``, the same for missing and for
        foreign ones.
        """
        invitation = await self.store.load(invitation_id)
        if invitation is None or invitation.customer != customer.key:
            raise not_found()
        return invitation

    async def commit(self, step: Transition) -> bool:
        """Commit one step; False: somebody was faster."""
        committed = await self.store.commit(step)
        if committed and any(
            isinstance(task, ScheduleTask) and task.at <= self.clock() for task in step.tasks
        ):
            self.wake()
        return committed

    async def apply(
        self, invitation: Invitation, event: Event, customer: Customer | None
    ) -> Invitation:
        """Decide on *event* and commit, on the newest record, however many others are doing the
        same.

        Returns the record as it is afterwards (with the version it has in the store), which the
        store has by then: an event that changes nothing is not written again. Raises ``Busy`` where
        others were at it for too long, ``UnknownInvitation`` where the record is gone,
        ``StoreUnavailable`` also where the one before found no store.
        """
        give_up_at = self.monotonic() + CHANGE_TIMEOUT.total_seconds()
        policy = self.policy(customer)
        async with self._turn(invitation.id, give_up_at) as line:
            latest = max(line.latest or invitation, invitation, key=lambda one: one.version)
            for lost in itertools.count():
                line.latest = None
                step = decide(latest, event, policy, self.clock())
                if step.invitation == latest and not step.tasks:
                    line.latest = latest
                    return latest
                if await self.commit(step):
                    state = step.invitation.state
                    if state is not latest.state and state in _ENDS:
                        self._meter.invitation(latest.customer, str(state))
                    line.latest = committed_record(step)
                    return line.latest
                if self.monotonic() >= give_up_at:
                    break
                if lost >= _AT_ONCE:  # another process is at it too: by turns, or both lose
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
        """Put a tombstone where a record has vanished, so that what stands at the provider is
        anonymised by its task.

        *invitation* is the record as it was last known. None: there is a record after all.
        """
        lost = replace(invitation, version=0)
        step = decide(lost, ErasureRequested(), self.policy(customer), self.clock())
        return committed_record(step) if await self.commit(step) else None

    @contextlib.asynccontextmanager
    async def _turn(self, invitation_id: str, give_up_at: float) -> AsyncIterator[_Line]:
        """One's turn to change an invitation.

        Whoever comes after somebody decides on what that one left.
        """
        line = self._lines.setdefault(invitation_id, _Line())
        line.users += 1
        failures = line.failures
        try:
            try:
                async with asyncio.timeout(max(0.0, give_up_at - self.monotonic())):
                    await line.turn.acquire()
            except TimeoutError:
                raise _too_many() from None
            try:
                if line.failures > failures:  # each would find out for itself, one after the other
                    raise StoreUnavailable(line.failure)
                try:
                    yield line
                except StoreUnavailable as error:
                    line.failures, line.failure = line.failures + 1, str(error)
                    raise
            finally:
                line.turn.release()
        finally:
            line.users -= 1
            if not line.users:
                del self._lines[invitation_id]


def _too_many() -> Busy:
    return Busy("too many changes to this invitation at once")


def committed_record(step: Transition) -> Invitation:
    """The record of a committed step, with the version that the commit gave it."""
    return replace(step.invitation, version=step.invitation.version + 1)


def not_found() -> UnknownInvitation:
    """The same words for every id that is not the caller's."""
    return UnknownInvitation("No invitation with this id was issued to this customer.")
