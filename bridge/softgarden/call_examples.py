"""What softgarden's calls and their answers look like, for people who read the documentation."""

from __future__ import annotations

from typing import Any

from bridge.core.assessment import Assessment
from bridge.softgarden.schemas import AnswerFormat
from bridge.web.routing import EXAMPLE_URL, CallExample

_INVITATION = "iv_7yvH2mWq0sKc4XbT9LrZp1NdE"
_TOKEN = f"{_INVITATION}.Q3v8mD0yR1sVt7Wb2XcZ5A"
_CALLBACK = (
    "https://app.softgarden.io/api/rest/v3/frontend/assessmentProvider/invitationRequiresUpdate"
)
_OFFERED = (
    Assessment("engineer", "", "Engineer assessment", duration=30),
    Assessment("5d2c7b9e-41f0-4c1d-8a6b-9e3f7a20c4d2", "", "Assessment - Sales"),
    Assessment("c7e1a4f3-92b8-4d7e-b5c6-1f8d3e6a7b90", "", "Assessment - Customer Service"),
)
_ORDER: dict[str, Any] = {
    "testId": "engineer",
    "candidate": {
        "id": "3d0a7d5e-0a3b-4b3e-8f0e-6a2a9b1c7d10",
        "firstName": "Ada",
        "lastName": "Muster",
        "email": "ada.muster@example.org",
    },
    "callback": _CALLBACK,
}
_RESULT_URL = {"resultUrl": f"{EXAMPLE_URL}/results/{_TOKEN}"}
_UNKNOWN: dict[str, Any] = {
    "type": "/docs#unknown_invitation",
    "title": "Unknown invitation",
    "status": 404,
    "detail": "No invitation with this id was issued to this customer.",
    "code": "unknown_invitation",
}


def build_test_list_examples(wire: AnswerFormat) -> tuple[CallExample, ...]:
    """The list of tests, in the shape that is set."""
    listed = CallExample(
        name="listed", title="Three tests are offered", status=200, answer=wire.tests(_OFFERED)
    )
    stranger = CallExample(
        name="no_token",
        title="The token is missing, or not known",
        status=401,
        answer={
            "type": "/docs#unauthorized",
            "title": "A valid bearer token is needed",
            "status": 401,
            "detail": (
                "Send the token that the bridge's administrator made:"
                " Authorization: Bearer <token>."
            ),
            "code": "unauthorized",
        },
    )
    return listed, stranger


INVITE = (
    CallExample(
        name="invited",
        title="A candidate is invited",
        status=200,
        body=_ORDER,
        answer={
            "invitationId": _INVITATION,
            "testUrl": f"{EXAMPLE_URL}/start/{_TOKEN}",
            "duration": 30,
            "deadline": "2026-01-15T10:00:00Z",
        },
    ),
    CallExample(
        name="incomplete",
        title="Fields are missing",
        status=400,
        body={"testId": "engineer", "candidate": {"id": "3d0a7d5e"}},
        answer={
            "type": "/docs#invalid_request",
            "title": "The request is not valid",
            "status": 400,
            "detail": "The order is not valid.",
            "code": "invalid_request",
            "errors": {
                "candidate.email": ["Missing data for required field."],
                "callback": ["Missing data for required field."],
            },
        },
    ),
)
RESULTS = (
    CallExample(
        name="pending",
        title="The candidate has not finished",
        status=200,
        answer={"status": "PENDING", "result": _RESULT_URL},
    ),
    CallExample(
        name="completed",
        title="The candidate has finished",
        status=200,
        answer={
            "status": "COMPLETED",
            "completionTime": "2026-01-09T14:03:11Z",
            "result": {
                **_RESULT_URL,
                "reportUrl": f"{EXAMPLE_URL}/reports/{_TOKEN}.pdf",
                "shareUrl": f"{EXAMPLE_URL}/share/{_TOKEN}",
                "score": "High fit (5/5)",
            },
        },
    ),
    CallExample(
        name="expired",
        title="The deadline has passed",
        status=200,
        answer={
            "status": "EXPIRED",
            "expirationTime": "2026-01-15T10:00:00Z",
            "result": _RESULT_URL,
        },
    ),
    CallExample(
        name="unknown",
        title="An unknown id, or another customer's",
        status=404,
        answer=_UNKNOWN,
    ),
)
DELETION = (
    CallExample(
        name="unknown",
        title="An id that was never issued to this customer",
        status=400,
        answer={
            **_UNKNOWN,
            "status": 400,
            "errors": {"invitationId": [_UNKNOWN["detail"]]},
        },
    ),
)
HIRED = (
    CallExample(
        name="taken_in",
        title="An applicant was hired",
        status=200,
        body={"applicationPublicId": _ORDER["candidate"]["id"]},
        answer={"status": "ok"},
    ),
    CallExample(
        name="without_id",
        title="The application's id is not where it is expected",
        status=400,
        body={"id": _ORDER["candidate"]["id"]},
        answer={
            "type": "/docs#invalid_request",
            "title": "The request is not valid",
            "status": 400,
            "detail": (
                "The id of the application has to be in applicationPublicId (hire.id_field)."
            ),
            "code": "invalid_request",
            "errors": {"applicationPublicId": ["Missing data for required field."]},
        },
    ),
)
