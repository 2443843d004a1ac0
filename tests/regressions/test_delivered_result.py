"""A callback with the right secret and a full report, answered 200, ended EXPIRED when the status
said "finished".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.typing import EventDict

from bridge.core.assessment import ApplicationProgress, Result
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle.policy import LATE_WINDOW, NO_RESULT_TIMEOUT
from bridge.core.queueing import TaskKind
from bridge.core.redaction import UNPRINTABLE
from bridge.errors import (
    StoreUnavailable,
    UpstreamContractBroken,
    UpstreamRefused,
    UpstreamUnavailable,
)
from bridge.service.status_words import WORDS_LIMIT
from tests.service.fakes import ACME, RESULT, World, make_customer

REPORT = Result(fit="low")


async def go_on(world: World, one: Invitation, states: tuple[State, ...]) -> Invitation:
    """Perform what becomes due until the invitation is in one of *states*."""
    for _ in range(500):
        found = await world.load(one)
        if found.state in states:
            return found
        left = await world.next_due()
        assert left is not None
        world.clock.advance(max(left, timedelta(0)))
        await world.work()
    raise AssertionError("never")


@pytest.mark.parametrize(
    "status",
    [
        ApplicationProgress(False, "finished", known=False),
        ApplicationProgress(False, "invited"),
        UpstreamRefused("equalture", "status", "no", status=404),
        UpstreamRefused("equalture", "status", "no", status=422),
        UpstreamUnavailable("equalture", "status", "no", status=500),
        UpstreamContractBroken("equalture", "status", "no status in it", status=200),
    ],
    ids=str,
)
@pytest.mark.parametrize("report", [REPORT, None], ids=["report", "hint"])
async def test_results_decide_after_a_hint(
    world: World, status: Any, report: Result | None
) -> None:
    """Whatever the status says or fails with: after a callback or event Equalture's own result
    completes at once.
    """
    one = await world.invited()
    world.provider.script.on("status", status)
    await world.unconfirmed_result(one, report)
    await world.work()
    done = await world.load(one)
    assert (State.COMPLETED, True, RESULT) == (done.state, done.confirmed, done.result)


async def test_without_a_hint_the_word_decides(world: World) -> None:
    """An invitation that is only polled is asked for its status alone while that does not mean
    finished.
    """
    await world.invited()
    world.provider.script.on("status", ApplicationProgress(False, "finished", known=False))
    world.clock.advance(ACME.provider.poll_every)
    await world.work()
    assert [] == world.provider.script.made("results")


async def test_report_wins_over_expiry(world: World) -> None:
    """A report for which Equalture never has a result is COMPLETED within an hour, though the
    deadline comes first.
    """
    one = await world.invited()
    world.provider.script.on("results", None)
    world.clock.advance(ACME.provider.link_life - timedelta(minutes=5))
    await world.work()
    seen = world.clock()
    await world.unconfirmed_result(one, REPORT)
    done = await go_on(world, one, (State.COMPLETED, State.EXPIRED))
    assert (State.COMPLETED, REPORT, False, seen) == (
        done.state,
        done.result,
        done.confirmed,
        done.completed_at,
    )
    assert world.clock() == seen + timedelta(minutes=5)
    assert TaskKind.NOTIFY in world.kinds()


async def test_report_after_expiry_completes(world: World) -> None:
    """A late report completes an expired invitation within an hour, also while Equalture has no
    result of its own.
    """
    one = await world.invited()
    world.provider.script.on("status", ApplicationProgress(False, "invited"))
    world.provider.script.on("results", None)
    await go_on(world, one, (State.EXPIRED,))
    world.clock.advance(30 * LATE_WINDOW)
    seen = world.clock()
    await world.unconfirmed_result(one, REPORT)
    done = await go_on(world, one, (State.COMPLETED,))
    assert (REPORT, seen) == (done.result, done.completed_at)
    assert world.clock() == seen + NO_RESULT_TIMEOUT


async def test_own_result_corrects_what_was_believed(world: World) -> None:
    """After a report has counted Equalture is asked on, and what it says in the end takes the
    report's place.
    """
    one = await world.invited()
    world.provider.script.on("results", None)
    await world.unconfirmed_result(one, REPORT)
    await go_on(world, one, (State.COMPLETED,))
    world.provider.script.on("results", RESULT)
    for _ in range(3):
        world.clock.advance(timedelta(minutes=30))
        await world.work()
    done = await world.load(one)
    assert (RESULT, True) == (done.result, done.confirmed)
    assert 2 == len(world.notifier.script.made("notify"))


# -- words


def unknown(journal: list[EventDict]) -> list[tuple[str, str]]:
    return [
        (entry["customer"], entry["word"])
        for entry in journal
        if entry["event"] == "status.unknown_word"
    ]


async def polled(world: World, *words: str, customer: str = "acme") -> None:
    for word in words:
        await world.words.record(
            world.customers[customer], ApplicationProgress(False, word, known=False)
        )


async def test_unknown_word_is_said_once(world: World, journal: list[EventDict]) -> None:
    """A status word that nobody knows is a warning once for each customer, and can be asked for
    afterwards.
    """
    world.customers["globex"] = make_customer("globex")
    await world.invited()
    world.provider.script.on("status", ApplicationProgress(False, "Finished", known=False))
    for _ in range(3):
        world.clock.advance(ACME.provider.poll_every)
        await world.work()
    await polled(world, "finished", "done", customer="globex")
    assert [("acme", "finished"), ("globex", "finished"), ("globex", "done")] == unknown(journal)
    assert ("finished",) == await world.words.unknown_words(ACME)
    knowing = replace(ACME, provider=replace(ACME.provider, done_words=("FINISHED",)))
    assert () == await world.words.unknown_words(knowing)


async def test_no_result_waits_for_a_word(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that comes with an unknown status word is stored before the word is: the word's part
    of Redis may hang.
    """
    one = await world.invited()
    seen = []

    async def hang(*_: object, **__: object) -> None:
        seen.append((await world.load(one)).state)
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(world.word_store, "keep", hang)
    world.provider.script.on("status", ApplicationProgress(False, "Finished", known=False))
    await world.unconfirmed_result(one, REPORT)
    await world.work()
    assert seen == [State.COMPLETED]


async def test_word_that_may_be_a_name_is_not_shown(world: World, journal: list[EventDict]) -> None:
    """Only one plain word is shown; whatever else stands in a status may name somebody."""
    await polled(
        world, "Ada Muster", "ada@example.org", "x" * 41, "fertig!", "Müller", "tested_ok-now"
    )
    assert [("acme", UNPRINTABLE), ("acme", "tested_ok-now")] == unknown(journal)
    assert (UNPRINTABLE, "tested_ok-now") == await world.words.unknown_words(ACME)


async def test_words_are_bounded(world: World, journal: list[EventDict]) -> None:
    """A vendor that answers something else each time fills neither the log nor the memory."""
    await polled(world, *("x" * length for length in range(1, 40)))
    assert WORDS_LIMIT == len(unknown(journal)) == len(await world.words.unknown_words(ACME))


async def test_word_that_cannot_be_kept_is_said_all_the_same(
    world: World, journal: list[EventDict]
) -> None:
    """A store that is away costs a check nothing: the word is in the log."""

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    world.word_store.keep = away  # type: ignore[method-assign]
    await polled(world, "finished")
    assert [("acme", "finished")] == unknown(journal)
