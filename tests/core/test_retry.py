from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import retry
from bridge.core.queueing import (
    AttemptNote,
    GiveUpTask,
    Lease,
    RetryTask,
    Settlement,
    TaskDone,
    TaskKind,
)
from tests.core.build import DAY, HOUR, MINUTE, NOW, SECOND

PLAN = (10 * SECOND, MINUTE, 5 * MINUTE, HOUR, 6 * HOUR)
MIDDLE = 0.5
"""The throw of the dice that leaves a delay as it is."""


def note(status: int) -> AttemptNote:
    """The note of an attempt that softgarden answered with *status*."""
    return AttemptNote(NOW, retry.name_notification_outcome(status), status)


def settle(
    status: int,
    attempt: int = 1,
    plan: tuple[timedelta, ...] = PLAN,
    retry_after_s: float | None = None,
    random_fraction: float = MIDDLE,
) -> Settlement:
    """What follows this answer to this attempt."""
    return retry.decide_after_notification(
        plan,
        attempt,
        note(status),
        retry_after_s=retry_after_s,
        now=NOW,
        random_fraction=random_fraction,
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "delivered"),
        (204, "delivered"),
        (299, "delivered"),
        (199, "http_199"),
        (300, "http_300"),
        (302, "http_302"),
        (400, "rejected"),
        (401, "unauthorized"),
        (403, "http_403"),
        (404, "http_404"),
        (429, "http_429"),
        (500, "http_500"),
    ],
)
def test_notification_outcome(status: int, expected: str) -> None:
    """Every status has the word that logs, metrics and dead letters use."""
    assert expected == retry.name_notification_outcome(status)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_done(status: int) -> None:
    """A notification that was taken is done, also on its last attempt."""
    assert TaskDone() == settle(status)
    assert TaskDone() == settle(status, attempt=len(PLAN) + 1)


def test_400_is_dead_at_once() -> None:
    """A body that softgarden calls wrong will not get better by waiting."""
    assert GiveUpTask("rejected", note(400)) == settle(400)


@pytest.mark.parametrize("status", [302, 404, 408, 429, 500, 503])
def test_everything_else_is_tried_again_by_the_plan(status: int) -> None:
    """Each failed attempt waits for its own entry of the plan."""
    expected = [RetryTask(NOW + delay, note(status)) for delay in PLAN]
    assert expected == [settle(status, attempt) for attempt in range(1, len(PLAN) + 1)]


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_n_entries_make_n_plus_one_attempts(count: int) -> None:
    """A plan of n entries ends with attempt n + 1, and its outcome is the reason of the dead
    letter.
    """
    plan = PLAN[:count]
    for attempt in range(1, count + 1):
        assert isinstance(settle(503, attempt, plan), RetryTask)
    assert GiveUpTask("http_503", note(503)) == settle(503, count + 1, plan)


@pytest.mark.parametrize(("attempt", "entry"), [(1, 4), (2, 4), (3, 4), (4, 4), (5, 5)])
def test_401_is_never_hurried(attempt: int, entry: int) -> None:
    """Wrong credentials are tried again no sooner than the fourth entry of the plan, so that nobody
    is locked out.
    """
    assert RetryTask(NOW + PLAN[entry - 1], note(401)) == settle(401, attempt)


def test_401_takes_the_last_entry_of_a_short_plan() -> None:
    """Where the plan has fewer than four entries, a 401 waits for the last one."""
    assert RetryTask(NOW + MINUTE, note(401)) == settle(401, 1, PLAN[:2])


def test_401_is_given_up_like_everything_else() -> None:
    """A 401 on the last attempt is a dead letter that says so."""
    assert GiveUpTask("unauthorized", note(401)) == settle(401, len(PLAN) + 1)


def test_provider_failures_climb_the_ladder_without_end() -> None:
    """Calls to the provider are repeated ever more slowly, at last every hour, and never given
    up.
    """
    failed = AttemptNote(NOW, "upstream_unavailable", 503)
    waits = [
        retry.retry_after_provider_failure(
            attempt, failed, retry_after_s=None, now=NOW, random_fraction=MIDDLE
        ).at
        - NOW
        for attempt in (1, 2, len(retry.PROVIDER_RETRY_DELAYS), 1000)
    ]
    assert [SECOND, 2 * SECOND, HOUR, HOUR] == waits


def ladder(pauses: Sequence[timedelta]) -> list[tuple[str, timedelta, timedelta]]:
    """The rows of a ladder: attempt, pause before it, time since the first."""
    waits = [timedelta(0), *pauses]
    return [
        (str(number), pause, sum(waits[:number], timedelta(0)))
        for number, pause in enumerate(waits, 1)
    ]


