"""The catalogues of questions for the interview."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bridge.core.assessment import Result, Trait
from bridge.core.interview_guide import InterviewGuide, InterviewQuestion
from bridge.core.result_view import build_result_view
from bridge.settings.interview_files import load_shipped_guide
from bridge.settings.watched_files import take_files_snapshot

if TYPE_CHECKING:
    from conftest import Folder

ACME = f"""\
softgarden: {{tokens_sha256: ["{"a" * 64}"], client_id: "10"}}
equalture: {{client_id: acme, client_secret: hush}}
results:
  interview_guide: true
  interview_questions: %s
"""
ACCUSING = re.compile(
    r"weak|fail|lack|problem with|your mistake|why (are|can)|Schwäche|versag|Mangel|warum",
    re.IGNORECASE,
)


def ask(guide: InterviewGuide | None, code: str, score: int, language: str) -> str | None:
    """The question for a trait whose range is 3."""
    assert guide is not None
    result = Result(traits=(Trait(code, "Trait", score, wanted=(3,)),))
    found = guide.choose_question(build_result_view(result).traits[0], language)
    return found and found.text


def guide_of(folder: Folder) -> InterviewGuide | None:
    """The guide that the customer acme has."""
    found = folder.load().customers.get("acme")
    assert found is not None
    return found.results.guide


def test_every_trait_has_open_questions_in_german_and_english() -> None:
    """What comes with the bridge asks for each trait in both languages, on both sides, in open
    questions that suppose no fault.
    """
    shipped = load_shipped_guide()
    for code in ("problem_solving_style", "problem_solving_ability", "working_memory"):
        assert code in shipped.questions  # the codes that are documented
    assert len(shipped.questions) >= 8
    for code, by_language in shipped.questions.items():
        assert set(by_language) == {"en", "de"}, code
        for questions in by_language.values():
            for text in (questions.below, questions.above):
                assert text is not None
                assert "?" in text
                assert not ACCUSING.search(text), text


def test_no_guide_unless_it_is_wanted(folder: Folder) -> None:
    """By default nothing is asked; true brings the questions of the bridge."""
    text = ACME % "null"
    folder.customer(text.replace("interview_guide: true", "interview_guide: false"))
    assert guide_of(folder) is None
    folder.customer(text)
    assert guide_of(folder) == load_shipped_guide()


def test_own_questions_come_first(folder: Folder) -> None:
    """A trait of the customer's own file takes the place of the bridge's, null asks nothing, all
    others stay.
    """
    folder.customer(ACME % "questions.yaml")
    (folder.path / "questions.yaml").write_text(
        "patience:\n  de: {below: 'Wie warten Sie?'}\n  en: |\n    How do\n    you wait?\n"
        "working_memory: null\n"
        "prioritising: {nl: 'Wat eerst?'}\n"
    )
    guide = guide_of(folder)
    assert ask(guide, "patience", 1, "de") == "Wie warten Sie?"
    assert ask(guide, "patience", 5, "de") == "How do you wait?"
    assert ask(guide, "prioritising", 1, "de") == "Wat eerst?"
    assert ask(guide, "working_memory", 1, "de") is None
    shipped = load_shipped_guide()
    assert ask(guide, "risk", 1, "de") == ask(shipped, "risk", 1, "de")


def test_changed_questions_are_a_changed_customer(folder: Folder) -> None:
    """A file beside bridge.yaml is watched, and a reload tells that the customer changed."""
    folder.customer(ACME % "questions.yaml")
    questions = folder.path / "questions.yaml"
    questions.write_text("a: {en: One}\n")
    before, seen = folder.load().customers.get("acme"), take_files_snapshot(folder.path)
    questions.write_text("a: {en: Another}\n")
    assert take_files_snapshot(folder.path) != seen
    assert folder.load().customers.get("acme") != before


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a: text", (1, 4), "a: expected questions by language"),
        ("a: {dee: Wie}", (1, 5), "one of en, de, nl, fr; did you mean 'de'?"),
        ("a:\n  de: {belwo: Wie}", (2, 8), "expected below or above; did you mean 'below'?"),
        ("a: {de: 7}", (1, 9), "a.de: expected a question, as text, found the number 7"),
        ("a: {de: {above: ''}}", (1, 17), "a.de.above: expected a question of 1 to 500"),
        (f"a: {{de: {'x' * 501}}}", (1, 9), "a.de: expected a question of 1 to 500"),
        ("a: {en: What}\na: {en: How}", (2, 1), "duplicate key 'a': it is already in line 1"),
        ("a: {en: 'What is ${NOWHERE}?'}", (1, 9), "the environment variable NOWHERE is not set"),
        ("- a", (1, 1), "expected keys and values at the top of the file"),
    ],
)
def test_broken_questions(folder: Folder, text: str, place: tuple[int, int], said: str) -> None:
    """A mistake in a customer's questions has its place there, and is that customer's alone."""
    folder.customer(ACME % "questions.yaml")
    folder.customer(ACME.replace("a" * 64, "b" * 64) % "null", key="globex")
    (folder.path / "questions.yaml").write_text(text)
    ((line, column, message),) = folder.complaints()
    assert (line, column) == place
    assert said in message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.yaml", "there is no file nowhere.yaml below the folder"),
        ("../questions.yaml", "expected the path of a file below the folder"),
    ],
)
def test_questions_elsewhere(folder: Folder, name: str, said: str) -> None:
    """A path that leads nowhere, or out of the folder, is a mistake where it stands."""
    folder.customer(ACME % name)
    ((line, column, message),) = folder.complaints()
    assert (line, column) == (5, 24)
    assert message.startswith("results.interview_questions: ")
    assert said in message


def test_a_question_knows_its_language() -> None:
    """Readers of another language get the English question, marked as such."""
    result = Result(traits=(Trait("risk", "Trait", 1, wanted=(3,)),))
    found = load_shipped_guide().choose_question(build_result_view(result).traits[0], "fr")
    assert isinstance(found, InterviewQuestion)
    assert found.language == "en"
