"""Strict reading of requests: what the vendors' pages do not allow is refused."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from marshmallow import Schema, ValidationError, fields, validate

INVITATION_TYPES = ("email", "one_time_link")


class Refusal(Exception):
    """An answer other than success. *violation*: the caller broke a rule; else it is too early,
    too late or the like.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        violation: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.violation = violation
        self.headers = headers


def create_json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer in JSON, with letters as they are and times in ISO 8601."""
    text = json.dumps(value, ensure_ascii=False, default=datetime.isoformat)
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


async def read_json_object(request: web.Request) -> dict[str, Any]:
    """The body; refuses other media types (415), and doubled keys, NaN and the like (400)."""
    if request.content_type != "application/json":
        raise Refusal(415, f"Content-Type must be application/json, not {request.content_type}")
    if (request.charset or "utf-8").lower() != "utf-8":
        raise Refusal(415, f"JSON is UTF-8, not {request.charset}")
    try:
        text = (await request.read()).decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refusal(400, "body must be a JSON object")
    return value


async def read_query_without_body(request: web.Request, *query: str) -> dict[str, str]:
    """Refuse a body, and what ``read_query`` refuses; gives the query."""
    if await request.read():
        raise Refusal(400, f"{request.method} {request.path} takes no body")
    return read_query(request, *query)


def read_query(request: web.Request, *names: str) -> dict[str, str]:
    """The query; refuses other names than these, and a name that is given twice."""
    query = dict(request.query)
    if query.keys() - set(names) or len(query) < len(request.query):
        raise Refusal(422, f"unknown or doubled query parameter: {request.query_string}")
    return query


def check_locale(locale: str) -> None:
    """Refuse anything that is not a language code."""
    if not re.fullmatch(r"[a-z]{2}(-[A-Z]{2})?", locale):
        raise Refusal(422, "locale: must be a language code")


def read_basic_auth(request: web.Request) -> tuple[str, str]:
    """User and password of a Basic header (RFC 7617); 401 for a missing or malformed one."""
    encoded = _credentials(request, "Basic")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        raise create_unauthorized_refusal(
            "Basic", "Basic authorization is not base64 of UTF-8"
        ) from None
    if not colon:
        raise create_unauthorized_refusal("Basic", "Basic authorization has no colon")
    return user, password


def read_bearer_token(request: web.Request) -> str:
    """The token of a Bearer header; 401 for a missing one."""
    return _credentials(request, "Bearer")


def create_unauthorized_refusal(scheme: str, detail: str, *, violation: bool = True) -> Refusal:
    """A 401 that names the scheme."""
    return Refusal(401, detail, violation=violation, headers={"WWW-Authenticate": scheme})


def _credentials(request: web.Request, scheme: str) -> str:
    given, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if given.lower() != scheme.lower() or not credentials or " " in credentials:
        raise create_unauthorized_refusal(scheme, f"{scheme} authorization is missing")
    return credentials


def check_fields(schema: Schema, body: dict[str, Any]) -> None:
    """Refuse a body that breaks a rule."""
    if errors := schema.validate(body):
        raise Refusal(422, json.dumps(errors))


def create_field_validator(what: str, fits: Callable[[Any], object]) -> Callable[[Any], None]:
    """A validator of values for which *fits* is true and does not raise ``ValueError``."""

    def check(value: Any) -> None:
        with suppress(ValueError):
            if fits(value):
                return
        raise ValidationError(f"must be {what}")

    return check


def _is_url(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool) or value in ("true", "false")


is_url = create_field_validator("an absolute http(s) URL", _is_url)
_is_unicode = create_field_validator("Unicode text", lambda text: text.encode() or True)


def _text(*checks: Callable[[Any], Any]) -> fields.String:
    return fields.String(required=True, validate=[_is_unicode, *checks])


# https://equalture-ats.readme.io/reference/introduction, sections 2 and 3
_PERSON: dict[str, fields.Field[Any]] = {
    "first_name": _text(),
    "last_name": _text(),
    "email": _text(validate.Regexp(r"[^@\s]+@[^@\s]+\Z")),
}
ORDER = Schema.from_dict(
    {
        "job_id": _text(validate.Regexp(r"\s*\S")),
        "callback_url": _text(validate.Regexp(r"[^\s#]+\Z"), is_url),
        "invitation_type": _text(validate.OneOf(INVITATION_TYPES)),
        "applicant_details": fields.Nested(Schema.from_dict(_PERSON), required=True),
    }
)()
"""The body of a create: exactly the documented fields."""
HIRE = Schema.from_dict(
    {
        "add_to_team": fields.Raw(
            required=True, validate=create_field_validator('"true" or "false"', _is_flag)
        ),
        "start_date": fields.String(
            validate=[
                validate.Regexp(r"\d{4}-\d\d-\d\d\Z"),
                create_field_validator("YYYY-MM-DD", date.fromisoformat),
            ]
        ),
    }
)()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is given twice")
    return value
