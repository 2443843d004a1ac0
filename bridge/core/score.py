"""The score text that the ATS shows beside a result."""

from __future__ import annotations

import functools
import string
from collections.abc import Iterable

from bridge.core.assessment import Result
from bridge.core.declaration import suggest_similar_word
from bridge.core.result_view import count_in_range

SCORE_LENGTH = 100
"""No ATS documents a limit; one line of this length fits every list we have seen."""
_MARKUP = frozenset("<>")

FIT_LABELS = {
    "en": {"low": "Low fit", "medium": "Medium fit", "high": "High fit"},
    "de": {"low": "Geringe Passung", "medium": "Mittlere Passung", "high": "Hohe Passung"},
    "nl": {"low": "Lage match", "medium": "Gemiddelde match", "high": "Hoge match"},
    "fr": {
        "low": "Adéquation faible",
        "medium": "Adéquation moyenne",
        "high": "Adéquation élevée",
    },
}


def render_score(patterns: Iterable[str], result: Result, locale: str) -> str | None:
    """The first pattern whose fields all have values, filled in: plain text on one short line.

    None if there is no such pattern, so that the text "None" is never shown as a score.
    """
    found = choose_score_pattern(patterns, result, locale)
    return found[1] if found else None


def choose_score_pattern(
    patterns: Iterable[str], result: Result, locale: str
) -> tuple[str, str] | None:
    """The pattern that ``render_score`` goes by, and its text."""
    fields = list_score_fields(result, locale)
    for pattern in patterns:
        used = _list_used_fields(pattern)
        values = {name: value for name in used if (value := fields.get(name)) is not None}
        if len(values) == len(used) and (text := _plain(pattern.format_map(values))):
            return pattern, text
    return None


@functools.lru_cache(maxsize=256)
def _list_used_fields(pattern: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(pattern) if name)


def _plain(text: str) -> str:
    """*text* as an ATS may show it anywhere: one line, no markup, no control characters, cut to
    its length.
    """
    one_line = " ".join(text.split())
    if len(one_line) <= SCORE_LENGTH and one_line.isprintable() and _MARKUP.isdisjoint(one_line):
        return one_line
    if one_line.isprintable() and "<" not in one_line and ">" not in one_line:
        return one_line[:SCORE_LENGTH].strip()
    kept = "".join(
        character for character in one_line if character.isprintable() and character not in _MARKUP
    )
    return " ".join(kept.split())[:SCORE_LENGTH].strip()


def list_score_fields(result: Result, locale: str) -> dict[str, str | None]:
    """The fields of the score pattern as text.

    ``in_range``, ``match_percent``: number and share of traits whose score lies in the job
    profile's range; no value without a profile. ``traits``: number of traits that have a profile,
    or of all scored ones if none has. ``average``: mean score, one decimal.
    """
    in_range, compared = count_in_range(result)
    scored = [trait for trait in result.traits if trait.score is not None]
    total = compared or len(scored)
    mean = sum(trait.score or 0 for trait in scored) / len(scored) if scored else None
    return {
        "fit": result.fit,
        "fit_label": name_fit(result.fit, locale),
        "in_range": str(in_range) if compared else None,
        "traits": str(total) if total else None,
        "match_percent": str(round(100 * in_range / compared)) if compared else None,
        "average": f"{mean:.1f}" if mean is not None else None,
    }


def name_fit(fit: str | None, locale: str) -> str | None:
    """The words for a fit; the provider's own word where it is none that we know."""
    if fit is None:
        return None
    labels = FIT_LABELS.get(locale[:2].lower(), FIT_LABELS["en"])
    return labels.get(fit.lower(), fit)


SCORE_FIELDS = tuple(list_score_fields(Result(), "en"))


def validate_score_pattern(text: str) -> str:
    """Check a pattern: only known fields, and nothing after their names; raises ValueError
    otherwise.
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        raise ValueError(
            "expected a pattern such as '{fit} ({in_range}/{traits})': its braces do not match"
        ) from None
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if name not in SCORE_FIELDS:
            raise ValueError(
                f"the pattern uses {{{name}}}, but its fields are {', '.join(SCORE_FIELDS)}"
                f"{suggest_similar_word(name, SCORE_FIELDS)}"
            )
        if spec or conversion:
            raise ValueError(
                f"the pattern must use {{{name}}} as it is, without anything after the name"
            )
    return text
