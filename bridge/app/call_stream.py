"""The calls of all processes on this Redis, live, for those who watch."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict

import orjson

from bridge.call_observer import CallObserver, ObservedCall
from bridge.errors import StoreUnavailable
from bridge.store.call_exchange import RedisCallExchange

LOOK_S = 1.0
"""How often a process checks whether its calls are watched at another one."""
EVERY_S = 0.3
"""How often calls are shown."""


class CallStream:
    """What this process has seen, at once; what others have, a moment later.

    *is_ending*: the daemon stops, so that watching ends.
    """

    def __init__(
        self, observer: CallObserver, exchange: RedisCallExchange, is_ending: Callable[[], bool]
    ) -> None:
        self._observer = observer
        self._exchange = exchange
        self._is_ending = is_ending

    async def watch(self, customer: str | None) -> AsyncIterator[Sequence[bytes]]:
        """Calls as lines of JSON, of this customer or of all, as they end; often none.

        It ends with the daemon, or where they are taken more slowly than they come.
        """
        with self._observer.watch_calls() as watcher:
            place = None
            while not self._is_ending():
                lines = [dump_call(call) for call in watcher.take()]
                try:
                    await self._exchange.announce()
                    if place is None:
                        place = await self._exchange.newest()
                    place, others = await self._exchange.since(place)
                    lines += others
                except StoreUnavailable:
                    pass  # then those of this process alone
                yield [line for line in lines if customer is None or _is_of(line, customer)]
                if watcher.overflown:
                    return
                await watcher.wait(EVERY_S)

    async def run(self) -> None:
        """Show others the calls of this process whenever they watch, as long as the daemon runs."""
        while True:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(StoreUnavailable):  # of that others complain
                if await self._exchange.is_watched():
                    await self._share()

    async def _share(self) -> None:
        with self._observer.watch_calls() as watcher:
            while await self._exchange.is_watched():
                await asyncio.sleep(EVERY_S)
                await self._exchange.publish([dump_call(call) for call in watcher.take()])


def dump_call(call: ObservedCall) -> bytes:
    """A call as one line of JSON, without what is empty, and with the process that saw it."""
    fields = {name: value for name, value in asdict(call).items() if value not in ("", None)}
    return orjson.dumps({**fields, "pid": os.getpid()})


def _is_of(line: bytes, customer: str) -> bool:
    found: bool = orjson.loads(line).get("customer") == customer
    return found
