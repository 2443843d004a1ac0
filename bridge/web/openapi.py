"""The OpenAPI 3.1 document, generated from the endpoints and their marshmallow schemas, and the
page that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
from bridge.web.page_templates import PageTemplates
from bridge.web.problem_details import CODES, MEDIA_TYPE, get_status_and_title
from bridge.web.routing import ALWAYS_OPEN, Endpoint, json_response


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
        metadata={"enum": [*CODES, "not_found", "method_not_allowed", "internal_error"]},
    )
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


def build_openapi_document(endpoints: Iterable[Endpoint], product: ProductInfo) -> dict[str, Any]:
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
    return built


def create_openapi_endpoints(
    endpoints: list[Endpoint], pages: PageTemplates, product: ProductInfo
) -> list[Endpoint]:
    """``/openapi.json`` and ``/docs``, which document *endpoints* and themselves."""

    async def openapi(request: web.Request) -> web.Response:
        return json_response(body=raw)

    async def docs(request: web.Request) -> web.Response:
        return pages.html("docs.html", title=product.title, spec=built, codes=_codes())

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


def _codes() -> dict[str, str]:
    return {
        code: code.replace("_", " ")
        for code in (*CODES, "not_found", "method_not_allowed", "internal_error")
    }
