"""One call for all who want the same at the same time."""

from __future__ import annotations

import asyncio

import pytest

from bridge.single_flight import SingleFlight
from tests.service.fakes import settled, until


class Call:
    """A call that lasts until it is let go, and then gives its number or raises."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.made = 0
        self.go = asyncio.Event()
        self.failure = failure

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return number


async def waiting(
    flights: SingleFlight[str, int], call: Call, times: int, key: str = "a"
) -> list[asyncio.Task[int]]:
    callers = [asyncio.create_task(flights.run(key, call)) for _ in range(times)]
    await asyncio.sleep(0)
    return callers


async def test_callers_share_a_call() -> None:
    """However many ask for the same at the same time, one call is made, and all get its answer."""
    flights: SingleFlight[str, int] = SingleFlight()
    call = Call()
    callers = await waiting(flights, call, 200)
    call.go.set()
    assert await settled(*callers) == [1] * 200
    assert call.made == 1


async def test_keys_do_not_wait_for_each_other() -> None:
    """A call for another key goes its own way."""
    flights: SingleFlight[str, int] = SingleFlight()
    slow, quick = Call(), Call()
    (caller,) = await waiting(flights, slow, 1)
    quick.go.set()
    assert await flights.run("b", quick) == 1
    assert not caller.done()
    slow.go.set()
    assert await caller == 1


@pytest.mark.parametrize("who", [0, 1], ids=["the first", "another one"])
async def test_a_caller_who_gives_up(who: int) -> None:
    """Whoever gives up leaves the call and the others alone."""
    flights: SingleFlight[str, int] = SingleFlight()
    call = Call()
    callers = await waiting(flights, call, 3)
    callers.pop(who).cancel()
    call.go.set()
    assert await settled(*callers) == [1, 1]


async def test_a_failure_reaches_all_and_is_not_remembered() -> None:
    """All who wait get the failure; the next caller makes a new call."""
    flights: SingleFlight[str, int] = SingleFlight()
    call = Call(ValueError("no"))
    callers = await waiting(flights, call, 3)
    call.go.set()
    assert await settled(*callers) == [call.failure] * 3
    call.failure = None
    assert await flights.run("a", call) == 2


async def test_whoever_comes_after_the_end_makes_a_new_call() -> None:
    """A call that is through is never shared, not even in the moment before it is cleared away."""
    flights: SingleFlight[str, int] = SingleFlight()
    call = Call(ValueError("no"))
    call.go.set()
    first = asyncio.create_task(flights.run("a", call))
    await until(lambda: len(flights))
    (flight,) = flights
    await until(flight.done)
    call.failure = None
    assert await flights.run("a", call) == 2
    assert (await settled(first))[0] is not None
    assert len(flights) == 0


async def test_a_failure_that_nobody_waits_for() -> None:
    """A call that fails after every caller has gone is no unseen error, and leaves nothing
    behind.
    """
    flights: SingleFlight[str, int] = SingleFlight()
    call = Call(ValueError("no"))
    (caller,) = await waiting(flights, call, 1)
    caller.cancel()
    await settled(caller)
    call.go.set()
    await settled(*flights)
    await asyncio.sleep(0)
    assert len(flights) == 0
