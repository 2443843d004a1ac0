"""A result is read in the reader's language, and the provider is asked seldom."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.core.assessment import Result, Trait
from bridge.errors import UpstreamUnavailable
from bridge.service.result_texts import ResultTexts
from tests.service.fakes import ACME, World, settled

DUTCH = Result(
    fit="low",
    summary=(("Stijl", "(4) Sociaal"),),
    traits=(Trait("SEM", "Sociale empathie", 4, "(4) Invoelend", (1,)),),
)


@pytest.fixture
def texts(world: World) -> ResultTexts:
    world.provider.script.on("results", world.provider.script.planned("results"), DUTCH)
    return ResultTexts(lambda _: world.provider)


async def test_texts_and_nothing_else(world: World, texts: ResultTexts) -> None:
    """Names and descriptions are the other language's; scores, ranges and the fit stay those that
    the ATS was told.
    """
    stored = await world.completed()
    own = replace(
        stored,
        result=Result(fit="high", traits=(Trait("SEM", "Social empathy", 4, "Warm", (4, 5)),)),
    )
    shown = (await texts.translate(own, ACME, "nl")).result
    assert shown == Result(
        fit="high",
        summary=DUTCH.summary,
        traits=(Trait("SEM", "Sociale empathie", 4, "(4) Invoelend", (4, 5)),),
    )


async def test_many_readers_are_one_call(world: World, texts: ResultTexts) -> None:
    """Readers of one language share a call, and the next ones need none."""
    stored = await world.completed()
    await settled(*(texts.translate(stored, ACME, "nl") for _ in range(50)))
    await texts.translate(stored, ACME, "nl")
    assert len([call for call in world.provider.script.made("results") if "nl" in call]) == 1


async def test_own_language_asks_nobody(world: World, texts: ResultTexts) -> None:
    """In the customer's language, and before the completion, the record is all there is."""
    stored = await world.completed()
    before = len(world.provider.script.made("results"))
    assert await texts.translate(stored, ACME, ACME.provider.locale[:2]) is stored
    unfinished = await world.invited("application-2")
    assert await texts.translate(unfinished, ACME, "nl") is unfinished
    assert len(world.provider.script.made("results")) == before


@pytest.mark.parametrize("answer", [None, UpstreamUnavailable("scripted", "results", "away")])
async def test_without_an_answer(world: World, answer: object) -> None:
    """Without texts from the provider the stored ones are shown, and it is not asked again at
    once.
    """
    stored = await world.completed()
    before = len(world.provider.script.made("results"))
    world.provider.script.on("results", answer)
    texts = ResultTexts(lambda _: world.provider)
    for _ in range(3):
        assert await texts.translate(stored, ACME, "fr") is stored
    assert len(world.provider.script.made("results")) == before + 1


async def test_a_slow_provider_keeps_nobody_waiting(world: World) -> None:
    """A reader gets the stored texts when the provider takes long; later readers get its answer."""
    stored = await world.completed()
    answered = asyncio.Event()

    async def slow(*_: str) -> Result:
        await answered.wait()
        return DUTCH

    world.provider.script.on("results", slow)
    texts = ResultTexts(lambda _: world.provider, patience=timedelta(milliseconds=20))
    assert await texts.translate(stored, ACME, "nl") is stored
    answered.set()
    for _ in range(20):
        await asyncio.sleep(0)  # the call under way comes to its end
    shown = await texts.translate(stored, ACME, "nl")
    assert shown.result is not None
    assert shown.result.summary == DUTCH.summary
