"""Decide and commit: the one loop through which every use case changes an invitation."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from bridge import tracing
from bridge.alert_raiser import NO_ALERTS, AlertRaiser
from bridge.core.copying import copy_with
from bridge.core.customers import Customer
from bridge.core.history import COUNTED, LONGEST_TEXT, HistoryEntry, HistoryEntryKind
from bridge.core.history_chain import append_history_entries
from bridge.core.history_events import (
    NO_DETAIL,
    OF_TOMBSTONES,
    EventDetail,
    entries_for_event,
)
from bridge.core.invitation import (
    CommitOutcome,
    CreateOutcome,
    Invitation,
    State,
    Transition,
)
from bridge.core.lifecycle.attempts import list_applications_to_anonymise
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import ErasureRequested, Event
from bridge.core.lifecycle.policy import LifecyclePolicy, build_policy
from bridge.core.queueing import Lane, Lease, LeaseOffer, ScheduleTask, TaskKind
from bridge.errors import BridgeError, RequestInProgress, UnknownInvitation
from bridge.meter import NO_METER, Meter
from bridge.ports import Clock, InvitationStore, Monotonic, Pause, RandomFraction, TaskTaker
from bridge.service.turns import InvitationTurns
from bridge.service.unwritten_counts import UnwrittenCounts

CHANGE_TIMEOUT = timedelta(seconds=5)
"""How long a change waits for other changes to the same invitation, in this process and in others;
then it raises ``RequestInProgress``.
"""

_CHANGE_TIMEOUT_S = CHANGE_TIMEOUT.total_seconds()
_HANDED_OVER = (TaskKind.CHECK, TaskKind.NOTIFY)
_ENDS = (State.COMPLETED, State.EXPIRED, State.ERASED)
_RACES_BEFORE_BACKOFF = 2
"""Races that a change may lose before it pauses between its tries."""
_LONGEST_WAIT_S = 0.2


class CommitLoop:
    """Loads invitations and applies events to them.

    A task that is due now goes to *taker* together with the record; if that takes none, *wake* is
    called.

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
        taker: TaskTaker | None = None,
    ) -> None:
        self._commit_ids = _number_commits()
        self._alerts = alerts
        self._taker = taker
        self._meter = meter
        self.store = store
        self.clock = clock
        self.monotonic = monotonic
        self.wake = wake
        self._random_fraction = random_fraction
        self._pause = pause
        self._turns = InvitationTurns(monotonic)
        self._keys = keys
        self._unwritten = UnwrittenCounts(monotonic)

    @property
    def changes_in_progress(self) -> int:
        """How many invitations have changes under way or waiting in this process."""
        return len(self._turns)

    @staticmethod
    def policy(customer: Customer | None) -> LifecyclePolicy:
        """The customer's settings as decisions need them; defaults for a customer that is no longer
        configured.
        """
        return LifecyclePolicy() if customer is None else build_policy(customer)

    async def load_owned(self, customer: Customer, invitation_id: str) -> Invitation:
        """The customer's own invitation; raises the same ``UnknownInvitation`` for a missing one
        and for another customer's.
        """
        invitation = await self.store.load(invitation_id)
        if invitation is None or invitation.customer != customer.key:
            raise create_unknown_invitation_error()
        return invitation

    async def commit(
        self,
        step: Transition,
        before: Invitation | None = None,
        *,
        ending: Lease | None = None,
    ) -> bool:
        """Commit one step, which changes *before*, where that is known; False: another change came
        first.

        The lease *ending* ends with it, see ``InvitationStore.commit``.
        """
        after, now = step.invitation, self.clock()
        if before is not None and _unknown_creates(after) > _unknown_creates(before):
            await self._alerts.report_orphan(after.customer, after.id)
        due = [task for task in step.tasks if isinstance(task, ScheduleTask) and task.at <= now]
        offer = self._offer(after.customer, due)
        outcome = CommitOutcome.LOST
        try:
            outcome = await self.store.commit(step, offer=offer, ending=ending)
        finally:
            if self._taker is not None and offer is not None:
                if outcome is CommitOutcome.LEASED:
                    self._taker.start(offer, set_committed_version(step))
                else:
                    self._taker.withdraw(offer)
        if outcome is CommitOutcome.WRITTEN and due:
            self.wake()
        return outcome is not CommitOutcome.LOST

    def _offer(self, customer: str, due: Sequence[ScheduleTask]) -> LeaseOffer | None:
        """Somebody who performs the task that becomes due, at once. Of several the queue takes
        care, and of those that a use case performs itself.
        """
        if self._taker is None or len(due) != 1 or due[0].kind not in _HANDED_OVER:
            return None
        return self._taker.offer_lease(Lane(customer, due[0].kind, due[0].urgent))

    def sign_history(
        self, step: Transition, before: Invitation | None, *new: HistoryEntry, times: int = 1
    ) -> Transition:
        """*step*, which changes *before* (None: it is the first one), with *new* in the history and
        the trace of what is under way.
        """
        after = step.invitation
        if step.renews:
            after = copy_with(after, trace=tracing.continue_trace(after.trace))
        changed = append_history_entries(before, after, new, self._keys, times=times)
        return copy_with(step, invitation=changed, commit_id=next(self._commit_ids))

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
        if after is latest and not decided.tasks:
            return decided
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
        return (await self._apply(invitation, event, customer, detail))[0]

    async def apply_and_end(
        self, invitation: Invitation, event: Event, customer: Customer | None, lease: Lease
    ) -> tuple[Invitation, bool]:
        """The same, and the lease of the task that found it out ends in the same commit; False: it
        did not, since there was nothing to write.
        """
        return await self._apply(invitation, event, customer, NO_DETAIL, ending=lease)

    async def _apply(
        self,
        invitation: Invitation,
        event: Event,
        customer: Customer | None,
        detail: EventDetail,
        *,
        ending: Lease | None = None,
    ) -> tuple[Invitation, bool]:
        def step(latest: Invitation) -> Transition | None:
            decided = self.decide(latest, event, customer, detail)
            changes = decided.invitation is not latest or decided.tasks
            return decided if changes else None

        tracing.join(invitation.trace)
        return await self._change(invitation, step, ending=ending)

    async def note_in_history(
        self,
        invitation: Invitation,
        kind: HistoryEntryKind,
        *,
        number: int = 0,
        detail: EventDetail = NO_DETAIL,
        ending: Lease | None = None,
    ) -> bool:
        """Note in the history what changes nothing else, and end this lease in the same commit;
        whether that was written. Best effort: it never raises, and keeps the record no longer.

        What is only counted (a reading, a page) is not written each time, see
        ``is_count_worth_writing``: what came in between is written with the next one.
        """
        now = self.clock()
        entry = HistoryEntry(
            kind, now, number, detail.text[:LONGEST_TEXT], detail.status, detail.latency_ms
        )
        times = self._unwritten.add(invitation, kind, now) if kind in COUNTED else 1
        if not times:
            return False

        def step(latest: Invitation) -> Transition | None:
            if latest.state is State.ERASED and kind not in OF_TOMBSTONES:
                return None
            expires = not list_applications_to_anonymise(latest)
            same = Transition(latest, expires=expires, renews=False)
            return self.sign_history(same, latest, entry, times=times)

        try:
            return (await self._change(invitation, step, ending=ending))[1]
        except BridgeError:
            if kind in COUNTED:
                self._unwritten.put_back(invitation.id, kind, times)
            return False

    async def _change(
        self,
        invitation: Invitation,
        make_step: Callable[[Invitation], Transition | None],
        *,
        ending: Lease | None = None,
    ) -> tuple[Invitation, bool]:
        """Commit what *make_step* makes of the newest record; None: nothing is to be written.
        Returns the record, and whether something was.
        """
        give_up_at = self.monotonic() + _CHANGE_TIMEOUT_S
        async with self._turns.take(invitation.id, give_up_at, _too_many) as queue:
            latest = invitation
            if queue.latest is not None and queue.latest.version > invitation.version:
                latest = queue.latest
            for lost in itertools.count():
                queue.latest = None
                step = make_step(latest)
                if step is None:
                    queue.latest = latest
                    return latest, False
                if await self.commit(step, latest, ending=ending):
                    state = step.invitation.state
                    if state is not latest.state and state in _ENDS:
                        self._meter.invitation(latest.customer, str(state))
                    queue.latest = set_committed_version(step)
                    return queue.latest, True
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
        lost = copy_with(invitation, version=0, commit_id="")
        event, now = ErasureRequested(), self.clock()
        step = decide(lost, event, self.policy(customer), now)
        new = entries_for_event(invitation, event, step.invitation, customer=customer, now=now)
        step = self.sign_history(step, invitation, *new)
        return set_committed_version(step) if await self.commit(step) else None


def _unknown_creates(invitation: Invitation) -> int:
    return [one.outcome for one in invitation.attempts].count(CreateOutcome.UNKNOWN)


def _too_many() -> RequestInProgress:
    return RequestInProgress("too many changes to this invitation at once")


def set_committed_version(step: Transition) -> Invitation:
    """The record of a committed step, with the version that the commit gave it."""
    one = step.invitation
    return copy_with(one, version=one.version + 1, commit_id=step.commit_id)


def _number_commits() -> Iterator[str]:
    """An id for each commit of this process: what marks the process, and a number."""
    process = secrets.token_hex(5)
    return (f"{process}{number:x}" for number in itertools.count())


def create_unknown_invitation_error() -> UnknownInvitation:
    """The same error for every id that is not the caller's."""
    return UnknownInvitation("No invitation with this id was issued to this customer.")
