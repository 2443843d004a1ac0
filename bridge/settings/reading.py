"""From the values of a file to the dataclass that declares them; what is wrong has its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.core.customers import TokenDigest
from bridge.core.declaration import DeclaredSetting, declared_settings, suggest
from bridge.settings.environment_variables import Expanded
from bridge.settings.findings import Findings, Item, MistakeKind, Position
from bridge.settings.scalars import describe, origin, read_scalar, refusal, takes_file
from bridge.settings.secret_files import SUFFIX, read_secret

_WRONG: Any = object()
"""In place of a value that was complained about."""
_NOTHING: Mapping[str, Any] = {}


class SettingsReader:
    """Reads one file, whose values are *root*; what is wrong goes to *found*.

    What no single key can tell is asked of static methods that a section may have. Both take the
    section and the whole file as they stand there, since other keys may be wrong: ``check`` gives
    complaints with their items, ``warn`` warnings.

    Afterwards *holds_secret* says whether a secret stands in the file itself, neither in a variable
    nor in a file of its own, and *digests* has those of tokens, right or wrong, with their places.
    """

    def __init__(self, found: Findings, root: Item) -> None:
        self.holds_secret = False
        self.digests: list[tuple[str, Item]] = []
        self._found = found
        self._root = root

    def read(self, made: type, inherited: Mapping[str, Any] = _NOTHING, **more: Any) -> Any:
        """The file as an instance of *made*, which also takes *more*; None where anything is wrong.

        *inherited* has what holds for keys that are not given, before their defaults.
        """
        values = self._section(made, self._root, inherited)
        return None if self._found.complaints else made(**values, **more)

    def _section(self, made: type, item: Item, inherited: Mapping[str, Any], path: str = "") -> Any:
        """The values of a section, by key; one whose keys are all commented out is empty."""
        settings, values = declared_settings(made), {}
        for name, one in settings.items():
            given = self._given(one, item)
            if given is _WRONG:
                values[name] = _WRONG
            elif given is not None:
                values[name] = self._value(one, given, f"{path}{name}", inherited.get(name))
            elif name in inherited and not one.section:
                values[name] = inherited[name]
            elif one.required:
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
        for where, message in getattr(made, "check", _nothing)(item, self._root):
            self._complain(where, message, kind=MistakeKind.CONFLICT)
        self._found.warnings += getattr(made, "warn", _nothing)(item, self._root)
        return values

    def _refuse_unknown(self, entries: Mapping[str, Item], known: list[str], path: str) -> None:
        for name in entries.keys() - known:
            near = suggest(name, known)
            # One that is like none that we know may be a piece of a secret: {x: not,quoted}.
            message = f" {name!r}{near}" if near else f"; known here: {', '.join(known)}"
            where = f"{path}{name}" if near else path.rstrip(".")
            kind = MistakeKind.UNKNOWN_KEY
            self._found.complain(entries[name].key, f"unknown key{message}", kind, where)

    def _given(self, one: DeclaredSetting, section: Item) -> Any:
        """What the file gives for a setting, perhaps in a file of its own; None: nothing."""
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
            return read_secret(file, self._found.warnings, many=one.many)
        except ValueError as error:
            return self._complain(file, str(error), kind=kind)

    def _value(self, one: DeclaredSetting, item: Item, path: str, inherited: Any) -> Any:
        if not one.many:
            return self._single(one, item, path, inherited)
        if not isinstance(item.value, list):
            if not one.setting.scalar_or_list:
                return self._wrong(item, path, refusal(one, item.value, "a list"))
            return () if item.value in (None, "") else (self._single(one, item, path),)
        made = [
            self._single(one, entry, f"{path}[{number}]") for number, entry in enumerate(item.value)
        ]
        if one.item is TokenDigest:
            self.digests += [(str(entry.value).lower(), entry) for entry in item.value]
        if item.broken or any(entry is _WRONG for entry in made):
            return _WRONG
        kept = [entry for entry in made if entry is not None]
        if len(kept) < max(one.setting.minimum, int(one.required)):
            return self._wrong(item, path, _too_few(one, item))
        return one.container(kept)

    def _single(self, one: DeclaredSetting, item: Item, path: str, inherited: Any = None) -> Any:
        if not one.section:
            try:
                return _WRONG if item.broken else read_scalar(one, item.value)
            except ValueError as error:
                return self._wrong(item, path, error)
        if not isinstance(item.value, dict | None):
            found = describe(item.value, secret=True)
            return self._wrong(item, path, ValueError(f"expected keys and values, found {found}"))
        values = self._section(one.item, item, inherited or _NOTHING, f"{path}.")
        wrong = any(value is _WRONG for value in values.values())
        return _WRONG if wrong else one.item(**values)

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
    if one.item is not bytes:
        return ValueError(f"expected at least one {one.setting.entry_name}, found an empty list")
    names = [entry.value.names[0] for entry in item.value if origin(entry.value)]
    empty = f"the environment variable {names[0]} is empty" if names else ""
    return ValueError((empty or "expected at least one key, found none") + one.setting.hint)


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
