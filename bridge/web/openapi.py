"""The OpenAPI 3.1 document, generated from the endpoints and their marshmallow schemas, and the
page that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields

import bridge
from bridge import errors
from bridge.web import docs_page
from bridge.web.json_answer import JsonAnswer
from bridge.web.problem_details import MEDIA_TYPE, get_status_and_title
from bridge.web.routing import ALWAYS_OPEN, EXAMPLE_URL, Endpoint


@dataclass(frozen=True, slots=True)
class ProductInfo:
    """What the document calls this daemon, and where it is reached."""

    title: str
    description: str
    url: str


class ProblemSchema(Schema):
    """RFC 9457."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(
        required=True,
        metadata={"enum": list(docs_page.list_titles_by_code())},
    )
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


def build_openapi_document(endpoints: Sequence[Endpoint], product: ProductInfo) -> dict[str, Any]:
    """The OpenAPI document of *endpoints*."""
    spec = APISpec(
        title=product.title,
        version=bridge.__version__,
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin()],
        info={"description": product.description},
        servers=[{"url": product.url}],
    )
    spec.components.security_scheme("customer", {"type": "http", "scheme": "bearer"})
    spec.components.schema("Problem", schema=ProblemSchema)
    for endpoint in endpoints:
        spec.path(path=endpoint.path, operations={endpoint.method.lower(): _operation(endpoint)})
    built: dict[str, Any] = spec.to_dict()
    for endpoint in endpoints:
        _add_examples(built["paths"][endpoint.path][endpoint.method.lower()], endpoint, product.url)
    return built


def create_openapi_endpoints(endpoints: list[Endpoint], product: ProductInfo) -> list[Endpoint]:
    """``/openapi.json`` and ``/docs``, which document *endpoints* and themselves."""
    shown = docs_page.create_docs_page()

    async def openapi(request: web.Request) -> web.Response:
        return JsonAnswer(raw)

    async def docs(request: web.Request) -> web.Response:
        return shown(built)

    own = [
        Endpoint(
            "GET",
            "/openapi.json",
            openapi,
            "This document.",
            {200: ("OpenAPI 3.1", "application/json")},
            tag="docs",
        ),
        Endpoint(
            "GET",
            "/docs",
            docs,
            "This document for people.",
            {200: ("A page", "text/html")},
            tag="docs",
        ),
    ]
    built = build_openapi_document([*endpoints, *own], product)
    raw = orjson.dumps(built)
    return own


def list_statuses(endpoint: Endpoint) -> list[int]:
    """Every status that an endpoint is documented to answer with."""
    return sorted({*_problems(endpoint), *endpoint.responses})


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    answers = {**_problems(endpoint), **endpoint.responses}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "responses": {
            str(status): _response(status, documented)
            for status, documented in sorted(answers.items())
        },
    }
    if endpoint.name:
        operation["operationId"] = endpoint.name
    if endpoint.leads_to:
        operation["responses"]["200"]["links"] = {
            name: {
                "operationId": name,
                "parameters": {one: f"$response.body#/{field}" for one, field in how.items()},
            }
            for name, how in endpoint.leads_to.items()
        }
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    if names:
        operation["parameters"] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
                "description": endpoint.parameters.get(name, ""),
            }
            for name in names
        ]
    if endpoint.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(endpoint.request)}
    if endpoint.secured:
        operation["security"] = [{"customer": []}]
    return operation


def _add_examples(operation: dict[str, Any], endpoint: Endpoint, url: str) -> None:
    """Put an endpoint's examples into its operation, with this bridge's own URL; what belongs
    together has one name.
    """
    for example in endpoint.examples:
        answer = operation["responses"][str(example.status)]
        places = [(answer, example.answer)]
        if example.body is not None:
            places.append((operation["requestBody"], example.body))
        for place, value in places:
            for content in place["content"].values():
                content.setdefault("examples", {})[example.name] = {
                    "summary": example.title,
                    "value": _located(value, url),
                }
        if example.headers:
            operation.setdefault("x-example-headers", {})[example.name] = dict(example.headers)


def _located(value: object, url: str) -> object:
    return orjson.loads(orjson.dumps(value).replace(EXAMPLE_URL.encode(), url.encode()))


def _problems(endpoint: Endpoint) -> dict[int, object]:
    """The error answers by status: what the endpoint may refuse, and what any endpoint may."""
    kinds: list[type[errors.BridgeError]] = [errors.UnsupportedEncoding]
    if endpoint.secured:
        kinds += [errors.Unauthorized, errors.TooManyRequests]
    if endpoint.tag not in ALWAYS_OPEN:
        kinds.append(errors.StoreUnavailable)
    titles: dict[int, list[str]] = {}
    for status, title in map(get_status_and_title, (*kinds, *endpoint.refusals)):
        titles.setdefault(status, []).append(title)
    return {status: ("; ".join(some), MEDIA_TYPE) for status, some in titles.items()}


def _response(status: int, documented: object) -> dict[str, Any]:
    if isinstance(documented, tuple):
        description, kind = documented
        return {"description": description, "content": _content(kind)}
    return {"description": str(documented) or HTTPStatus(status).phrase}


def _content(kind: object) -> dict[str, Any]:
    if isinstance(kind, str):
        schema: object = {"$ref": "#/components/schemas/Problem"} if kind == MEDIA_TYPE else {}
        return {kind: {"schema": schema}}
    return {"application/json": {"schema": kind}}
