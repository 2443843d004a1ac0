"""How calls look on a terminal: rows of at most 110 columns, short JSON, no secret in full."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from bridge.sandbox import BRIDGE, EqualtureSandbox, LedgerEntry, SoftgardenSandbox

PIPED_WIDTH = 100
WIDEST = 110

_COLOURS = {SoftgardenSandbox.name: "green", BRIDGE: "bold cyan", EqualtureSandbox.name: "magenta"}
_PEOPLE = "yellow"
_LONGEST = 70
_MAC = re.compile(r"(iv_[0-9a-f][A-Za-z0-9]{24})\.[A-Za-z0-9_-]{22}")
_SECRET = re.compile(r"\b(?=[\w-]*[A-Z])(?=[\w-]*[\d_-])[A-Za-z0-9_-]{30,}")
"""Random text of 30 characters and more; ids of invitations and applications are shorter, or have
no capitals.
"""
_ID = re.compile(
    r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\b(iv_[0-9a-f][A-Za-z0-9]{7})[A-Za-z0-9]{17}"
)


@dataclass(frozen=True, slots=True)
class JourneyCheck:
    """One thing that the journey checks."""

    text: str
    fine: bool


class Terminal:
    """Prints the journey; *console* stands in for standard output in tests."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = PIPED_WIDTH
        self._width = min(self._console.width, WIDEST)
        self._steps = 0
        self._shown: list[Any] = []

    def text(self, text: str = "", style: str = "") -> None:
        """A paragraph."""
        self._console.print(Text(text, style), width=self._width)

    def lines(self, text: str) -> None:
        """Lines to be copied: never folded, never shortened; those with a # are green."""
        for line in text.splitlines():
            self._console.print(Text(line, "green" if line.startswith("#") else ""), soft_wrap=True)

    def step(self, title: str, sentence: str) -> None:
        """The heading of the next step."""
        self._steps += 1
        self.text()
        self.text(f"{self._steps}. {title}", "bold")
        self.text(f"   {sentence}", "dim")

    def calls(self, calls: Iterable[tuple[int, LedgerEntry]]) -> None:
        """Calls, those that happened while another waited indented below it."""
        for depth, call in calls:
            self.call(call, depth)
            for word, value in (("sends", call.request_json), ("gets", call.response_json)):
                if value is not None:
                    self._json(word, value, depth)

    def call(self, call: LedgerEntry, depth: int = 0) -> None:
        """One row: who called whom, with what, and how it went."""
        indent = " " * (3 + 2 * depth)
        caller, receiver = (
            (party, _COLOURS.get(party, _PEOPLE)) for party in (call.caller, call.receiver)
        )
        row = Text.assemble(indent, caller, " → ", receiver)
        row.append(" " * max(2, 27 + 2 * depth - len(row)))
        row.append(f"{call.method:<7}", "bold")
        end = Text.assemble(
            (f" {call.status or 'none':>5}", "green" if 200 <= call.status < 400 else "red"),
            (f"{max(1, round(call.duration_ms)):>6} ms", "dim"),
        )
        room = max(8, self._width - len(row) - len(end))
        self._console.print(
            Text.assemble(row, cut_middle(shorten_secrets(call.target), room).ljust(room), end),
            soft_wrap=True,
        )
        location = f"leads to {call.location}" if call.location else None
        remarks = filter(None, (location, call.fault, call.violation, call.error))
        if remark := "; ".join(remarks):
            self.text(f"   {indent}{shorten_secrets(remark)}")

    def checks(self, checks: Sequence[JourneyCheck]) -> None:
        """The list of what was checked."""
        yes, no = ("✓", "✗") if self._console.encoding.startswith("utf") else ("yes", "NO")
        for check in checks:
            mark = (yes, "green") if check.fine else (no, "bold red")
            line = Text.assemble("   ", mark, f" {check.text}")
            self._console.print(line, width=self._width)

    def _json(self, word: str, value: Any, depth: int) -> None:
        margin = 6 + 2 * depth
        if isinstance(value, str):
            lines = [value]
        elif isinstance(value, dict) and len(value) > 2 and value in self._shown:
            lines = ["the same as before"]
        else:
            self._shown.append(value)
            lines = format_json(shorten_json(value), self._width - margin - 7)
        for line in lines:
            self._console.print(Text(f"{' ' * margin}{word:<7}{line}", "dim"), soft_wrap=True)
            word = ""


def shorten_secrets(text: str) -> str:
    """*text* with secrets and ids cut to their first characters."""
    text = _SECRET.sub(lambda match: f"{match[0][:6]}…", _MAC.sub(r"\1", text))
    return _ID.sub(lambda match: f"{match[1] or match[2]}…", text)


def cut_middle(text: str, width: int) -> str:
    """*text* within *width*, cut in the middle: the ends of paths say what they are about."""
    if len(text) <= width:
        return text
    tail = min(28, width // 2)
    return f"{text[: width - tail - 1]}…{text[-tail:]}"


def shorten_json(value: Any, depth: int = 0) -> Any:
    """A JSON value without secrets in full, and with inner lists and dicts that are long cut."""
    match value:
        case str():
            return cut_middle(shorten_secrets(value), _LONGEST)
        case list() if depth and len(value) > 3:
            return f"… {len(value)} entries"
        case list():
            return [shorten_json(entry, depth + 1) for entry in value]
        case dict():
            shown = 2 if depth and len(value) > 4 else len(value)
            items = list(value.items())[:shown]
            rest = {"…": f"and {len(value) - shown} more"} if shown < len(value) else {}
            return {name: shorten_json(member, depth + 1) for name, member in items} | rest
    return value


def format_json(value: Any, width: int) -> list[str]:
    """JSON in lines of about *width*: what fits stays on one line, as in hand-written JSON."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= width or not isinstance(value, dict | list) or not value:
        return [line]
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    lines = [opening]
    pairs = list(value.items()) if isinstance(value, dict) else [(None, entry) for entry in value]
    for number, (name, member) in enumerate(pairs, start=1):
        label = "" if name is None else f"{json.dumps(name, ensure_ascii=False)}: "
        first, *rest = format_json(member, width - 3 - len(label))
        inner = [label + first, *rest]
        inner[-1] += "," if number < len(pairs) else ""
        lines += [f"  {text}" for text in inner]
    return [*lines, closing]
