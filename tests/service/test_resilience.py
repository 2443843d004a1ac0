"""Breaker and bulkhead around the calls that lead outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from structlog.typing import EventDict

from bridge import resilience as module
from bridge.core.queueing import NotificationResponse
from bridge.errors import (
    CircuitOpen,
    OutcomeUnknown,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from bridge.resilience import (
    ALL,
    FIRST_PAUSE,
    FORGOTTEN_AFTER,
    LONGEST_PAUSE,
    THRESHOLD,
    CallPool,
    Resilience,
)
from tests.service.fakes import Clock, Script, settled, until

NOBODY = UpstreamUnavailable("softgarden", "notify", "no connection")
SILENCE = OutcomeUnknown("softgarden", "notify", "no answer in time")
SECOND = timedelta(seconds=1)


class Guarded:
    """A scripted target behind a breaker and a bulkhead, with a clock of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.script = Script(notify=NotificationResponse(204))
        self.resilience = Resilience("softgarden", self.clock.monotonic)

    async def notify(self, customer: str = "acme") -> NotificationResponse:
        async with self.resilience.call(customer, "notify"):
            answer: NotificationResponse = await self.script.answer("notify", customer)
            return answer

    async def fails(self, times: int, error: UpstreamError = NOBODY) -> None:
        """Have that many calls fail, each one really made."""
        self.script.on("notify", error)
        for _ in range(times):
            with pytest.raises(type(error)) as raised:
                await self.notify()
            assert not isinstance(raised.value, CircuitOpen)

    async def left(self) -> float:
        """How long the open breaker says that it stays open; fails where a call went out."""
        before = len(self.script.calls)
        with pytest.raises(CircuitOpen) as raised:
            await self.notify()
        assert len(self.script.calls) == before
        assert raised.value.retry_after_s is not None
        return raised.value.retry_after_s


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


@pytest.mark.parametrize("error", [NOBODY, SILENCE], ids=["no connection", "no answer"])
async def test_opens_after_the_threshold(guarded: Guarded, error: UpstreamError) -> None:
    """After THRESHOLD calls in a row without any answer, calls are refused without going out."""
    await guarded.fails(THRESHOLD, error)
    assert await guarded.left() == FIRST_PAUSE.total_seconds()


async def test_one_less_than_the_threshold(guarded: Guarded) -> None:
    """An answer in between begins the count anew."""
    await guarded.fails(THRESHOLD - 1)
    guarded.script.on("notify", NotificationResponse(204))
    await guarded.notify()
    await guarded.fails(THRESHOLD - 1)
    guarded.script.on("notify", NotificationResponse(204))
    assert (await guarded.notify()).status == 204


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_http_errors_are_answers(guarded: Guarded, status: int) -> None:
    """Errors with an HTTP status never open the breaker: somebody is there."""
    await guarded.fails(3 * THRESHOLD, UpstreamRefused("equalture", "create", "no", status=status))
    await guarded.fails(1, UpstreamRefused("equalture", "create", "no", status=status))


async def test_an_http_error_closes_it(guarded: Guarded) -> None:
    """A probe that is answered by an HTTP error closes the breaker."""
    await guarded.fails(THRESHOLD)
    guarded.clock.advance(FIRST_PAUSE)
    await guarded.fails(1, UpstreamUnavailable("softgarden", "notify", "not now", status=503))
    await guarded.fails(THRESHOLD - 1)
    guarded.script.on("notify", NotificationResponse(204))
    assert (await guarded.notify()).status == 204


async def test_exactly_one_probe(guarded: Guarded) -> None:
    """Of many calls after the pause one goes out; the others are refused until it is answered."""
    await guarded.fails(THRESHOLD)
    guarded.clock.advance(FIRST_PAUSE)
    release = asyncio.Event()

    async def slow(*_: str) -> NotificationResponse:
        await release.wait()
        return NotificationResponse(204)

    guarded.script.on("notify", slow)
    before = len(guarded.script.calls)
    calls = [asyncio.create_task(guarded.notify()) for _ in range(20)]
    done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
    await asyncio.sleep(0)
    assert len(guarded.script.calls) == before + 1
    release.set()
    answers = await settled(*calls)
    assert sum(isinstance(answer, NotificationResponse) for answer in answers) == 1
    assert sum(isinstance(answer, CircuitOpen) for answer in answers) == 19
    assert len(done) + len(waiting) == 20
    assert (await guarded.notify()).status == 204


async def test_a_cancelled_probe_lets_the_next_one_out(guarded: Guarded) -> None:
    """A probe whose caller gives up does not keep the breaker open for ever."""
    await guarded.fails(THRESHOLD)
    guarded.clock.advance(FIRST_PAUSE)

    async def never(*_: str) -> NotificationResponse:
        await asyncio.Event().wait()
        return NotificationResponse(204)

    guarded.script.on("notify", never)
    probe = asyncio.create_task(guarded.notify())
    await asyncio.sleep(0)
    probe.cancel()
    await settled(probe)
    guarded.script.on("notify", NotificationResponse(204))
    assert (await guarded.notify()).status == 204


