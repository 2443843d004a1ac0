"""A result in words: the same on pages and in reports."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.core.interview_guide import InterviewGuide, InterviewQuestion
from bridge.core.result_view import Level, RangePosition, ResultView, TraitView
from bridge.core.score import name_fit
from bridge.languages.language import N_, Language

_POSITIONS: Mapping[RangePosition, str] = {
    RangePosition.WITHIN: N_("within the wanted range"),
    RangePosition.BELOW: N_("below the wanted range"),
    RangePosition.ABOVE: N_("above the wanted range"),
    RangePosition.BETWEEN: N_("outside the wanted range"),
}
_WEIGHTS: Mapping[Level, str] = {
    Level.LOW: N_("low weight"),
    Level.MEDIUM: N_("medium weight"),
    Level.HIGH: N_("high weight"),
}

ASK = N_("Question for the interview")
"""Stands above a question of the interview guide."""
NOT_COMPARED = N_("no wanted range")
NO_VALUE = N_("no value")
HOW_TO_READ = N_("How to read this result")
EXPLANATION = (
    N_(
        "The values describe how somebody acted in games, not the person. No value is good or bad"
        " in itself: what counts is the range that suits this job."
    ),
    N_(
        "A value outside of that range is a reason to ask in the interview, not to turn somebody"
        " down."
    ),
    N_("A person decides, never this result alone (Art. 22 GDPR)."),
)
"""How to read a result, one sentence or two each."""
CONFIDENTIAL = N_("Confidential: only for those who decide about this application.")


def describe_fit(view: ResultView, words: Language) -> str | None:
    """Such as "High fit"; the provider's own word where it is none that we know."""
    return name_fit(view.fit, words.code)


def count_in_range(view: ResultView, words: Language) -> str | None:
    """Such as "In the wanted range: 4 of 5 traits"; None if no trait can be compared."""
    if not view.compared:
        return None
    return words.ngettext(
        "In the wanted range: %(in_range)s of %(num)s trait",
        "In the wanted range: %(in_range)s of %(num)s traits",
        view.compared,
        in_range=view.in_range,
    )


def describe_position(trait: TraitView, words: Language) -> str:
    """Such as "below the wanted range"; says so if there is no value, or no range to compare."""
    if trait.position is not None:
        return words.gettext(_POSITIONS[trait.position])
    return words.gettext(NO_VALUE if trait.score is None else NOT_COMPARED)


def choose_question(
    trait: TraitView, guide: InterviewGuide | None, words: Language
) -> InterviewQuestion | None:
    """What the guide asks about a trait that is outside of its range, in this language where it is
    there; None without a guide or a question.
    """
    return guide.choose_question(trait, words.code) if guide is not None else None


def describe_weight(trait: TraitView, words: Language) -> str | None:
    """Such as "high weight"; None if the job gives the trait none."""
    return words.gettext(_WEIGHTS[trait.weight]) if trait.weight else None


def describe_range(wanted: tuple[int, ...]) -> str:
    """Such as "1 to 3" or "1, 4 to 5", with dashes."""
    return ", ".join(
        str(first) if first == last else f"{first}\N{EN DASH}{last}"
        for first, last in split_runs(wanted)
    )


def describe_value(trait: TraitView, words: Language) -> str:
    """The picture of a trait's scale in words: "Value 2 of 5, wanted range 1, 4"."""
    score, wanted = trait.score, describe_range(trait.wanted)
    if score is None:
        return words.gettext("Wanted range %(wanted)s of 5", wanted=wanted) if wanted else ""
    if not wanted:
        return words.gettext("Value %(value)s of 5", value=score)
    return words.gettext(
        "Value %(value)s of 5, wanted range %(wanted)s", value=score, wanted=wanted
    )


def split_runs(wanted: tuple[int, ...]) -> list[tuple[int, int]]:
    """First and last of each run of neighbours, in order."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(wanted)):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
