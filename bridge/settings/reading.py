"""Reads the values of a file into the dataclass that declares them; every mistake has its
position.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.core.customers import TokenDigest
from bridge.core.declaration import DeclaredSetting, declared_settings, suggest_similar_word
from bridge.settings.environment_variables import ExpandedText
from bridge.settings.findings import FilePosition, MistakeCollector, MistakeKind, PositionedValue
from bridge.settings.scalars import (
    can_come_from_file,
    describe_origin,
    describe_value,
    read_scalar,
    wrong_value_error,
)
from bridge.settings.secret_files import SUFFIX, read_secret

_WRONG: Any = object()
"""Stands for a value that is wrong and reported."""
_NOTHING: Mapping[str, Any] = {}


class SettingsReader:
    """Reads one file, whose values are *root*; mistakes go to *found*.

    Rules that involve several keys are static methods of a section. Both take the items of the
    section and of the whole file, since other keys may be wrong: ``check`` returns mistakes with
    their items, ``warn`` warnings.

    Afterwards *holds_secret* says whether the file itself contains a secret (not a variable, not a
    secret file), and *digests* has all digests of tokens, valid or not, with their positions.
    """

    def __init__(self, found: MistakeCollector, root: PositionedValue) -> None:
        self.holds_secret = False
        self.digests: list[tuple[str, PositionedValue]] = []
        self._found = found
        self._root = root

    def read(
        self, settings_type: type, inherited: Mapping[str, Any] = _NOTHING, **more: Any
    ) -> Any:
        """The file as an instance of *settings_type*, which also takes *more*; None where anything
        is wrong.

        *inherited* has what holds for keys that are not given, before their defaults.
        """
        values = self._section(settings_type, self._root, inherited)
        return None if self._found.mistakes else settings_type(**values, **more)

    def _section(
        self,
        settings_type: type,
        item: PositionedValue,
        inherited: Mapping[str, Any],
        path: str = "",
    ) -> Any:
        """The values of a section, by key; empty if all its keys are commented out."""
        settings, values = declared_settings(settings_type), {}
        for name, one in settings.items():
            given = self._given(one, item)
            if given is _WRONG:
                values[name] = _WRONG
            elif given is not None:
                values[name] = self._value(one, given, f"{path}{name}", inherited.get(name))
            elif name in inherited and not one.is_section:
                values[name] = inherited[name]
            elif one.is_required:
                other = f", or {name + SUFFIX!r}" if can_come_from_file(one) else ""
                self._found.add_mistake(
                    item.position,
                    f"the key {name!r}{other} is missing{item.note}",
                    MistakeKind.MISSING_KEY,
                    f"{path}{name}",
                )
                values[name] = _WRONG
        files = [name + SUFFIX for name, one in settings.items() if can_come_from_file(one)]
        self._refuse_unknown(item.value or {}, [*settings, *files], path)
        for where, message in getattr(settings_type, "check", _nothing)(item, self._root):
            self._complain(where, message, kind=MistakeKind.CONFLICT)
        self._found.warnings += getattr(settings_type, "warn", _nothing)(item, self._root)
        return values

    def _refuse_unknown(
        self, entries: Mapping[str, PositionedValue], known: list[str], path: str
    ) -> None:
        for name in entries.keys() - known:
            near = suggest_similar_word(name, known)
            # A key unlike every known one may be a piece of a secret: {x: not,quoted}.
            message = f" {name!r}{near}" if near else f"; known here: {', '.join(known)}"
            where = f"{path}{name}" if near else path.rstrip(".")
            kind = MistakeKind.UNKNOWN_KEY
            self._found.add_mistake(entries[name].key, f"unknown key{message}", kind, where)

    def _given(self, one: DeclaredSetting, section: PositionedValue) -> Any:
        """The item of a setting, perhaps read from a secret file; None: it is not given."""
        item, file = section.find(one.name), section.find(one.name + SUFFIX)
        kind = MistakeKind.SECRET_FILE
        if not can_come_from_file(one):
            return item
        self.holds_secret = self.holds_secret or (item is not None and _written(item.value))
        if file is None or (not file.broken and file.value in (None, "")):
            return item
        if file.broken:
            return _WRONG
        if not isinstance(file.value, str):
            return self._complain(file, "expected the path of a file, as text", kind=kind)
        if item is not None and item.value:
            first, other = f"{one.name!r} (line {item.key.line})", repr(one.name + SUFFIX)
            return self._complain(file, f"give either {first} or {other}, not both", file.key, kind)
        try:
            return read_secret(file, self._found.warnings, many=one.is_list)
        except ValueError as error:
            return self._complain(file, str(error), kind=kind)

    def _value(self, one: DeclaredSetting, item: PositionedValue, path: str, inherited: Any) -> Any:
        if not one.is_list:
            return self._single(one, item, path, inherited)
        if not isinstance(item.value, list):
            if not one.setting.scalar_or_list:
                return self._wrong(item, path, wrong_value_error(one, item.value, "a list"))
            return () if item.value in (None, "") else (self._single(one, item, path),)
        settings_type = [
            self._single(one, entry, f"{path}[{number}]") for number, entry in enumerate(item.value)
        ]
        if one.item_type is TokenDigest:
            self.digests += [(str(entry.value).lower(), entry) for entry in item.value]
        if item.broken or any(entry is _WRONG for entry in settings_type):
            return _WRONG
        kept = [entry for entry in settings_type if entry is not None]
        if len(kept) < max(one.setting.minimum, int(one.is_required)):
            return self._wrong(item, path, _too_few(one, item))
        return one.list_type(kept)

    def _single(
        self, one: DeclaredSetting, item: PositionedValue, path: str, inherited: Any = None
    ) -> Any:
        if not one.is_section:
            try:
                return _WRONG if item.broken else read_scalar(one, item.value)
            except ValueError as error:
                return self._wrong(item, path, error)
        if not isinstance(item.value, dict | None):
            found = describe_value(item.value, secret=True)
            return self._wrong(item, path, ValueError(f"expected keys and values, found {found}"))
        values = self._section(one.item_type, item, inherited or _NOTHING, f"{path}.")
        wrong = any(value is _WRONG for value in values.values())
        return _WRONG if wrong else one.item_type(**values)

    def _wrong(self, item: PositionedValue, path: str, error: ValueError) -> Any:
        if not item.broken:
            message = f"{path}: {error}{item.note}"
            self._found.add_mistake(item.position, message, MistakeKind.VALUE, path)
        return _WRONG

    def _complain(
        self,
        item: PositionedValue,
        message: str,
        where: FilePosition | None = None,
        kind: MistakeKind = MistakeKind.VALUE,
    ) -> Any:
        self._found.add_mistake(where or item.position, message + item.note, kind)
        return _WRONG


def _nothing(_section: PositionedValue, _root: PositionedValue) -> tuple[()]:
    return ()


def _too_few(one: DeclaredSetting, item: PositionedValue) -> ValueError:
    if one.item_type is not bytes:
        return ValueError(f"expected at least one {one.setting.entry_name}, found an empty list")
    names = [entry.value.names[0] for entry in item.value if describe_origin(entry.value)]
    empty = f"the environment variable {names[0]} is empty" if names else ""
    return ValueError((empty or "expected at least one key, found none") + one.setting.hint)


def _written(value: Any) -> bool:
    """Whether the file itself contains the secret, or one of several."""
    match value:
        case list():
            return any(_written(entry.value) for entry in value)
        case ExpandedText():
            return value.written
        case str():
            # A Redis URL without credentials is not a secret.
            _, found, rest = value.partition("://")
            return bool(value) and (not found or "@" in rest or "password=" in rest)
    return False
