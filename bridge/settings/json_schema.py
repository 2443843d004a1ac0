"""Both files as JSON Schema (draft 2020-12), for editors: made from the schemas that read them, so
never out of step.

It knows shapes, words and simple patterns; what takes more (URLs, things that hang together) is
told by ``check``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from typing import Any

from marshmallow import Schema
from marshmallow.fields import Field

from bridge.core.customers import Customer
from bridge.settings import customers, daemon
from bridge.settings.document import Path
from bridge.settings.fields import (
    Choice,
    DigestText,
    Duration,
    Flag,
    Keys,
    KeyText,
    Many,
    OneOrMany,
    Section,
    Text,
    Whole,
)
from bridge.settings.masking import plain
from bridge.settings.secret_files import SUFFIX

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Json = dict[str, Any]

_REFERENCE = r"\$\{"
_VARIABLE: Json = {
    "type": "string",
    "pattern": _REFERENCE,
    "description": "${NAME} or ${NAME:-default}",
}
_LITERAL: Json = {"type": "string", "minLength": 1, "not": {"pattern": _REFERENCE}}
_PATTERNS: dict[type[Field[Any]], str] = {
    DigestText: "^[0-9a-fA-F]{64}$",
    Duration: "^[0-9]{1,15}(ms|s|m|h|d)$",
    KeyText: "^[A-Za-z0-9_-]{43}=?$",
}


def json_schema() -> Json:
    """The schemas of ``bridge.yaml`` and of a customer's file, as ``{"bridge": ..., "customer":
    ...}``.
    """
    return {
        "bridge": _file(
            daemon.BridgeSchema(),
            daemon.SINGLE_SECRETS,
            daemon.KEY_LISTS,
            daemon.Settings,
            "bridge.yaml",
        ),
        "customer": _file(
            customers.CustomerSchema(), customers.SECRETS, (), Customer, "customers/<key>.yaml"
        ),
    }


def _file(
    schema: Schema, single: Sequence[Path], lists: Sequence[Path], made: type[Any], title: str
) -> Json:
    twins = dict.fromkeys(single, "a file that holds the secret and nothing else")
    twins |= dict.fromkeys(lists, "a file that holds one entry a line")
    return {"$schema": DIALECT, "title": title, **_section(schema, twins, (), made)}


def _section(
    schema: Schema, twins: dict[Path, str], path: Path, made: type[Any] | None = None
) -> Json:
    """The keys of *schema*, at *path*; *made*: where the defaults are, if the schema does not say."""
    made = made or getattr(schema, "makes", None)
    defaults = (
        {one.name: one for one in fields(made)} if made is not None and is_dataclass(made) else {}
    )
    properties: Json = {}
    required: list[str] = []
    rules: list[Json] = []
    for name, field in schema.fields.items():
        here = (*path, name)
        properties[name] = _value(field, partial(_section, twins=twins, path=here))
        default = defaults[name].default if name in defaults else MISSING
        if default is not MISSING and not field.required and not isinstance(field, Section):
            properties[name]["default"] = plain(default)
        if here not in twins:
            required += [name] if field.required else []
            continue
        properties[name + SUFFIX] = {
            "type": ["string", "null"],
            "description": f"Instead of {name}: {twins[here]}",
        }
        rules.append(_not_both(name, isinstance(field, Many)))
        if field.required:
            rules.append({"anyOf": [{"required": [name]}, {"required": [name + SUFFIX]}]})
    # A section whose keys are all commented out is null in YAML.
    needed = any(field.required for field in schema.fields.values())
    found: Json = {"type": "object" if needed else ["object", "null"]}
    found |= {"properties": properties, "additionalProperties": False}
    return (
        found | ({"required": required} if required else {}) | ({"allOf": rules} if rules else {})
    )


def _not_both(name: str, many: bool) -> Json:
    """Empty ones count as left out, and nobody knows what a variable holds."""
    given = {"type": "array", "minItems": 1} if many else _LITERAL
    both = {"required": [name, name + SUFFIX], "properties": {name: given, name + SUFFIX: _LITERAL}}
    return {"not": {"type": "object", **both}}


def _value(field: Field[Any], section: Any) -> Json:
    if isinstance(field, Section):
        inner: Json = section(field.schema)
        return inner
    if isinstance(field, OneOrMany):
        one = _value(field.inner, section)
        return {"anyOf": [one, {"type": "array", "items": one}, {"enum": [None, ""]}]}
    if isinstance(field, Many):
        least = max(field.least, int(isinstance(field, Keys) and field.required))
        return {
            "type": "array",
            "items": _value(field.inner, section),
            **({"minItems": least} if least else {}),
        }
    choices = [_scalar(field), _VARIABLE]
    if isinstance(field, Text) and "pattern" not in choices[0]:
        choices.pop()  # any text may hold a variable
    if field.allow_none:
        # An empty text counts as left out, for that is what "${NAME:-}" gives.
        choices.append({"enum": [None, ""]} if isinstance(field, Text) else {"type": "null"})
    described = {"description": text} if (text := _description(field)) else {}
    return described | (choices[0] if len(choices) == 1 else {"anyOf": choices})


def _scalar(field: Field[Any]) -> Json:
    match field:
        case Choice():
            return {"enum": list(field.words)}
        case Flag():
            return {"type": "boolean"}
        case Whole():
            return {"type": "integer", "minimum": field.least}
        case _:
            pattern = _PATTERNS.get(type(field))
            return {"type": "string", **({"pattern": pattern} if pattern else {"minLength": 1})}


def _description(field: Field[Any]) -> str:
    """What the rule for a text says of itself, or what messages say is expected."""
    rule = getattr(field, "rule", None)
    words = str(getattr(rule, "__doc__", None) or getattr(field, "expected", ""))
    return "" if words == Text.expected else words.partition("\n")[0].partition(";")[0].rstrip(".")
