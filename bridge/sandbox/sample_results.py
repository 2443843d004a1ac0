"""Sample results: own values in the documented shape, the same for the same scores every time.

https://equalture-ats.readme.io/reference/introduction, section 5b.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SampleTrait:
    """One trait: stable code, priority and range of the profile, a usual score, names and words of
    the buckets by language.
    """

    code: str
    priority: str
    accepted: tuple[int, ...]
    score: int
    """1 to 5; within ``accepted``."""
    names: Mapping[str, str]
    buckets: Mapping[str, tuple[str, ...]]


TRAITS = (
    SampleTrait(
        "problem_solving_style",
        "medium",
        (1, 2, 3),
        2,
        {"en": "Problem solving style", "de": "Problemlösestil"},
        {
            "en": ("Very methodical", "Methodical", "Balanced", "Intuitive", "Very intuitive"),
            "de": ("Sehr methodisch", "Methodisch", "Ausgewogen", "Intuitiv", "Sehr intuitiv"),
        },
    ),
    SampleTrait(
        "cognitive_flexibility",
        "high",
        (4, 5),
        5,
        {"en": "Cognitive flexibility", "de": "Kognitive Flexibilität"},
        {
            "en": ("Very steady", "Steady", "Neutral", "Flexible", "Very flexible"),
            "de": ("Sehr beständig", "Beständig", "Neutral", "Flexibel", "Sehr flexibel"),
        },
    ),
    SampleTrait(
        "risk_attitude",
        "low",
        (2, 3, 4),
        3,
        {"en": "Attitude to risk", "de": "Risikoverhalten"},
        {
            "en": ("Very cautious", "Cautious", "Weighing up", "Daring", "Very daring"),
            "de": ("Sehr vorsichtig", "Vorsichtig", "Abwägend", "Wagemutig", "Sehr wagemutig"),
        },
    ),
    SampleTrait(
        "collaboration",
        "medium",
        (3, 4, 5),
        4,
        {"en": "Collaboration", "de": "Zusammenarbeit"},
        {
            "en": (
                "Very independent",
                "Independent",
                "Either way",
                "Team-minded",
                "Very team-minded",
            ),
            "de": (
                "Sehr eigenständig",
                "Eigenständig",
                "Beides",
                "Teamorientiert",
                "Sehr teamorientiert",
            ),
        },
    ),
    SampleTrait(
        "focus",
        "high",
        (3, 4, 5),
        4,
        {"en": "Focus under pressure", "de": "Konzentration unter Druck"},
        {
            "en": ("Easily diverted", "Somewhat diverted", "Average", "Focused", "Very focused"),
            "de": (
                "Leicht abgelenkt",
                "Etwas abgelenkt",
                "Durchschnittlich",
                "Konzentriert",
                "Sehr konzentriert",
            ),
        },
    ),
)


def scores_for(fit: str | None, given: Mapping[str, int] | None) -> dict[str, int]:
    """Trait code -> bucket 1..5: the usual scores (mirrored for a low fit), with the *given* ones
    on top.
    """
    scores = {trait.code: 6 - trait.score if fit == "low" else trait.score for trait in TRAITS}
    for code, bucket in (given or {}).items():
        if code not in scores:
            raise ValueError(f"no trait {code!r}; there are {', '.join(scores)}")
        if isinstance(bucket, bool) or not isinstance(bucket, int) or not 1 <= bucket <= 5:
            raise ValueError(f"the score of {code} must be 1 to 5")
        scores[code] = bucket
    return scores


def result(
    scores: Mapping[str, int],
    fit: str | None,
    results_url: str,
    *,
    profile: bool,
    summary: str,
    details: str,
) -> dict[str, Any]:
    """A result body. *summary* and *details*: the languages of ``scores`` and ``detailed_scores``.

    Without *profile* there is no ``fit`` and ``competency_profile`` is null, as for a job that has
    none.
    """

    def describe(trait: SampleTrait, language: str) -> str:
        return f"({scores[trait.code]}) {trait.buckets[language][scores[trait.code] - 1]}"

    return {
        "results_url": results_url,
        "scores": {trait.names[summary]: describe(trait, summary) for trait in TRAITS},
        "detailed_scores": [
            {
                "trait_code": trait.code,
                "trait_name": trait.names[details],
                "trait_bucket_score": scores[trait.code],
                "trait_bucket_description": describe(trait, details),
                "competency_profile": {"priority": trait.priority, "range": list(trait.accepted)}
                if profile
                else None,
            }
            for trait in TRAITS
        ],
        **({"fit": fit} if profile and fit is not None else {}),
    }


def language(locale: str) -> str:
    """The language that a locale gets: English for one that is not spoken (undocumented)."""
    short = locale.split("-")[0].lower()
    return short if short in ("en", "de") else "en"
