"""Invented results that show what patterns, pages and reports make of any result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.core.assessment import Result, Trait
from bridge.core.customers import Customer
from bridge.core.invitation import Invitation, State

_DASHBOARD = "https://dashboard.example.com/preview"
_MANY = 40
_MIDDLE = 3
_LONG_WORD = {
    "en": "Counterintuitivenessquantificationmethodology",
    "de": "Donaudampfschifffahrtsgesellschaftskapitänsanwärter",
}
_TEST = {"en": "Engineer assessment", "de": "Assessment Entwicklung"}
_LONG_TEST = {
    "en": "Assessment for engineers, architects and administrators in product development,"
    " operation and maintenance at all locations, including those who work from home",
    "de": "Assessment für Fachkräfte aus Entwicklung, Architektur und Administration in Produkt,"
    " Betrieb und Wartung an allen Standorten, auch für Menschen im Homeoffice",
}


@dataclass(frozen=True, slots=True)
class SampleResult:
    """The *result* of this *name*, and the record of its completed *invitation*."""

    name: str
    result: Result
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class _Trait:
    """*good* and *poor* are the scores of those results; *low* and *high* say in the language of a
    text what the ends of the scale stand for.
    """

    code: str
    weight: str
    wanted: tuple[int, ...]
    good: int
    poor: int
    names: Mapping[str, str]
    low: Mapping[str, str]
    high: Mapping[str, str]


_TRAITS = (
    _Trait(
        "problem_solving_style",
        "medium",
        (1, 2, 3),
        2,
        5,
        {"en": "Problem solving style", "de": "Problemlösestil"},
        {"en": "Works step by step.", "de": "Geht Schritt für Schritt vor."},
        {"en": "Follows intuition.", "de": "Folgt der Intuition."},
    ),
    _Trait(
        "cognitive_flexibility",
        "high",
        (4, 5),
        5,
        2,
        {"en": "Cognitive flexibility", "de": "Kognitive Flexibilität"},
        {"en": "Stays with what is proven.", "de": "Bleibt bei Bewährtem."},
        {"en": "Adapts to new rules at once.", "de": "Stellt sich sofort auf neue Regeln ein."},
    ),
    _Trait(
        "working_memory",
        "high",
        (3, 4, 5),
        4,
        3,
        {"en": "Learning ability", "de": "Lernfähigkeit"},
        {"en": "Takes time for new matters.", "de": "Nimmt sich Zeit für Neues."},
        {"en": "Keeps much in mind at once.", "de": "Behält vieles zugleich im Kopf."},
    ),
    _Trait(
        "risk",
        "low",
        (2, 3, 4),
        5,
        1,
        {"en": "Attitude to risk", "de": "Risikoverhalten"},
        {"en": "Plays it safe.", "de": "Geht auf Nummer sicher."},
        {"en": "Dares a lot.", "de": "Wagt viel."},
    ),
    _Trait(
        "collaboration",
        "medium",
        (3, 4, 5),
        4,
        2,
        {"en": "Collaboration", "de": "Zusammenarbeit"},
        {"en": "Likes to work alone.", "de": "Arbeitet gern allein."},
        {"en": "Seeks the team.", "de": "Sucht das Team."},
    ),
)


def build_sample_results(
    customer: Customer, language: str, now: datetime
) -> tuple[SampleResult, ...]:
    """One of each kind that looks different, completed *now*, with texts in German or English."""
    code = language if language in _TEST else "en"
    good = _build_result("high", [_build_trait(one, one.good, code) for one in _TRAITS])
    poor = _build_result("low", [_build_trait(one, one.poor, code) for one in _TRAITS])
    unprofiled = [trait._replace(wanted=(), weight="") for trait in good.traits]
    many = [
        trait._replace(code=f"{trait.code}_{number}", name=f"{trait.name} {number}")
        for number in range(1, _MANY // len(_TRAITS) + 1)
        for trait in (good if number % 2 else poor).traits
    ]
    ordinary = Invitation(
        id="iv_preview",
        customer=customer.key,
        application_id="A-2026-00042",
        test_id="preview",
        test_name=_TEST[code],
        state=State.COMPLETED,
        created_at=now - timedelta(days=2),
        updated_at=now,
        completed_at=now,
    )
    extensive = replace(ordinary, test_name=_LONG_TEST[code], application_id=f"A-2026-{'0' * 50}42")
    results = {
        "good": good,
        "poor": poor,
        "no-profile": _build_result(None, unprofiled),
        "long-names": _build_result("medium", _lengthen(poor.traits, code)),
        "40-traits": _build_result("medium", many),
    }
    return tuple(
        SampleResult(
            name, result, replace(extensive if name == "long-names" else ordinary, result=result)
        )
        for name, result in results.items()
    )


def _build_result(fit: str | None, traits: Sequence[Trait]) -> Result:
    return Result(fit=fit, dashboard_url=_DASHBOARD, traits=tuple(traits))


def _build_trait(one: _Trait, score: int, language: str) -> Trait:
    text = one.low[language] if score < _MIDDLE else one.high[language]
    return Trait(one.code, one.names[language], score, text, one.wanted, one.weight)


def _lengthen(traits: Sequence[Trait], language: str) -> list[Trait]:
    """The same with names and texts as long as somebody may write them, one without a blank."""
    word = _LONG_WORD[language]
    return [
        trait._replace(
            name=f"{trait.name} {word}" if number % 2 else word * 2,
            description=" ".join([trait.description] * (4 * number)),
        )
        for number, trait in enumerate(traits, start=1)
    ]
