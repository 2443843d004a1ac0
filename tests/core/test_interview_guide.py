"""Which question the interview guide has for a trait."""

from __future__ import annotations

import pytest

from bridge.core.assessment import Result, Trait
from bridge.core.interview_guide import InterviewGuide, InterviewQuestion, TraitQuestions
from bridge.core.result_view import TraitView, build_result_view

GUIDE = InterviewGuide(
    {
        "focus": {
            "en": TraitQuestions("below?", "above?"),
            "de": TraitQuestions("darunter?", None),
        },
        "calm": {"fr": TraitQuestions(None, "au-dessus ?")},
        "silent": {},
    }
)


def seen(code: str, score: int | None, wanted: tuple[int, ...] = (3,)) -> TraitView:
    """One trait as it is shown."""
    result = Result(traits=(Trait(code, "Trait", score, wanted=wanted),))
    return build_result_view(result).traits[0]


@pytest.mark.parametrize(
    ("trait", "language", "expected"),
    [
        (seen("focus", 1), "en", ("below?", "en")),
        (seen("focus", 5), "en", ("above?", "en")),
        (seen("focus", 1), "de", ("darunter?", "de")),
        (seen("focus", 5), "de", ("above?", "en")),
        (seen("focus", 1), "nl", ("below?", "en")),
        (seen("focus", 3, (1, 5)), "de", ("darunter?", "de")),
        (seen("calm", 3, (1, 5)), "de", ("au-dessus ?", "fr")),
        (seen("calm", 1), "fr", None),
        (seen("focus", 3), "en", None),
        (seen("focus", 1, ()), "en", None),
        (seen("focus", None), "en", None),
        (seen("silent", 1), "en", None),
        (seen("unheard_of", 1), "en", None),
    ],
)
def test_question(trait: TraitView, language: str, expected: tuple[str, str] | None) -> None:
    """A trait below or above its range has the question for that side, in the reader's language,
    else in English, else in another; a trait within, without range or unknown has none.
    """
    assert GUIDE.choose_question(trait, language) == (
        InterviewQuestion(*expected) if expected else None
    )