async def test_the_pause_doubles_up_to_the_bound(guarded: Guarded) -> None:
    """Every probe without an answer doubles the pause, up to LONGEST_PAUSE; an answer brings the
    first pause back.
    """
    await guarded.fails(THRESHOLD)
    pauses = []
    for _ in range(8):
        pauses.append(await guarded.left())
        guarded.clock.advance(timedelta(seconds=pauses[-1]))
        await guarded.fails(1)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    guarded.clock.advance(LONGEST_PAUSE)
    guarded.script.on("notify", NotificationResponse(204))
    await guarded.notify()
    await guarded.fails(THRESHOLD)
    assert await guarded.left() == FIRST_PAUSE.total_seconds()


async def test_other_customers(guarded: Guarded) -> None:
    """An open breaker of one customer leaves another customer alone."""
    await guarded.fails(THRESHOLD)
    await guarded.left()
    guarded.script.on("notify", NotificationResponse(204))
    assert (await guarded.notify("globex")).status == 204
    await guarded.left()


async def test_pools_have_no_say_in_each_other(guarded: Guarded) -> None:
    """Calls of another pool fail and wait by themselves: they neither open nor close this one's
    breaker.
    """
    await guarded.fails(THRESHOLD)
    links = CallPool("links", 1)
    async with guarded.resilience.call("acme", "public_link", links):
        await guarded.left()
    with pytest.raises(UpstreamUnavailable):
        async with guarded.resilience.call("acme", "public_link", links):
            raise NOBODY
    guarded.clock.advance(FIRST_PAUSE)
    guarded.script.on("notify", NotificationResponse(204))
    assert (await guarded.notify()).status == 204


@pytest.mark.parametrize("hours", [-1, 1, -24 * 365])
async def test_a_clock_that_is_set(guarded: Guarded, hours: int) -> None:
    """An open breaker lets a probe out after its pause, however the system's clock is set
    meanwhile.
    """
    await guarded.fails(THRESHOLD)
    guarded.clock.set(timedelta(hours=hours))
    assert await guarded.left() == FIRST_PAUSE.total_seconds()
    guarded.clock.advance(FIRST_PAUSE)
    guarded.script.on("notify", NotificationResponse(204))
    assert (await guarded.notify()).status == 204


async def test_what_is_said(guarded: Guarded, journal: list[EventDict]) -> None:
    """Operators read once that a target fell silent, and once that it answers again and how long it
    took.
    """
    await guarded.fails(THRESHOLD)
    guarded.clock.advance(FIRST_PAUSE)
    await guarded.fails(1)
    guarded.clock.advance(2 * FIRST_PAUSE)
    guarded.script.on("notify", NotificationResponse(204))
    for _ in range(2):
        await guarded.notify()
    about = {"vendor": "softgarden", "customer": "acme", "purpose": "all"}
    assert journal == [
        {"event": "circuit.opened", "log_level": "warning", "failures": THRESHOLD, **about},
        {"event": "circuit.closed", "log_level": "info", "silent_s": 3, **about},
    ]


async def test_targets_are_forgotten(guarded: Guarded) -> None:
    """What has nothing to remember is not kept, nor what failed for a customer who was removed long
    ago.
    """
    for number in range(50):
        await guarded.notify(f"fine-{number}")
    assert len(guarded.resilience) == 0
    guarded.script.on("notify", NOBODY)
    for number in range(50):
        with pytest.raises(UpstreamUnavailable):
            await guarded.notify(f"gone-{number}")
    assert len(guarded.resilience) == 50
    guarded.clock.advance(FORGOTTEN_AFTER + SECOND)
    guarded.script.on("notify", NotificationResponse(204))
    await guarded.notify()
    assert len(guarded.resilience) == 0


@asynccontextmanager
async def full(guarded: Guarded) -> AsyncIterator[asyncio.Event]:
    """As many calls on the way as are let through; the event lets them end."""
    release = asyncio.Event()

    async def slow(*_: str) -> NotificationResponse:
        await release.wait()
        return NotificationResponse(204)

    guarded.script.on("notify", slow)
    calls = [asyncio.create_task(guarded.notify()) for _ in range(ALL.size)]
    await until(lambda: len(guarded.script.calls) == ALL.size)
    yield release
    release.set()
    await asyncio.gather(*calls)


async def test_a_full_bulkhead(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ALL.size calls on the way the next one is Unavailable within QUEUE_TIMEOUT, was never
    made, and blames no one.
    """
    monkeypatch.setattr(module, "QUEUE_TIMEOUT", timedelta(milliseconds=50))
    async with full(guarded):
        results = await asyncio.wait_for(
            settled(*(guarded.notify() for _ in range(2 * THRESHOLD))), 2
        )
        for result in results:
            assert isinstance(result, UpstreamUnavailable)
            assert not isinstance(result, CircuitOpen)
            assert result.retry_after_s
        assert len(guarded.script.calls) == ALL.size
        guarded.script.on("notify", NotificationResponse(200))
        assert (await guarded.notify("globex")).status == 200
    assert (await guarded.notify()).status == 200


async def test_a_call_waits_for_its_turn(guarded: Guarded) -> None:
    """A call that finds the bulkhead full goes out as soon as another one ends."""
    async with full(guarded) as release:
        late = asyncio.create_task(guarded.notify())
        await asyncio.sleep(0)
        release.set()
        assert (await late).status == 204
