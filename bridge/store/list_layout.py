"""What stands at which place of a stored list, of which type, and what is left out."""

from __future__ import annotations

from types import NoneType
from typing import Any, Final

Values = list[Any]

OPTIONAL_TEXT: Final = (str, NoneType)
OPTIONAL_NUMBER: Final = (int, NoneType)
OPTIONAL_LIST: Final = (list, NoneType)
MARKED: Final = (str, int)
"""A text or the mark of one that was taken out; a word or its number."""


class ListLayout:
    """The types and the defaults of the values of a list, in their order; the first *required*
    ones are always there.
    """

    def __init__(self, required: int, /, **places: tuple[Any, Any]) -> None:
        self._required = required
        self._types = tuple(types for types, _ in places.values())
        self._defaults = [default for _, default in places.values()]
        self._length = len(places)

    def cut(self, values: Values) -> Values:
        """*values* without the defaults at their end."""
        length, defaults = len(values), self._defaults
        while length > self._required and values[length - 1] == defaults[length - 1]:
            length -= 1
        del values[length:]
        return values

    def fill(self, values: Values) -> Values:
        """The inverse of ``cut``; raises ``ValueError`` for values of other types."""
        if (
            type(values) is not list
            or not self._required <= len(values) <= self._length
            or not all(map(isinstance, values, self._types))
        ):
            raise ValueError("of another type")
        return values + self._defaults[len(values) :]
