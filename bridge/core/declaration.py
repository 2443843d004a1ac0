"""How a setting is declared: one field of a dataclass holds its type, default, rule and
explanation.

Reading, the schema for editors, the table in the documents and the masked view use only these
declarations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints, overload

LONGEST_TEXT = 10_000
_KEY = "setting"

T = TypeVar("T")
Rule = Callable[[Any], Any]
"""Turns text (or a number, or a duration) into the value; raises ValueError, whose message says
what was expected and never contains the value.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingOptions:
    """What a declaration holds besides type and default.

    *minimum* is the smallest number, or the smallest number of entries; *entry_name* is what is
    counted. *hint* is added to a message about a missing environment variable. *scalar_or_list*:
    the file may give one value without [] instead of a list.
    """

    doc: str
    rule: Rule | None = None
    minimum: int = 0
    entry_name: str = "entry"
    hint: str = ""
    scalar_or_list: bool = False


@overload
def setting(doc: str, *, default: T, shown: bool = True, **more: Any) -> T: ...
@overload
def setting(doc: str, *, shown: bool = True, **more: Any) -> Any: ...
def setting(doc: str, *, default: Any = MISSING, shown: bool = True, **more: Any) -> Any:
    """Declare a dataclass field as a setting; without *default* it is required.

    *more* are the fields of *Setting*; *shown*: the value is part of the object's ``repr``.
    """
    return field(default=default, repr=shown, metadata={_KEY: SettingOptions(doc=doc, **more)})


@dataclass(frozen=True, slots=True)
class DeclaredSetting:
    """A setting of a section; *type* has no ``| None``: *optional* says whether None is allowed."""

    name: str
    type: Any
    optional: bool
    default: Any
    setting: SettingOptions

    @property
    def is_required(self) -> bool:
        """Whether the file must have it."""
        return self.default is MISSING

    @property
    def list_type(self) -> Any:
        """``tuple`` or ``frozenset`` for a list, else None."""
        return get_origin(self.type)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return self.list_type is not None

    @property
    def item_type(self) -> Any:
        """The type of a list's entries; otherwise the type of the value."""
        return get_args(self.type)[0] if self.is_list else self.type

    @property
    def is_section(self) -> bool:
        """Whether the value (or each entry of the list) is a section with settings of its own."""
        kind = self.item_type
        return isinstance(kind, type) and is_dataclass(kind) and bool(declared_settings(kind))


def _declared_settings(section: type) -> Mapping[str, DeclaredSetting]:
    hints = get_type_hints(section)
    found = {}
    for one in fields(section):
        if _KEY in one.metadata:
            union = get_origin(hints[one.name]) in (Union, UnionType)
            options = get_args(hints[one.name]) if union else (hints[one.name],)
            kind = next(option for option in options if option is not type(None))
            optional = type(None) in options
            found[one.name] = DeclaredSetting(
                one.name, kind, optional, one.default, one.metadata[_KEY]
            )
    return found


declared_settings: Callable[[type], Mapping[str, DeclaredSetting]] = cache(_declared_settings)
"""The settings of a dataclass by name, in order of declaration; other fields are left out."""


def suggest_similar_word(word: str, known: tuple[str, ...] | list[str]) -> str:
    """``; did you mean 'x'?`` if a known word is similar, else an empty string."""
    near = get_close_matches(word, known, n=1)
    near = near or [one for one in known if one.lower() == word.lower()]
    return f"; did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True, slots=True)
class PatternRule:
    """A rule: the whole text must match a regular expression."""

    pattern: str
    expected: str

    def __call__(self, text: str) -> str:
        """The text; raises ValueError."""
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise ValueError(f"expected {self.expected}")
        return text


def parse_single_line_text(text: str) -> str:
    """Text of one line that is not blank: the default rule for text."""
    if not text.strip() or not text.isprintable() or len(text) > LONGEST_TEXT:
        raise ValueError("expected text of one line that is not empty")
    return text


def parse_any_text(text: str) -> str:
    """Text of any number of lines."""
    return text
