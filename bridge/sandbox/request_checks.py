"""Strict reading of requests: what the vendors' pages do not allow is refused.

The rules for bodies are those of https://equalture-ats.readme.io/reference/introduction, sections
2, 3 and 5b.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

INVITATION_TYPES = ("email", "one_time_link")


class Refusal(Exception):
    """An answer other than success. *violation*: the caller broke a rule (else a state of affairs,
    like "not ready").
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


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer in JSON, with letters as they are."""
    return web.json_response(
        value, status=status, headers=headers, dumps=partial(json.dumps, ensure_ascii=False)
    )


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object: refuses other media types (415), and doubled keys, NaN and the
    like (400).
    """
    media, _, parameters = request.headers.get("Content-Type", "").partition(";")
    if media.strip().lower() != "application/json":
        raise Refusal(
            415, f"Content-Type must be application/json, not {media.strip() or 'missing'}"
        )
    charset = parameters.strip().lower().replace('"', "")
    if charset not in ("", "charset=utf-8"):
        raise Refusal(415, f"JSON is UTF-8, not {charset}")
    try:
        text = (await request.read()).decode("utf-8")
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refusal(400, "body must be a JSON object")
    return value


async def no_body(request: web.Request) -> None:
    """Refuse a body where the contract has none."""
    if await request.read():
        raise Refusal(400, f"{request.method} {request.path} takes no body")


def allowed_query(request: web.Request, *names: str) -> dict[str, str]:
    """The query; refuses other names than these, and a name that is given twice."""
    query = dict(request.query)
    if unknown := query.keys() - set(names):
        raise Refusal(422, f"unknown query parameter {', '.join(sorted(unknown))}")
    if len(query) < len(request.query):
        raise Refusal(422, "query parameter given twice")
    return query


def locale_of(request: web.Request) -> str:
    """The ``locale`` of the query, which may hold nothing else; English without one."""
    locale = allowed_query(request, "locale").get("locale", "en")
    if not re.fullmatch(r"[a-z]{2}(-[A-Z]{2})?", locale):
        raise Refusal(422, "locale: must be a language code")
    return locale


def basic_auth(request: web.Request) -> tuple[str, str]:
    """User name and password of a Basic header; refuses (401) one that is missing or malformed (RFC
    7617).
    """
    try:
        user, colon, password = (
            base64.b64decode(_credentials(request, "Basic"), validate=True).decode().partition(":")
        )
    except ValueError:
        raise unauthorized("Basic", "Basic authorization is not base64 of UTF-8") from None
    if not colon:
        raise unauthorized("Basic", "Basic authorization has no colon")
    return user, password


def bearer(request: web.Request) -> str:
    """The token of a Bearer header; refuses (401) one that is missing."""
    return _credentials(request, "Bearer")


def unauthorized(scheme: str, detail: str, *, violation: bool = True) -> Refusal:
    """A 401 that names the scheme."""
    return Refusal(401, detail, violation=violation, headers={"WWW-Authenticate": scheme})


def _credentials(request: web.Request, scheme: str) -> str:
    found, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if found.lower() != scheme.lower() or not credentials or " " in credentials:
        raise unauthorized(scheme, f"{scheme} authorization is missing")
    return credentials


def check_order(body: dict[str, Any]) -> None:
    """Refuse a create body with other than exactly the documented fields, which are all strings."""
    _check_fields(body, "", ("job_id", "callback_url", "invitation_type", "applicant_details"))
    person = body["applicant_details"]
    if not isinstance(person, dict):
        raise Refusal(422, "applicant_details: must be an object")
    _check_fields(person, "applicant_details.", ("first_name", "last_name", "email"))
    for part, name in (
        (body, "job_id"),
        (body, "callback_url"),
        (body, "invitation_type"),
        (person, "email"),
    ):
        _check_text(part, name)
        if not part[name].strip():
            raise Refusal(422, f"{name}: can't be blank")
    _check_text(person, "first_name")
    _check_text(person, "last_name")
    if body["invitation_type"] not in INVITATION_TYPES:
        raise Refusal(422, f"invitation_type: must be one of {', '.join(INVITATION_TYPES)}")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", person["email"]):
        raise Refusal(422, "applicant_details.email: is no e-mail address")
    if not is_url(body["callback_url"]) or re.search(r"[\s#]", body["callback_url"]):
        raise Refusal(422, "callback_url: must be an absolute http(s) URL")


def check_hire(body: dict[str, Any], form: str) -> None:
    """Refuse a hire body out of order; an ``add_to_team`` that only this account does not take is
    no violation.
    """
    _check_fields(body, "", ("add_to_team",), optional=("start_date",))
    flag = body["add_to_team"]
    if not isinstance(flag, bool) and flag not in ("true", "false"):
        raise Refusal(422, 'add_to_team: must be "true" or "false"')
    if form != "either" and isinstance(flag, bool) != (form == "boolean"):
        raise Refusal(422, f"add_to_team: must be a {form}", violation=False)
    if "start_date" in body and not _is_date(body["start_date"]):
        raise Refusal(422, "start_date: must be YYYY-MM-DD")


def is_url(value: Any) -> bool:
    """Whether it is an absolute http(s) URL."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


def _check_fields(
    body: dict[str, Any], prefix: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    if missing := [prefix + name for name in required if name not in body]:
        raise Refusal(422, f"{', '.join(missing)}: can't be blank")
    if unknown := sorted(prefix + name for name in body.keys() - {*required, *optional}):
        raise Refusal(422, f"{', '.join(unknown)}: unknown field")


def _check_text(body: dict[str, Any], name: str) -> None:
    if not isinstance(body[name], str):
        raise Refusal(422, f"{name}: must be a string")
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in body[name]):
        raise Refusal(422, f"{name}: is not Unicode text")


def _is_date(value: Any) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is given twice")
    return value
