"""What stands where in the list of a history.

A history has many entries, so an entry is a list of all its values, which is faster to read than
one of which some are left out, and is packed as small. Its time is in milliseconds after the entry
before it, the first one's after the invitation was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import product
from types import NoneType
from typing import Final

from bridge.core.history import NO_HISTORY, History, HistoryCounter, HistoryEntry
from bridge.store.list_layout import MARKED, OPTIONAL_NUMBER, ListLayout, Values
from bridge.store.packing import TakenParts, put_back_macs, take_out_macs
from bridge.store.stored_times import add_ms, to_ms

KINDS: Final = (
    *("ordered", "attempt", "issued", "callback", "completed", "notified", "read", "read_open"),
    *("repeated", "link_opened", "link_followed", "started", "webhook", "checked", "unanswered"),
    *("confirmed", "corrected", "expired", "page_opened", "report_opened", "share_used"),
    *("hire_requested", "hired", "erased", "anonymised", "passed_on", "given_up", "begun"),
    "disturbed",
)
"""Each stands for its word by its number, so new ones go to the end; one that is not here is stored
as a word.
"""
_NUMBERS: Final[Mapping[str, int | str]] = {kind: number for number, kind in enumerate(KINDS)}
_WORDS: Final[Mapping[int, str]] = dict(enumerate(KINDS))

_HISTORY: Final = ListLayout(
    2, entries=(list, []), macs=((int, list), 0), counts=(list, []), before=(str, "")
)
_ENTRY_TYPES: Final = frozenset(
    product((int, str), (int,), (int,), (str,), (int, NoneType), (int, NoneType))
)
"""Of kind, pause, number, text, status and latency."""
_COUNTER: Final = ListLayout(
    3,
    kind=(MARKED, ""),
    first=(int, 0),
    span=(int, 0),
    count=(int, 1),
    text=(str, ""),
    status=(OPTIONAL_NUMBER, None),
)


def dump_history(history: History, base: int, taken: bytearray) -> Values:
    """The list of a *history*, empty for none, of an invitation that was made at *base*."""
    if not history:
        return []
    entries, macs, last = [], [], base
    for kind, moment, number, text, status, latency_ms, mac in history.entries:
        at = to_ms(moment)
        entries.append([_NUMBERS.get(kind, kind), at - last, number, text, status, latency_ms])
        macs.append(mac)
        last = at
    macs.append(history.seal)
    counts = [_dump_counter(one, base) for one in history.counts]
    return _HISTORY.cut([entries, take_out_macs(macs, taken), counts, history.before])


def load_history(values: Values, created: datetime, taken: TakenParts) -> History:
    """The inverse of ``dump_history``."""
    if not values:
        return NO_HISTORY
    rows, marks, counts, before = _HISTORY.fill(values)
    *macs, seal = put_back_macs(marks, len(rows) + 1, taken)
    entries, at = [], created
    for row, mac in zip(rows, macs, strict=True):
        if tuple(map(type, row)) not in _ENTRY_TYPES:
            raise ValueError("of another type")
        kind, pause, number, text, status, latency_ms = row
        if type(kind) is int:
            kind = _WORDS[kind]
        at = add_ms(at, pause)
        entries.append(HistoryEntry(kind, at, number, text, status, latency_ms, mac))
    counted = tuple([_load_counter(one, created) for one in counts])
    return History(tuple(entries), counted, before, seal)


def _dump_counter(one: HistoryCounter, base: int) -> Values:
    first = to_ms(one.first)
    span = to_ms(one.last) - first
    kind = _NUMBERS.get(one.kind, one.kind)
    return _COUNTER.cut([kind, first - base, span, one.count, one.text, one.status])


def _load_counter(values: Values, created: datetime) -> HistoryCounter:
    kind, after, span, count, text, status = _COUNTER.fill(values)
    first = add_ms(created, after)
    word = kind if isinstance(kind, str) else _WORDS[kind]
    return HistoryCounter(word, first, add_ms(first, span), count, text, status)
