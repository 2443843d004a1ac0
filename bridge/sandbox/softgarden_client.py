"""The calls that softgarden makes: tests, invite, results and delete at a bridge.

https://dev.softgarden.de/assessment-api/
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from marshmallow import INCLUDE, Schema, fields, validate

from bridge.sandbox.recording_client import BridgeReply
from bridge.sandbox.request_checks import create_field_validator, is_url

if TYPE_CHECKING:
    from bridge.sandbox.softgarden_fake import SoftgardenSandbox

_TESTS, _INVITATIONS = "/softgarden/tests", "/softgarden/invitations"
_RESULTS = "/softgarden/results"


class SoftgardenClient:
    """softgarden on behalf of one customer; made by ``SoftgardenSandbox.connect``.

    Every call is in the sandbox's ledger. Calls do not raise: a bridge that does not answer gives a
    reply with status 0. A successful answer that breaks softgarden's page is noted in the sandbox's
    violations.
    """

    def __init__(
        self, sandbox: SoftgardenSandbox, bridge_url: str, token: str, customer: str
    ) -> None:
        self.bridge_url = bridge_url.rstrip("/")
        self.token = token
        self.customer = customer
        self._sandbox = sandbox

    async def list_tests(self) -> BridgeReply:
        """The offered tests; their shape is not documented, so it is not checked."""
        return await self._ask("tests", "GET", _TESTS)

    async def invite(
        self,
        test_id: str,
        *,
        candidate_id: str | None = None,
        first_name: str = "Ada",
        last_name: str = "Muster",
        email: str = "ada.muster@example.org",
        callback: str | None = None,
    ) -> BridgeReply:
        """Invite a candidate; by default a new application, and the customer's callback URL."""
        body = {
            "testId": test_id,
            "candidate": {
                "id": candidate_id or str(uuid4()),
                "firstName": first_name,
                "lastName": last_name,
                "email": email,
            },
            "callback": callback or self._sandbox.callback_url(self.customer),
        }
        reply = await self._ask(
            "invite", "POST", _INVITATIONS, body=body, judge=partial(_judge, _INVITED)
        )
        if 200 <= reply.status < 300 and isinstance(reply.json, dict):
            self._sandbox.invited[str(reply.json.get("invitationId"))] = self.customer
        return reply

    async def read_results(self, invitation_id: str) -> BridgeReply:
        """The state and the result of an invitation; kept in the sandbox's ``results``."""
        reply = await self._ask("results", "GET", _RESULTS, invitation_id, judge=_judge_results)
        self._sandbox.results[invitation_id] = reply
        return reply

    async def delete(self, invitation_id: str) -> BridgeReply:
        """Delete the candidate's data."""
        return await self._ask(
            "delete", "DELETE", _INVITATIONS, invitation_id, judge=_judge_deletion
        )

    async def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        invitation_id: str | None = None,
        **options: Any,
    ) -> BridgeReply:
        tail = "" if invitation_id is None else "/" + quote(invitation_id, safe="")
        return await self._sandbox.outgoing.send(
            operation,
            method,
            self.bridge_url + path + tail,
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/json"},
            account=self.customer,
            invitation_id=invitation_id,
            **options,
        )


# https://dev.softgarden.de/assessment-api/: what a successful answer has to hold
_URL = fields.String(validate=is_url)
_TIME = fields.String(
    validate=[
        validate.Regexp(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z"),
        create_field_validator("a time in ISO 8601", datetime.fromisoformat),
    ]
)
_NUMBER = fields.Raw(
    validate=create_field_validator("a number", lambda value: type(value) in (int, float))
)
_INVITED = {
    "invitationId": fields.String(required=True, validate=validate.Length(min=1)),
    "testUrl": fields.String(required=True, validate=is_url),
    "duration": _NUMBER,
    "deadline": _TIME,
}
_RESULT: dict[str, fields.Field[Any]] = {
    "resultUrl": fields.String(required=True, validate=is_url),
    "reportUrl": _URL,
    "shareUrl": _URL,
    "score": fields.String(),
}
_STATUS = fields.String(required=True, validate=validate.OneOf(["PENDING", "COMPLETED", "EXPIRED"]))
_STATE = {
    "status": _STATUS,
    "completionTime": _TIME,
    "expirationTime": _TIME,
    "result": fields.Nested(Schema.from_dict(_RESULT), required=True, unknown=INCLUDE),
}


def _judge(shape: dict[str, fields.Field[Any]], reply: BridgeReply) -> str | None:
    if not 200 <= reply.status < 300:
        return None
    errors = Schema.from_dict(shape)(unknown=INCLUDE).validate(reply.json)
    return str(errors) if errors else None


def _judge_results(reply: BridgeReply) -> str | None:
    if (problem := _judge(_STATE, reply)) or reply.status != 200:
        return problem
    needed = {"COMPLETED": "completionTime", "EXPIRED": "expirationTime"}
    name = needed.get(reply.json["status"], "status")
    return None if name in reply.json else f"{name} is missing"


def _judge_deletion(reply: BridgeReply) -> str | None:
    # The page lists 200, 204, 400 and 401; a 404 is what frameworks give by themselves.
    undocumented = reply.status in (202, 404, 410)
    return f"{reply.status} is not documented for a deletion" if undocumented else None
