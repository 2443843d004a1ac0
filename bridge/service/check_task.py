"""Use case: the task CHECK, which finds out from the provider how far an application is."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace

from bridge.core.assessment import ApplicationProgress, Result
from bridge.core.customers import Customer
from bridge.core.history import HistoryEntryKind
from bridge.core.history_events import EventDetail
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle import checks, timing
from bridge.core.lifecycle.checks import ApplyEvent, AskProvider, WaitUntil
from bridge.core.lifecycle.events import NoResultYet, ProviderUnreachable, ResultConfirmed
from bridge.core.queueing import Lease, RetryTask, Settlement, TaskDone
from bridge.errors import (
    CallNotMade,
    RequestInProgress,
    StoreUnavailable,
    UpstreamError,
    UpstreamRefused,
)
from bridge.ports import ProviderOf
from bridge.service.call_failures import CallFailures
from bridge.service.commit_loop import CommitLoop
from bridge.service.provider_events import ProviderEvents
from bridge.service.status_words import StatusWords

_Answer = tuple[Result | None, ApplicationProgress | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTask:
    """Asks the provider as ``decide_next_check`` says, and applies the answer."""

    records: CommitLoop
    provider_of: ProviderOf
    words: StatusWords
    events: ProviderEvents
    failures: CallFailures

    async def perform(self, invitation: Invitation, customer: Customer, lease: Lease) -> Settlement:
        """Check once; a check that got no answer is tried again."""
        policy = self.records.policy(customer)
        match checks.decide_next_check(invitation, policy, self.records.clock()):
            case None:
                return TaskDone()
            case WaitUntil(until):
                return RetryTask(until, counted=False)
            case ApplyEvent(event):
                _, ended = await self.records.apply_and_end(invitation, event, customer, lease)
                return TaskDone(settled=ended)
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
            result, progress = await ask(customer, reference_id)
        except UpstreamError as error:
            return await self._unanswered(invitation, customer, lease, error, begun)
        event = ResultConfirmed(result) if result is not None else NoResultYet(with_result)
        decided, ended = await self.records.apply_and_end(invitation, event, customer, lease)
        if progress is not None:
            # Only now: where its part of Redis hangs, a result must not wait for a word.
            await self.words.record(customer, progress)
        with contextlib.suppress(StoreUnavailable, RequestInProgress):
            if decided.state is State.COMPLETED:
                # The record is now kept for a new retention period, so its reference must be, too.
                await self.events.register_reference(decided, reference_id)
            else:
                await self.events.restore_reference(decided, reference_id)
        return TaskDone(settled=ended)

    async def _result_if_done(self, customer: Customer, reference_id: str) -> _Answer:
        provider = self.provider_of(customer)
        progress = await provider.get_progress(customer, reference_id)
        if not progress.done:
            return None, progress
        return await provider.get_result(customer, reference_id), progress

    async def _result_itself(self, customer: Customer, reference_id: str) -> _Answer:
        """The result, whatever the status is and even if it cannot be read; an unknown status word
        is logged all the same.
        """
        provider = self.provider_of(customer)
        result, progress = await asyncio.gather(
            provider.get_result(customer, reference_id),
            provider.get_progress(customer, reference_id),
            return_exceptions=True,
        )
        if isinstance(progress, BaseException) and not isinstance(progress, UpstreamError):
            raise progress
        seen = progress if isinstance(progress, ApplicationProgress) else None
        if isinstance(result, BaseException):
            if seen is not None:
                await self.words.record(customer, seen)
            raise result
        return result, seen

    async def _unanswered(
        self,
        invitation: Invitation,
        customer: Customer,
        lease: Lease,
        error: UpstreamError,
        begun: float,
    ) -> Settlement:
        """No usable answer.

        "Not found" about this one application is an answer, too: there is no result yet.
        """
        nothing_there = isinstance(error, UpstreamRefused) and error.not_found
        known = invitation.unconfirmed_result is not None
        event = NoResultYet(known) if nothing_there else ProviderUnreachable()
        decided = await self.records.apply(invitation, event, customer)
        now = self.records.clock()
        if nothing_there or decided.state is not invitation.state:
            return TaskDone()
        if not isinstance(error, CallNotMade):
            detail = EventDetail(error.code, error.status)
            await self.records.note_in_history(decided, HistoryEntryKind.UNANSWERED, detail=detail)
        again = self.failures.retry_for(lease, error, begun)
        ends = timing.get_unreachable_timeout(decided, self.records.policy(customer), now)
        return replace(again, at=min(again.at, ends)) if ends is not None else again
