"""One call for all callers that want the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Callers with the same key share one call while it is under way.

    The call is a task of its own: a caller that stops waiting, even the first one, does not affect
    the others. A failure is raised to all that wait, and not remembered: the next caller makes a
    new call. Nothing is kept once a call has ended.
    """

    def __init__(self) -> None:
        self._flights: dict[K, asyncio.Task[V]] = {}

    async def run(self, key: K, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The result of the call under way for *key*, or of a new call of *make*.

        It must end by itself.
        """
        flight = self._flights.get(key)
        if flight is None or flight.done():
            flight = self._flights[key] = asyncio.create_task(make())
            flight.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(flight)

    def is_under_way(self, key: K) -> bool:
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
            # Marks the failure as seen, in case every caller was cancelled.
            flight.exception()
