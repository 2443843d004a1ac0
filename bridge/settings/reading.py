"""Reads the values of a file into the dataclass that declares them; every complaint has its
position.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.core.customers import TokenDigest
from bridge.core.declaration import DeclaredSetting, declared_settings, suggest_similar_word
from bridge.settings.environment_variables import Expanded
from bridge.settings.findings import Findings, Item, MistakeKind, Position
from bridge.settings.scalars import describe, origin, read_scalar, refusal, takes_file
from bridge.settings.secret_files import SUFFIX, read_secret

_WRONG: Any = object()
"""Stands for a value that is wrong and reported."""
_NOTHING: Mapping[str, Any] = {}


class SettingsReader:
    """Reads one file, whose values are *root*; complaints go to *found*.

    Rules that involve several keys are static methods of a section. Both take the items of the
    section and of the whole file, since other keys may be wrong: ``check`` returns complaints with
    their items, ``warn`` warnings.

    Afterwards *holds_secret* says whether the file itself contains a secret (not a variable, not a
    secret file), and *digests* has all digests of tokens, valid or not, with their positions.
    """

    def __init__(self, found: Findings, root: Item) -> None:
        self.holds_secret = False
        self.digests: list[tuple[str, Item]] = []
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
        return None if self._found.complaints else settings_type(**values, **more)

    def _section(
        self, settings_type: type, item: Item, inherited: Mapping[str, Any], path: str = ""
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
                other = f", or {name + SUFFIX!r}" if takes_file(one) else ""
                self._found.complain(
                    item.position,
                    f"the key {name!r}{other} is missing{item.note}",
                    MistakeKind.MISSING_KEY,
                    f"{path}{name}",
                )
                values[name] = _WRONG
        files = [name + SUFFIX for name, one in settings.items() if takes_file(one)]
        self._refuse_unknown(item.value or {}, [*settings, *files], path)
        for where, message in getattr(settings_type, "check", _nothing)(item, self._root):
            self._complain(where, message, kind=MistakeKind.CONFLICT)
        self._found.warnings += getattr(settings_type, "warn", _nothing)(item, self._root)
        return values

    def _refuse_unknown(self, entries: Mapping[str, Item], known: list[str], path: str) -> None:
        for name in entries.keys() - known:
            near = suggest_similar_word(name, known)
            # A key unlike every known one may be a piece of a secret: {x: not,quoted}.
            message = f" {name!r}{near}" if near else f"; known here: {', '.join(known)}"
            where = f"{path}{name}" if near else path.rstrip(".")
            kind = MistakeKind.UNKNOWN_KEY
            self._found.complain(entries[name].key, f"unknown key{message}", kind, where)

    def _given(self, one: DeclaredSetting, section: Item) -> Any:
        """The item of a setting, perhaps read from a secret file; None: it is not given."""
        item, file = section.at(one.name), section.at(one.name + SUFFIX)
        kind = MistakeKind.SECRET_FILE
        if not takes_file(one):
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

    def _value(self, one: DeclaredSetting, item: Item, path: str, inherited: Any) -> Any:
        if not one.is_list:
            return self._single(one, item, path, inherited)
        if not isinstance(item.value, list):
            if not one.setting.scalar_or_list:
                return self._wrong(item, path, refusal(one, item.value, "a list"))
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

    def _single(self, one: DeclaredSetting, item: Item, path: str, inherited: Any = None) -> Any:
        if not one.is_section:
            try:
                return _WRONG if item.broken else read_scalar(one, item.value)
            except ValueError as error:
                return self._wrong(item, path, error)
        if not isinstance(item.value, dict | None):
            found = describe(item.value, secret=True)
            return self._wrong(item, path, ValueError(f"expected keys and values, found {found}"))
        values = self._section(one.item_type, item, inherited or _NOTHING, f"{path}.")
        wrong = any(value is _WRONG for value in values.values())
        return _WRONG if wrong else one.item_type(**values)

    def _wrong(self, item: Item, path: str, error: ValueError) -> Any:
        if not item.broken:
            message = f"{path}: {error}{item.note}"
            self._found.complain(item.position, message, MistakeKind.VALUE, path)
        return _WRONG

    def _complain(
        self,
        item: Item,
        message: str,
        where: Position | None = None,
        kind: MistakeKind = MistakeKind.VALUE,
    ) -> Any:
        self._found.complain(where or item.position, message + item.note, kind)
        return _WRONG


def _nothing(_section: Item, _root: Item) -> tuple[()]:
    return ()


def _too_few(one: DeclaredSetting, item: Item) -> ValueError:
    if one.item_type is not bytes:
        return ValueError(f"expected at least one {one.setting.entry_name}, found an empty list")
    names = [entry.value.names[0] for entry in item.value if origin(entry.value)]
    empty = f"the environment variable {names[0]} is empty" if names else ""
    return ValueError((empty or "expected at least one key, found none") + one.setting.hint)


def _written(value: Any) -> bool:
    """Whether the file itself contains the secret, or one of several."""
    match value:
        case list():
            return any(_written(entry.value) for entry in value)
        case Expanded():
            return value.written
        case str():
            # A Redis URL without credentials is not a secret.
            _, found, rest = value.partition("://")
            return bool(value) and (not found or "@" in rest or "password=" in rest)
    return False
