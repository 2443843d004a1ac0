"""One call for all who want the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Callers with the same key share one call while it is under way.

    The call is a task of its own: whoever gives up waiting, be it the first caller, does no harm to
    the others. Its failure reaches all who wait, and is not remembered: the next caller makes a new
    call. Nothing is kept once a call is through.
    """

    def __init__(self) -> None:
        self._flights: dict[K, asyncio.Task[V]] = {}

    async def run(self, key: K, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """What the call under way for *key* gives or raises, or else what *make* does.

        It must end by itself.
        """
        flight = self._flights.get(key)
        if flight is None or flight.done():
            flight = self._flights[key] = asyncio.create_task(make())
            flight.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(flight)

    def under_way(self, key: K) -> bool:
        """Whether a call for *key* is under way."""
        return key in self._flights

    def __iter__(self) -> Iterator[asyncio.Task[V]]:
        """The calls under way."""
        return iter(tuple(self._flights.values()))

    def __len__(self) -> int:
        """How many calls are under way."""
        return len(self._flights)

    def _land(self, key: K, flight: asyncio.Task[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            # Marks the failure as seen, in case that every caller has gone.
            flight.exception()
