"""How many requests a customer may make, and which customer is next; each process counts by
itself.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque

from bridge.errors import TooManyRequests
from bridge.ports import Monotonic


class RateLimit:
    """At most *per_second* requests a second for each key, with bursts of one second's worth; None:
    any number.
    """

    def __init__(self, per_second: float | None, monotonic: Monotonic = time.monotonic) -> None:
        self._per_second = math.inf if per_second is None else float(per_second)
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, key: str) -> None:
        """Count a request; raises ``TooManyRequests`` if the bucket is empty.

        Keys are customers, so they are few.
        """
        if math.isinf(self._per_second):
            return
        now = self._monotonic()
        left, since = self._buckets.get(key, (self._per_second, now))
        left = min(self._per_second, left + (now - since) * self._per_second)
        if left < 1:
            self._buckets[key] = (left, now)
            wait = (1 - left) / self._per_second
            raise TooManyRequests(
                f"At most {self._per_second:.0f} requests a second are taken from one customer.",
                wait,
            )
        self._buckets[key] = (left - 1, now)


class FairScheduler:
    """Decides which request starts next under overload: the customers take turns, one request each.

    A request that has started is not interrupted; only starts are spread, *at_once* for each round
    of the event loop. So a single customer loses nothing, and one with hundreds of requests gets
    the same share as the others.
    """

    def __init__(self, at_once: int = 8, waiting: int = 1000) -> None:
        self._at_once = at_once
        self._waiting = waiting
        self._left = at_once
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._scheduled = False

    @property
    def is_idle(self) -> bool:
        """Whether no request waits."""
        return not self._queues and not self._scheduled

    def take_if_free(self) -> bool:
        """Take a turn if nobody has to wait for one; False: ``take`` one."""
        if not self._left or self._queues:
            return False
        self._left -= 1
        if not self._scheduled:
            self._schedule()
        return True

    async def take(self, key: str, *, refuse: bool = True) -> None:
        """Wait for *key*'s turn; raises ``TooManyRequests`` if too many of its requests wait
        already, unless *refuse* is False.
        """
        if self.take_if_free():
            return
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
        if refuse and len(queue) >= self._waiting:
            raise TooManyRequests(
                f"More than {self._waiting} requests of one customer wait for their turn.", 1
            )
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._schedule()
        await turn

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._next_round)

    def _next_round(self) -> None:
        self._scheduled = False
        self._left = self._at_once
        while self._left and self._queues:
            key, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            if not queue:
                del self._queues[key]
            elif len(self._queues) > 1:
                self._queues[key] = self._queues.pop(key)  # behind the others
            if not turn.done():  # else its caller has gone
                turn.set_result(None)
                self._left -= 1
        if self._queues or self._left < self._at_once:
            self._schedule()
