"""A YAML reader for configuration: keeps positions and refuses what surprises.

Against plain YAML 1.1 it refuses duplicate keys, tags, keys that are not text, more than one
document, control characters, great depth, and files or aliases that grow too big. Only ``true``,
``false``, ``null`` and decimal numbers are not text: ``off``, ``no``, ``12:30`` and ``2024-01-01``
mean what they say.
"""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, BinaryIO, NoReturn

import yaml

from bridge.errors import Complaint, ConfigError
from bridge.settings.document import Document, Path, Position
from bridge.settings.environment import Expanded, expand

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 100_000
"""Counted after aliases are followed: the limit on their use."""

_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{0,18}(?:[eE][-+]?[0-9]{1,3})?")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_NO_TAGS = "YAML tags (!...) are not used here; put text that begins with ! into quotes"
_SETTING = re.compile(r"[a-z][a-z0-9_]*")
_QUOTED = re.compile(r"'(?:<[a-z ]+>|[\[\]{},:?-])'")
"""What PyYAML may quote: names of tokens, and signs that give YAML its shape."""
_LINE_END = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class _Node:
    """A piece of the file as written: a scalar with *text*, a list of *items*, or a mapping of
    *pairs*.
    """

    position: Position
    text: str | None = None
    plain: bool = False
    items: list[_Node] | None = None
    pairs: list[tuple[_Node, _Node]] | None = None


class _Stop(Exception):
    """Reading cannot go on; the reason has been put among the complaints."""


def read_file(
    path: FilePath,
    environ: Mapping[str, str],
    hints: Mapping[str, str] | None = None,
    leave_out: Collection[str] = (),
) -> Document:
    """Read and expand one file; *hints* add advice to a missing variable, by the name of the
    top-level key.

    Top-level keys in *leave_out* are not even looked at.

    Problems that leave the rest readable (a variable that is not set, a duplicate key) are among
    the document's complaints. Raises ConfigError where nothing can be read.
    """
    document = Document(str(path))
    text = _text_of(document, path)
    return parse(text, document.file, environ, hints, leave_out)


