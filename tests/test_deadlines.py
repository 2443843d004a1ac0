"""A deadline does what ``asyncio.timeout_at`` does: each test is run with both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from bridge.deadlines import Deadlines

Bound = Callable[[float], AbstractAsyncContextManager[object]]
SOON = 0.01
LATE = 60.0


@pytest.fixture(params=["asyncio", "ours"])
async def within(request: pytest.FixtureRequest) -> Bound:
    """Bounds what is done in it to so many seconds."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()

    @contextlib.asynccontextmanager
    async def ours(seconds: float) -> AsyncIterator[None]:
        with deadlines.until(loop.time() + seconds):
            yield

    def plain(seconds: float) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout_at(loop.time() + seconds)

    return ours if request.param == "ours" else plain


async def forever() -> None:
    """Never comes back."""
    await asyncio.Event().wait()


async def end_in_time_or_not(within: Bound, seconds: float, steps: list[str]) -> None:
    """Waits for ever within a bound, and notes how far it came."""
    async with within(seconds):
        steps.append("begun")
        await forever()


async def test_what_takes_too_long(within: Bound) -> None:
    """It ends in a TimeoutError, and the task goes on as if nothing had been."""
    with pytest.raises(TimeoutError):
        await end_in_time_or_not(within, SOON, [])
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_a_deadline_that_is_past(within: Bound, seconds: float) -> None:
    """The first thing that is waited for ends it; what needs no wait is done."""
    steps: list[str] = []
    with pytest.raises(TimeoutError):
        await end_in_time_or_not(within, seconds, steps)
    assert steps == ["begun"]
    async with within(seconds):
        pass


async def test_errors_and_results_pass(within: Bound) -> None:
    """What ends in time ends as it does."""
    async with within(LATE):
        await asyncio.sleep(0)
    with pytest.raises(KeyError):
        async with within(LATE):
            raise KeyError


async def test_a_cancellation_from_elsewhere(within: Bound) -> None:
    """It stays one, also at the moment at which the time is up."""

    async def wait(seconds: float, begun: asyncio.Event) -> None:
        async with within(seconds):
            begun.set()
            await forever()

    for seconds, both in ((LATE, False), (0.0, True)):
        begun = asyncio.Event()
        task = asyncio.create_task(wait(seconds, begun))
        await begun.wait()
        task.cancel()
        if both:
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_one_within_another(within: Bound) -> None:
    """The one whose time is up first ends, and the other goes on to hold."""
    steps: list[str] = []

    async def wait(outer: float, inner: float) -> None:
        async with within(outer):
            try:
                await end_in_time_or_not(within, inner, steps)
            except TimeoutError:
                steps.append("inner")
            await forever()

    with pytest.raises(TimeoutError):
        await wait(SOON, LATE)
    assert steps == ["begun"]
    with pytest.raises(TimeoutError):
        await wait(0.5, 0.0)
    assert steps == ["begun", "begun", "inner"]


async def test_many_at_once(within: Bound) -> None:
    """Each of a thousand waits ends by its own time, in that order, and none that has ended."""
    ended: list[int] = []

    async def wait(number: int) -> None:
        if number % 3:
            async with within(LATE):
                await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with within(SOON + number % 30 * SOON):
                await forever()
        ended.append(number)

    await asyncio.gather(*map(wait, range(1000)))
    assert [number % 30 for number in ended] == sorted(number % 30 for number in ended)
    assert len(ended) == 334


async def test_errors_outlive_the_time(within: Bound) -> None:
    """Whoever catches the cancellation and raises something else is heard."""

    async def wait() -> None:
        async with within(SOON):
            try:
                await forever()
            except asyncio.CancelledError:
                raise KeyError from None

    with pytest.raises(KeyError):
        await wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
