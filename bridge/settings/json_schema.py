"""The JSON Schema (draft 2020-12) of a kind of file, for editors: generated from the declarations.

It covers types, words and simple patterns; only the command ``check`` finds the rest (URLs, rules
that involve several keys).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from bridge.core.customers import TokenDigest
from bridge.core.declaration import DeclaredSetting, declared_settings
from bridge.settings.masking import convert_to_plain_data
from bridge.settings.scalars import can_come_from_file, is_empty_left_out
from bridge.settings.secret_files import SUFFIX

Json = dict[str, Any]

_REFERENCE = r"\$\{"
_VARIABLE: Json = {"type": "string", "pattern": _REFERENCE}
_LITERAL: Json = {"type": "string", "minLength": 1, "not": {"pattern": _REFERENCE}}
_PATTERNS: Mapping[Any, str] = {
    timedelta: "[0-9]{1,15}(ms|s|m|h|d)",
    bytes: "[A-Za-z0-9_-]{43}=?",
    TokenDigest: "[0-9a-fA-F]{64}",
}


def build_json_schema(
    settings_type: type, title: str, inherited: Mapping[str, Collection[str]]
) -> Json:
    """The schema of a file that is read as *settings_type* and may lack *inherited* keys, by
    section.
    """
    dialect = "https://json-schema.org/draft/2020-12/schema"
    found = _section(settings_type)
    for name, keys in inherited.items():
        section = found["properties"][name]
        section["required"] = [key for key in section["required"] if key not in keys]
        for key in keys:
            section["properties"][key].pop("default", None)
    return {"$schema": dialect, "title": title, **found}


def _section(settings_type: type) -> Json:
    properties: Json = {}
    required: list[str] = []
    rules: list[Json] = []
    for name, one in declared_settings(settings_type).items():
        properties[name] = {"description": one.setting.doc, **_value(one)}
        if not one.is_required and not one.is_section:
            properties[name]["default"] = convert_to_plain_data(one.default)
        if not can_come_from_file(one):
            required += [name] if one.is_required else []
            continue
        content = "one entry a line" if one.is_list else "the secret and nothing else"
        properties[name + SUFFIX] = {
            "description": f"Instead of {name}: a file that holds {content}.",
            "type": ["string", "null"],
        }
        rules.append(_not_both(one))
        if one.is_required:
            rules.append({"anyOf": [{"required": [name]}, {"required": [name + SUFFIX]}]})
    # A section whose keys are all commented out is null in YAML.
    needed = any(one.is_required for one in declared_settings(settings_type).values())
    found: Json = {"type": "object" if needed else ["object", "null"]}
    found |= {"properties": properties, "additionalProperties": False, "required": required}
    return found | ({"allOf": rules} if rules else {})


def _not_both(one: DeclaredSetting) -> Json:
    """The rule that a secret and its file are not both given; empty ones and references are
    allowed.
    """
    name, file = one.name, one.name + SUFFIX
    given = {"type": "array", "minItems": 1} if one.is_list else _LITERAL
    both = {"required": [name, file], "properties": {name: given, file: _LITERAL}}
    return {"not": {"type": "object", **both}}


def _value(one: DeclaredSetting) -> Json:
    entry = _section(one.item_type) if one.is_section else _single(one)
    if not one.is_list:
        return entry
    if one.setting.scalar_or_list:
        return {"anyOf": [entry, {"type": "array", "items": entry}, {"enum": [None, ""]}]}
    least = max(one.setting.minimum, int(one.is_required))
    return {"type": "array", "items": entry} | ({"minItems": least} if least else {})


def _single(one: DeclaredSetting) -> Json:
    choices = [_scalar(one)]
    if choices[0].get("type") != "string" or "pattern" in choices[0]:
        choices.append(_VARIABLE)  # any other text may contain one anyway
    if is_empty_left_out(one):
        none: Json = {"type": "null"} if one.item_type in (int, timedelta) else {"enum": [None, ""]}
        choices.append(none)
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _scalar(one: DeclaredSetting) -> Json:
    kind = one.item_type
    if kind is bool:
        return {"type": "boolean"}
    if kind is int:
        return {"type": "integer", "minimum": one.setting.minimum}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [str(word) for word in kind]}
    pattern = _PATTERNS.get(kind) or getattr(one.setting.rule, "pattern", "")
    more: Json = {"pattern": f"^(?:{pattern})$"} if pattern else {"minLength": 1}
    return {"type": "string", **more}
