"""A result as people are shown it, whatever shows it: page, report or score text.

Everything here follows from the stored result; words, dates and colours are the matter of who
shows it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.assessment import Result, Trait

MOST_GAPS = 4
"""How many traits outside their range are named beside the fit."""
_NUMBER_IN_FRONT = re.compile(r"^\s*\([0-9]+\)\s*")


class Level(StrEnum):
    """Of a fit, and of a trait's weight."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class RangePosition(StrEnum):
    """Where a person's value lies compared with the range that the job asks for."""

    WITHIN = "within"
    BELOW = "below"
    ABOVE = "above"
    BETWEEN = "between"
    """Outside, but there are wanted values below and above it."""


@dataclass(frozen=True, slots=True)
class TraitView:
    """One trait: its *text* comes without the number in front that the provider repeats there;
    *weight* and *position* are None where the job says nothing.
    """

    code: str
    name: str
    text: str
    score: int | None
    wanted: tuple[int, ...]
    weight: Level | None
    position: RangePosition | None


@dataclass(frozen=True, slots=True)
class ResultView:
    """What there is to show; *compared* is the number of traits that have a score and a wanted
    range, *in_range* how many of those lie within it.

    *summary* are the provider's lines that say more than the traits do.
    """

    fit: str | None
    fit_level: Level | None
    in_range: int
    compared: int
    traits: tuple[TraitView, ...]
    summary: tuple[tuple[str, str], ...]
    dashboard_url: str | None


def build_result_view(result: Result) -> ResultView:
    """The result in the order in which the provider lists its traits."""
    traits = tuple(_view_trait(trait) for trait in result.traits)
    in_range, compared = count_in_range(result)
    return ResultView(
        fit=result.fit,
        fit_level=read_level(result.fit),
        in_range=in_range,
        compared=compared,
        traits=traits,
        summary=_unsaid_lines(result, traits),
        dashboard_url=result.dashboard_url,
    )


def count_in_range(result: Result) -> tuple[int, int]:
    """How many traits lie within their wanted range, of how many that have a score and a range."""
    compared = [trait for trait in result.traits if trait.score is not None and trait.wanted]
    return sum(trait.score in trait.wanted for trait in compared), len(compared)


def list_gaps(view: ResultView) -> list[tuple[int, TraitView]]:
    """The traits outside of their wanted ranges with their numbers in the list (from 1), those of
    more weight first.
    """
    gaps = [
        (number, trait)
        for number, trait in enumerate(view.traits, start=1)
        if trait.position not in (None, RangePosition.WITHIN)
    ]
    order = [Level.HIGH, Level.MEDIUM, Level.LOW, None]
    return sorted(gaps, key=lambda gap: order.index(gap[1].weight))


_LEVELS = {level.value: level for level in Level}


def read_level(word: str | None) -> Level | None:
    """The level that *word* means, in any case; None for another word."""
    folded = (word or "").strip().lower()
    return _LEVELS.get(folded)


def get_range_position(score: int | None, wanted: tuple[int, ...]) -> RangePosition | None:
    """None without a score or a wanted range."""
    if score is None or not wanted:
        return None
    if score in wanted:
        return RangePosition.WITHIN
    if score < min(wanted):
        return RangePosition.BELOW
    return RangePosition.ABOVE if score > max(wanted) else RangePosition.BETWEEN


def _view_trait(trait: Trait) -> TraitView:
    return TraitView(
        code=trait.code,
        name=trait.name or trait.code,
        text=_without_number(trait.description),
        score=trait.score,
        wanted=trait.wanted,
        weight=read_level(trait.weight),
        position=get_range_position(trait.score, trait.wanted),
    )


def _without_number(text: str) -> str:
    return _NUMBER_IN_FRONT.sub("", text).strip()


def _unsaid_lines(result: Result, traits: tuple[TraitView, ...]) -> tuple[tuple[str, str], ...]:
    # Names and texts of both lists are display texts, perhaps in two languages: a line is left out
    # only if it is said word by word.
    said = {(trait.name.casefold(), trait.text.casefold()) for trait in traits}
    return tuple(
        (name, text)
        for name, text in result.summary
        if (name.casefold(), _without_number(text).casefold()) not in said
    )


def replace_texts(result: Result, translated: Result) -> Result:
    """The *result* with names and descriptions of *translated*, trait by trait by its code.

    A trait whose score differs there keeps its text, which would contradict what is shown.
    """
    texts = {(trait.code, trait.score): trait for trait in translated.traits if trait.code}
    traits = tuple(
        trait._replace(name=other.name or trait.name, description=other.description)
        if (other := texts.get((trait.code, trait.score))) is not None
        else trait
        for trait in result.traits
    )
    return replace(result, traits=traits, summary=translated.summary or result.summary)
