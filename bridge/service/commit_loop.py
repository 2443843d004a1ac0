"""Decide and commit: the one loop through which every use case changes an invitation."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bridge import tracing
from bridge.alert_raiser import NO_ALERTS, AlertRaiser
from bridge.core.customers import Customer
from bridge.core.history import COUNTED, LONGEST_TEXT, HistoryEntry, HistoryEntryKind
from bridge.core.history_chain import append_history_entries
from bridge.core.history_events import (
    NO_DETAIL,
    OF_TOMBSTONES,
    EventDetail,
    entries_for_event,
    is_count_worth_writing,
)
from bridge.core.invitation import CreateOutcome, Invitation, State, Transition
from bridge.core.lifecycle.attempts import list_applications_to_anonymise
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import ErasureRequested, Event
from bridge.core.lifecycle.policy import LifecyclePolicy
from bridge.core.queueing import ScheduleTask
from bridge.errors import BridgeError, RequestInProgress, StoreUnavailable, UnknownInvitation
from bridge.meter import NO_METER, Meter
from bridge.ports import Clock, InvitationStore, Monotonic, Pause, RandomFraction

CREATE_MARGIN = timedelta(seconds=5)
"""Added to the provider's time-out, for the wait in the bulkhead (``resilience.QUEUE_TIMEOUT``) and
the commits.

