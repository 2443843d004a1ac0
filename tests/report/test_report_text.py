"""What a report says, in four languages, and which characters of it can be shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.core.assessment import Result, Trait
from bridge.core.display import DisplaySettings
from bridge.core.interview_guide import InterviewGuide, TraitQuestions
from bridge.languages.language import LANGUAGES, load_language
from bridge.report.printable_text import LONGEST_WORD, MISSING, make_printable
from bridge.report.report_text import write_report
from tests.report.orders import AT, NAME, NOTHING, TRAITS, ordered


def said(result: Result | None, code: str = "en", **more: Any) -> Any:
    """The texts of a report."""
    return write_report(ordered(result, **more), load_language(code))


def test_whose_it_is_and_when() -> None:
    """A report names test, application, employer, provider, local time and the end of its link."""
    text = write_report(ordered(), load_language("de"))
    assert text["heading"] == NAME
    assert text["origin"] == "Ergebnis der Eignungsdiagnostik · Provider für ACME GmbH"
    assert text["facts"] == [
        ["Bewerbung", "app-1001"],
        ["Abgeschlossen am", "24.11.2026, 16:18 MEZ"],
        ["Link gültig bis", "24.11.2027"],
    ]
    assert text["reference"] == "iv_0dBjvCrpmQxYzAbCdEfGhIjK"
    assert text["created"] == [2026, 11, 24, 15, 18, 0]


def test_what_is_not_known_is_left_out() -> None:
    """Without an employer's name or an end of the link, neither is spoken of."""
    order = replace(
        ordered(display=DisplaySettings(timezone="Atlantic/Reykjavik")), valid_until=None
    )
    text = write_report(order, load_language("en"))
    assert text["origin"] == "Assessment result · Provider"
    assert text["facts"][-1] == ["Completed on", "24 Nov 2026, 15:18 GMT"]  # type: ignore[index]


def test_each_trait_in_words() -> None:
    """Position, weight and the picture's text are said for each trait, also where parts of it are
    missing.
    """
    told = {
        trait["name"]: (trait["position"], trait["verdict"], trait["weight"], trait["value"])
        for trait in said(Result("low", traits=TRAITS))["traits"]
    }
    assert told["Problemlösestil"] == (
        "within",
        "within the wanted range",
        "medium weight",
        "Value 2 of 5, wanted range 1\N{EN DASH}3",
    )
    assert told["Zusammenarbeit"][0] == "above"
    assert told["Konzentration unter Druck"][0] == "below"
    assert told["Entscheidungsfreude"][0] == "between"
    assert told["Sorgfalt"] == ("unknown", "no value", None, "Wanted range 4\N{EN DASH}5 of 5")
    assert told["Ruhe"] == ("unknown", "no wanted range", None, "Value 4 of 5")
    (empty,) = said(Result(traits=(Trait("x", ""),)))["traits"]
    assert (empty["name"], empty["value"]) == ("x", "no value")


@pytest.mark.parametrize(
    ("result", "level", "share", "headline", "detail"),
    [
        (
            Result("HIGH", traits=TRAITS),
            "high",
            "3/6",
            "High fit",
            "In the wanted range: 3 of 6 traits",
        ),
        (Result("superb", traits=TRAITS[:1]), "unknown", "1/1", "superb", None),
        (
            Result(traits=TRAITS[-1:]),
            "unknown",
            None,
            "Values without comparison",
            "There is no wanted range to compare the values with.",
        ),
        (
            Result(traits=TRAITS[:1]),
            "unknown",
            "1/1",
            "In the wanted range: 1 of 1 trait",
            "",
        ),
        (NOTHING, "unknown", None, "No fit was given", "There are no values of single traits."),
    ],
)
def test_the_answer_in_one_glance(
    result: Result, level: str, share: str | None, headline: str, detail: str | None
) -> None:
    """Fit and number in the wanted range stand in front; what is missing is said."""
    fit = said(result)["fit"]
    assert (fit["level"], fit["share"], fit["headline"]) == (level, share, headline)
    assert detail in (None, fit["detail"])


