"""Invitations that show what pages look like: the usual ones, and the extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bridge.core import ids
from bridge.core.assessment import Result, Trait
from bridge.core.invitation import CreateAttempt, CreateOutcome, Invitation, State

EXTREMES = ("many", "long", "hostile", "summary-only", "start-long", "start-hostile")
AT = datetime(2026, 11, 24, 15, 18, tzinfo=UTC)
TEST = {"de": "Entwickler – „Denken & Handeln“ (m/w/d)", "en": "Engineer – “Think & act”"}  # noqa: RUF001

_TRAITS: Sequence[tuple[str, int, str, tuple[int, ...], dict[str, tuple[str, str]]]] = (
    (
        "problem_solving_style",
        2,
        "medium",
        (1, 2, 3),
        {
            "de": ("Problemlösestil", "Methodisch: geht Aufgaben Schritt für Schritt an."),
            "en": ("Problem solving style", "Methodical: takes a task step by step."),
        },
    ),
    (
        "cognitive_flexibility",
        5,
        "high",
        (4, 5),
        {
            "de": ("Kognitive Flexibilität", "Sehr flexibel: stellt sich schnell auf Neues ein."),
            "en": ("Cognitive flexibility", "Very flexible: quickly gets used to new rules."),
        },
    ),
    (
        "risk_attitude",
        3,
        "low",
        (2, 3, 4),
        {
            "de": ("Risikoverhalten", "Abwägend: wägt Chancen und Risiken ab."),
            "en": ("Attitude to risk", "Weighing up: compares chances and risks."),
        },
    ),
    (
        "collaboration",
        4,
        "medium",
        (3, 4, 5),
        {
            "de": ("Zusammenarbeit", "Teamorientiert: bezieht andere früh ein."),
            "en": ("Collaboration", "Team-minded: involves others early."),
        },
    ),
    (
        "focus",
        2,
        "high",
        (3, 4, 5),
        {
            "de": (
                "Konzentration unter Druck",
                "Etwas abgelenkt: arbeitet ohne Störungen genauer.",
            ),
            "en": ("Focus under pressure", "Somewhat diverted: more exact without disturbance."),
        },
    ),
)


def traits(lang: str) -> tuple[Trait, ...]:
    """Five traits, of which the last is below its wanted range."""
    return tuple(
        Trait(
            code=code,
            name=texts[lang][0],
            score=score,
            description=f"({score}) {texts[lang][1]}",
            wanted=wanted,
            weight=weight,
        )
        for code, score, weight, wanted, texts in _TRAITS
    )


def records(customer: str, lang: str) -> dict[str, Invitation]:
    """One invitation of *customer* for each look of a page."""
    good = Result(fit="high", dashboard_url="https://dashboard.example.com/1", traits=traits(lang))
    completed = Invitation(
        id="",
        customer=customer,
        application_id="app-1001",
        test_id="engineer",
        test_name=TEST[lang],
        state=State.COMPLETED,
        created_at=AT - timedelta(days=2),
        updated_at=AT,
        completed_at=AT,
        confirmed=True,
        attempts=(CreateAttempt(1, "", AT, CreateOutcome.CREATED, "ref-1"),),
        live_attempt=1,
        issued=True,
        result=good,
    )
    unfinished = replace(
        completed,
        state=State.INVITED,
        completed_at=None,
        result=None,
        deadline=AT + timedelta(days=5),
    )

    def with_result(**parts: object) -> Invitation:
        return replace(completed, result=replace(good, **parts))

    many = tuple(
        good.traits[number % 5]._replace(
            code=f"t{number}",
            name=f"{good.traits[number % 5].name} {number}",
        )
        for number in range(40)
    )
    long_word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    hostile = "\u202e</li><script>alert(1)</script>\u2066\"'><img src=x> {{7*7}} &lt;"
    found = {
        "good": completed,
        "poor": with_result(
            fit="low",
            traits=tuple(one._replace(score=6 - (one.score or 0)) for one in good.traits),
        ),
        "medium": with_result(
            fit="medium",
            traits=(
                *good.traits[:3],
                good.traits[3]._replace(score=None),
                good.traits[4]._replace(wanted=(1, 2, 5), score=3),
            ),
            summary=(("Lernstil", "Lernt am liebsten aus Beispielen."), ("Tempo", "(4) Zügig")),
        ),
        "no-profile": with_result(
            fit=None, traits=tuple(one._replace(wanted=(), weight="") for one in good.traits)
        ),
        "no-traits": with_result(fit="high", traits=()),
        "summary-only": with_result(fit=None, traits=(), summary=(("Focus", "(3) Average"),)),
        "many": with_result(traits=many),
        "long": replace(
            with_result(
                traits=(
                    good.traits[4]._replace(
                        name=long_word, description=f"{long_word} {long_word} " * 4
                    ),
                ),
                summary=((long_word, long_word * 2),),
            ),
            test_name=f"{long_word} {long_word}",
            application_id=long_word,
        ),
        "hostile": replace(
            with_result(
                fit=hostile,
                traits=(good.traits[4]._replace(name=hostile, description=hostile),),
                summary=((hostile, hostile),),
            ),
            test_name=hostile,
        ),
        "pending": unfinished,
        "begun": replace(unfinished, state=State.STARTED, started_at=AT),
        "expired": replace(unfinished, state=State.EXPIRED, expired_at=AT + timedelta(days=5)),
        "erased": replace(
            completed,
            result=None,
            test_name="",
            application_id="",
            state=State.ERASED,
            erased_at=AT,
        ),
    }
    return _with_ids(found, customer + lang)


def start_records(customer: str, lang: str) -> dict[str, Invitation]:
    """One invitation of *customer* for each look of a candidate's page; all but "start-expired" can
    be taken for decades.
    """
    known = records(customer, lang)
    ready = replace(
        known["pending"],
        duration=30,
        assessment_url="https://assessment.example.com/1",
        deadline=datetime(2099, 1, 1, tzinfo=UTC),
    )
    found = {
        "start-ready": ready,
        "start-begun": replace(ready, state=State.STARTED, started_at=AT),
        "start-mailed": replace(ready, assessment_url=None),
        "start-finished": known["good"],
        "start-expired": known["expired"],
        "start-not-ready": replace(ready, state=State.UNCERTAIN, assessment_url=None),
        "start-long": replace(ready, test_name=known["long"].test_name),
        "start-hostile": replace(ready, test_name=known["hostile"].test_name),
    }
    return _with_ids(found, customer + lang)


def _with_ids(found: dict[str, Invitation], whose: str) -> dict[str, Invitation]:
    return {
        name: replace(one, id=_compose_id(number, whose + name))
        for number, (name, one) in enumerate(found.items())
    }


def _compose_id(number: int, text: str) -> str:
    return ids.compose_invitation_id(number % ids.PARTITIONS, text + "x" * 24)
