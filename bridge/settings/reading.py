"""From the values of a file to the dataclass that declares them, with what is wrong told by its
place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from bridge.core.customers import Secret
from bridge.core.declaration import Declared, declared, line, suggest
from bridge.settings.durations import parse_duration
from bridge.settings.environment import Expanded
from bridge.settings.findings import Findings, Item, Position
from bridge.settings.rules import key
from bridge.settings.secret_files import (
    SUFFIX,
    UnusableFileError,
    numbered_lines,
    one_line,
    read_secret,
    shown_path,
)
from bridge.settings.yaml_source import resolve

Path = tuple[str, ...]
_WRONG: Any = object()
"""In place of a value that was complained about."""
_NOTHING: Mapping[str, Any] = {}


def describe(value: Any, *, secret: bool = False) -> str:
    """What was found, for a message; what is *secret* or comes from the environment is not shown."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "keys and values"
        case list():
            return "a list"
        case _ if secret:
            return "something else"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case Expanded() if value.names:
            return f"the text in ${{{value.names[0]}}}"
        case _:
            text = str(value)
            return f"the text {text if len(text) <= 40 else f'{text[:40]}...'!r}"


def resolved(value: Any) -> Any:
    """The value, or what it means where it is one plain reference: ``${SECURE}`` may stand for
    true.
    """
    return resolve(value) if isinstance(value, Expanded) and value.whole else value


def takes_file(one: Declared) -> bool:
    """Whether the setting ``x`` is a secret, which may also be given as ``x_file``."""
    return one.item in (Secret, bytes)


