"""A YAML reader for configuration: keeps positions and refuses surprising features.

Against plain YAML 1.1 it refuses duplicate keys, tags, keys that are not text, more than one
document, control characters, great depth, and files or aliases that grow too big. Only ``true``,
``false``, ``null`` and decimal numbers are not text: ``off``, ``no``, ``12:30`` and ``2024-01-01``
are.
"""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from bridge.errors import ConfigError, ConfigMistake
from bridge.settings.environment_variables import ExpandedText, expand_variables
from bridge.settings.findings import (
    NOWHERE,
    FilePosition,
    MistakeCollector,
    MistakeKind,
    PositionedValue,
)
from bridge.settings.yaml_mistakes import LINE_END, NO_TAGS, convert_mark, explain_yaml_error

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
_SETTING = re.compile(r"[a-z][a-z0-9_]*")


class _Refused(Exception):
    """Reading cannot go on."""

    def __init__(
        self, position: FilePosition, message: str, kind: MistakeKind = MistakeKind.NOT_YAML
    ) -> None:
        super().__init__(message)
        self.position = position
        self.kind = kind


def read_text(path: Path) -> str:
    """The text of a file; raises ConfigError."""
    try:
        with open_regular_file(path) as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _error(
            path, NOWHERE, f"cannot be read: {error.strerror or 'unknown reason'}"
        ) from None
    if len(raw) > MAX_BYTES:
        raise _error(
            path, NOWHERE, "is larger than 1 MiB, the most that a configuration file may be"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        raise _error(path, _position_after(before), "is not UTF-8 text from here on") from None


def open_regular_file(path: Path) -> BinaryIO:
    """*path* for reading; raises ``OSError`` also for a pipe, on which reading would block."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a folder cannot be opened anyway
        raise OSError(errno.EINVAL, "it is not a file")
    return path.open("rb")


def parse_yaml(
    text: str,
    found: MistakeCollector,
    environ: Mapping[str, str],
    hints: Mapping[str, str] | None = None,
    leave_out: Collection[str] = (),
) -> PositionedValue:
    """The mapping in *text*, with the values of *environ* inserted.

    *hints* add advice to a missing variable, by the name of the top-level key. Top-level keys in
    *leave_out* are not read at all. Problems that leave the rest readable (a variable that is not
    set, a duplicate key) go to *found*. Raises ConfigError if nothing can be read.
    """
    try:
        root = _compose(text)
        builder = _Builder(found, environ, hints or {}, leave_out)
        built = builder.build(root, ()) if root is not None else PositionedValue({})
        if built.value is not None and not isinstance(built.value, dict):
            raise _Refused(built.position, "expected keys and values at the top of the file")
    except _Refused as error:
        found.add_mistake(error.position, str(error), error.kind)
        raise found.as_config_error() from None
    return replace(built, value=built.value or {})


def read_top_level_scalar(path: Path, key: str) -> tuple[str, FilePosition] | None:
    """The text of one top-level key as it is written, and its position; None: there is no such key.

    Nothing after it is read, and everything before it is only parsed as YAML. Raises ConfigError.
    """
    text = read_text(path)
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
                    return event.value, convert_mark(event.start_mark)
                name = event.value if name is None else None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        where = convert_mark(getattr(error, "problem_mark", None))
        message = f"cannot be read as far as the key {key!r}: this is not YAML"
        raise _error(path, where, message) from None
    return None


def _error(path: Path, where: FilePosition, message: str) -> ConfigError:
    mistake = ConfigMistake(str(path), where.line, where.column, message, MistakeKind.UNREADABLE)
    return ConfigError([mistake])


def _compose(text: str) -> yaml.Node | None:
    """The one document in *text* as PyYAML's nodes; None for a file without any."""
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        where = _position_after(text[: error.position])
        raise _Refused(where, "a character that YAML does not allow") from None
    try:
        root: yaml.Node | None = loader.get_single_node()
    except (
        yaml.composer.ComposerError
    ) as error:  # a second document; the other errors are raised here
        raise _Refused(
            convert_mark(error.problem_mark),
            "a file holds one document: what follows --- is not read",
        ) from None
    except yaml.MarkedYAMLError as error:
        raise _Refused(*explain_yaml_error(error, text)) from None
    except (ValueError, OverflowError):
        # Escapes beyond Unicode, absurd version numbers: PyYAML does not check.
        where = convert_mark(loader.get_mark())
        raise _Refused(where, "this is not YAML: an impossible character or number") from None
    finally:
        loader.dispose()
    return root


class _Loader(yaml.SafeLoader):
    """PyYAML's composer; refuses tags, recursive aliases and great depth."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open: list[str | None] = []
        """The anchors of the nodes being composed, from the outside in."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node; raises _Refused."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        where = convert_mark(event.start_mark)
        if len(self._open) > MAX_DEPTH:
            raise _Refused(where, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open or event.anchor not in self.anchors:
                # Its name is not repeated: it may be a secret that begins with *.
                raise _Refused(
                    where,
                    "this alias names nothing that is complete before it;"
                    " put text that begins with * into quotes",
                    MistakeKind.QUOTES_NEEDED,
                )
        elif event.tag is not None:
            raise _Refused(where, NO_TAGS, MistakeKind.QUOTES_NEEDED)
        elif event.anchor is not None:
            self.anchors.pop(event.anchor, None)  # a name may be given again
        self._open.append(event.anchor if not isinstance(event, yaml.AliasEvent) else None)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._open.pop()
        return node


class _Builder:
    """Turns nodes into items and expands variables."""

    def __init__(
        self,
        found: MistakeCollector,
        environ: Mapping[str, str],
        hints: Mapping[str, str],
        leave_out: Collection[str],
    ) -> None:
        self._found = found
        self._environ = environ
        self._hints = hints
        self._leave_out = leave_out
        self._built = 0

    def build(
        self, node: yaml.Node, path: tuple[str, ...], key: FilePosition | None = None
    ) -> PositionedValue:
        self._built += 1
        where = convert_mark(node.start_mark)
        if self._built > MAX_VALUES or len(path) > MAX_DEPTH:
            raise _Refused(where, "too much data, or too many aliases of aliases")
        if isinstance(node, yaml.MappingNode):
            value: Any = self._mapping(node.value, path)
            broken = any(one.broken for one in value.values())
        elif isinstance(node, yaml.SequenceNode):
            value = [self.build(one, (*path, "")) for one in node.value]
            broken = any(one.broken for one in value)
        else:
            value, broken = self._scalar(node, where, path)
        return PositionedValue(value, where, key or where, broken)

    def _mapping(
        self, pairs: list[tuple[yaml.Node, yaml.Node]], path: tuple[str, ...]
    ) -> dict[str, PositionedValue]:
        settings_type: dict[str, PositionedValue] = {}
        for key, value in pairs:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            where = convert_mark(key.start_mark)
            if not path and name in self._leave_out:
                continue
            if name is None or _UNPRINTABLE.search(name):
                self._found.add_mistake(where, "a key must be plain text", MistakeKind.NOT_YAML)
            elif name in settings_type:
                # What does not look like a setting may be a piece of a secret without quotes.
                which = f" {name!r}" if _SETTING.fullmatch(name) else ""
                first = settings_type[name].key.line
                message = f"duplicate key{which}: it is already in line {first}"
                self._found.add_mistake(where, message, MistakeKind.DUPLICATE_KEY)
            else:
                settings_type[name] = self.build(value, (*path, name), where)
        return settings_type

    def _scalar(
        self, node: yaml.Node, where: FilePosition, path: tuple[str, ...]
    ) -> tuple[Any, bool]:
        text, problems = expand_variables(node.value, self._environ)
        if not problems and _UNPRINTABLE.search(text):
            message = "a control character, or half of a surrogate pair, which no setting may hold"
            self._found.add_mistake(where, message, MistakeKind.VALUE)
            return "", True
        for problem in problems:
            hint = self._hints.get(path[0] if path else "", "")
            self._found.add_mistake(where, problem + hint, MistakeKind.VARIABLE)
        plain = getattr(node, "style", None) is None and not isinstance(text, ExpandedText)
        return resolve_plain_scalar(text) if plain else text, bool(problems)


def resolve_plain_scalar(text: str) -> Any:
    """The value of an unquoted scalar: None, a bool, an int, a float, or else its text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text


def _position_after(text: str) -> FilePosition:
    lines = LINE_END.split(text)
    return FilePosition(len(lines), len(lines[-1]) + 1)
