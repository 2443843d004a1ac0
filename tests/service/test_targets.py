"""Breaker and bulkhead in front of the two ports that lead outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from structlog.typing import EventDict

from bridge.core.assessment import PublicLink
from bridge.core.lifecycle import ErasureRequested
from bridge.core.queueing import NotificationResponse, TaskKind
from bridge.errors import CircuitOpen, OutcomeUnknown, Queued, Refused, Unavailable, UpstreamError
from bridge.service import targets as module
from bridge.service.targets import (
    ABREAST,
    CLICKS_ABREAST,
    FIRST_PAUSE,
    FORGOTTEN_AFTER,
    LONGEST_PAUSE,
    THRESHOLD,
    GuardedNotifier,
    GuardedProvider,
    Targets,
)
from tests.service.fakes import (
    ACME,
    CALLBACK,
    Clock,
    ScriptedNotifier,
    ScriptedProvider,
    World,
    make_customer,
    settled,
    until,
)

GLOBEX = make_customer("globex")
NOBODY = Unavailable("softgarden", "notify", "no connection")
SILENCE = OutcomeUnknown("softgarden", "notify", "no answer in time")
SECOND = timedelta(seconds=1)


class Guarded:
    """A scripted notifier behind a breaker, with a clock of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.inner = ScriptedNotifier()
        self.script = self.inner.script
        self.notifier = GuardedNotifier(self.inner, Targets(self.clock.monotonic))

    async def notify(self, customer: Any = ACME) -> NotificationResponse:
        return await self.notifier.notify(customer, CALLBACK, "iv_1")

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
    await guarded.fails(3 * THRESHOLD, Refused("equalture", "create", "no", status=status))
    await guarded.fails(1, Refused("equalture", "create", "no", status=status))


async def test_an_http_error_closes_it(guarded: Guarded) -> None:
    """A probe that is answered by an HTTP error closes the breaker."""
    await guarded.fails(THRESHOLD)
    guarded.clock.advance(FIRST_PAUSE)
    await guarded.fails(1, Unavailable("softgarden", "notify", "not now", status=503))
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


async def test_other_customers_and_vendors(guarded: Guarded) -> None:
    """An open breaker of one customer leaves another customer alone, and the same customer's other
    vendor.
    """
    await guarded.fails(THRESHOLD)
    await guarded.left()
    guarded.script.on("notify", NotificationResponse(204))
    assert (await guarded.notify(GLOBEX)).status == 204
    await guarded.left()
    clock, inner = Clock(), ScriptedProvider()
    targets = Targets(clock.monotonic)
    notifier, provider = GuardedNotifier(guarded.inner, targets), GuardedProvider(inner, targets)
    guarded.script.on("notify", NOBODY)
    for _ in range(THRESHOLD):
        with pytest.raises(Unavailable):
            await notifier.notify(ACME, CALLBACK, "iv_1")
    assert await provider.list_jobs(ACME)


async def test_every_operation_of_the_provider_is_guarded() -> None:
    """All of the provider's calls share the customer's breaker, but for those that clicks on links
    cause.
    """
    inner = ScriptedProvider()
    provider = GuardedProvider(inner, Targets(Clock().monotonic))
    inner.script.on("jobs", NOBODY)
    for _ in range(THRESHOLD):
        with pytest.raises(Unavailable):
            await provider.list_jobs(ACME)
    calls = (
        lambda: provider.list_jobs(ACME),
        lambda: provider.create_application(ACME, None),  # type: ignore[arg-type]  # never gets there
        lambda: provider.get_progress(ACME, "ref"),
        lambda: provider.get_result(ACME, "ref"),
        lambda: provider.hire(ACME, "ref", add_to_team=True, start_date=None),
        lambda: provider.anonymise(ACME, "ref"),
    )
    for call in calls:
        with pytest.raises(CircuitOpen):
            await call()
    assert len(inner.script.calls) == THRESHOLD
    assert (await provider.get_public_link(ACME, "ref")).url


async def test_clicks_have_no_say_in_other_calls() -> None:
    """Share links that fail open a breaker of their own: the customer's other calls still go out,
    and do not close it.
    """
    inner = ScriptedProvider()
    provider = GuardedProvider(inner, Targets(Clock().monotonic))
    inner.script.on("link", NOBODY)
    for _ in range(THRESHOLD):
        with pytest.raises(Unavailable):
            await provider.get_public_link(ACME, "ref")
    assert await provider.list_jobs(ACME)
    with pytest.raises(CircuitOpen):
        await provider.get_public_link(ACME, "ref")
    assert len(inner.script.made("link")) == THRESHOLD


