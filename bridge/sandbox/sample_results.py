"""Sample results: own values in the documented shape, the same for the same scores every time.

https://equalture-ats.readme.io/reference/introduction, section 5b.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SampleTrait:
    """One trait: code, priority and range of the profile, a usual score, names and bucket words."""

    code: str
    priority: str
    accepted: tuple[int, int]
    """Lowest and highest score, of 1 to 5."""
    score: int
    names: Mapping[str, str]
    """By language, as the words of the five buckets are."""
    buckets: Mapping[str, Sequence[str]]


# Code, priority, lowest and highest accepted score, usual score; name and words by language.
_TRAITS = """\
problem_solving_style|medium|1|3|2
Problem solving style|Very methodical|Methodical|Balanced|Intuitive|Very intuitive
Problemlösestil|Sehr methodisch|Methodisch|Ausgewogen|Intuitiv|Sehr intuitiv
cognitive_flexibility|high|4|5|5
Cognitive flexibility|Very steady|Steady|Neutral|Flexible|Very flexible
Kognitive Flexibilität|Sehr beständig|Beständig|Neutral|Flexibel|Sehr flexibel
risk_attitude|low|2|4|3
Attitude to risk|Very cautious|Cautious|Weighing up|Daring|Very daring
Risikoverhalten|Sehr vorsichtig|Vorsichtig|Abwägend|Wagemutig|Sehr wagemutig
collaboration|medium|3|5|4
Collaboration|Very independent|Independent|Either way|Team-minded|Very team-minded
Zusammenarbeit|Sehr eigenständig|Eigenständig|Beides|Teamorientiert|Sehr teamorientiert
focus|high|3|5|4
Focus under pressure|Easily diverted|Somewhat diverted|Average|Focused|Very focused
Konzentration unter Druck|Leicht abgelenkt|Etwas abgelenkt|Mittel|Konzentriert|Sehr konzentriert
"""


def _read(head: str, *by_language: str) -> SampleTrait:
    code, priority, low, high, score = head.split("|")
    names, buckets = {}, {}
    for language, words in zip(("en", "de"), by_language, strict=True):
        names[language], *buckets[language] = words.split("|")
    return SampleTrait(code, priority, (int(low), int(high)), int(score), names, buckets)


_LINES = iter(_TRAITS.splitlines())
TRAITS = tuple(_read(*lines) for lines in zip(_LINES, _LINES, _LINES, strict=True))


def choose_sample_scores(fit: str | None, given: Mapping[str, int] | None) -> dict[str, int]:
    """Trait code -> bucket 1..5: the usual ones (mirrored for a low fit), unless *given*."""
    scores = {trait.code: 6 - trait.score if fit == "low" else trait.score for trait in TRAITS}
    for code, bucket in (given or {}).items():
        if code not in scores:
            raise ValueError(f"no trait {code!r}; there are {', '.join(scores)}")
        if isinstance(bucket, bool) or not isinstance(bucket, int) or not 1 <= bucket <= 5:
            raise ValueError(f"the score of {code} must be 1 to 5")
        scores[code] = bucket
    return scores


def build_sample_result(
    scores: Mapping[str, int],
    fit: str | None,
    results_url: str,
    *,
    profile: bool,
    summary: str,
    details: str,
) -> dict[str, Any]:
    """A result body. *summary* and *details*: the languages of ``scores`` and ``detailed_scores``.

    Without *profile* there is no ``fit`` and ``competency_profile`` is null.
    """

    def describe(trait: SampleTrait, language: str) -> str:
        return f"({scores[trait.code]}) {trait.buckets[language][scores[trait.code] - 1]}"

    def competency_profile(trait: SampleTrait) -> dict[str, Any] | None:
        low, high = trait.accepted
        accepted = list(range(low, high + 1))
        return {"priority": trait.priority, "range": accepted} if profile else None

    return {
        "results_url": results_url,
        "scores": {trait.names[summary]: describe(trait, summary) for trait in TRAITS},
        "detailed_scores": [
            {
                "trait_code": trait.code,
                "trait_name": trait.names[details],
                "trait_bucket_score": scores[trait.code],
                "trait_bucket_description": describe(trait, details),
                "competency_profile": competency_profile(trait),
            }
            for trait in TRAITS
        ],
        **({"fit": fit} if profile and fit is not None else {}),
    }


def choose_result_language(locale: str) -> str:
    """The language that a locale gets: English for one that is not spoken (undocumented)."""
    short = locale.split("-")[0].lower()
    return short if short in ("en", "de") else "en"
