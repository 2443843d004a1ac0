"""marshmallow fields with the manners of a configuration: strict types, and messages that say what
was found.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, missing

from bridge.core.customers import Secret
from bridge.settings.durations import parse_duration
from bridge.settings.environment import Expanded
from bridge.settings.rules import suggest
from bridge.settings.yaml_source import resolve

MISSING = fields.Field.default_error_messages["required"]
"""marshmallow's message for a required key that is not there; ``schema`` turns it into a sentence.
"""


def describe(value: Any, *, secret: bool = False) -> str:
    """What was found, for a message; text that is *secret* or comes from the environment is not
    shown.
    """
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
            return f"the text {_shorten(str(value))!r}"


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."


class _Strict:
    """Mixed into every field: how it calls what it expects, and what it says without a value."""

    expected = "a value"

    def _refuse(self, value: Any, *, secret: bool = False) -> ValidationError:
        return ValidationError(f"expected {self.expected}, found {describe(value, secret=secret)}")


class _Scalar(_Strict, fields.Field[Any]):
    """One value.

    With ``allow_none`` an empty text counts as none: that is what ``"${NAME:-}"`` gives.
    """

    def _validate_missing(self, value: Any) -> None:
        if value is None and not self.allow_none:
            raise self._refuse(value)
        super()._validate_missing(value)


class Text(_Scalar):
    """Text that is not empty and follows a *rule* (see ``rules``), which may also make something
    else of it.
    """

    expected = "text"

    def __init__(self, rule: Callable[[str], Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rule = rule

    secret = False

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            refusal = self._refuse(value, secret=self.secret)
            if isinstance(value, int | float):
                refusal = ValidationError(f"{refusal.messages[0]}; put it into quotes")
            raise refusal
        if value == "":
            if self.allow_none:
                return None
            raise ValidationError(f"expected {self.expected}, found an empty text{_origin(value)}")
        try:
            return self._made(str(value))
        except ValueError as error:
            raise ValidationError(f"{error}{_origin(value)}") from None

    def _made(self, value: str) -> Any:
        return self.rule(value) if self.rule else value


def _origin(value: str) -> str:
    return f" (from ${{{value.names[0]}}})" if isinstance(value, Expanded) and value.names else ""


class SecretText(Text):
    """Text that is wrapped in a *Secret* and never shown."""

    expected = "a secret, as text"
    secret = True

    def _made(self, value: str) -> Secret:
        return Secret(str(super()._made(value)))


class KeyText(Text):
    """One entry of a list of keys; an empty one becomes None, for *Keys* to drop or to complain
    about.
    """

    expected = "a key, as text"
    secret = True


class DigestText(Text):
    """The digest of a token: not a secret itself, but a token may stand there by mistake."""

    expected = "the SHA-256 of a token, as text"
    secret = True


class Choice(_Scalar):
    """One of a few words."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words
        self.expected = f"one of {', '.join(words)}"

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            hint = (
                suggest(value, self.words) if isinstance(value, str) and not _origin(value) else ""
            )
            raise ValidationError(f"{self._refuse(value).messages[0]}{hint}")
        return str(value)


class Flag(_Scalar):
    """``true`` or ``false``; nothing that only looks like it."""

    expected = "true or false"

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        found = resolved(value)
        if not isinstance(found, bool):
            raise self._refuse(value)
        return found


class Whole(_Scalar):
    """A whole number of at least *least*."""

    def __init__(self, least: int, unit: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least = least
        self.expected = f"a whole number of {unit}, at least {least}" + (
            ", or null" if self.allow_none else ""
        )

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int | None:
        found = resolved(value)
        if found is None and self.allow_none:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or found < self.least:
            raise self._refuse(value)
        return found


def resolved(value: Any) -> Any:
    """The value, or what it means where it is one plain reference: ``${SECURE}`` may stand for
    true.
    """
    return resolve(value) if isinstance(value, Expanded) and value.whole else value


class Duration(_Scalar):
    """A duration such as ``30s``, as a timedelta."""

    expected = "a duration such as 30s, 15m or 7d"

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> timedelta:
        if not isinstance(value, str):
            raise self._refuse(value)
        try:
            return parse_duration(value)
        except ValueError as error:
            raise ValidationError(f"{error}; found {describe(value)}") from None


class Many(_Strict, fields.List[Any]):
    """A list, as a tuple, of at least *least* entries."""

    expected = "a list"

    def __init__(
        self, inner: fields.Field[Any], *, least: int = 0, what: str = "entry", **kwargs: Any
    ) -> None:
        super().__init__(inner, **kwargs)
        self.least = least
        self.what = what

    def deserialize(self, value: Any, attr: Any = None, data: Any = None, **kwargs: Any) -> Any:
        """As marshmallow's, with this package's message for a missing value."""
        if value is None:
            raise self._refuse(value)
        return super().deserialize(value, attr, data, **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            raise self._refuse(value, secret=getattr(self.inner, "secret", False))
        made = super()._deserialize(value, attr, data, **kwargs)
        if len(made) < self.least:
            raise ValidationError(f"expected at least one {self.what}, found an empty list")
        return tuple(made)


class OneOrMany(Many):
    """One value or a list of them, as a tuple; ``null`` and an empty text are none at all."""

    def deserialize(self, value: Any, attr: Any = None, data: Any = None, **kwargs: Any) -> Any:
        """As of a list, for a list; a single value is read as it stands."""
        if value is None or value == "":
            return ()
        if value is missing or isinstance(value, list):
            return super().deserialize(value, attr, data, **kwargs)
        return (self.inner.deserialize(value, attr, data, **kwargs),)


class Keys(Many):
    """A list of 32-byte keys, newest first.

    Empty entries are dropped, so that ``"${OLD_KEY:-}"`` may stand there.
    """

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        made = super()._deserialize(value, attr, data, **kwargs)
        kept = tuple(key for key in made if key is not None)
        if self.required and not kept:
            named = [
                entry.names[0] for entry in value if isinstance(entry, Expanded) and entry.names
            ]
            raise ValidationError(
                (
                    f"the environment variable {named[0]} is empty"
                    if named
                    else "expected at least one key, found none"
                )
                + "; make a key with `assessment-bridge key new`"
            )
        return kept


class Section(_Strict, fields.Nested):
    """Keys and values of a schema of their own; a section whose keys are all commented out counts
    as empty.
    """

    expected = "keys and values"

    def __init__(self, nested: type[Schema], **kwargs: Any) -> None:
        super().__init__(nested, **kwargs)

    def deserialize(self, value: Any, attr: Any = None, data: Any = None, **kwargs: Any) -> Any:
        """As marshmallow's, with None read as an empty section."""
        return super().deserialize({} if value is None else value, attr, data, **kwargs)

    def _deserialize(
        self, value: Any, attr: Any, data: Any, partial: Any = None, **kwargs: Any
    ) -> Any:
        if not isinstance(value, dict):
            raise self._refuse(value, secret=True)
        return super()._deserialize(value, attr, data, partial=partial, **kwargs)