async def test_clicks_have_turns_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many links are clicked, a bounded number of calls is under way, and the customer's
    others find their turn.
    """
    monkeypatch.setattr(module, "PATIENCE", timedelta(milliseconds=50))
    inner, release = ScriptedProvider(), asyncio.Event()
    provider = GuardedProvider(inner, Targets(Clock().monotonic))

    async def slow(*_: str) -> PublicLink:
        await release.wait()
        return PublicLink("https://equalture.example.com/public/1", 7200)

    inner.script.on("link", slow)
    clicks = [
        asyncio.create_task(provider.get_public_link(ACME, f"ref-{number}"))
        for number in range(200)
    ]
    done, _ = await asyncio.wait(clicks, timeout=10, return_when=asyncio.FIRST_EXCEPTION)
    assert isinstance(next(iter(done)).exception(), Queued)
    assert len(inner.script.made("link")) == CLICKS_ABREAST
    assert await provider.list_jobs(ACME)
    release.set()
    assert (
        sum(isinstance(answer, PublicLink) for answer in await settled(*clicks)) >= CLICKS_ABREAST
    )


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
        {"event": "target.silent", "log_level": "warning", "failures": THRESHOLD, **about},
        {"event": "target.answers_again", "log_level": "info", "silent_s": 3, **about},
    ]


async def test_targets_are_forgotten() -> None:
    """What has nothing to remember is not kept, nor what failed for a customer who was removed long
    ago.
    """
    clock, inner = Clock(), ScriptedNotifier()
    targets = Targets(clock.monotonic)
    notifier = GuardedNotifier(inner, targets)
    for number in range(50):
        await notifier.notify(make_customer(f"fine-{number}"), CALLBACK, "iv_1")
    assert len(targets) == 0
    inner.script.on("notify", NOBODY)
    for number in range(50):
        with pytest.raises(Unavailable):
            await notifier.notify(make_customer(f"gone-{number}"), CALLBACK, "iv_1")
    assert len(targets) == 50
    clock.advance(FORGOTTEN_AFTER + SECOND)
    inner.script.on("notify", NotificationResponse(204))
    await notifier.notify(ACME, CALLBACK, "iv_1")
    assert len(targets) == 0


@asynccontextmanager
async def full(guarded: Guarded) -> AsyncIterator[asyncio.Event]:
    """As many calls on the way as are let through; the event lets them end."""
    release = asyncio.Event()

    async def slow(*_: str) -> NotificationResponse:
        await release.wait()
        return NotificationResponse(204)

    guarded.script.on("notify", slow)
    calls = [asyncio.create_task(guarded.notify()) for _ in range(ABREAST)]
    await until(lambda: len(guarded.script.calls) == ABREAST)
    yield release
    release.set()
    await asyncio.gather(*calls)


async def test_a_full_bulkhead(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ABREAST calls on the way the next one is Unavailable within PATIENCE, was never made,
    and blames no one.
    """
    monkeypatch.setattr(module, "PATIENCE", timedelta(milliseconds=50))
    async with full(guarded):
        results = await asyncio.wait_for(
            settled(*(guarded.notify() for _ in range(2 * THRESHOLD))), 2
        )
        for result in results:
            assert isinstance(result, Unavailable)
            assert not isinstance(result, CircuitOpen)
            assert result.retry_after_s
        assert len(guarded.script.calls) == ABREAST
        guarded.script.on("notify", NotificationResponse(200))
        assert (await guarded.notify(GLOBEX)).status == 200
    assert (await guarded.notify()).status == 200


async def test_a_call_waits_for_its_turn(guarded: Guarded) -> None:
    """A call that finds the bulkhead full goes out as soon as another one ends."""
    async with full(guarded) as release:
        late = asyncio.create_task(guarded.notify())
        await asyncio.sleep(0)
        release.set()
        assert (await late).status == 204


@pytest.mark.parametrize("kind", list(TaskKind))
async def test_a_refused_task_is_no_attempt(world: World, kind: TaskKind) -> None:
    """A task that the breaker refuses is put off to the next probe, uncounted and without a line in
    its log.
    """
    targets = Targets(world.clock.monotonic)
    tasks = world.make_tasks(
        GuardedProvider(world.provider, targets), GuardedNotifier(world.notifier, targets)
    )
    one = await (world.completed() if kind is TaskKind.NOTIFY else world.invited())
    if kind is TaskKind.ANONYMISE:
        world.provider.script.on("anonymise", Unavailable("equalture", "anonymise", "no"))
    elif kind is TaskKind.CHECK:
        await world.unverified_report(one, None)
    world.provider.script.on("jobs", NOBODY)
    world.notifier.script.on("notify", NOBODY)
    for _ in range(THRESHOLD):
        with pytest.raises(Unavailable):
            await GuardedProvider(world.provider, targets).list_jobs(ACME)
        with pytest.raises(Unavailable):
            await GuardedNotifier(world.notifier, targets).notify(ACME, CALLBACK, one.id)
    if kind is TaskKind.ANONYMISE:
        await world.records.apply(one, ErasureRequested(), ACME)
        world.clock.advance(SECOND / 2)
        assert await tasks.perform_now(one.id, kind)
    else:
        assert await world.work(tasks) == 1
    due = await world.next_due()
    assert due is not None
    assert SECOND <= due <= 2 * SECOND
    world.clock.advance(due)
    (lease,) = await world.lease()
    assert (lease.kind, lease.attempt, lease.history) == (kind, 1, ())


@pytest.mark.parametrize("kind", list(TaskKind))
async def test_a_task_that_found_no_turn_is_no_attempt(world: World, kind: TaskKind) -> None:
    """A task for which our own calls left no turn made no call: it is put off, uncounted and
    without a line in its log.
    """
    one = await (world.completed() if kind is TaskKind.NOTIFY else world.invited())
    full = Queued("vendor", "call", "too many calls at once", retry_after_s=2)
    for operation in ("status", "results", "anonymise"):
        world.provider.script.on(operation, full)
    world.notifier.script.on("notify", full)
    if kind is TaskKind.CHECK:
        await world.unverified_report(one, None)
    elif kind is TaskKind.ANONYMISE:
        await world.records.apply(one, ErasureRequested(), ACME)
        world.clock.advance(SECOND)
    assert await world.work() == 1
    due = await world.next_due()
    assert due is not None
    assert 2 * SECOND <= due <= 4 * SECOND
    world.clock.advance(due)
    (lease,) = await world.lease()
    assert (lease.kind, lease.attempt, lease.history) == (kind, 1, ())
