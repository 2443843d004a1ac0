"""asyncio without a selector: virtual time, and a seeded order of tasks.

asyncio's own loop does all of the scheduling; only the wait for sockets is replaced. Where several
tasks are ready at once the seed says which goes first, while callbacks (those of transports among
them) keep their order: no real loop would exchange them.

A *host* is a context variable that tasks inherit. What a crashed host still had to do is never
done, not even its ``finally`` blocks: that is what ``kill -9`` means.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import traceback
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from tests.simulation.closed_world import WorldTime

HOST: contextvars.ContextVar[str] = contextvars.ContextVar("host", default="")
"""Whose work this is; empty: the world's own."""


class WorldStuck(RuntimeError):
    """Everybody waits, and nothing will ever happen."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """A loop for one world; *shuffles* gives the order of tasks that are ready together."""

    def __init__(self, world_time: WorldTime, shuffles: Random) -> None:
        super().__init__()
        self._world_time = world_time
        self._shuffles = shuffles
        self._held: dict[str, list[asyncio.Handle]] = {}
        """What hosts that crashed or stand still would have to do, by host."""
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0
        self.steps = 0
        self.connect: Callable[[Callable[[], Any]], Awaitable[Any]]
        """Connects a protocol of the bridge to a vendor."""
        self.unhandled: list[str] = []
        self.set_exception_handler(self._note_unhandled)

    def time(self) -> float:
        """Virtual seconds."""
        return self._world_time.seconds

    def crash_host(self, host: str) -> None:
        """Never run anything of *host* again.

        It is kept: a coroutine that nobody refers to would run its ``finally`` blocks.
        """
        self.freeze_host(host)

    def freeze_host(self, host: str) -> None:
        """Run nothing of *host* until it is thawed."""
        self._held.setdefault(host, [])

    def thaw_host(self, host: str) -> None:
        """Have *host* go on, with all that it has missed."""
        self._ready.extend(self._held.pop(host, ()))

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio does, but timers of one instant keep their order."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, timer))
        return timer

    def run_in_executor(
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """A thread's work is done at once: there are no threads in a world."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def create_unix_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], path: str | None = None, **_: Any
    ) -> Any:
        """Connect to the network of the world, whatever the path."""
        return await self.connect(protocol_factory)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass  # left where it is, and skipped

    def _process_events(self, event_list: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _run_once(self) -> None:
        timers, ready = self._timers, self._ready
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not ready and not self._stopping:
            if not timers:
                raise WorldStuck
            self._world_time.advance_to(timers[0][0])
        now = self._world_time.seconds
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            if not timer.cancelled():
                ready.append(timer)
        batch = list(ready)
        ready.clear()
        if len(batch) > 1:
            self._shuffle_tasks(batch)
        self.steps += len(batch)
        for handle in batch:
            if not handle.cancelled():
                held = self._held and self._held.get(handle._context.get(HOST, ""))
                if isinstance(held, list):
                    held.append(handle)
                else:
                    handle._run()

    def _shuffle_tasks(self, batch: list[asyncio.Handle]) -> None:
        places = [
            place
            for place, handle in enumerate(batch)
            if isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)
        ]
        if len(places) > 1:
            order = places[:]
            self._shuffles.shuffle(order)
            moved = [batch[place] for place in order]
            for place, handle in zip(places, moved, strict=True):
                batch[place] = handle

    def _note_unhandled(self, _: object, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, TypeError | AssertionError) and _is_hang_up(error):
            return
        self.unhandled.append(f"{context.get('message')}: {error!r}")


def _is_hang_up(error: BaseException) -> bool:
    """Whether aiohttp's server stumbled, as 3.14 does, over a request whose client hung up in the
    very step in which it came: nothing of it was begun.
    """
    *_, last = traceback.extract_tb(error.__traceback__)
    return last.filename.endswith("aiohttp/web_protocol.py") and last.name == "start"