def test_printed_ladders_are_the_plans() -> None:
    """The ladders in the module's docstring, with their cumulative times, are what is done."""
    printed = [
        [
            (number, *map(duration, times))
            for number, *times in re.findall(r"^ +(\d+)  +(\S+)  +(\S.*)$", text, re.MULTILINE)
        ]
        for text in str(retry.__doc__).split("attempt  pause  since the first")[1:]
    ]
    sample = (Path(__file__).parents[2] / "config" / "bridge.yaml").read_text("utf-8")
    default = [duration(pause) for pause in yaml.safe_load(sample)["softgarden"]["retry"]]
    assert printed == [ladder(default), ladder(retry.PROVIDER_RETRY_DELAYS)]


def duration(text: str) -> timedelta:
    """``1d 2h 3m 4s``, or ``-`` for none."""
    units = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
    parts = re.findall(r"(\d+)([dhms])", text)
    return sum((int(number) * units[unit] for number, unit in parts), timedelta(0))


def test_ladder_only_climbs() -> None:
    """No step of the ladder is shorter than the one before."""
    assert sorted(retry.PROVIDER_RETRY_DELAYS) == list(retry.PROVIDER_RETRY_DELAYS)


@pytest.mark.parametrize(
    ("retry_after_s", "expected"),
    [
        (None, 10 * SECOND),
        (0, 10 * SECOND),
        (3, 10 * SECOND),
        (90.5, 90.5 * SECOND),
        (10**9, DAY),
        (-5, 10 * SECOND),
    ],
)
def test_retry_after_makes_it_only_later(retry_after_s: float | None, expected: timedelta) -> None:
    """``Retry-After`` can put an attempt off for a day at most, and never hasten it."""
    assert RetryTask(NOW + expected, note(429)) == settle(429, retry_after_s=retry_after_s)
    provider = retry.retry_after_provider_failure(
        4, note(429), retry_after_s=retry_after_s, now=NOW, random_fraction=MIDDLE
    )
    assert RetryTask(NOW + expected, note(429)) == provider


@pytest.mark.parametrize("asked", [1e300, float("inf")])
def test_absurd_retry_after_is_a_day(asked: float) -> None:
    """A number that no calendar can hold is a day, not a crash."""
    assert retry.RETRY_AFTER_CAP == retry.cap_retry_after(asked)


@given(st.floats(0, 1, exclude_max=True), st.timedeltas(timedelta(0), 2 * DAY))
def test_jitter_stays_within_a_fifth(random_fraction: float, delay: timedelta) -> None:
    """A delay varies by 20 % at most, to either side."""
    rounding = timedelta(microseconds=1)
    assert (
        delay * 0.8 - rounding <= retry.add_jitter(delay, random_fraction) <= delay * 1.2 + rounding
    )


def test_jitter_uses_its_whole_range() -> None:
    """The dice's ends are the bounds, and its middle is the delay itself."""
    assert [80 * SECOND, 100 * SECOND] == [
        retry.add_jitter(100 * SECOND, random_fraction) for random_fraction in (0.0, 0.5)
    ]
    assert 119 * SECOND < retry.add_jitter(100 * SECOND, 0.999) < 120 * SECOND


def test_jitter_is_applied_to_both_plans() -> None:
    """Notifications and calls to the provider are both spread out."""
    assert RetryTask(NOW + 8 * SECOND, note(500)) == settle(500, random_fraction=0.0)
    provider = retry.retry_after_provider_failure(
        4, note(500), retry_after_s=None, now=NOW, random_fraction=0.0
    )
    assert RetryTask(NOW + 8 * SECOND, note(500)) == provider


@pytest.mark.parametrize(
    ("kind", "urgent", "stays"),
    [(TaskKind.CHECK, True, True), (TaskKind.CHECK, False, False), (TaskKind.NOTIFY, True, False)],
)
def test_only_the_check_of_a_report_stays_urgent(kind: TaskKind, urgent: bool, stays: bool) -> None:
    """What failed joins the customer's backlog, except for the check of a report; what is done has
    no place at all.
    """
    lease = Lease("iv_1", kind, "acme", 1, "me", 1, urgent=urgent)
    again = retry.keep_priority(lease, RetryTask(NOW, urgent=not stays))
    assert isinstance(again, RetryTask)
    assert again.urgent is stays
    assert retry.keep_priority(lease, TaskDone()) == TaskDone()
