"""What people are shown of a result."""

from __future__ import annotations

import pytest

from bridge.core.assessment import Result, Trait
from bridge.core.result_view import (
    Level,
    RangePosition,
    build_result_view,
    get_range_position,
    list_gaps,
    read_level,
)


@pytest.mark.parametrize(
    ("score", "wanted", "position"),
    [
        (3, (3, 4), RangePosition.WITHIN),
        (2, (3, 4), RangePosition.BELOW),
        (5, (3, 4), RangePosition.ABOVE),
        (3, (1, 5), RangePosition.BETWEEN),
        (None, (1,), None),
        (3, (), None),
    ],
)
def test_position(
    score: int | None, wanted: tuple[int, ...], position: RangePosition | None
) -> None:
    """A value lies within, below, above or between what is wanted, or is compared with nothing."""
    assert get_range_position(score, wanted) is position


@pytest.mark.parametrize(
    ("word", "level"),
    [("high", Level.HIGH), (" Low ", Level.LOW), ("superb", None), ("", None), (None, None)],
)
def test_level(word: str | None, level: Level | None) -> None:
    """A word that is no level is none, and is shown as the provider says it."""
    assert read_level(word) is level


def test_counts_and_texts() -> None:
    """Only traits that have a score and a wanted range are counted; the number that the provider
    writes in front of its texts is not shown a second time.
    """
    view = build_result_view(
        Result(
            fit="high",
            traits=(
                Trait("a", "Agility", 5, "(5) Very flexible", (4, 5), "high"),
                Trait("b", "", 1, "Careful", (4, 5), "other"),
                Trait("c", "Calm", 3),
            ),
        )
    )
    assert (view.in_range, view.compared, view.fit_level) == (1, 2, Level.HIGH)
    first, second, third = view.traits
    assert (first.text, first.weight, first.position) == (
        "Very flexible",
        Level.HIGH,
        RangePosition.WITHIN,
    )
    assert (second.name, second.weight, second.position) == ("b", None, RangePosition.BELOW)
    assert third.position is None


def test_summary_says_only_what_is_new() -> None:
    """A line of the summary that the traits say word by word is left out."""
    view = build_result_view(
        Result(
            summary=(("agility", "(5) very flexible"), ("Style", "(2) Methodical")),
            traits=(Trait("a", "Agility", 5, "(5) Very flexible"),),
        )
    )
    assert view.summary == (("Style", "(2) Methodical"),)


def test_gaps_of_more_weight_come_first() -> None:
    """What lies outside its range is listed with its number, the weightiest first."""
    given = [("low", 1), ("", 1), ("high", 3), ("high", 5), ("medium", 1), ("high", None)]
    traits = tuple(
        Trait(code=str(number), name="", score=score, wanted=(3,), weight=weight)
        for number, (weight, score) in enumerate(given, start=1)
    )
    gaps = list_gaps(build_result_view(Result(traits=traits)))
    assert [(number, trait.code) for number, trait in gaps] == [
        (4, "4"),
        (5, "5"),
        (1, "1"),
        (2, "2"),
    ]
