"""softgarden's wire format, both ways: lowerCamelCase, times in UTC with Z."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from marshmallow import (
    EXCLUDE,
    Schema,
    ValidationError,
    fields,
    missing,
    post_dump,
    post_load,
    validate,
)

from bridge.core.assessment import Assessment, Candidate, Order
from bridge.core.invitation import Invitation
from bridge.core.invitation_view import InvitationView
from bridge.errors import InvalidRequest
from bridge.softgarden.ordinary_order import read_ordinary_order
from bridge.softgarden.settings import AssessmentListFormat

_REFUSED = frozenset({"Cc", "Zl", "Zp", "Cs"})
"""Unicode's categories of control characters, line breaks and halves of surrogate pairs."""

# Equalture decides how long a name may be, and HR gets its refusal; this only bounds the bridge's
# own work.
_LENGTH_OF_NAME = validate.Length(max=1000)
_TEXT_OR_NUMBER = {"type": ["string", "integer"]}


class _Line(fields.String):
    """One line of text: trimmed, inner white space folded, no control characters or line breaks.

    All other characters may be part of a name: joiners and direction marks (category Cf) are part
    of Persian, Sinhala and Hebrew spelling, or came with pasted text.
    """

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if any(unicodedata.category(character) in _REFUSED for character in text):
            raise ValidationError("Control characters and line breaks are not allowed.")
        return " ".join(text.split())


class _Id(_Line):
    """An id; a whole number counts as its text, since not every system writes ids as strings."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        # True and False are integers in Python, but not ids.
        return super()._deserialize(
            str(value) if type(value) is int else value, attr, data, **kwargs
        )


class _Time(fields.DateTime):
    """Whole seconds in UTC with Z, as in softgarden's examples."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return format_wire_time(value)


def format_wire_time(at: datetime | None) -> str | None:
    """*at* as softgarden writes times: ``2021-03-26T10:00:00Z``; parts of a second are cut off."""
    return f"{at.astimezone(UTC).isoformat()[:19]}Z" if at is not None else None


class _Tolerant(Schema):
    """A body to which softgarden may add fields at any time.

    marshmallow does not apply EXCLUDE to nested schemas, so every schema sets it.
    """

    class Meta:
        unknown = EXCLUDE


class _Answer(Schema):
    @post_dump
    def leave_out_none(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if value is not None}


# https://dev.softgarden.de/assessment-api/invite-candidate-to-test
class CandidateSchema(_Tolerant):
    """Base data of the candidate. A missing name is an empty one: not everyone has two."""

    id = _Id(
        required=True,
        validate=validate.Length(1, 200),
        metadata={"description": "application public id", **_TEXT_OR_NUMBER},
    )
    firstName = _Line(load_default="", allow_none=True, validate=_LENGTH_OF_NAME)  # noqa: N815
    lastName = _Line(load_default="", allow_none=True, validate=_LENGTH_OF_NAME)  # noqa: N815
    email = _Line(
        required=True,
        validate=[
            validate.Length(3, 320),
            validate.Regexp(r"[^@\s]+@[^@\s]+$", error="Not an e-mail address."),
        ],
    )

    @post_load
    def to_candidate(self, data: Mapping[str, Any], **kwargs: Any) -> Candidate:
        """The candidate; a name that is null is an empty one."""
        return Candidate(data["id"], data["firstName"] or "", data["lastName"] or "", data["email"])


# https://dev.softgarden.de/assessment-api/invite-candidate-to-test
class InviteSchema(_Tolerant):
    """Body of "invite candidate to a test"."""

    testId = _Id(  # noqa: N815
        required=True, validate=validate.Length(1, 200), metadata=_TEXT_OR_NUMBER
    )
    candidate = fields.Nested(CandidateSchema, required=True)
    callback = fields.String(required=True, validate=validate.Length(1, 2000))

    @post_load
    def to_order(self, data: Mapping[str, Any], **kwargs: Any) -> Order:
        """The order; ``testId`` is an id from the list of tests."""
        return Order(data["testId"], data["candidate"], data["callback"])


# https://dev.softgarden.de/assessment-api/invite-candidate-to-test
class InvitationSchema(_Answer):
    """Answer to an invite; ``duration`` in minutes."""

    invitationId = fields.String(required=True)  # noqa: N815
    testUrl = fields.Url(required=True, require_tld=False)  # noqa: N815
    duration = fields.Integer()
    deadline = _Time()


# https://dev.softgarden.de/assessment-api/get-test-results
class ResultPartSchema(_Answer):
    """The ``result`` object, present in every state."""

    resultUrl = fields.Url(required=True, require_tld=False)  # noqa: N815
    reportUrl = fields.Url(require_tld=False)  # noqa: N815
    shareUrl = fields.Url(require_tld=False)  # noqa: N815
    score = fields.String()


