"""Strict reading of what a caller sends to the Equalture fake (introduction, 2, 3 and 5b): every broken rule is a 422."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from urllib.parse import urlsplit

from bridge.sandbox.wire import Call, Refusal, allowed_query

INVITATION_TYPES = ("email", "one_time_link")


@dataclass(frozen=True, slots=True)
class ApplicationFields:
    """The body of a create call."""

    job_id: str
    callback_url: str
    invitation_type: str
    first_name: str
    last_name: str
    email: str


def application_fields(body: dict[str, Any]) -> ApplicationFields:
    """Read a create body: exactly the documented fields, all of them, all strings."""
    _fields(body, "", ("job_id", "callback_url", "invitation_type", "applicant_details"))
    person = body["applicant_details"]
    if not isinstance(person, dict):
        raise Refusal(422, "applicant_details: must be an object")
    _fields(person, "applicant_details.", ("first_name", "last_name", "email"))
    fields = ApplicationFields(
        job_id=_text(body, "job_id"),
        callback_url=_text(body, "callback_url"),
        invitation_type=_text(body, "invitation_type"),
        first_name=_text(person, "first_name", blank=True),
        last_name=_text(person, "last_name", blank=True),
        email=_text(person, "email"),
    )
    if fields.invitation_type not in INVITATION_TYPES:
        raise Refusal(422, f"invitation_type: must be one of {', '.join(INVITATION_TYPES)}")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", fields.email):
        raise Refusal(422, "applicant_details.email: is no e-mail address")
    _check_url(fields.callback_url)
    return fields


def hire_fields(body: dict[str, Any], form: Literal["string", "boolean", "either"]) -> tuple[bool, str | None]:
    """Read a hire body. ``add_to_team`` in the form that the account does not take is refused, but is no violation."""
    _fields(body, "", ("add_to_team",), optional=("start_date",))
    flag = body["add_to_team"]
    if not isinstance(flag, bool) and flag not in ("true", "false"):
        raise Refusal(422, 'add_to_team: must be "true" or "false"')
    if form != "either" and isinstance(flag, bool) != (form == "boolean"):
        raise Refusal(422, f"add_to_team: must be a {form}", violation=False)
    start_date = body.get("start_date")
    if "start_date" in body and not _is_date(start_date):
        raise Refusal(422, "start_date: must be YYYY-MM-DD")
    return flag in (True, "true"), start_date


def locale_of(call: Call) -> str:
    """The ``locale`` of the query; English without one."""
    locale = allowed_query(call, "locale").get("locale", "en")
    if not re.fullmatch(r"[a-z]{2}(-[A-Z]{2})?", locale):
        raise Refusal(422, "locale: must be a language code")
    return locale


def _fields(body: dict[str, Any], prefix: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    missing = [prefix + name for name in required if name not in body]
    if missing:
        raise Refusal(422, f"{', '.join(missing)}: can't be blank")
    unknown = sorted(prefix + name for name in body.keys() - {*required, *optional})
    if unknown:
        raise Refusal(422, f"{', '.join(unknown)}: unknown field")


def _text(body: dict[str, Any], name: str, *, blank: bool = False) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise Refusal(422, f"{name}: must be a string")
    if not blank and not value.strip():
        raise Refusal(422, f"{name}: can't be blank")
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
        raise Refusal(422, f"{name}: is not Unicode text")
    return value


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", url):
        raise Refusal(422, "callback_url: must be an absolute http(s) URL")


def _is_date(value: Any) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


__all__ = ["ApplicationFields", "application_fields", "hire_fields", "locale_of"]
