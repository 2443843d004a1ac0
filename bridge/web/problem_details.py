"""Errors as RFC 9457 problems: the one table from error to status."""

from __future__ import annotations

import orjson
from aiohttp import web

from bridge import errors

MEDIA_TYPE = "application/problem+json"
_TABLE: dict[type[Exception], tuple[int, str]] = {
    errors.InvalidRequest: (400, "The request is not valid"),
    errors.UnknownAssessment: (400, "Unknown test"),
    errors.CallbackNotAllowed: (400, "This callback is not allowed"),
    errors.UnknownInvitationOnDelete: (400, "Unknown invitation"),
    errors.Unauthorized: (401, "A valid bearer token is needed"),
    errors.BadSignature: (401, "The signature does not fit"),
    errors.CrossSiteRequest: (403, "Not from here"),
    errors.EndpointNotEnabled: (404, "Not enabled"),
    errors.UnknownInvitation: (404, "Unknown invitation"),
    errors.BodyTimeout: (408, "The body came too slowly"),
    errors.InvitationGone: (410, "Deleted"),
    errors.BodyTooLarge: (413, "The body is too large"),
    errors.UnsupportedEncoding: (415, "Compressed bodies are not accepted"),
    errors.TooManyRequests: (429, "Too many requests"),
    errors.ProcessOverloaded: (503, "Too much at once"),
    errors.RequestInProgress: (503, "Busy with the same request"),
    errors.UpstreamRefused: (502, "The provider refused"),
    errors.UpstreamContractBroken: (502, "The provider's answer cannot be used"),
    errors.UpstreamNotConfirmed: (502, "Not confirmed by the provider yet"),
    errors.UpstreamUnavailable: (503, "The provider cannot be reached"),
    errors.OutcomeUnknown: (504, "The provider gave no usable answer"),
    errors.CustomerSetAside: (503, "This customer is not served for now"),
    errors.StoreUnavailable: (503, "The store cannot be reached"),
    errors.BridgeError: (500, "Internal error"),
    errors.RecordUnreadable: (503, "The record cannot be read"),
    errors.RecordDamaged: (503, "The record is damaged"),
    errors.RecordTooNew: (503, "Written by a newer version of the bridge"),
    errors.RecordKeyMissing: (503, "Encrypted with a key that is not listed"),
}
TITLES: tuple[tuple[str, int, str], ...] = (
    *((getattr(error, "code", "internal_error"), *row) for error, row in _TABLE.items()),
    ("not_found", 404, "Not Found"),
    ("method_not_allowed", 405, "Method Not Allowed"),
    ("not_ready", 503, "Not ready"),
)
"""Code, status and title of every problem."""
_RETRY_AFTER_S = 5
EXCERPT_LENGTH = 600
"""Characters of a vendor's refusal that are passed on: enough for two messages about every field
of an applicant.
"""
_INTERNAL_DETAILS: dict[type[errors.BridgeError], str] = {
    errors.StoreUnavailable: (
        "The store does not answer, so nothing was accepted; please try again later."
    ),
    errors.RecordUnreadable: "What is stored cannot be read for now; please try again later.",
}
"""What callers are told about the bridge's own failures; only the log and the admin listener give
the reason.
"""
_UPSTREAM_WORDS: dict[type[errors.UpstreamError], str] = {
    errors.UpstreamRefused: "{vendor} does not accept this, and a repeat will not help",
    errors.UpstreamContractBroken: "{vendor} answered, but not with what it documents",
    errors.UpstreamUnavailable: (
        "{vendor} cannot be asked right now, so nothing was done; please try again later"
    ),
    errors.OutcomeUnknown: (
        "{vendor} gave no usable answer, so this may or may not have been done; a repeat is"
        " safe, and goes on with the same invitation"
    ),
}


def get_status_and_title(kind: type[errors.BridgeError]) -> tuple[int, str]:
    """The HTTP status of an error, and its title."""
    return next(_TABLE[base] for base in kind.__mro__ if base in _TABLE)


def build_error_response(error: errors.BridgeError) -> web.Response:
    """The problem that tells the caller of *error* what to do."""
    status, title = get_status_and_title(type(error))
    headers = {}
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.UnsupportedEncoding):
        headers["Accept-Encoding"] = "identity"
    if status in (429, 503):
        headers["Retry-After"] = str(_retry_after(error))
    fields = error.errors if isinstance(error, errors.InvalidRequest) else None
    if isinstance(error, errors.UnknownInvitationOnDelete):
        fields = {"invitationId": [str(error)]}
    return build_problem_response(
        status, get_problem_code(error), title, _detail(error), fields=fields, headers=headers
    )


def get_problem_code(error: errors.BridgeError) -> str:
    """The stable code of an error."""
    return getattr(error, "code", "internal_error")


def build_internal_error_response() -> web.Response:
    """The answer for a bug in the bridge."""
    return build_problem_response(
        500, "internal_error", "Internal error", "A bug in the bridge; see its log."
    )


def build_problem_response(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    fields: dict[str, list[str]] | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """A problem+json response; *fields* become ``errors``."""
    body: dict[str, object] = {
        "type": f"/docs#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if fields:
        body["errors"] = fields
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        headers=headers,
        content_type=MEDIA_TYPE,
    )


def _detail(error: errors.BridgeError) -> str:
    for kind, words in _INTERNAL_DETAILS.items():
        if isinstance(error, kind):
            return words
    if not isinstance(error, errors.UpstreamError):
        return str(error)
    words = next(_UPSTREAM_WORDS[kind] for kind in type(error).__mro__ if kind in _UPSTREAM_WORDS)
    detail = f"{words.format(vendor=error.title)} ({error.operation}: {error.detail})."
    if isinstance(error, errors.UpstreamRefused) and error.excerpt:
        detail += f" {error.title} says: {error.excerpt[:EXCERPT_LENGTH]}"
    return detail


def _retry_after(error: errors.BridgeError) -> int:
    wanted = getattr(error, "retry_after_s", None)
    return max(1, round(wanted)) if wanted else _RETRY_AFTER_S
