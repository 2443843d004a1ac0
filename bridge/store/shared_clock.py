"""One time for all hosts: Redis's, carried on by a clock of this process that nobody can set.

Leases, due times and deadlines are compared by other processes than those that wrote them. By their
own clocks two hosts that are eleven seconds apart would take each other's running tasks. So none
goes by its own: each asks Redis what time it is, at the start and four times a minute, and counts
on from there. Two processes then differ by half a journey to Redis and ``TOLERANCE_S`` at most; a
lease bears ``worker.MAX_CLOCK_SKEW_S``.

What is wrong with a host's own clock is said (``clock.skewed``), for somebody must set it; and so
is what is wrong with Redis's, by all hosts. Of several primaries the one in the middle counts:
where a failover moves it, all hosts follow within ``LOOK_EVERY_S``.
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

LOOK_EVERY_S: Final = 15.0
TOLERANCE_S: Final = 0.1
"""Differences below this (and half the journey) are not followed: no two journeys are alike."""
REPORTED_SKEW_S: Final = 2.0
"""From here on a difference between this host's clock and Redis's is said."""
_ANSWER_S: Final = 0.6
_SUSPECT_S: Final = 1.0
"""This host's clock was set, or the process stood still for long: Redis is asked at once."""
_ZERO: Final = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reading:
    """What time one server says it is; it said so between two monotonic instants."""

    asked_at: float
    answered_at: float
    at: datetime

    @property
    def zero(self) -> float:
        """The time of monotonic zero, in seconds since 1970."""
        return (self.at - _ZERO).total_seconds() - (self.asked_at + self.answered_at) / 2

    @property
    def unsure_s(self) -> float:
        """By how much that may be wrong."""
        return (self.answered_at - self.asked_at) / 2


async def read_times(commands: RedisAccess, monotonic: Monotonic) -> list[Reading]:
    """What time it is at each server that takes writes, as far as they answer at once."""

    async def ask(node: Redis) -> Reading:
        asked_at = monotonic()
        seconds, micros = await node.time()
        at = datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(micros))
        return Reading(asked_at, monotonic(), at)

    try:
        return await commands.run_on_primaries(ask, deadline_s=_ANSWER_S)
    except ResponseError:  # they do not tell
        return []


class SharedClock:
    """A ``Clock``.

    Until Redis has been asked it is this host's own; while Redis does not answer it runs on.

    *read* asks every server that takes writes.
    """

    def __init__(
        self,
        read: Callable[[Monotonic], Awaitable[Sequence[Reading]]],
        *,
        wall: Clock,
        monotonic: Monotonic,
    ) -> None:
        self._read = read
        self._wall = wall
        self._monotonic = monotonic
        self._zero: float | None = None
        self._looked_at = float("-inf")
        self._own_zero = 0.0
        self._said_s = 0.0
        self._apart = False

    def __call__(self) -> datetime:
        """Now, in whole milliseconds: what the store keeps."""
        if self._zero is None:
            return self._wall()
        return self._of(self._zero)

    @property
    def skew_s(self) -> float:
        """By how much this host's own clock is ahead of the time that counts."""
        return (self._wall() - self()).total_seconds()

    def complaint(self) -> str | None:
        """What is wrong with this host's clock, for people; None: nothing worth saying."""
        return None if abs(self.skew_s) < REPORTED_SKEW_S else _words(self.skew_s)

    async def agree(self, hold: BeforeClockStep) -> None:
        """Ask Redis if it is time to.

        *hold* is called before a new time counts, where that makes a difference.

        Without an answer the time stays as it is.
        """
        now = self._monotonic()
        own_zero = self._own()
        if now < self._looked_at + LOOK_EVERY_S and abs(own_zero - self._own_zero) < _SUSPECT_S:
            return
        try:
            readings = sorted(await self._read(self._monotonic), key=lambda reading: reading.zero)
        except StoreUnavailable:
            return
        if not readings:
            return
        self._looked_at, self._own_zero = self._monotonic(), self._own()
        middle = readings[(len(readings) - 1) // 2]
        if self._zero is None or abs(middle.zero - self._zero) > TOLERANCE_S + middle.unsure_s:
            if self._zero is not None:
                step_s = middle.zero - self._zero
                if abs(step_s) >= REPORTED_SKEW_S:
                    log.warning(
                        "clock.stepped",
                        step_s=round(step_s, 1),
                        text="Redis's clock was set, or another Redis took over",
                    )
                await hold(self._of(middle.zero))
            self._zero = middle.zero
        self._say(readings[-1].zero - readings[0].zero)

    def _of(self, zero: float) -> datetime:
        return _ZERO + timedelta(milliseconds=int((zero + self._monotonic()) * 1000))

    def _own(self) -> float:
        return (self._wall() - _ZERO).total_seconds() - self._monotonic()

    def _say(self, apart_s: float) -> None:
        skew_s = self.skew_s
        if abs(skew_s) >= REPORTED_SKEW_S and abs(skew_s - self._said_s) >= REPORTED_SKEW_S / 2:
            log.warning("clock.skewed", skew_s=round(skew_s, 1), text=_words(skew_s))
            self._said_s = skew_s
        elif abs(skew_s) < REPORTED_SKEW_S and self._said_s:
            log.info("clock.agrees", skew_s=round(skew_s, 1))
            self._said_s = 0.0
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
        f"this host's clock is {abs(skew_s):.1f} s {way} Redis's, by which the bridge goes;"
        " set both by NTP"
    )
