"""The recruiter's interview guide: a question for each trait outside of its wanted range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.core.result_view import RangePosition, TraitView

FALLBACK_LANGUAGE = "en"


class InterviewQuestion(NamedTuple):
    """A question in one *language*, which may be another than its reader's."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class TraitQuestions:
    """What to ask about a trait in one language, by where the value lies."""

    below: str | None
    above: str | None


@dataclass(frozen=True, slots=True)
class InterviewGuide:
    """Questions by a trait's code and by language."""

    questions: Mapping[str, Mapping[str, TraitQuestions]] = field(repr=False)

    def choose_question(self, trait: TraitView, language: str) -> InterviewQuestion | None:
        """What to ask about *trait*: in *language*, else in English, else in the first language
        that has it.

        None within the wanted range, without one, and for a trait that has no question. Between two
        ranges there are values on both sides, so the question for above counts as well as the one
        for below, which comes first.
        """
        by_language = self.questions.get(trait.code, {})
        for code in dict.fromkeys((language, FALLBACK_LANGUAGE, *by_language)):
            if code in by_language and (text := _choose(by_language[code], trait.position)):
                return InterviewQuestion(text, code)
        return None


def _choose(questions: TraitQuestions, position: RangePosition | None) -> str | None:
    match position:
        case RangePosition.BELOW:
            return questions.below
        case RangePosition.ABOVE:
            return questions.above
        case RangePosition.BETWEEN:
            return questions.below or questions.above
        case _:
            return None