def test_a_range_is_explained_only_where_one_is_shown() -> None:
    """Without a profile neither the legend nor the rows speak of a range that nobody sees."""
    with_profile, without = said(Result(traits=TRAITS)), said(Result(traits=TRAITS[-1:]))
    assert list(with_profile["words"]["legend"]) == ["value", "outside", "wanted"]
    assert list(without["words"]["legend"]) == ["value"]
    assert [trait["verdict"] for trait in without["traits"]] == [""]


def test_what_to_ask_about_first() -> None:
    """The gaps are named beside the fit, those of more weight first, and not more than four."""
    (first, second, third) = said(Result(traits=TRAITS))["gaps"]["named"]
    assert (first["name"], first["position"]) == ("Zusammenarbeit", "above")
    assert second["verdict"] == "below the wanted range"
    assert third["name"] == "Entscheidungsfreude"
    many = said(Result(traits=TRAITS * 2))["gaps"]
    assert (len(many["named"]), many["more"]) == (4, "and 2 more")
    assert said(NOTHING)["gaps"] == {"named": [], "more": ""}


def test_a_person_decides() -> None:
    """In every language the report says how to read it, that a person decides, and that it is
    confidential; no two languages say the same.
    """
    said_by = {code: write_report(ordered(), load_language(code)) for code in LANGUAGES}
    for text in said_by.values():
        assert "22" in str(text["explanation"])
    for key in ("explanation", "confidential", "words", "origin", "fit", "page", "title"):
        assert len({str(text[key]) for text in said_by.values()}) == len(LANGUAGES), key


def test_no_result_no_report() -> None:
    """Whoever has no result does not ask for its report."""
    with pytest.raises(ValueError, match="result"):
        said(None)


def test_what_was_corrected_is_told_at_its_own_time() -> None:
    """A result whose completion is not known is shown with its last change."""
    order = ordered()
    later = replace(order.invitation, completed_at=None, updated_at=AT + timedelta(hours=1))
    text = write_report(replace(order, invitation=later), load_language("de"))
    assert text["facts"][1] == ["Abgeschlossen am", "24.11.2026, 17:18 MEZ"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (
            "Łódź İstanbul Αθήνα Київ ąęßẞ € “x” ≥ → \N{MINUS SIGN}",
            "Łódź İstanbul Αθήνα Київ ąęßẞ € “x” ≥ → \N{MINUS SIGN}",
        ),
        ("Mu\u0308ller", "Müller"),
        ("two\nlines\r\n\tand   spaces\u2028", "two lines and spaces"),
        ("a\x00b\x07c\x1bd\u202ee\u200bf\ufeffg", "abcdefg"),
        ("🎉🎉 ok 日本語", f"{MISSING} ok {MISSING}"),
        ("\ue000\U000f0000\ud800", MISSING),
        ("", ""),
    ],
)
def test_what_can_be_shown(given: str, shown: str) -> None:
    """Latin, Greek, Cyrillic and their signs stay; controls go; what no font has leaves a mark."""
    assert make_printable(given) == shown


def test_words_without_end_may_be_broken() -> None:
    """A word that no column holds can be broken; a long German one is left to be hyphenated."""
    word = "Rechtsschutzversicherungsgesellschaft"
    assert len(word) < LONGEST_WORD
    assert make_printable(word) == word
    parts = make_printable("W" * 500).split("\N{ZERO WIDTH SPACE}")
    assert max(map(len, parts)) <= LONGEST_WORD / 2
    assert "".join(parts) == "W" * 500


def test_questions_for_the_interview() -> None:
    """A trait has its question from the guide, with the question's language; others have none."""
    guide = InterviewGuide({"flex": {"en": TraitQuestions("Below?", "Above?")}})
    flexible = Trait("flex", "Flexibility", 2, wanted=(4, 5))
    order = replace(ordered(Result("low", traits=(flexible, TRAITS[0]))), guide=guide)
    text: Any = write_report(order, load_language("de"))
    assert [trait["question"] for trait in text["traits"]] == [
        {"heading": "Frage für das Gespräch", "text": "Below?", "language": "en"},
        None,
    ]
