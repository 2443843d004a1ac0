"""Catalogues of questions for the interview: the one that comes with the bridge, and a customer's
own (``results.interview_questions``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from bridge.core.declaration import suggest_similar_word
from bridge.core.interview_guide import InterviewGuide, TraitQuestions
from bridge.core.score import FIT_LABELS
from bridge.errors import ConfigError, ConfigMistake
from bridge.settings.findings import MistakeCollector, MistakeKind, PositionedValue
from bridge.settings.scalars import describe_value
from bridge.settings.yaml_source import parse_yaml, read_text

LONGEST_QUESTION = 500
LANGUAGE_CODES = tuple(FIT_LABELS)
_SIDES = ("below", "above")
_Catalogue = dict[str, Mapping[str, TraitQuestions]]


@cache
def load_shipped_guide() -> InterviewGuide:
    """The questions that come with the bridge."""
    file = resources.files("bridge.settings").joinpath("interview_questions.yaml")
    found = MistakeCollector(file.name)
    catalogue = _read_catalogue(parse_yaml(file.read_text("utf-8"), found, {}), found)
    if found.mistakes:
        raise found.as_config_error()
    return InterviewGuide(catalogue)


def read_own_guide(
    file: Path, environ: Mapping[str, str], found: list[ConfigMistake]
) -> InterviewGuide:
    """The questions of a customer's own *file* before those that come with the bridge; mistakes go
    to *found* with their positions there.
    """
    shipped, mistakes = load_shipped_guide(), MistakeCollector(str(file))
    try:
        own = _read_catalogue(parse_yaml(read_text(file), mistakes, environ), mistakes)
    except ConfigError as error:
        found += error.mistakes
        return shipped
    found += mistakes.mistakes
    return InterviewGuide({**shipped.questions, **own})


def _read_catalogue(root: PositionedValue, found: MistakeCollector) -> _Catalogue:
    return {code: _read_trait(entry, code, found) for code, entry in root.value.items()}


def _read_trait(
    entry: PositionedValue, code: str, found: MistakeCollector
) -> Mapping[str, TraitQuestions]:
    """The questions of one trait by language; none for null."""
    if entry.value is not None and not isinstance(entry.value, dict):
        _complain(found, entry, code, "expected questions by language, such as en and de, or null")
        return {}
    questions = {}
    for language, value in (entry.value or {}).items():
        if language not in LANGUAGE_CODES:
            near = suggest_similar_word(language, LANGUAGE_CODES)
            message = f"expected a language, one of {', '.join(LANGUAGE_CODES)}{near}"
            found.add_mistake(value.key, message, MistakeKind.UNKNOWN_KEY, code)
        else:
            questions[language] = _read_questions(value, f"{code}.{language}", found)
    return questions


def _read_questions(entry: PositionedValue, path: str, found: MistakeCollector) -> TraitQuestions:
    if not isinstance(entry.value, dict):
        text = _read_question(entry, path, found)
        return TraitQuestions(text, text)
    for side, value in entry.value.items():
        if side not in _SIDES:
            near = suggest_similar_word(side, _SIDES)
            message = f"expected below or above{near}"
            found.add_mistake(value.key, message, MistakeKind.UNKNOWN_KEY, path)
    below, above = (
        _read_question(value, f"{path}.{side}", found) if (value := entry.find(side)) else None
        for side in _SIDES
    )
    return TraitQuestions(below, above)


def _read_question(entry: PositionedValue, path: str, found: MistakeCollector) -> str | None:
    if not isinstance(entry.value, str):
        shown = describe_value(entry.value)
        _complain(found, entry, path, f"expected a question, as text, found {shown}")
        return None
    text = " ".join(entry.value.split())
    if not text or not text.isprintable() or len(text) > LONGEST_QUESTION:
        _complain(
            found, entry, path, f"expected a question of 1 to {LONGEST_QUESTION} printable letters"
        )
        return None
    return text


def _complain(found: MistakeCollector, entry: PositionedValue, path: str, message: str) -> None:
    if not entry.broken:
        found.add_mistake(entry.position, f"{path}: {message}", MistakeKind.VALUE, path)
