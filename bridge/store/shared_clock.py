"""One time for all hosts: Redis's, continued between readings by this process' monotonic clock.

Leases, due times and deadlines are compared by other processes than those that wrote them. With
their own clocks two hosts that are eleven seconds apart would take each other's running tasks. So
no host uses its own clock: each asks Redis for the time, at the start and four times a minute, and
counts on from there. Two processes then differ at most by half a round trip to Redis and
``TOLERANCE_S``; a lease tolerates ``worker.MAX_CLOCK_SKEW_S``.

A wrong clock of a host is logged (``clock.skewed``), since an operator must set it; a wrong clock
of Redis is logged by all hosts. Of several primaries the median counts: if a failover moves it, all
hosts follow within ``SYNC_INTERVAL_S``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge.errors import StoreUnavailable
from bridge.ports import BeforeClockStep, Clock, Monotonic
from bridge.store.redis_access import RedisAccess

SYNC_INTERVAL_S: Final = 15.0
TOLERANCE_S: Final = 0.1
"""Differences below this (plus half a round trip) are ignored: round trips vary."""
REPORTED_SKEW_S: Final = 2.0
"""From here on a difference between this host's clock and Redis's is logged."""
_ANSWER_S: Final = 0.6
_SUSPECT_S: Final = 1.0
"""After such a jump this host's clock was set, or the process stood still: Redis is asked at
once.
"""
_ZERO: Final = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The time of one server, read between two monotonic instants."""

    asked_at: float
    answered_at: float
    at: datetime

    @property
    def zero(self) -> float:
        """The time of monotonic zero, in seconds since 1970."""
        return (self.at - _ZERO).total_seconds() - (self.asked_at + self.answered_at) / 2

    @property
    def uncertainty_s(self) -> float:
        """By how many seconds ``zero`` may be wrong."""
        return (self.answered_at - self.asked_at) / 2


async def read_server_times(
    commands: RedisAccess, monotonic: Monotonic, *, within_s: float = _ANSWER_S
) -> list[ClockReading]:
    """The time of each server that takes writes, as far as they answer in time."""

    async def ask(node: Redis) -> ClockReading:
        asked_at = monotonic()
        seconds, micros = await node.time()
        at = datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(micros))
        return ClockReading(asked_at, monotonic(), at)

    try:
        return await commands.run_on_primaries(ask, deadline_s=within_s)
    except ResponseError:  # TIME is not permitted
        return []


class SharedClock:
    """A ``Clock``.

    Until Redis was asked it gives this host's own time; while Redis does not answer it runs on.

    *read* asks every server that takes writes; *read_first* does so until one has answered: as
    patiently as records are written, or a process could write by its host's clock, which may be
    wrong by any time.
    """

    def __init__(
        self,
        read: Callable[[Monotonic], Awaitable[Sequence[ClockReading]]],
        *,
        wall: Clock,
        monotonic: Monotonic,
        read_first: Callable[[Monotonic], Awaitable[Sequence[ClockReading]]] | None = None,
    ) -> None:
        self._read = read
        self._read_first = read_first or read
        self._wall = wall
        self._monotonic = monotonic
        self._zero: float | None = None
        self.is_known = True
        """False: it is still this host's own, since Redis did not answer; nothing may be decided by
        it.
        """
        self._synchronised_at = float("-inf")
        self._own_zero = 0.0
        self._logged_skew_s = 0.0
        self._apart = False

    def __call__(self) -> datetime:
        """Now, in whole milliseconds: what the store keeps."""
        if self._zero is None:
            return self._wall()
        return self._of(self._zero)

    @property
    def skew_s(self) -> float:
        """By how many seconds this host's own clock is ahead of the shared time."""
        return (self._wall() - self()).total_seconds()

    def problem(self) -> str | None:
        """What is wrong with this host's clock, for the operator; None: nothing."""
        return None if abs(self.skew_s) < REPORTED_SKEW_S else _words(self.skew_s)

    async def synchronise(self, before_step: BeforeClockStep) -> bool:
        """Ask Redis for the time, if the last answer is old or this host's clock was set.

        *before_step* is called before the time changes.

        Without an answer the time stays as it is; False: it is still this host's own, and Redis
        could not be asked.
        """
        now = self._monotonic()
        own_zero = self._own()
        if (
            now < self._synchronised_at + SYNC_INTERVAL_S
            and abs(own_zero - self._own_zero) < _SUSPECT_S
        ):
            return True
        read = self._read_first if self._zero is None else self._read
        try:
            readings = sorted(await read(self._monotonic), key=lambda reading: reading.zero)
        except StoreUnavailable:
            self.is_known = self._zero is not None
            return self.is_known
        except Exception:
            self.is_known = True  # it will never be: better this host's time than none
            raise
        if not readings:
            self.is_known = True
            return True
        self._synchronised_at, self._own_zero = self._monotonic(), self._own()
        middle = readings[(len(readings) - 1) // 2]
        if self._zero is None or abs(middle.zero - self._zero) > TOLERANCE_S + middle.uncertainty_s:
            if self._zero is not None:
                step_s = middle.zero - self._zero
                if abs(step_s) >= REPORTED_SKEW_S:
                    log.warning(
                        "clock.stepped",
                        step_s=round(step_s, 1),
                        text="Redis's clock was set, or another Redis took over",
                    )
                await before_step(self._of(middle.zero))
            self._zero = middle.zero
        self.is_known = True
        self._log_skew(readings[-1].zero - readings[0].zero)
        return True

    def _of(self, zero: float) -> datetime:
        return datetime.fromtimestamp(int((zero + self._monotonic()) * 1000) / 1000, UTC)

    def _own(self) -> float:
        return (self._wall() - _ZERO).total_seconds() - self._monotonic()

    def _log_skew(self, apart_s: float) -> None:
        skew_s = self.skew_s
        if (
            abs(skew_s) >= REPORTED_SKEW_S
            and abs(skew_s - self._logged_skew_s) >= REPORTED_SKEW_S / 2
        ):
            log.warning("clock.skewed", skew_s=round(skew_s, 1), text=_words(skew_s))
            self._logged_skew_s = skew_s
        elif abs(skew_s) < REPORTED_SKEW_S and self._logged_skew_s:
            log.info("clock.agrees", skew_s=round(skew_s, 1))
            self._logged_skew_s = 0.0
        if (apart_s >= REPORTED_SKEW_S) != self._apart:
            self._apart = apart_s >= REPORTED_SKEW_S
            if self._apart:
                text = (
                    "Redis's servers have different times: a failover would move the time of all"
                    " hosts; set them by NTP"
                )
                log.warning("clock.servers_differ", apart_s=round(apart_s, 1), text=text)


def _words(skew_s: float) -> str:
    way = "ahead of" if skew_s > 0 else "behind"
    return (
        f"this host's clock is {abs(skew_s):.1f} s {way} Redis's, which the bridge uses;"
        " set both by NTP"
    )
