"""Tells what is on a tape as the demo does: who called whom, what was said, what came of it."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from rich.console import Console

from bridge.demo.call_log import CallLog
from bridge.demo.terminal import Terminal, shorten_secrets
from bridge.sandbox import LedgerEntry
from tests.simulation.closed_world import START
from tests.simulation.tape import Tape, TapedCall, TapeLine

MARGIN: Final = 11
"""Columns for the time, at the left."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the tape where it began; *depth* counts the calls that waited for it."""

    at: float
    line: TapeLine
    depth: int = 0
    entry: LedgerEntry | None = None

    def resembles(self, other: _Row) -> bool:
        """Whether it says the same at another time, by another process perhaps."""
        if self.entry is None or other.entry is None:
            return False
        return _summarise(self.entry) == _summarise(other.entry)


def tell_story(tape: Tape, journeys: Collection[int] = ()) -> str:
    """The story of these journeys, or of all, with the trouble that they met."""
    chosen = [one for one in tape.lines if _belongs(one, journeys)]
    rows = sorted(_nest_calls(chosen), key=lambda row: row.at)
    told = io.StringIO()
    terminal = Terminal(Console(file=told, highlight=False))
    parts = []
    for group in _group(rows):
        first, more = group[0], len(group) - 1
        if first.entry is not None:
            terminal.calls([(first.depth, first.entry)])
        else:
            terminal.text(f"   {first.line.who}: {shorten_secrets(first.line.what)}")
        if more:
            terminal.text(f"   ... and {more} more like this, until {group[-1].at:.3f} s")
        parts.append(_add_time(first.at, told.getvalue()))
        told.seek(0)
        told.truncate()
    return "\n".join(parts)


def _belongs(line: TapeLine, journeys: Collection[int]) -> bool:
    """Calls that belong to no journey (tokens, lists of jobs) are left out of the story of some."""
    return not journeys or line.journey in journeys or (line.journey < 0 and line.call is None)


def _nest_calls(lines: Sequence[TapeLine]) -> list[_Row]:
    """Calls where they began, each below those of its journey that waited for it."""
    rows: list[_Row] = []
    calls: dict[int, CallLog] = defaultdict(CallLog)
    taped: dict[int, TapeLine] = {}
    for number, line in enumerate(lines):
        if line.call is None:
            rows.append(_Row(line.at, line))
        else:
            taped[number] = line
            calls[line.journey].add(_build_entry(number, line.at, line.call))
    for log in calls.values():
        for depth, entry in log.take():
            rows.append(_Row(entry.began, taped[entry.number], depth, entry))
    return rows


def _build_entry(number: int, ended: float, call: TapedCall) -> LedgerEntry:
    path, _, query = call.request.path.partition("?")
    return LedgerEntry(
        number,
        operation="",
        direction="received",
        method=call.request.method,
        path=path,
        started=START + timedelta(seconds=call.began),
        began=call.began,
        caller=call.caller,
        receiver=call.receiver,
        query=dict(parse_qsl(query)),
        status=call.answer.status if call.answer is not None else 0,
        duration_ms=1000 * (ended - call.began),
        request_json=_read_json(call.request.body),
        response_json=_read_json(call.answer.body) if call.answer is not None else None,
        fault=call.fault or None,
    )


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _summarise(entry: LedgerEntry) -> LedgerEntry:
    """Without what differs between two calls that say the same."""
    parties = (one.partition("-")[0] for one in (entry.caller, entry.receiver))
    caller, receiver = parties
    return replace(
        entry, number=0, started=START, began=0.0, duration_ms=0.0, caller=caller, receiver=receiver
    )


def _group(rows: Sequence[_Row]) -> list[list[_Row]]:
    groups: list[list[_Row]] = []
    for row in rows:
        if groups and groups[-1][0].resembles(row):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _add_time(at: float, text: str) -> str:
    first, *rest = text.rstrip("\n").split("\n")
    return "\n".join([f"{at:>{MARGIN - 1}.3f} {first}", *(f"{'':{MARGIN}}{one}" for one in rest)])
