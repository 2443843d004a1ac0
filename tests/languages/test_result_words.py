"""A result in words, the same wherever it is shown."""

from __future__ import annotations

import pytest

from bridge.core.assessment import Result, Trait
from bridge.core.result_view import TraitView, build_result_view
from bridge.languages import result_words
from bridge.languages.language import LANGUAGES, load_language


def seen(score: int | None, wanted: tuple[int, ...], weight: str = "") -> TraitView:
    """One trait as it is shown."""
    trait = Trait(code="t", name="Trait", score=score, wanted=wanted, weight=weight)
    return build_result_view(Result(traits=(trait,))).traits[0]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ((3,), "3"),
        ((1, 2, 3), "1\N{EN DASH}3"),
        ((5, 1, 4), "1, 4\N{EN DASH}5"),
        ((1, 3, 5), "1, 3, 5"),
        ((), ""),
    ],
)
def test_a_range_is_said_in_short(wanted: tuple[int, ...], said: str) -> None:
    """Neighbours are one run, in whatever order the provider names them."""
    assert result_words.describe_range(wanted) == said


@pytest.mark.parametrize(
    ("score", "wanted", "value", "position"),
    [
        (2, (1, 2), "Value 2 of 5, wanted range 1\N{EN DASH}2", "within the wanted range"),
        (1, (2, 3), "Value 1 of 5, wanted range 2\N{EN DASH}3", "below the wanted range"),
        (5, (2, 3), "Value 5 of 5, wanted range 2\N{EN DASH}3", "above the wanted range"),
        (3, (1, 5), "Value 3 of 5, wanted range 1, 5", "outside the wanted range"),
        (3, (), "Value 3 of 5", "no wanted range"),
        (None, (1,), "Wanted range 1 of 5", "no value"),
        (None, (), "", "no value"),
    ],
)
def test_where_a_value_lies(
    score: int | None, wanted: tuple[int, ...], value: str, position: str
) -> None:
    """What the picture of a scale shows is said in words, also where a part is missing."""
    words, trait = load_language("en"), seen(score, wanted)
    assert result_words.describe_value(trait, words) == value
    assert result_words.describe_position(trait, words) == position


def test_weight_and_fit() -> None:
    """Words that we know are said in the viewer's language, others as the provider says them."""
    words = load_language("de")
    assert result_words.describe_weight(seen(1, (), "HIGH"), words) == "hohes Gewicht"
    assert result_words.describe_weight(seen(1, (), "huge"), words) is None
    for fit, said in (("low", "Geringe Passung"), ("superb", "superb"), (None, None)):
        assert result_words.describe_fit(build_result_view(Result(fit=fit)), words) == said


@pytest.mark.parametrize("lang", LANGUAGES)
def test_how_many_are_in_range(lang: str) -> None:
    """The number in the wanted range is said with that of the traits that can be compared, in one
    sentence for every number; nothing is said where none can be.
    """
    words = load_language(lang)
    assert result_words.count_in_range(build_result_view(Result()), words) is None
    for number in (1, 5):
        traits = tuple(Trait(code="t", name="t", score=1, wanted=(1,)) for _ in range(number))
        said = result_words.count_in_range(build_result_view(Result(traits=traits)), words) or ""
        assert said.count(str(number)) == 2
