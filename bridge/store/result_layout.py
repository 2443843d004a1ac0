"""What stands where in the list of a result, confirmed or only reported."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from types import NoneType
from typing import Final

from bridge.core.assessment import Result, Trait
from bridge.core.invitation import UnconfirmedResult
from bridge.store.list_layout import OPTIONAL_LIST, OPTIONAL_TEXT, ListLayout, Values
from bridge.store.stored_times import add_ms, to_ms

_RESULT: Final = ListLayout(
    0, fit=(OPTIONAL_TEXT, None), url=(OPTIONAL_TEXT, None), traits=(list, []), summary=(list, [])
)
_TRAIT_TYPES: Final = frozenset(product((str,), (str,), (int, NoneType), (str,), (list,), (str,)))
"""Of code, name, score, description, wanted scores and weight: all of them are always there."""
_UNCONFIRMED: Final = ListLayout(2, attempt=(int, 0), seen=(int, 0), report=(OPTIONAL_LIST, None))


def dump_result(one: Result) -> Values:
    """The list of a result; the lines of its summary stand one after the other."""
    summary = [text for line in one.summary for text in line]
    return _RESULT.cut([one.fit, one.dashboard_url, [list(trait) for trait in one.traits], summary])


def load_result(values: Values) -> Result:
    """The inverse of ``dump_result``."""
    fit, url, traits, summary = _RESULT.fill(values)
    if not set(map(type, summary)) <= {str}:
        raise ValueError("of another type")
    lines = iter(summary)
    read = tuple([_load_trait(values) for values in traits])
    return Result(fit, url, tuple(zip(lines, lines, strict=True)), read)


def _load_trait(values: Values) -> Trait:
    if tuple(map(type, values)) not in _TRAIT_TYPES:
        raise ValueError("of another type")
    code, name, score, description, wanted, weight = values
    if not set(map(type, wanted)) <= {int}:
        raise ValueError("of another type")
    return Trait(code, name, score, description, tuple(wanted), weight)


def dump_unconfirmed(one: UnconfirmedResult, base: int) -> Values:
    """The list of a reported result of an invitation that was made at *base*."""
    report = None if one.report is None else dump_result(one.report)
    return _UNCONFIRMED.cut([one.attempt, to_ms(one.seen_at) - base, report])


def load_unconfirmed(values: Values, created: datetime) -> UnconfirmedResult:
    """The inverse of ``dump_unconfirmed``."""
    attempt, seen, report = _UNCONFIRMED.fill(values)
    loaded = None if report is None else load_result(report)
    return UnconfirmedResult(attempt, add_ms(created, seen), loaded)
