"""The calls that softgarden makes: tests, invite, results and delete at a bridge.

https://dev.softgarden.de/assessment-api/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from bridge.sandbox.ledger import put_bounded
from bridge.sandbox.recording_client import BridgeReply
from bridge.sandbox.request_checks import is_url

if TYPE_CHECKING:
    from bridge.sandbox.softgarden_fake import SoftgardenSandbox

_NEEDED_TIMES = {"PENDING": None, "COMPLETED": "completionTime", "EXPIRED": "expirationTime"}


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the bridge's four endpoints are, below its base URL."""

    tests: str = "/softgarden/tests"
    invite: str = "/softgarden/invitations"
    results: str = "/softgarden/results"
    delete: str = "/softgarden/invitations"


class SoftgardenClient:
    """softgarden on behalf of one customer; made by ``SoftgardenSandbox.connect``.

    Every call is in the sandbox's ledger. No call raises for what the bridge does: a bridge that
    does not answer is a reply with status 0. A successful answer that breaks softgarden's page is
    noted in the sandbox's violations.
    """

    def __init__(
        self, sandbox: SoftgardenSandbox, bridge_url: str, token: str, customer: str, paths: Paths
    ) -> None:
        self.bridge_url = bridge_url.rstrip("/")
        self.token = token
        self.customer = customer
        self.paths = paths
        self._sandbox = sandbox

    async def list_tests(self) -> BridgeReply:
        """The tests on offer; their shape is not documented, so it is not judged."""
        return await self._ask("tests", "GET", self.paths.tests)

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
        """Invite a candidate; without *candidate_id* a new application each time, without
        *callback* the customer's URL.
        """
        body = {
            "testId": test_id,
            "candidate": {
                "id": candidate_id or str(uuid4()),
                "firstName": first_name,
                "lastName": last_name,
                "email": email,
            },
            "callback": callback
            or self._sandbox.callback_url(None if self.customer == "default" else self.customer),
        }
        reply = await self._ask("invite", "POST", self.paths.invite, body=body, judge=_judge_invite)
        if 200 <= reply.status < 300 and isinstance(reply.json, dict):
            invitation_id = reply.json.get("invitationId")
            if isinstance(invitation_id, str):
                put_bounded(self._sandbox.invited, invitation_id, self.customer)
        return reply

    async def read_results(self, invitation_id: str) -> BridgeReply:
        """The state and the result of an invitation; kept in the sandbox's ``results``."""
        reply = await self._ask(
            "results", "GET", self.paths.results, invitation_id=invitation_id, judge=_judge_results
        )
        put_bounded(self._sandbox.results, invitation_id, reply)
        return reply

    async def delete(self, invitation_id: str) -> BridgeReply:
        """Delete the candidate's data."""
        return await self._ask(
            "delete", "DELETE", self.paths.delete, invitation_id=invitation_id, judge=_judge_delete
        )

    async def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        *,
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


def _judge_invite(reply: BridgeReply) -> str | None:
    if not 200 <= reply.status < 300:
        return None
    body = reply.json
    if not isinstance(body, dict):
        return "is not a JSON object"
    if not isinstance(body.get("invitationId"), str) or not body["invitationId"]:
        return "invitationId is missing"
    if not is_url(body.get("testUrl")):
        return "testUrl is missing or no URL"
    duration = body.get("duration", 0)
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        return "duration is not a number"
    return _judge_times(body, "deadline")


def _judge_results(reply: BridgeReply) -> str | None:
    if not 200 <= reply.status < 300:
        return None
    body = reply.json
    if not isinstance(body, dict) or body.get("status") not in _NEEDED_TIMES:
        return f"status is not one of {', '.join(_NEEDED_TIMES)}"
    needed = _NEEDED_TIMES[body["status"]]
    if needed is not None and needed not in body:
        return f"{needed} is missing beside {body['status']}"
    result = body.get("result")
    if not isinstance(result, dict) or not is_url(result.get("resultUrl")):
        return "result.resultUrl is missing or no URL"
    for name in ("reportUrl", "shareUrl"):
        if name in result and not is_url(result[name]):
            return f"result.{name} is no URL"
    if not isinstance(result.get("score", ""), str):
        return "result.score is not a string"
    return _judge_times(body, "completionTime", "expirationTime")


def _judge_delete(reply: BridgeReply) -> str | None:
    # The page lists 200, 204, 400 and 401; a 404 is what frameworks give by themselves.
    return (
        f"{reply.status} is not documented for a deletion"
        if reply.status in (202, 404, 410)
        else None
    )


def _judge_times(body: dict[str, Any], *names: str) -> str | None:
    for name in names:
        value = body.get(name, "2000-01-01T00:00:00Z")
        try:
            good = bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value))
            datetime.fromisoformat(value)
        except (TypeError, ValueError):
            good = False
        if not good:
            return f"{name} is not ISO-8601 in UTC"
    return None
