"""What PyYAML complains of, as the mistake that it most likely is, at the place where it was made.

PyYAML speaks of tokens and blocks, and often names the line after. Nothing of the file is repeated
here: it may be a piece of a secret without quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from bridge.settings.findings import NOWHERE, FilePosition, MistakeKind

NO_TAGS = "YAML tags (!...) are not used here; put text that begins with ! into quotes"
LINE_END = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_SHAPE = re.compile(r"'(?:<[a-z ]+>|[\[\]{},:?-])'")
"""What PyYAML may quote: names of tokens, and signs that give YAML its shape."""
_KEY_FIRST = re.compile(r"[ ]*(?:- +)*[\w.-]+ *:(?: |$)")
_DASHES = re.compile(r"[ ]*(?:- +)*")
_NO_SPACE = re.compile(r"[ ]*(?:- +)*(?:-[^\s-]|[\w.-]+:(?!//)\S)")
"""A key or an entry without the space behind its colon or dash, which is text for YAML."""
_STAND_FOR_OTHERS = "%@`*&!|>"
_BRACKETS = {"while parsing a flow sequence": "[", "while parsing a flow mapping": "{"}

Mistake = tuple[FilePosition, str, MistakeKind]


def convert_mark(mark: Any) -> FilePosition:
    """Where a mark of PyYAML is; unknown where there is none."""
    return FilePosition(mark.line + 1, mark.column + 1) if mark else NOWHERE


def explain_yaml_error(error: yaml.MarkedYAMLError, text: str) -> Mistake:
    """Where *text* is no YAML, why, and what kind of mistake that is."""
    where, words, kind = _explain(error, text)
    return where, f"this is not YAML: {words}", kind


def _explain(error: yaml.MarkedYAMLError, text: str) -> Mistake:
    lines = LINE_END.split(text)
    at, begun = convert_mark(error.problem_mark), convert_mark(error.context_mark)
    problem, context = error.problem or "", error.context or ""
    if "tag" in f"{context} {problem}":
        return at, NO_TAGS, MistakeKind.QUOTES_NEEDED
    if context in _BRACKETS:
        return _bracket(_BRACKETS[context], begun, at, lines)
    if context == "while parsing a flow node" and "','" not in problem:
        sign, begun = _innermost_bracket(text, at)
        return _bracket(sign, begun, at, lines)
    if "quoted scalar" in context and "end of stream" in problem:
        words = "the quote that begins here is never closed"
        return begun, words, MistakeKind.QUOTE
    found = _in_a_line(problem, context, at, begun, lines)
    if found is not None:
        return found
    where = begun if at == NOWHERE else at
    return where, _reason(problem), MistakeKind.NOT_YAML


def _in_a_line(
    problem: str, context: str, at: FilePosition, begun: FilePosition, lines: Sequence[str]
) -> Mistake | None:
    line = _line(lines, at)
    sign = line[at.column - 1 : at.column]
    if "cannot start any token" in problem or sign == "\t" or _tab_before(line, at):
        if sign == "\t" or _tab_before(line, at):
            return at, "there is a tab here; YAML wants spaces", MistakeKind.TAB
        words = f"put text that begins with {sign} into quotes"
        known = sign if sign in _STAND_FOR_OTHERS else ""
        words = words if known else "put text that begins like this into quotes"
        return at, words, MistakeKind.QUOTES_NEEDED
    if problem == "mapping values are not allowed here":
        return _second_colon(at, lines)
    if problem == "could not find expected ':'":
        words = "expected a key, a colon and a space here: `key: value`"
        return begun, words, MistakeKind.NO_COLON
    if problem.startswith("expected <block end>"):
        return _out_of_line(problem, at, begun, lines)
    if context == "while scanning a block scalar" or "indentation" in problem:
        return at, "this line is indented wrongly", MistakeKind.INDENTATION
    return None


def _innermost_bracket(text: str, at: FilePosition) -> tuple[str, FilePosition]:
    """The bracket within which *at* stands."""
    open_ones: list[tuple[str, FilePosition]] = []
    for token in yaml.scan(text):
        where = convert_mark(token.start_mark)
        if (where.line, where.column) >= (at.line, at.column):
            break
        if isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken):
            open_ones.append((token.id, where))
        elif isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken):
            open_ones.pop()
    return open_ones[-1]


def _bracket(sign: str, begun: FilePosition, at: FilePosition, lines: Sequence[str]) -> Mistake:
    hint = "; within [ ] and { } put ${...} into quotes" if "${" in _line(lines, at) else ""
    if hint:
        words = f"what began with {sign} is cut off here{hint}"
        return at, words, MistakeKind.BRACKET
    closing = "]" if sign == "[" else "}"
    words = (
        f"the {sign} that begins here is not closed: a {closing}, or a comma between two entries,"
        " is missing"
    )
    return begun, words, MistakeKind.BRACKET


def _second_colon(at: FilePosition, lines: Sequence[str]) -> Mistake:
    line = _line(lines, at)
    first = _KEY_FIRST.match(line)
    if first is not None and first.end() >= at.column:
        # A key of its own line, which PyYAML takes for the rest of the value above.
        above = next((n for n in range(at.line - 1, 0, -1) if lines[n - 1].strip()), 0)
        if above and _NO_SPACE.match(lines[above - 1]):
            start = FilePosition(above, _indent(lines[above - 1]) + 1)
            words = "a space is missing behind the colon of this key, or the dash of this entry"
            return start, words, MistakeKind.NO_COLON
        start = FilePosition(at.line, _indent(line) + 1)
        words = "this line is indented deeper than the one above, which has a value already"
        return start, words, MistakeKind.INDENTATION
    words = "a colon with a space behind it within text: put the whole text into quotes"
    return at, words, MistakeKind.COLON


def _out_of_line(
    problem: str, at: FilePosition, begun: FilePosition, lines: Sequence[str]
) -> Mistake:
    line = _line(lines, at)
    if "<scalar>" in problem and line[: at.column - 1].strip():
        words = (
            "something stands behind a value that has ended: a quote closed too early, or one that"
            " was not closed further up"
        )
        return at, words, MistakeKind.QUOTE
    above = next((one for one in reversed(lines[: at.line - 1]) if one.strip()), "")
    fits = sorted({begun.column - 1, _DASHES.match(above).end()})  # type: ignore[union-attr]
    words = (
        f"this line is indented by {_indent(line)}, which fits nothing above it:"
        f" {' or '.join(map(str, fits))} would"
    )
    return at, words, MistakeKind.INDENTATION


def _reason(problem: str) -> str:
    """What PyYAML found, unless it quotes from the file."""
    if not problem or set("'\"") & set(_SHAPE.sub("", problem)):
        return "it cannot be read from here on; put values with special signs into quotes"
    return problem


def _line(lines: Sequence[str], where: FilePosition) -> str:
    return lines[where.line - 1] if 0 < where.line <= len(lines) else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _tab_before(line: str, at: FilePosition) -> bool:
    before = line[: at.column - 1]
    return "\t" in before and not before.strip()
