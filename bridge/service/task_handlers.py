"""Use case: perform one task: CHECK, NOTIFY, ANONYMISE."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bridge.core import retry
from bridge.core.assessment import Progress, Result
from bridge.core.customers import Customer
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle import attempts, checks, timing
from bridge.core.lifecycle.checks import ApplyEvent, AskProvider, WaitUntil
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ApplicationShared,
    NoResultYet,
    ProviderUnreachable,
    ResultConfirmed,
)
from bridge.core.queueing import AttemptNote, Done, GiveUp, Lease, Retry, Settlement, TaskKind
from bridge.errors import (
    Busy,
    CallbackNotAllowed,
    NotTried,
    RecordDamaged,
    RecordUnreadable,
    Refused,
    StoreUnavailable,
    UnknownInvitation,
    UpstreamError,
)
from bridge.ports import (
    AtsOf,
    CurrentCustomers,
    NewSecret,
    ProviderOf,
    RandomFraction,
    ReferenceIndex,
    TaskQueue,
)
from bridge.service.commit_loop import CommitLoop
from bridge.service.shared_applications import SharedApplications
from bridge.service.status_words import StatusWords

LEASE_LIFE = timedelta(seconds=10)
"""How long a lease lasts without a heartbeat; a killed process's work is taken over after that
(promised: 15 s).
"""

_SETTLEMENTS = {Done: "done", Retry: "retry", GiveUp: "given_up"}

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
    ) -> None:
        self._records = records
        self._queue = queue
        self._provider_of = provider_of
        self._ats_of = ats_of
        self._customers = customers
        self._random_fraction = random_fraction
        self._new_secret = new_secret
        self._words = words
        self._references = references
        self._holders = SharedApplications(records.store, references)
        self._handlers: dict[
            TaskKind, Callable[[Invitation, Customer, Lease], Awaitable[Settlement]]
        ] = {
            TaskKind.CHECK: self._check,
            TaskKind.NOTIFY: self._notify,
            TaskKind.ANONYMISE: self._anonymise,
        }

    def serves(self, customer: str) -> bool:
        """Whether the customer of this key is in force; the tasks of one that is removed or set
        aside wait in the queue.
        """
        return self._customers().get(customer) is not None

    async def perform_now(self, invitation_id: str, kind: TaskKind) -> bool:
        """Perform a queued task out of turn; False: it is not queued, or somebody else is at it."""
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

    async def perform(self, lease: Lease) -> None:
        """Perform a task and settle it.

        Raises ``StoreUnavailable`` only; the lease then runs out and the task is repeated.
        """
        begun = time.monotonic()
        settlement = retry.prioritised(lease, await self._handle(lease))
        await self._queue.settle(lease, settlement, self._records.clock())
        note = getattr(settlement, "note", None)
        # Somebody has to look at a dead letter, and at credentials that the ATS does not accept.
        level = logging.ERROR if isinstance(settlement, GiveUp) else logging.INFO
        if note is not None and note.outcome == "unauthorized":
            level = max(level, logging.WARNING)
        log.log(
            level,
            "task.performed",
            kind=lease.kind,
            invitation_id=lease.invitation_id,
            customer=lease.customer,
            attempt=lease.attempt,
            settlement=_SETTLEMENTS[type(settlement)],
            outcome=note.outcome if note else "ok",
            status=note.status if note else None,
            ms=round((time.monotonic() - begun) * 1000),
        )

    async def _handle(self, lease: Lease) -> Settlement:
        customer = self._customers().get(lease.customer)
        if customer is None:
            # Removed or set aside since it was leased: it stays due, and waits until somebody
            # serves the customer again.
            return Retry(self._records.clock(), counted=False)
        try:
            invitation = await self._records.store.load(lease.invitation_id)
            if invitation is None:
                return self._lost(lease)
            return await self._handlers[lease.kind](invitation, customer, lease)
        except StoreUnavailable:
            raise
        except UnknownInvitation:
            return self._lost(lease)  # in the meantime
        except Busy:
            return Retry(self._records.clock() + retry.CONTENDED_DELAY, counted=False)
        except RecordDamaged:  # its quarantine has said so, once
            return Retry(self._records.clock() + retry.NOT_OURS_DELAY, counted=False)
        except RecordUnreadable as error:
            log.warning("task.put_off", task_id=lease.task_id, code=error.code, error=str(error))
            return Retry(self._records.clock() + retry.NOT_OURS_DELAY, counted=False)
        except Exception as error:
            log.exception(
                "task.failed",
                kind=lease.kind,
                invitation_id=lease.invitation_id,
                customer=lease.customer,
            )
            return retry.after_bug(
                lease, error, now=self._records.clock(), random_fraction=self._random_fraction()
            )

    @staticmethod
    def _lost(lease: Lease) -> Done:
        """The record of a task is gone: nothing is left to do, but somebody should know."""
        log.error(
            "record.lost",
            invitation_id=lease.invitation_id,
            customer=lease.customer,
            during=str(lease.kind),
        )
        return Done()

    # -- CHECK

    async def _check(self, invitation: Invitation, customer: Customer, lease: Lease) -> Settlement:
        policy = self._records.policy(customer)
        match checks.next_check(invitation, policy, self._records.clock()):
            case None:
                return Done()
            case WaitUntil(until):
                return Retry(until, counted=False)
            case ApplyEvent(event):
                await self._records.apply(invitation, event, customer)
                return Done()
            case AskProvider(reference_id, with_result):
                return await self._ask(
                    invitation, customer, lease, reference_id, with_result=with_result
                )

    async def _ask(
        self,
        invitation: Invitation,
        customer: Customer,
        lease: Lease,
        reference_id: str,
        *,
        with_result: bool,
    ) -> Settlement:
        begun = time.monotonic()
        try:
            ask = self._result_itself if with_result else self._result_if_done
            result = await ask(customer, reference_id)
        except UpstreamError as error:
            return await self._unanswered(invitation, customer, lease, error, begun)
        event = ResultConfirmed(result) if result is not None else NoResultYet()
        decided = await self._records.apply(invitation, event, customer)
        if decided.state is State.COMPLETED:
            # The way to a record that now lives on for another retention lives on with it.
            with contextlib.suppress(StoreUnavailable):
                await self._references.remember(customer.key, reference_id, invitation.id)
        return Done()

    async def _result_if_done(self, customer: Customer, reference_id: str) -> Result | None:
        progress = await self._provider_of(customer).get_progress(customer, reference_id)
        await self._words.heard(customer, progress)
        return (
            await self._provider_of(customer).get_result(customer, reference_id)
            if progress.done
            else None
        )

    async def _result_itself(self, customer: Customer, reference_id: str) -> Result | None:
        """The result, whatever the status says or fails with; its word is heard all the same, for
        the log.
        """
        result, progress = await asyncio.gather(
            self._provider_of(customer).get_result(customer, reference_id),
            self._provider_of(customer).get_progress(customer, reference_id),
            return_exceptions=True,
        )
        if isinstance(progress, Progress):
            await self._words.heard(customer, progress)
        elif not isinstance(progress, UpstreamError):
            raise progress
        if isinstance(result, BaseException):
            raise result
        return result

    async def _unanswered(
        self,
        invitation: Invitation,
        customer: Customer,
        lease: Lease,
        error: UpstreamError,
        begun: float,
    ) -> Settlement:
        """No usable answer.

        A plain "no" about this one application is an answer of a kind: nothing is there yet.
        """
        refused = isinstance(error, Refused) and error.status in (404, 410)
        decided = await self._records.apply(
            invitation, NoResultYet() if refused else ProviderUnreachable(), customer
        )
        now = self._records.clock()
        if refused or decided.state is not invitation.state:
            return Done()
        again = self._after_failure(lease, error, now, begun)
        ends = timing.unreachable_timeout_at(decided, self._records.policy(customer), now)
        return replace(again, at=min(again.at, ends)) if ends is not None else again

    def _after_failure(
        self, lease: Lease, error: UpstreamError, now: datetime, begun: float
    ) -> Retry:
        if isinstance(error, NotTried):
            return self._not_tried(error, now)
        note = _note(error, now, begun)
        return retry.after_provider_failure(
            lease.attempt,
            note,
            retry_after_s=error.retry_after_s,
            now=now,
            random_fraction=self._random_fraction(),
        )

    def _not_tried(self, error: NotTried, now: datetime) -> Retry:
        return retry.after_not_tried(
            error.retry_after_s, now=now, random_fraction=self._random_fraction()
        )

    # -- NOTIFY

    async def _notify(self, invitation: Invitation, customer: Customer, lease: Lease) -> Settlement:
        if not checks.needs_notification(invitation):
            return Done()
        begun = time.monotonic()
        retry_after_s: float | None = None
        ats = self._ats_of(customer)
        try:
            # Checked again: the administrator may have shortened the list since the order came in.
            ats.callback_policy.check(invitation.callback)
            answer = await ats.notifier.notify(customer, invitation.callback, invitation.id)
        except CallbackNotAllowed:
            note = AttemptNote(self._records.clock(), "callback_not_allowed")
            return GiveUp("callback_not_allowed", note, counted=False)
        except NotTried as error:
            return self._not_tried(error, self._records.clock())
        except UpstreamError as error:
            note = _note(error, self._records.clock(), begun)
            retry_after_s = error.retry_after_s
        else:
            outcome = retry.notification_outcome(answer.status)
            note = AttemptNote(
                self._records.clock(),
                outcome,
                answer.status,
                _since(begun),
                answer.excerpt,
            )
            retry_after_s = answer.retry_after_s
        return retry.after_notification(
            ats.retry_plan,
            lease.attempt,
            note,
            retry_after_s=retry_after_s,
            now=self._records.clock(),
            random_fraction=self._random_fraction(),
        )

    # -- ANONYMISE

    async def _anonymise(
        self, invitation: Invitation, customer: Customer, lease: Lease
    ) -> Settlement:
        for reference_id in attempts.applications_to_anonymise(invitation):
            begun = time.monotonic()
            if others := await self._holders.others(invitation, reference_id):
                log.warning(
                    "anonymisation.passed_on",
                    invitation_id=invitation.id,
                    customer=customer.key,
                    others=list(others),
                    text="they hold the same application; the deletion of the last of them has it anonymised",
                )
                invitation = await self._records.apply(
                    invitation, ApplicationShared(reference_id), customer
                )
                await self._references.forget(customer.key, reference_id, invitation.id)
                continue
            try:
                await self._provider_of(customer).anonymise(customer, reference_id)
            except UpstreamError as error:
                now = self._records.clock()
                if isinstance(error, Refused) and error.status in (409, 422):
                    # The provider will not, whatever we do; somebody has to look at it.
                    return GiveUp("refused", _note(error, now, begun))
                return self._after_failure(lease, error, now, begun)
            invitation = await self._records.apply(
                invitation, ApplicationAnonymised(reference_id), customer
            )
            await self._references.forget(customer.key, reference_id, invitation.id)
        return Done()


def _note(error: UpstreamError, now: datetime, begun: float) -> AttemptNote:
    return AttemptNote(now, error.code, error.status, _since(begun), error.excerpt)


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
