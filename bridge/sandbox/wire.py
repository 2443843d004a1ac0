"""HTTP as the sandbox sees it: a call that came in, an answer to give, and the strict reading of bodies.

Handlers take a ``Call`` and return an ``Answer`` or raise ``Refusal``; only ``server`` knows aiohttp.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from bridge.sandbox.ledger import BODY_LIMIT


@dataclass(slots=True)
class Call:
    """One call that came in; what a handler reads and a fault's ``when`` may judge."""

    operation: str
    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    body: bytes
    params: dict[str, str] = field(default_factory=dict)
    """The variable parts of the path, percent-decoded."""
    account: str | None = None
    invitation_id: str | None = None
    reference_id: str | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query, decoded; of repeated names the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The body if it is JSON, else None (lenient: for the ledger and for ``when``)."""
        return lenient_json(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back: JSON, or *body* of *content_type* where that is given."""

    status: int
    json: Any = None
    body: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> bytes:
        """The bytes on the wire; a 204 has none."""
        if self.body is not None:
            return self.body
        return b"" if self.status == 204 else json.dumps(self.json, ensure_ascii=False).encode()

    def with_body(self, body: bytes, content_type: str) -> Answer:
        """The same status and headers around other bytes."""
        return replace(self, body=body, content_type=content_type, json=None)

    def with_json(self, value: Any) -> Answer:
        """The same status and headers around other JSON."""
        return replace(self, json=value, body=None, content_type="application/json")

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        """The same answer with these headers."""
        return replace(self, headers=headers)


def page(status: int, html: str) -> Answer:
    """A page for people; never kept by browsers, as its state changes."""
    return Answer(status, body=html.encode(), content_type="text/html", headers={"Cache-Control": "no-store"})


class Refusal(Exception):
    """An answer other than success. *violation*: the caller broke a rule (else: a state of affairs, like "not ready")."""

    def __init__(
        self, status: int, detail: str, *, violation: bool = True, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.violation = violation
        self.headers = dict(headers or {})


def lenient_json(body: bytes) -> Any:
    """Parsed JSON, or None if it is none or too long to keep."""
    if not body or len(body) > BODY_LIMIT:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def json_object(call: Call, *, broken: int) -> dict[str, Any]:
    """The body as a JSON object, read strictly: media type (415), UTF-8, no NaN, no doubled keys (*broken*)."""
    media, _, parameters = call.headers.get("Content-Type", "").partition(";")
    if media.strip().lower() != "application/json":
        raise Refusal(415, f"Content-Type must be application/json, not {media.strip() or 'missing'}")
    charset = parameters.strip().lower().replace('"', "")
    if charset not in ("", "charset=utf-8"):
        raise Refusal(415, f"JSON is UTF-8, not {charset}")
    try:
        value = json.loads(call.body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        raise Refusal(broken, f"body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refusal(broken, "body must be a JSON object")
    return value


def no_body(call: Call) -> None:
    """Refuse a body where the contract has none."""
    if call.body:
        raise Refusal(400, f"{call.method} {call.path} takes no body")


def allowed_query(call: Call, *names: str) -> dict[str, str]:
    """The query, with no names but these and none twice."""
    pairs = parse_qsl(call.query_string, keep_blank_values=True)
    query = dict(pairs)
    unknown = query.keys() - set(names)
    if unknown:
        raise Refusal(422, f"unknown query parameter {', '.join(sorted(unknown))}")
    if len(query) < len(pairs):
        raise Refusal(422, "query parameter given twice")
    return query


def basic_auth(call: Call) -> tuple[str, str]:
    """User name and password of a Basic header; 401 where there is none or it is malformed (RFC 7617 wants the colon)."""
    scheme, _, encoded = call.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic" or not encoded:
        _unauthorized("Basic authorization is missing", "Basic")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        _unauthorized("Basic authorization is not base64 of UTF-8", "Basic")
    if not colon:
        _unauthorized("Basic authorization has no colon", "Basic")
    return user, password


def bearer(call: Call) -> str:
    """The token of a Bearer header; 401 where there is none."""
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        _unauthorized("Bearer authorization is missing", "Bearer")
    return token


def _unauthorized(detail: str, scheme: str) -> NoReturn:
    raise Refusal(401, detail, headers={"WWW-Authenticate": scheme})


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is given twice")
    return value


__all__ = [
    "Answer",
    "Call",
    "Refusal",
    "allowed_query",
    "basic_auth",
    "bearer",
    "json_object",
    "lenient_json",
    "no_body",
    "page",
]
