"""How calls look on a terminal, and in a file: rows of at most 110 columns, short JSON, no secret
in full.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from bridge.cli.tape import BRIDGE, EQUALTURE, SOFTGARDEN, Heard

PIPED_WIDTH = 100
WIDEST = 110

_COLOURS = {SOFTGARDEN: "green", BRIDGE: "bold cyan", EQUALTURE: "magenta"}
_PEOPLE = "yellow"
_LONGEST = 70
_MAC = re.compile(r"(iv_[0-9a-f][A-Za-z0-9]{24})\.[A-Za-z0-9_-]{22}")
_SECRET = re.compile(r"\b(?=[\w-]*[A-Z])(?=[\w-]*[\d_-])[A-Za-z0-9_-]{30,}")
"""Random text of 30 characters and more; ids of invitations and applications are shorter, or have
no capitals.
"""
_ID = re.compile(
    r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b(iv_[0-9a-f][A-Za-z0-9]{7})[A-Za-z0-9]{17}"
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the journey was to prove."""

    text: str
    fine: bool


class Screen:
    """Prints the play; *console* stands in for standard output in tests."""

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

    def raw(self, line: str, style: str = "") -> None:
        """A line to be copied: never folded, never shortened."""
        self._console.print(Text(line, style), soft_wrap=True)

    def step(self, title: str, sentence: str) -> None:
        """The heading of the next step."""
        self._steps += 1
        self.text()
        self.text(f"{self._steps}. {title}", "bold")
        self.text(f"   {sentence}", "dim")

    def calls(self, calls: Iterable[tuple[int, Heard]]) -> None:
        """Calls, those that happened while another waited indented below it."""
        for depth, call in calls:
            self.call(call, depth)
            for word, value in (("sends", call.sent), ("gets", call.answer)):
                if value is not None:
                    self._json(word, value, depth)

    def call(self, call: Heard, depth: int = 0) -> None:
        """One row: who called whom, with what, and how it went."""
        row = Text("   " + "  " * depth)
        row.append(call.who, _COLOURS.get(call.who, _PEOPLE))
        row.append(" → ")
        row.append(call.whom, _COLOURS.get(call.whom, _PEOPLE))
        row.append(" " * max(2, 27 + 2 * depth - len(row)))
        row.append(f"{call.method:<7}", "bold")
        fine = 200 <= call.status < 400
        end = Text.assemble(
            (f" {call.status or 'none':>5}", "green" if fine else "red"),
            (f"{max(1, round(call.duration_ms)):>6} ms", "dim"),
        )
        room = max(16, self._width - len(row) - len(end))
        path = Text(middle_cut(shorten(call.path), room).ljust(room))
        self._console.print(Text.assemble(row, path, end), soft_wrap=True)
        if call.remark:
            self._console.print(
                Text(" " * (6 + 2 * depth) + shorten(call.remark)), width=self._width
            )

    def checks(self, checks: Sequence[Check]) -> None:
        """The list of what was proven."""
        yes, no = ("✓", "✗") if self._console.encoding.startswith("utf") else ("yes", "NO")
        for check in checks:
            mark, style = (yes, "green") if check.fine else (no, "bold red")
            self._console.print(
                Text.assemble("   ", (mark, style), f" {check.text}"), width=self._width
            )

    def _json(self, word: str, value: Any, depth: int) -> None:
        margin = 6 + 2 * depth
        if isinstance(value, str):
            lines = [value]
        elif isinstance(value, dict) and len(value) > 2 and value in self._shown:
            lines = ["the same as before"]
        else:
            self._shown.append(value)
            lines = laid_out(brief(value), self._width - margin - 7)
        for number, line in enumerate(lines):
            label = word if number == 0 else ""
            self._console.print(
                Text.assemble(" " * margin, (f"{label:<7}", "dim"), (line, "dim")), soft_wrap=True
            )


def shorten(text: str) -> str:
    """*text* with secrets and ids cut to their first characters."""
    text = _SECRET.sub(lambda found: f"{found[0][:6]}…", _MAC.sub(r"\1", text))
    return _ID.sub(lambda found: f"{found[1] or found[2]}…", text)


def middle_cut(text: str, width: int) -> str:
    """*text* within *width*: what is cut is cut from the middle, for the ends of paths say what
    they are about.
    """
    if len(text) <= width:
        return text
    tail = min(28, width // 2)
    return f"{text[: width - tail - 1]}…{text[-tail:]}"


def brief(value: Any, depth: int = 0) -> Any:
    """The part of a JSON value that tells the story: inner lists and dicts that are long are cut,
    and so are secrets.
    """
    if isinstance(value, str):
        return middle_cut(shorten(value), _LONGEST)
    if isinstance(value, list):
        return (
            f"… {len(value)} entries"
            if depth and len(value) > 3
            else [brief(one, depth + 1) for one in value]
        )
    if isinstance(value, dict):
        shown = 2 if depth and len(value) > 4 else len(value)
        short = {name: brief(one, depth + 1) for name, one in list(value.items())[:shown]}
        return short | ({"…": f"and {len(value) - shown} more"} if shown < len(value) else {})
    return value


def laid_out(value: Any, width: int) -> list[str]:
    """JSON in lines of about *width*: what fits stays on one line, as in hand-written JSON."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= width or not isinstance(value, dict | list) or not value:
        return [line]
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    lines = [opening]
    pairs = list(value.items()) if isinstance(value, dict) else [(None, one) for one in value]
    for number, (name, one) in enumerate(pairs, start=1):
        label = "" if name is None else f"{json.dumps(name, ensure_ascii=False)}: "
        first, *rest = laid_out(one, width - 3 - len(label))
        inner = [label + first, *rest]
        inner[-1] += "," if number < len(pairs) else ""
        lines += [f"  {text}" for text in inner]
    return [*lines, closing]