After that the outcome of a create that was not recorded counts as unknown.
"""

CHANGE_TIMEOUT = timedelta(seconds=5)
"""How long a change waits for other changes to the same invitation, in this process and in others;
then it raises ``RequestInProgress``.
"""

_ENDS = (State.COMPLETED, State.EXPIRED, State.ERASED)
_RACES_BEFORE_BACKOFF = 2
"""Races that a change may lose before it pauses between its tries."""
_LONGEST_WAIT_S = 0.2
_UNWRITTEN_LIMIT = 10_000
"""Counts for histories that this process remembers until one more of the same is written."""
_QUIET_S = 10.0
"""How long nothing is counted after a count could not be written."""


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
    other from committing. Each adds to the invitation's history, which is signed with the newest of
    *keys* (``derive_history_keys``).
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
        keys: Sequence[bytes] = (),
        alerts: AlertRaiser = NO_ALERTS,
    ) -> None:
        self._alerts = alerts
        self._meter = meter
        self.store = store
        self.clock = clock
        self.monotonic = monotonic
        self.wake = wake
        self._random_fraction = random_fraction
        self._pause = pause
        self._queues: dict[str, _InvitationQueue] = {}
        self._keys = keys
        self._unwritten: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._quiet_until = -math.inf

    @property
    def changes_in_progress(self) -> int:
        """How many invitations have changes under way or waiting in this process."""
        return len(self._queues)

    @staticmethod
    def policy(customer: Customer | None) -> LifecyclePolicy:
        """The customer's settings as decisions need them; defaults for a customer that is no longer
        configured.
        """
        if customer is None:
            return LifecyclePolicy()
        access = customer.provider
        return LifecyclePolicy(
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
            raise create_unknown_invitation_error()
        return invitation

    async def commit(self, step: Transition, before: Invitation | None = None) -> bool:
        """Commit one step, which changes *before*, where that is known; False: another change came
        first.
        """
        after = step.invitation
        if before is not None and _unknown_creates(after) > _unknown_creates(before):
            await self._alerts.report_orphan(after.customer, after.id)
        committed = await self.store.commit(step)
        if committed and any(
            isinstance(task, ScheduleTask) and task.at <= self.clock() for task in step.tasks
        ):
            self.wake()
        return committed

    def sign_history(
        self, step: Transition, before: Invitation | None, *new: HistoryEntry, times: int = 1
    ) -> Transition:
        """*step*, which changes *before* (None: it is the first one), with *new* in the history and
        the trace of what is under way.
        """
        after = step.invitation
        if step.renews:
            after = replace(after, trace=tracing.continue_trace(after.trace))
        changed = append_history_entries(before, after, new, self._keys, times=times)
        return replace(step, invitation=changed)

    def decide(
        self,
        latest: Invitation,
        event: Event,
        customer: Customer | None,
        detail: EventDetail = NO_DETAIL,
    ) -> Transition:
        """What the core decides, with the history: ready to be committed. An event that changes
        nothing gives the very same record.
        """
        now = self.clock()
        decided = decide(latest, event, self.policy(customer), now)
        after = decided.invitation
        if after == latest and not decided.tasks:
            return replace(decided, invitation=latest)
        new = entries_for_event(latest, event, after, customer=customer, now=now, detail=detail)
        return self.sign_history(decided, latest, *new)

    async def apply(
        self,
        invitation: Invitation,
        event: Event,
        customer: Customer | None,
        detail: EventDetail = NO_DETAIL,
    ) -> Invitation:
        """Decide on *event* and commit, on the newest record, even if many others do the same;
        *detail* is for the history.

        Returns the record as it is stored afterwards, with its version; an event that changes
        nothing is not written. Raises ``RequestInProgress`` if other changes took too long,
        ``UnknownInvitation`` if the record is gone, ``StoreUnavailable`` also if the change before
        it could not reach the store.
        """

        def step(latest: Invitation) -> Transition | None:
            decided = self.decide(latest, event, customer, detail)
            changes = decided.invitation is not latest or decided.tasks
            return decided if changes else None

        tracing.join(invitation.trace)
        return await self._change(invitation, step)

    async def note_in_history(
        self,
        invitation: Invitation,
        kind: HistoryEntryKind,
        *,
        number: int = 0,
        detail: EventDetail = NO_DETAIL,
    ) -> None:
        """Note in the history what changes nothing else. Best effort: it never raises, and keeps
        the record no longer.

        What is only counted (a reading, a page) is not written each time, see
        ``is_count_worth_writing``: what came in between is written with the next one.
        """
        now = self.clock()
        entry = HistoryEntry(
            kind, now, number, detail.text[:LONGEST_TEXT], detail.status, detail.latency_ms
        )
        times = 1
        if kind in COUNTED:
            times += self._unwritten.pop((invitation.id, kind), 0)
            quiet = self.monotonic() < self._quiet_until
            if quiet or not is_count_worth_writing(invitation, kind, now):
                self._remember(invitation.id, kind, times)
                return

        def step(latest: Invitation) -> Transition | None:
            if latest.state is State.ERASED and kind not in OF_TOMBSTONES:
                return None
            expires = not list_applications_to_anonymise(latest)
            same = Transition(latest, expires=expires, renews=False)
            return self.sign_history(same, latest, entry, times=times)

        try:
            await self._change(invitation, step)
        except BridgeError:
            if kind in COUNTED:
                self._quiet_until = self.monotonic() + _QUIET_S
                self._remember(invitation.id, kind, times)

    def _remember(self, invitation_id: str, kind: str, times: int) -> None:
        self._unwritten[invitation_id, kind] = times
        if len(self._unwritten) > _UNWRITTEN_LIMIT:
            self._unwritten.popitem(last=False)

    async def _change(
        self, invitation: Invitation, make_step: Callable[[Invitation], Transition | None]
    ) -> Invitation:
        """Commit what *make_step* makes of the newest record; None: nothing is to be written."""
        give_up_at = self.monotonic() + CHANGE_TIMEOUT.total_seconds()
        async with self._turn(invitation.id, give_up_at) as waiting:
            latest = max(waiting.latest or invitation, invitation, key=lambda one: one.version)
            for lost in itertools.count():
                waiting.latest = None
                step = make_step(latest)
                if step is None:
                    waiting.latest = latest
                    return latest
                if await self.commit(step, latest):
                    state = step.invitation.state
                    if state is not latest.state and state in _ENDS:
                        self._meter.invitation(latest.customer, str(state))
                    waiting.latest = set_committed_version(step)
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
                    raise create_unknown_invitation_error()
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
        lost, event, now = replace(invitation, version=0), ErasureRequested(), self.clock()
        step = decide(lost, event, self.policy(customer), now)
        new = entries_for_event(invitation, event, step.invitation, customer=customer, now=now)
        step = self.sign_history(step, invitation, *new)
        return set_committed_version(step) if await self.commit(step) else None

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


def _unknown_creates(invitation: Invitation) -> int:
    return sum(one.outcome is CreateOutcome.UNKNOWN for one in invitation.attempts)


def _too_many() -> RequestInProgress:
    return RequestInProgress("too many changes to this invitation at once")


def set_committed_version(step: Transition) -> Invitation:
    """The record of a committed step, with the version that the commit gave it."""
    return replace(step.invitation, version=step.invitation.version + 1)


def create_unknown_invitation_error() -> UnknownInvitation:
    """The same error for every id that is not the caller's."""
    return UnknownInvitation("No invitation with this id was issued to this customer.")