# https://dev.softgarden.de/assessment-api/get-test-results
class ResultSchema(_Answer):
    """Answer to "get test results"."""

    status = fields.String(
        required=True, validate=validate.OneOf(["PENDING", "COMPLETED", "EXPIRED"])
    )
    completionTime = _Time()  # noqa: N815
    expirationTime = _Time()  # noqa: N815
    result = fields.Nested(ResultPartSchema, required=True)


_FIELDS_OF_AN_ORDER = {"test_id": "testId", "callback": "callback"}


def rename_fields_in_error(error: InvalidRequest) -> InvalidRequest:
    """The refusal of an order, with its fields as softgarden calls them."""
    named = {_FIELDS_OF_AN_ORDER.get(field, field): told for field, told in error.errors.items()}
    return type(error)(str(error), named)


class AnswerFormat:
    """Reads orders and writes answers."""

    def __init__(self, tests_format: AssessmentListFormat) -> None:
        self._format = tests_format
        self._invite = InviteSchema()
        self._lists: dict[str, tuple[tuple[Assessment, ...], bytes]] = {}
        """The newest list of tests of each customer, and its JSON."""

    def order(self, body: object) -> Order:
        """The order in a request's body; raises ``InvalidRequest`` naming every wrong field."""
        order = read_ordinary_order(body)
        if order is not None:
            return order
        try:
            return self._invite.load(body)  # type: ignore[no-any-return, arg-type]
        except ValidationError as error:
            raise InvalidRequest(
                "The order is not valid.", flatten_messages(error.messages_dict)
            ) from None

    def invitation(self, invitation: Invitation, test_url: str) -> object:
        """Answer to an invite, as ``InvitationSchema`` describes it."""
        answer: dict[str, object] = {"invitationId": invitation.id, "testUrl": test_url}
        if invitation.duration is not None:
            answer["duration"] = invitation.duration
        if invitation.deadline is not None:
            answer["deadline"] = format_wire_time(invitation.deadline)
        return answer

    def result(self, view: InvitationView) -> object:
        """Answer to a read, as ``ResultSchema`` describes it."""
        answer: dict[str, object] = {"status": view.status.upper()}
        if view.completed_at is not None:
            answer["completionTime"] = format_wire_time(view.completed_at)
        if view.expired_at is not None:
            answer["expirationTime"] = format_wire_time(view.expired_at)
        part = {"resultUrl": view.result_url}
        if view.report_url is not None:
            part["reportUrl"] = view.report_url
        if view.share_url is not None:
            part["shareUrl"] = view.share_url
        if view.score is not None:
            part["score"] = view.score
        answer["result"] = part
        return answer

    def tests(self, tests: Iterable[Assessment]) -> object:
        """The list of tests."""
        # Assumption: softgarden's page on this list is missing; the default is a bare array with
        # the identifier under both testId and id, and the label under name and testName. Setting:
        # softgarden.tests_format.
        items = [self._test(test) for test in tests]
        return {self._format.wrapper: items} if self._format.wrapper else items

    def render_tests(self, customer: str, tests: tuple[Assessment, ...]) -> bytes:
        """The list of tests as JSON, rendered once for as long as it is the same one."""
        known = self._lists.get(customer)
        if known is None or known[0] is not tests:
            known = self._lists[customer] = (tests, orjson.dumps(self.tests(tests)))
        return known[1]

    def _test(self, test: Assessment) -> dict[str, object]:
        optional = (
            (self._format.description_key, test.description or None),
            (self._format.duration_key, test.duration),
        )
        return {
            **dict.fromkeys(self._format.id_keys, test.id),
            **dict.fromkeys(self._format.name_key, test.name),
            **{key: value for key, value in optional if key and value is not None},
        }


# https://dev.softgarden.de/applicant-data-export
def read_exported_application_id(body: object, id_field: str) -> str:
    """The id of the application of whom the data export tells; raises ``InvalidRequest`` without
    one.

    The fields of an export are agreed upon with softgarden, so the one with the id is a setting.
    """
    # Assumption: the page names no field; the default is softgarden's word for this id elsewhere.
    # Setting: hire.id_field.
    found = body
    for name in id_field.split("."):
        found = found.get(name, missing) if isinstance(found, Mapping) else missing
    try:
        application_id: str = _EXPORTED_ID.deserialize(missing if found is None else found)
    except ValidationError as error:
        detail = f"The id of the application has to be in {id_field} (hire.id_field)."
        raise InvalidRequest(detail, {id_field: [str(one) for one in error.messages]}) from None
    return application_id


_EXPORTED_ID = _Id(required=True, validate=validate.Length(1, 200))


def flatten_messages(messages: Mapping[Any, Any], prefix: str = "") -> dict[str, list[str]]:
    """marshmallow's nested messages by dotted path: ``{"candidate.email": ["..."]}``; what is said
    of the whole is said of its ``body``.
    """
    flat: dict[str, list[str]] = {}
    for key, value in messages.items():
        path = prefix or "body" if key == "_schema" else f"{prefix}.{key}".strip(".")
        if isinstance(value, Mapping):
            flat.update(flatten_messages(value, path))
        else:
            flat[path] = [str(message) for message in value]
    return flat
