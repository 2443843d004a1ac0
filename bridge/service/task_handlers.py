"""Use case: perform a leased task, whatever its kind, and settle it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

import structlog

from bridge import tracing
from bridge.alert_raiser import NO_ALERTS, AlertRaiser
from bridge.core import retry
from bridge.core.customers import Customer
from bridge.core.history import HistoryEntryKind
from bridge.core.history_events import EventDetail
from bridge.core.invitation import Invitation
from bridge.core.queueing import (
    LEASE_LIFE,
    GiveUpTask,
    Lease,
    RetryTask,
    Settlement,
    TaskDone,
    TaskKind,
)
from bridge.errors import (
    RecordDamaged,
    RecordUnreadable,
    RequestInProgress,
    StoreUnavailable,
    UnknownInvitation,
)
from bridge.meter import NO_METER, Meter
from bridge.ports import (
    AtsOf,
    CurrentCustomers,
    NewSecret,
    ProviderOf,
    RandomFraction,
    ReferenceIndex,
    TaskQueue,
)
from bridge.service.anonymise_task import AnonymiseTask
from bridge.service.call_failures import CallFailures
from bridge.service.check_task import CheckTask
from bridge.service.commit_loop import CommitLoop
from bridge.service.hire_task import HireTask
from bridge.service.notify_task import NotifyTask
from bridge.service.provider_events import ProviderEvents
from bridge.service.shared_applications import SharedApplications
from bridge.service.status_words import StatusWords
from bridge.tracing import NO_TRACER, Activity, SpanKind, Tracer, get_current_traceparent

_SETTLEMENTS = {TaskDone: "done", RetryTask: "retry", GiveUpTask: "given_up"}

log = structlog.get_logger()


class TaskHandlers:
    """Performs leased tasks and settles them; safe to run anywhere, any number of times."""

    def __init__(
        self,
        *,
        records: CommitLoop,
        queue: TaskQueue,
        provider_of: ProviderOf,
        ats_of: AtsOf,
        customers: CurrentCustomers,
        random_fraction: RandomFraction,
        new_secret: NewSecret,
        words: StatusWords,
        references: ReferenceIndex,
        events: ProviderEvents,
        meter: Meter = NO_METER,
        tracer: Tracer = NO_TRACER,
        alerts: AlertRaiser = NO_ALERTS,
    ) -> None:
        self._tracer = tracer
        self._alerts = alerts
        self._records = records
        self._queue = queue
        self._customers = customers
        self._random_fraction = random_fraction
        self._new_secret = new_secret
        failures = CallFailures(clock=records.clock, random_fraction=random_fraction)
        check = CheckTask(
            records=records,
            provider_of=provider_of,
            words=words,
            events=events,
            failures=failures,
        )
        notify = NotifyTask(
            records=records,
            ats_of=ats_of,
            clock=records.clock,
            random_fraction=random_fraction,
            failures=failures,
            meter=meter,
        )
        shared = SharedApplications(records.store, references)
        anonymise = AnonymiseTask(
            records=records,
            provider_of=provider_of,
            references=references,
            shared=shared,
            failures=failures,
        )
        hire = HireTask(
            records=records,
            provider_of=provider_of,
            shared=shared,
            failures=failures,
            random_fraction=random_fraction,
        )
        self._perform: dict[
            TaskKind, Callable[[Invitation, Customer, Lease], Awaitable[Settlement]]
        ] = {
            TaskKind.CHECK: check.perform,
            TaskKind.NOTIFY: notify.perform,
            TaskKind.ANONYMISE: anonymise.perform,
            TaskKind.HIRE: hire.perform,
        }

    def serves(self, customer: str) -> bool:
        """Whether this customer is served; the tasks of one that is removed or set aside wait in
        the queue.
        """
        return self._customers().get(customer) is not None

    async def perform_now(self, invitation_id: str, kind: TaskKind) -> bool:
        """Perform a queued task out of turn; False: it is not queued, or another worker has it."""
        now = self._records.clock()
        lease = await self._queue.take(
            invitation_id, kind, now, owner=self._new_secret(), until=now + LEASE_LIFE
        )
        if lease is None:
            return False
        await self.perform(lease)
        return True

    async def revive(self, invitation_id: str, kind: TaskKind) -> bool:
        """Queue a dead letter's task again; False: there is none."""
        return await self._queue.replay(invitation_id, kind, self._records.clock())

    async def perform(self, lease: Lease, known: Invitation | None = None) -> bool:
        """Perform a task and settle it; whether it went as well as it can.

        *known* is the record as it was just committed, where the caller has it. Raises
        ``StoreUnavailable`` only; the lease then runs out and the task is repeated.
        """
        if self._tracer is NO_TRACER:
            return await self._perform_and_settle(lease, known, None)
        activity = Activity(self._tracer, SpanKind.TASK, get_current_traceparent(), trusted=True)
        with tracing.enter_activity(activity):
            return await self._perform_and_settle(lease, known, activity)

    async def _perform_and_settle(
        self, lease: Lease, known: Invitation | None, activity: Activity | None
    ) -> bool:
        begun = time.monotonic()
        settlement = retry.keep_priority(lease, await self._handle(lease, known))
        if isinstance(settlement, GiveUpTask):
            await self._alerts.report_dead_letter(
                lease.customer, lease.invitation_id, lease.kind, settlement.reason
            )
        if not (isinstance(settlement, TaskDone) and settlement.settled):
            await self._queue.settle(lease, settlement, self._records.clock())
        note = getattr(settlement, "note", None)
        # Operators must see dead letters, and credentials that the ATS does not accept.
        level = logging.ERROR if isinstance(settlement, GiveUpTask) else logging.INFO
        if note is not None and note.outcome == "unauthorized":
            level = max(level, logging.WARNING)
        outcome = note.outcome if note else "ok"
        if activity is not None:
            activity.end(
                f"task {lease.kind}",
                {
                    "bridge.customer": lease.customer,
                    "bridge.invitation_id": lease.invitation_id,
                    "bridge.attempt": lease.attempt,
                    "bridge.settlement": _SETTLEMENTS[type(settlement)],
                    "bridge.outcome": outcome,
                },
                outcome if note and not isinstance(settlement, TaskDone) else "",
            )
        log.log(
            level,
            "task.performed",
            kind=lease.kind,
            invitation_id=lease.invitation_id,
            customer=lease.customer,
            attempt=lease.attempt,
            settlement=_SETTLEMENTS[type(settlement)],
            outcome=outcome,
            status=note.status if note else None,
            ms=round((time.monotonic() - begun) * 1000),
        )
        return isinstance(settlement, TaskDone)

    async def _handle(self, lease: Lease, known: Invitation | None) -> Settlement:
        customer = self._customers().get(lease.customer)
        if customer is None:
            # Removed or set aside since it was leased: it stays due, and waits until a process
            # serves the customer again.
            return RetryTask(self._records.clock(), counted=False)
        try:
            invitation = known or await self._records.store.load(lease.invitation_id)
            if invitation is None:
                return self._lost(lease)
            tracing.join(invitation.trace)
            settlement = await self._perform[lease.kind](invitation, customer, lease)
            if isinstance(settlement, GiveUpTask):
                detail = EventDetail(f"{lease.kind} {settlement.reason}")
                await self._records.note_in_history(
                    invitation, HistoryEntryKind.GIVEN_UP, detail=detail
                )
            return settlement
        except StoreUnavailable:
            raise
        except UnknownInvitation:
            return self._lost(lease)  # in the meantime
        except RequestInProgress:
            return RetryTask(self._records.clock() + retry.CONTENDED_DELAY, counted=False)
        except RecordDamaged:  # the quarantine has logged it, once
            return RetryTask(self._records.clock() + retry.UNREADABLE_RECORD_DELAY, counted=False)
        except RecordUnreadable as error:
            log.warning("task.postponed", task_id=lease.task_id, code=error.code, error=str(error))
            return RetryTask(self._records.clock() + retry.UNREADABLE_RECORD_DELAY, counted=False)
        except Exception as error:
            log.exception(
                "task.failed",
                kind=lease.kind,
                invitation_id=lease.invitation_id,
                customer=lease.customer,
            )
            return retry.decide_after_unexpected_error(
                lease, error, now=self._records.clock(), random_fraction=self._random_fraction()
            )

    @staticmethod
    def _lost(lease: Lease) -> TaskDone:
        """The record of a task is gone: nothing is left to do but to log it."""
        log.error(
            "record.lost",
            invitation_id=lease.invitation_id,
            customer=lease.customer,
            during=str(lease.kind),
        )
        return TaskDone()