class Reader:
    """Reads one file, whose values are *root*; what is wrong goes to *found*.

    What no single key can tell is asked of static methods that a section may have. Both take the
    section and the whole file as they stand there, since other keys may be wrong: ``check`` gives
    complaints with their items, ``warn`` warnings.

    Afterwards *holds_secret* says whether a secret stands in the file itself, neither in a variable
    nor in a file of its own, and *unique* has the texts that may stand in no other file.
    """

    def __init__(self, found: Findings, root: Item) -> None:
        self.holds_secret = False
        self.unique: list[tuple[str, Item]] = []
        self._found = found
        self._root = root

    def read(self, made: type, inherited: Mapping[str, Any] = _NOTHING, **more: Any) -> Any:
        """The file as an instance of *made*, which also takes *more*; None where anything is wrong.

        *inherited* has what holds for keys that are not given, before their defaults.
        """
        values = self._section(made, self._root, (), inherited)
        return None if self._found.complaints else made(**values, **more)

    def _section(self, made: type, item: Item, path: Path, inherited: Mapping[str, Any]) -> Any:
        """The values of a section, by name; one whose keys are all commented out is empty."""
        if not isinstance(item.value, dict | None):
            return self._refuse(item, path, "keys and values", secret=True)
        settings, values = declared(made), {}
        for name, one in settings.items():
            found = self._given(one, item, path)
            if found is _WRONG:
                values[name] = _WRONG
            elif found is not None:
                values[name] = self._value(one, found, (*path, name), inherited.get(name))
            elif name in inherited and not one.section:
                values[name] = inherited[name]
            elif one.required:
                other = f", or {name + SUFFIX!r}" if takes_file(one) else ""
                self._found.complain(item.position, f"the key {name!r}{other} is missing")
        files = [name + SUFFIX for name, one in settings.items() if takes_file(one)]
        self._refuse_unknown(item.value or {}, [*settings, *files])
        for where, message in getattr(made, "check", _nothing)(item, self._root):
            self._found.complain(where.position, message)
        self._found.warnings += getattr(made, "warn", _nothing)(item, self._root)
        return values

    def _refuse_unknown(self, entries: Mapping[str, Item], known: list[str]) -> None:
        for name, entry in entries.items():
            if name not in known:
                near = suggest(name, known)
                # One that is like none that we know may be a piece of a secret: {x: not,quoted}.
                self._found.complain(
                    entry.key,
                    f"unknown key {name!r}{near}"
                    if near
                    else f"unknown key; known here: {', '.join(known)}",
                )

    def _given(self, one: Declared, section: Item, path: Path) -> Any:
        """What the file gives for a setting, perhaps in a file of its own; None: nothing."""
        entries = section.value or {}
        item: Item | None = entries.get(one.name)
        if not takes_file(one):
            return item
        self.holds_secret = self.holds_secret or (item is not None and _written(item.value))
        file: Item | None = entries.get(one.name + SUFFIX)
        if file is None:
            return item
        if file.broken:
            return _WRONG
        if not isinstance(file.value, str | None):
            return self._complain(file, "expected the path of a file, as text")
        if not file.value:  # as "${NAME:-}" gives it
            return item
        if item is not None and item.value:
            return self._complain(
                file,
                f"give either {one.name!r} (line {item.key.line}) or {one.name + SUFFIX!r}, not both",
                file.key,
            )
        try:
            text = read_secret(file.value, self._found.warnings)
            if not one.many:
                return replace(file, value=one_line(text))
            lines = [
                replace(file, value=entry, note=f" (line {number} of {file.value})")
                for number, entry in numbered_lines(text)
            ]
            if not lines:
                raise UnusableFileError("the file is empty")
            return replace(file, value=lines)
        except UnusableFileError as error:
            return self._complain(file, f"{shown_path(file.value)}: {error}")

    def _value(self, one: Declared, item: Item, path: Path, inherited: Any) -> Any:
        if not one.many:
            return self._single(one, item, path, inherited or _NOTHING)
        if one.setting.one_or_many and not isinstance(item.value, list):
            single = item.value is not None and item.value != ""
            return (self._single(one, item, path),) if single else ()
        if not isinstance(item.value, list):
            return self._refuse(item, path, "a list", secret=_secret(one))
        made = [self._single(one, entry, path) for entry in item.value]
        if one.setting.unique:
            self.unique += [(str(entry.value), entry) for entry in item.value]
        if one.item is bytes:
            made = [entry for entry in made if entry is not None]
        if item.broken or any(entry is _WRONG for entry in made):
            return _WRONG
        if len(made) < max(one.setting.least, int(one.required)):
            return self._wrong(item, path, _too_few(one, item))
        return one.container(made)

    def _single(
        self, one: Declared, item: Item, path: Path, inherited: Mapping[str, Any] = _NOTHING
    ) -> Any:
        kind = one.item
        if one.section:
            values = self._section(kind, item, path, inherited)
            return _WRONG if values is _WRONG or _incomplete(kind, values) else kind(**values)
        if item.broken:
            return _WRONG
        if kind is bool or kind is int:
            return self._plain(one, item, path)
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            words = [str(word) for word in kind]
            if isinstance(item.value, str) and item.value in words:
                return kind(str(item.value))
            near = suggest(item.value, words) if isinstance(item.value, str) else ""
            hint = near if not _origin(item.value) else ""
            return self._refuse(item, path, f"one of {', '.join(words)}", hint=hint)
        if kind is timedelta:
            return self._duration(one, item, path)
        return self._text(one, item, path)

    def _plain(self, one: Declared, item: Item, path: Path) -> Any:
        found = resolved(item.value)
        if one.item is bool:
            fine, expected = isinstance(found, bool), "true or false"
        else:
            least = one.setting.least
            fine = one.optional if found is None else type(found) is int and found >= least
            expected = f"a whole number of {one.setting.of}, at least {least}"
            expected += ", or null" if one.optional else ""
        return found if fine else self._refuse(item, path, expected)

    def _duration(self, one: Declared, item: Item, path: Path) -> Any:
        if item.value is None and one.optional:
            return None
        if not isinstance(item.value, str):
            return self._refuse(item, path, "a duration such as 30s, 15m or 7d")
        try:
            found = parse_duration(item.value)
        except ValueError as error:
            return self._wrong(item, path, f"{error}; found {describe(item.value)}")
        try:
            return one.setting.rule(found) if one.setting.rule else found
        except ValueError as error:
            return self._wrong(item, path, str(error))

    def _text(self, one: Declared, item: Item, path: Path) -> Any:
        kind, value = one.item, item.value
        may_be_empty = one.optional or kind is bytes or one.default == ""
        if may_be_empty and (value is None or value == ""):
            return "" if one.default == "" else None
        expected = one.setting.expected or _EXPECTED.get(kind, "text")
        if not isinstance(value, str):
            quote = "; put it into quotes" if isinstance(value, int | float) else ""
            return self._refuse(item, path, expected, secret=_secret(one), hint=quote)
        if value == "":
            return self._wrong(
                item, path, f"expected {expected}, found an empty text{_origin(value)}"
            )
        try:
            made = (one.setting.rule or _RULES.get(kind, line))(str(value))
        except ValueError as error:
            return self._wrong(item, path, f"{error}{_origin(value)}")
        return Secret(made) if kind is Secret else made

    def _refuse(
        self, item: Item, path: Path, expected: str, *, secret: bool = False, hint: str = ""
    ) -> Any:
        found = describe(item.value, secret=secret)
        return self._wrong(item, path, f"expected {expected}, found {found}{hint}")

    def _wrong(self, item: Item, path: Path, message: str) -> Any:
        return _WRONG if item.broken else self._complain(item, f"{'.'.join(path)}: {message}")

    def _complain(self, item: Item, message: str, where: Position | None = None) -> Any:
        self._found.complain(where or item.position, message + item.note)
        return _WRONG


def _nothing(_section: Item, _root: Item) -> tuple[()]:
    return ()


_EXPECTED: Mapping[Any, str] = {Secret: "a secret, as text", bytes: "a key, as text"}
_RULES: Mapping[Any, Callable[[str], Any]] = {bytes: key}


def _incomplete(made: type, values: Mapping[str, Any]) -> bool:
    missing = any(one.required and name not in values for name, one in declared(made).items())
    return missing or any(value is _WRONG for value in values.values())


def _secret(one: Declared) -> bool:
    return one.setting.secret or takes_file(one)


def _origin(value: Any) -> str:
    return f" (from ${{{value.names[0]}}})" if isinstance(value, Expanded) and value.names else ""


def _too_few(one: Declared, item: Item) -> str:
    if one.item is not bytes:
        return f"expected at least one {one.setting.of}, found an empty list"
    names = [entry.value.names[0] for entry in item.value if _origin(entry.value)]
    empty = f"the environment variable {names[0]} is empty" if names else ""
    return (empty or "expected at least one key, found none") + one.setting.hint


def _written(value: Any) -> bool:
    """Whether a secret, or one of several, stands in the file as it is."""
    match value:
        case list():
            return any(_written(entry.value) for entry in value)
        case Expanded():
            return value.written
        case str():
            # A Redis URL without credentials is no secret.
            _, found, rest = value.partition("://")
            return bool(value) and (not found or "@" in rest or "password=" in rest)
    return False
