"""How many requests one customer may make: a token bucket each, per process."""

from __future__ import annotations

import time

from bridge.errors import TooManyRequests
from bridge.ports import Monotonic


class RateLimit:
    """At most *per_second* requests a second for each key, of which a second's worth may come at once."""

    def __init__(self, per_second: int, monotonic: Monotonic = time.monotonic) -> None:
        self._per_second = float(per_second)
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, key: str) -> None:
        """Count a request; raises ``TooManyRequests`` where the bucket is empty. Keys are customers, so they are few."""
        now = self._monotonic()
        left, since = self._buckets.get(key, (self._per_second, now))
        left = min(self._per_second, left + (now - since) * self._per_second)
        if left < 1:
            self._buckets[key] = (left, now)
            wait = (1 - left) / self._per_second
            raise TooManyRequests(
                f"At most {self._per_second:.0f} requests a second are taken from one customer.", wait
            )
        self._buckets[key] = (left - 1, now)
