"""``GET /docs``: the OpenAPI document for people, with examples and lines to paste."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from aiohttp import web

from bridge.web.page_templates import PageTemplates
from bridge.web.problem_details import TITLES

_GROUPS = {"pages": "Links that people open", "health": "Health", "docs": "Documentation"}
"""Tag -> heading; others are headings themselves."""
_WIDTH = 88
_WHERE = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class ShownExample:
    """One call: what is sent, as far as it is JSON, and what comes back."""

    title: str
    status: str
    sent: str
    answered: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint's section."""

    anchor: str
    method: str
    path: str
    about: Mapping[str, Any]
    """Its part of the OpenAPI document."""
    curl: str
    examples: Sequence[ShownExample]


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A field of a schema in words; *schema*: the name of its own, if it has one."""

    name: str
    kind: str
    schema: str
    required: bool
    note: str


def create_docs_page() -> Callable[[Mapping[str, Any]], web.Response]:
    """What makes the page of an OpenAPI document."""
    pages = PageTemplates("docs.css")

    def show(spec: Mapping[str, Any]) -> web.Response:
        schemas = spec["components"]["schemas"]
        return pages.html(
            "docs.html",
            title=spec["info"]["title"],
            spec=spec,
            groups=_groups(spec),
            schemas={name: list(_fields(schema)) for name, schema in schemas.items()},
            get_schema_name=get_schema_name,
            codes=list_titles_by_code(),
        )

    return show


def list_titles_by_code() -> dict[str, list[tuple[int, str]]]:
    """Every code that an error may have, with its statuses and titles."""
    codes: dict[str, list[tuple[int, str]]] = {}
    for code, status, title in TITLES:
        codes.setdefault(code, []).append((status, title))
    return codes


def get_schema_name(schema: Mapping[str, Any]) -> str:
    """The name of the schema that is referred to, or nothing."""
    return str(schema.get("$ref", "")).removeprefix(_WHERE)


def _groups(spec: Mapping[str, Any]) -> dict[str, list[Operation]]:
    groups: dict[str, list[Operation]] = {}
    for path, operations in spec["paths"].items():
        for method, about in operations.items():
            tag = about["tags"][0]
            shown = Operation(
                re.sub(r"[^a-z]+", "-", f"{method}{path}".lower()).strip("-"),
                method.upper(),
                path,
                about,
                _curl(spec["servers"][0]["url"], method.upper(), path, about),
                list(_examples(about)),
            )
            groups.setdefault(_GROUPS.get(tag, tag), []).append(shown)
    return groups


def _sent(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name -> example of a body."""
    contents = about.get("requestBody", {}).get("content", {}).values()
    return {name: one for body in contents for name, one in body.get("examples", {}).items()}


def _examples(about: Mapping[str, Any]) -> Iterator[ShownExample]:
    sent = _sent(about)
    for status, answer in about["responses"].items():
        for body in answer.get("content", {}).values():
            for name, example in body.get("examples", {}).items():
                request = _laid_out(sent[name]["value"]) if name in sent else ""
                yield ShownExample(example["summary"], status, request, _laid_out(example["value"]))


def _curl(url: str, method: str, path: str, about: Mapping[str, Any]) -> str:
    """A line for a shell, for the first example; what differs from caller to caller is a
    variable.
    """
    parts = ["curl -sS" if method in ("GET", "POST", "PUT") else "curl -sS -i"]
    if about.get("security"):
        parts.append('-H "Authorization: Bearer $TOKEN"')
    sent = _sent(about)
    if sent:
        name, example = next(iter(sent.items()))
        headers = about.get("x-example-headers", {}).get(name, {})
        parts += [f"-H {quote(f'{key}: {value}')}" for key, value in headers.items()]
        parts.append("-H 'Content-Type: application/json'")
        parts.append(f"-d {quote(json.dumps(example['value'], ensure_ascii=False))}")
    if method != ("POST" if sent else "GET"):
        parts[0] += f" -X {method}"
    named = re.sub(r"\{(\w+)\}", lambda match: f"${{{_variable(match[1])}}}", url + path)
    line = " ".join([*parts, f'"{named}"'])
    return line if len(line) <= _WIDTH else " \\\n  ".join([*parts, f'"{named}"'])


def _variable(parameter: str) -> str:
    return "LINK" if parameter == "token" else parameter.upper()


def _laid_out(value: object, indent: str = "") -> str:
    """JSON with a line for each member of what does not fit on one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, dict | list) or not value:
        return line
    deeper = f"{indent}  "
    if isinstance(value, dict):
        members = [
            f"{json.dumps(name, ensure_ascii=False)}: {_laid_out(one, deeper)}"
            for name, one in value.items()
        ]
    else:
        members = [_laid_out(one, deeper) for one in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    inner = f",\n{deeper}".join(members)
    return f"{first}\n{deeper}{inner}\n{indent}{last}"


def _fields(schema: Mapping[str, Any]) -> Iterator[FieldRow]:
    required = schema.get("required", ())
    for name, about in schema.get("properties", {}).items():
        yield FieldRow(name, _kind(about), get_schema_name(about), name in required, _note(about))


def _kind(about: Mapping[str, Any]) -> str:
    kind = about.get("type", "")
    if isinstance(kind, list):
        return " or ".join(kind)
    return str(about.get("format", kind))


def _note(about: Mapping[str, Any]) -> str:
    words = [about["description"]] if "description" in about else []
    if "enum" in about and len(about["enum"]) <= 5:
        words.append("one of " + ", ".join(map(str, about["enum"])))
    if "maxLength" in about:
        words.append(f"{about.get('minLength', 0)} to {about['maxLength']} characters")
    return "; ".join(words)
