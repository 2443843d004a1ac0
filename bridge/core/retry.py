"""When a task is tried again, and when it is given up: one place for every retry rule.

A pause is as long as the ladder says, ±20 %. Notifications, with the plan that is configured by
default; a plan of n pauses makes n + 1 attempts, and then the task is a dead letter::

    attempt  pause  since the first
          1      -                -
          2     5s               5s
          3    30s              35s
          4     2m           2m 35s
          5    10m          12m 35s
          6     1h       1h 12m 35s
          7     3h       4h 12m 35s
          8     6h      10h 12m 35s
          9    12h      22h 12m 35s
         10     1d   1d 22h 12m 35s
         11     1d   2d 22h 12m 35s
         12     1d   3d 22h 12m 35s

Calls to the provider; the last pause repeats without end::

    attempt  pause  since the first
          1      -                -
          2     1s               1s
          3     2s               3s
          4     5s               8s
          5    10s              18s
          6    30s              48s
          7     1m           1m 48s
          8     5m           6m 48s
          9    15m          21m 48s
         10    30m          51m 48s
         11     1h       1h 51m 48s
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.core.queueing import (
    AttemptNote,
    GiveUpTask,
    Lease,
    RetryTask,
    Settlement,
    TaskDone,
    TaskKind,
)

JITTER = 0.2
RETRY_AFTER_CAP = timedelta(hours=24)
MIN_PLAN_ENTRY_AFTER_401 = 4
"""A 401 is never retried sooner than this entry of the plan (counted from 1)."""

PROVIDER_RETRY_DELAYS = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 2, 5, 10, 30, 60, 5 * 60, 15 * 60, 30 * 60, 60 * 60)
)
"""Pauses after calls to the provider that failed; the last one repeats without end."""


UNREADABLE_RECORD_DELAY = timedelta(minutes=10)
"""How long a task is postponed if this process cannot read its record: it is damaged, a newer
version wrote it, or its key is not listed.
"""

CONTENDED_DELAY = timedelta(seconds=1)
"""How long a task is postponed if other processes kept changing its invitation."""

POISONED_AFTER = 10
"""Unexpected errors after which a task is a dead letter instead of a loop."""

_BUG = "bug:"


def name_notification_outcome(status: int) -> str:
    """How the ATS answered, in one word, for logs and dead letters."""
    if 200 <= status < 300:
        return "delivered"
    return {400: "rejected", 401: "unauthorized"}.get(status, f"http_{status}")


def decide_after_notification(
    plan: Sequence[timedelta],
    attempt: int,
    note: AttemptNote,
    *,
    retry_after_s: float | None,
    now: datetime,
    random_fraction: float,
) -> Settlement:
    """What follows attempt *attempt* (from 1) of a notification; a plan of n entries makes n + 1
    attempts.

    2xx is done. 400 is a dead letter at once: the ATS says that the body is wrong, and a retry
    sends the same body. 401 means wrong credentials for this invitation: retried, but on the slow
    part of the plan, so that the account is not locked. Everything else (3xx included, which is
    never followed) is retried; ``Retry-After`` can only make it later.
    """
    if note.outcome == "delivered":
        return TaskDone()
    if note.outcome == "rejected":
        return GiveUpTask("rejected", note)
    if attempt > len(plan):
        return GiveUpTask(note.outcome, note)
    delay = add_jitter(plan[attempt - 1], random_fraction)
    if note.outcome == "unauthorized":
        delay = max(delay, plan[min(MIN_PLAN_ENTRY_AFTER_401, len(plan)) - 1])
    return RetryTask(now + max(delay, cap_retry_after(retry_after_s)), note)


def retry_after_provider_failure(
    attempt: int,
    note: AttemptNote,
    *,
    retry_after_s: float | None,
    now: datetime,
    random_fraction: float,
) -> RetryTask:
    """When to call the provider again after failed attempt *attempt* (from 1): at growing
    intervals, without end.
    """
    delay = add_jitter(
        PROVIDER_RETRY_DELAYS[min(attempt, len(PROVIDER_RETRY_DELAYS)) - 1], random_fraction
    )
    return RetryTask(now + max(delay, cap_retry_after(retry_after_s)), note)


def retry_after_call_not_made(
    retry_after_s: float | None, *, now: datetime, random_fraction: float
) -> RetryTask:
    """When to try again a call that was not sent, which does not count as an attempt: spread a
    little, since many may wait for the same thing.
    """
    return RetryTask(now + cap_retry_after(retry_after_s) * (1 + random_fraction), counted=False)


def decide_after_unexpected_error(
    lease: Lease, error: Exception, *, now: datetime, random_fraction: float
) -> Settlement:
    """What follows an unexpected error: a few more tries, then a dead letter, so that the task
    does not fail for ever.
    """
    note = AttemptNote(now, f"{_BUG}{type(error).__name__}")
    if sum(earlier.outcome.startswith(_BUG) for earlier in lease.history) + 1 >= POISONED_AFTER:
        return GiveUpTask("poisoned", note)
    return retry_after_provider_failure(
        lease.attempt, note, retry_after_s=None, now=now, random_fraction=random_fraction
    )


def keep_priority(lease: Lease, settlement: Settlement) -> Settlement:
    """The check of a reported result stays ahead of the customer's backlog until it is settled; any
    other failed task joins the backlog.
    """
    if isinstance(settlement, RetryTask):
        return replace(settlement, urgent=lease.urgent and lease.kind is TaskKind.CHECK)
    return settlement


def add_jitter(delay: timedelta, random_fraction: float) -> timedelta:
    """*delay* ±20 %; *random_fraction* in [0, 1)."""
    return delay * (1 - JITTER + 2 * JITTER * random_fraction)


def cap_retry_after(retry_after_s: float | None) -> timedelta:
    """The pause that a vendor's ``Retry-After`` asks for, at most a day."""
    return timedelta(seconds=min(retry_after_s or 0, RETRY_AFTER_CAP.total_seconds()))