def opened(path: FilePath) -> BinaryIO:
    """*path* for reading; raises ``OSError`` for a pipe, too, which would keep us waiting for
    whoever writes into it.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a folder cannot be opened anyway
        raise OSError(errno.EINVAL, "it is not a file")
    return path.open("rb")


def _text_of(document: Document, path: FilePath) -> str:
    try:
        with opened(path) as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        document.complain_at(
            Position(0, 0), f"cannot be read: {error.strerror or 'unknown reason'}"
        )
        document.require_valid()
        raise  # not reached; tells the type checker that raw is set
    if len(raw) > MAX_BYTES:
        document.complain_at(
            Position(0, 0), "is larger than 1 MiB, the most that a configuration file may be"
        )
        document.require_valid()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        document.complain_at(_position_after(before), "is not UTF-8 text from here on")
        document.require_valid()
        raise  # not reached


def parse(
    text: str,
    file: str,
    environ: Mapping[str, str],
    hints: Mapping[str, str] | None = None,
    leave_out: Collection[str] = (),
) -> Document:
    """Read and expand *text*; *file* is its name in messages.

    As *read_file*, and raises ConfigError only.
    """
    document = Document(file)
    try:
        root = _Reader(text, document).read()
        _Builder(document, environ, hints or {}, leave_out).build_root(root)
    except _Stop:
        document.require_valid()
    return document


def top_level_scalar(path: FilePath, key: str) -> tuple[str, Position] | None:
    """The text of one top-level key as it is written, and where it stands; None: it is not there.

    Nothing behind it is read, and nothing before it is judged, as long as it is YAML. Raises
    ConfigError.
    """
    text = _text_of(Document(str(path)), path)
    depth, name = 0, None
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
                name = None if depth == 1 else name
            elif isinstance(event, yaml.ScalarEvent) and depth == 1:
                if name == key:
                    return event.value, _start(event)
                name = event.value if name is None else None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = f"cannot be read as far as the key {key!r}: this is not YAML"
        raise ConfigError([Complaint(str(path), line, column, message)]) from None
    return None


class _Reader:
    """From text to nodes, by PyYAML's events: those come before anything is resolved, followed or
    made.
    """

    def __init__(self, text: str, document: Document) -> None:
        self._text = text
        self._document = document
        self._anchors: dict[str, _Node | None] = {}

    def read(self) -> _Node | None:
        """The root of the one document; None for a file without any."""
        try:
            self._events = yaml.SafeLoader(self._text)
        except yaml.reader.ReaderError as error:
            self._fail(
                _position_after(self._text[: error.position]),
                "a character that YAML does not allow",
            )
        try:
            self._next()  # the stream's start
            root = None
            if isinstance(self._next(), yaml.DocumentStartEvent):
                root = self._node(self._next(), 0)
                self._next()  # the document's end
                more = self._next()
                if isinstance(more, yaml.DocumentStartEvent):
                    self._fail(
                        _start(more), "a file holds one document: what follows --- is not read"
                    )
            return root
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = Position(mark.line + 1, mark.column + 1) if mark else Position(0, 0)
            hint = (
                "; within [ ] and { } put ${...} into quotes" if "${" in self._line(where) else ""
            )
            self._fail(where, f"this is not YAML: {_told(error)}{hint}")
        except (
            ValueError,
            OverflowError,
        ):  # escapes beyond Unicode, absurd version numbers: PyYAML does not check
            mark = self._events.get_mark()
            self._fail(
                Position(mark.line + 1, mark.column + 1),
                "this is not YAML: an impossible character or number",
            )
        finally:
            self._events.dispose()

    def _fail(self, position: Position, message: str) -> NoReturn:
        self._document.complain_at(position, message)
        raise _Stop

    def _line(self, position: Position) -> str:
        lines = _LINE_END.split(self._text)
        return lines[position.line - 1] if 0 < position.line <= len(lines) else ""

    def _next(self) -> yaml.Event:
        event: yaml.Event = self._events.get_event()  # type: ignore[no-untyped-call]
        return event

    def _node(self, event: yaml.Event, depth: int) -> _Node:
        where = _start(event)
        if depth > MAX_DEPTH:
            self._fail(where, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            known = self._anchors.get(event.anchor or "")
            if known is None:  # its name is not repeated: it may be a secret that begins with *
                self._fail(
                    where,
                    "this alias names nothing that is complete before it; put text that begins with * into quotes",
                )
            return known
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):  # pragma: no cover
            self._fail(where, "this is not YAML")
        if event.tag is not None:
            self._fail(where, _NO_TAGS)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._content(event, where, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _content(self, event: yaml.Event, where: Position, depth: int) -> _Node:
        if isinstance(event, yaml.ScalarEvent):
            return _Node(where, text=event.value, plain=event.implicit[0])
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[_Node] = []
            while not isinstance(one := self._next(), yaml.SequenceEndEvent):
                items.append(self._node(one, depth + 1))
            return _Node(where, items=items)
        pairs: list[tuple[_Node, _Node]] = []
        while not isinstance(one := self._next(), yaml.MappingEndEvent):
            key = self._node(one, depth + 1)
            pairs.append((key, self._node(self._next(), depth + 1)))
        return _Node(where, pairs=pairs)


class _Builder:
    """From nodes to data with positions, expanding on the way."""

    def __init__(
        self,
        document: Document,
        environ: Mapping[str, str],
        hints: Mapping[str, str],
        leave_out: Collection[str],
    ) -> None:
        self._document = document
        self._environ = environ
        self._hints = hints
        self._leave_out = leave_out
        self._built = 0

    def build_root(self, root: _Node | None) -> None:
        data = self._build(root, ()) if root is not None else None
        if data is not None and not isinstance(data, dict):
            self._document.complain((), "expected keys and values at the top of the file")
            raise _Stop
        self._document.data = data or {}

    def _build(self, node: _Node, path: Path) -> Any:
        self._built += 1
        if self._built > MAX_VALUES or len(path) > MAX_DEPTH:
            self._document.complain_at(
                node.position, "too much data, or too many aliases of aliases"
            )
            raise _Stop
        self._document.values[path] = node.position
        if node.pairs is not None:
            return self._mapping(node.pairs, path)
        if node.items is not None:
            return [self._build(one, (*path, index)) for index, one in enumerate(node.items)]
        return self._scalar(node.text or "", path, plain=node.plain)

    def _mapping(self, pairs: list[tuple[_Node, _Node]], path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in pairs:
            name = key.text
            if not path and name in self._leave_out:
                continue
            if name is None or _UNPRINTABLE.search(name):
                self._document.complain_at(key.position, "a key must be plain text")
            elif name in made:
                first = self._document.keys[(*path, name)].line
                # What does not look like a setting may be a piece of a secret that is not in
                # quotes.
                which = f" {name!r}" if _SETTING.fullmatch(name) else ""
                self._document.complain_at(
                    key.position, f"duplicate key{which}: it is already in line {first}"
                )
            else:
                self._document.keys[(*path, name)] = key.position
                made[name] = self._build(value, (*path, name))
        return made

    def _scalar(self, written: str, path: Path, *, plain: bool) -> Any:
        expansion = expand(written, self._environ)
        hint = self._hints.get(str(path[0]), "") if path else ""
        for problem in expansion.problems:
            self._document.complain(path, problem + hint)
        if not expansion.problems and _UNPRINTABLE.search(expansion.text):
            self._document.complain(
                path, "a control character, or half of a surrogate pair, which no setting may hold"
            )
            expansion = expand("", {})
            self._document.broken.add(path)
        if expansion.problems:
            self._document.broken.add(path)
        text = expansion.text
        return resolve(text) if plain and not isinstance(text, Expanded) else text


def resolve(text: str) -> Any:
    """What an unquoted scalar means: None, a bool, an int, a float, or else its text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


def _told(error: yaml.MarkedYAMLError) -> str:
    """What PyYAML found, unless it quotes from the file: that may be a secret without quotes."""
    problem = error.problem or ""
    if "tag" in f"{error.context} {problem}":
        return _NO_TAGS
    if not problem or set("'\"") & set(_QUOTED.sub("", problem)):
        return "it cannot be read from here on; put values with special signs into quotes"
    return problem


def _start(event: yaml.Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark else Position(0, 0)


def _position_after(text: str) -> Position:
    lines = _LINE_END.split(text)
    return Position(len(lines), len(lines[-1]) + 1)
