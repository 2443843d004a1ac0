"""Reads one value as its declaration says, or says what was expected instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from bridge.core.customers import Secret, TokenDigest, parse_token_digest
from bridge.core.declaration import DeclaredSetting, parse_single_line_text, suggest_similar_word
from bridge.settings.durations import parse_duration
from bridge.settings.environment_variables import ExpandedText
from bridge.settings.rules import ListenAddress, parse_address, parse_secret_key
from bridge.settings.yaml_source import resolve_plain_scalar

_TEXTS: Mapping[Any, tuple[str, Callable[[str], Any]]] = {
    Secret: ("a secret, as text", parse_single_line_text),
    bytes: ("a key, as text", parse_secret_key),
    TokenDigest: ("the SHA-256 of a token, as text", parse_token_digest),
    ListenAddress: ("text", parse_address),
    Path: ("text", lambda text: Path(parse_single_line_text(text))),
}
"""The name of a kind of text in messages, and its rule; the default rule is
``parse_single_line_text``.
"""
_HIDDEN = (Secret, bytes, TokenDigest)
"""Wrong values of these types are never shown."""


def describe_value(value: Any, *, secret: bool = False) -> str:
    """A wrong value, for a message; values that are *secret* or from the environment are not
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
        case ExpandedText() if value.names:
            return f"the text in ${{{value.names[0]}}}"
        case _:
            text = str(value)
            return f"the text {text if len(text) <= 40 else f'{text[:40]}...'!r}"


def resolve_value(value: Any) -> Any:
    """The value; if it is one plain reference, the value of its text: ``${SECURE}`` may mean
    true.
    """
    return resolve_plain_scalar(value) if isinstance(value, ExpandedText) and value.whole else value


def can_come_from_file(one: DeclaredSetting) -> bool:
    """Whether the setting ``x`` is a secret, which may also be given as ``x_file``."""
    return one.item_type in (Secret, bytes)


def is_empty_left_out(one: DeclaredSetting) -> bool:
    """Whether an empty text counts as left out, as ``"${NAME:-}"`` of an unset variable."""
    return one.optional or one.item_type is bytes or one.default == ""


def wrong_value_error(
    one: DeclaredSetting, value: Any, expected: str, hint: str = ""
) -> ValueError:
    """The error to raise for a value of another kind."""
    found = describe_value(value, secret=one.item_type in _HIDDEN)
    return ValueError(f"expected {expected}, found {found}{hint}")


def read_scalar(one: DeclaredSetting, value: Any) -> Any:
    """The value of a setting, or of an entry of its list; raises ValueError."""
    kind = one.item_type
    if kind in (bool, int):
        return _number(one, value)
    if kind is timedelta:
        return _duration(one, value)
    word = isinstance(kind, type) and issubclass(kind, StrEnum)
    return _word(one, value) if word else _text(one, value)


def _number(one: DeclaredSetting, value: Any) -> Any:
    found, least = resolve_value(value), one.setting.minimum
    if one.item_type is bool:
        fine, expected = isinstance(found, bool), "true or false"
    else:
        fine = one.optional if found is None else type(found) is int and found >= least
        expected = f"a whole number of {one.setting.entry_name}, at least {least}"
        expected += ", or null" if one.optional else ""
    if not fine:
        raise wrong_value_error(one, value, expected)
    return found


def _duration(one: DeclaredSetting, value: Any) -> Any:
    if value is None and one.optional:
        return None
    if not isinstance(value, str):
        raise wrong_value_error(one, value, "a duration such as 30s, 15m or 7d")
    try:
        found = parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; found {describe_value(value)}") from None
    return one.setting.rule(found) if one.setting.rule else found


def _word(one: DeclaredSetting, value: Any) -> Any:
    words = [str(word) for word in one.item_type]
    if isinstance(value, str) and value in words:
        return one.item_type(str(value))
    hint = (
        suggest_similar_word(value, words)
        if isinstance(value, str) and not describe_origin(value)
        else ""
    )
    raise wrong_value_error(one, value, f"one of {', '.join(words)}", hint)


def _text(one: DeclaredSetting, value: Any) -> Any:
    if is_empty_left_out(one) and (value is None or value == ""):
        return "" if one.default == "" else None
    expected, rule = _TEXTS.get(one.item_type, ("text", parse_single_line_text))
    if not isinstance(value, str):
        hint = "; put it into quotes" if isinstance(value, int | float) else ""
        raise wrong_value_error(one, value, expected, hint)
    if value == "":
        raise ValueError(f"expected {expected}, found an empty text{describe_origin(value)}")
    try:
        parsed = (one.setting.rule or rule)(str(value))
    except ValueError as error:
        raise ValueError(f"{error}{describe_origin(value)}") from None
    return Secret(parsed) if one.item_type is Secret else parsed


def describe_origin(value: Any) -> str:
    """The variable that it comes from, for a message."""
    return (
        f" (from ${{{value.names[0]}}})" if isinstance(value, ExpandedText) and value.names else ""
    )
