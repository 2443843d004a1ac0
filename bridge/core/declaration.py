"""How a setting is declared: one field of a dataclass has its type, default, rule and explanation.

Reading, the schema for editors, the table in the documents and the masked view go by nothing else.
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
"""Takes text (or a number, or a duration) and gives the value; ValueError says what was expected,
without the value.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a declaration says beside type and default.

    *least* is the smallest number, or the fewest entries; *of* what is counted. *hint* is added to
    a message about a missing environment variable. *one_or_many*: a list, or one value without [].
    """

    doc: str
    rule: Rule | None = None
    least: int = 0
    of: str = "entry"
    hint: str = ""
    one_or_many: bool = False


@overload
def setting(doc: str, *, default: T, shown: bool = True, **more: Any) -> T: ...
@overload
def setting(doc: str, *, shown: bool = True, **more: Any) -> Any: ...
def setting(doc: str, *, default: Any = MISSING, shown: bool = True, **more: Any) -> Any:
    """A field that is a setting; without *default* it is required.

    *more* are the fields of *Setting*; *shown*: it is part of the object's ``repr``.
    """
    return field(default=default, repr=shown, metadata={_KEY: Setting(doc=doc, **more)})


@dataclass(frozen=True, slots=True)
class Declared:
    """A setting of a section; *type* is without ``| None``, which *optional* stands for."""

    name: str
    type: Any
    optional: bool
    default: Any
    setting: Setting

    @property
    def required(self) -> bool:
        """Whether the file must have it."""
        return self.default is MISSING

    @property
    def container(self) -> Any:
        """``tuple`` or ``frozenset`` for a list, else None."""
        return get_origin(self.type)

    @property
    def many(self) -> bool:
        """Whether it is a list."""
        return self.container is not None

    @property
    def item(self) -> Any:
        """The type of a list's entries, or else of the value."""
        return get_args(self.type)[0] if self.many else self.type

    @property
    def section(self) -> bool:
        """Whether it, or each of its entries, has settings of its own."""
        kind = self.item
        return isinstance(kind, type) and is_dataclass(kind) and bool(declared(kind))


def _declared(section: type) -> Mapping[str, Declared]:
    hints = get_type_hints(section)
    found = {}
    for one in fields(section):
        if _KEY in one.metadata:
            union = get_origin(hints[one.name]) in (Union, UnionType)
            options = get_args(hints[one.name]) if union else (hints[one.name],)
            kind = next(option for option in options if option is not type(None))
            optional = type(None) in options
            found[one.name] = Declared(one.name, kind, optional, one.default, one.metadata[_KEY])
    return found


declared: Callable[[type], Mapping[str, Declared]] = cache(_declared)
"""The settings of a dataclass by name, in their order; fields that are none are left out."""


def suggest(word: str, known: tuple[str, ...] | list[str]) -> str:
    """``; did you mean 'x'?`` where something known is near, else an empty string."""
    near = get_close_matches(word, known, n=1)
    near = near or [one for one in known if one.lower() == word.lower()]
    return f"; did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True, slots=True)
class Matching:
    """A rule for text that must match a regular expression as a whole."""

    pattern: str
    expected: str

    def __call__(self, text: str) -> str:
        """The text; raises ValueError."""
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise ValueError(f"expected {self.expected}")
        return text


def line(text: str) -> str:
    """Text of one line that is not only blanks: the rule of text that has no other."""
    if not text.strip() or not text.isprintable() or len(text) > LONGEST_TEXT:
        raise ValueError("expected text of one line that is not empty")
    return text


def any_text(text: str) -> str:
    """Text of any number of lines."""
    return text
