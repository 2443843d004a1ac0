"""softgarden's half that asks: tests, invite, results, delete at a bridge (dev.softgarden.de/assessment-api)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

from bridge.sandbox.peer import Reply

if TYPE_CHECKING:
    from bridge.sandbox.softgarden import SoftgardenSandbox

STATUSES = ("COMPLETED", "EXPIRED", "PENDING")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the bridge's four endpoints are, below its base URL."""

    tests: str = "/softgarden/tests"
    invite: str = "/softgarden/invitations"
    results: str = "/softgarden/results"
    delete: str = "/softgarden/invitations"


class SoftgardenClient:
    """softgarden on behalf of one customer; made by ``SoftgardenSandbox.connect``.

    Every call is in the sandbox's ledger. No call raises for what the bridge does: a bridge that does not answer is a
    ``Reply`` with status 0. A successful answer that breaks softgarden's page is noted in the sandbox's violations.
    """

    def __init__(
        self,
        sandbox: SoftgardenSandbox,
        bridge_url: str,
        token: str,
        *,
        customer: str,
        callback: Callable[[], str],
        paths: Paths | None = None,
    ) -> None:
        self.bridge_url = bridge_url.rstrip("/")
        self.token = token
        self.customer = customer
        self.paths = paths or Paths()
        self._sandbox = sandbox
        self._callback = callback

    async def list_tests(self) -> Reply:
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
    ) -> Reply:
        """Invite a candidate; without *candidate_id* a new application each time, without *callback* the customer's URL."""
        body = {
            "testId": test_id,
            "candidate": {
                "id": candidate_id or str(uuid4()),
                "firstName": first_name,
                "lastName": last_name,
                "email": email,
            },
            "callback": callback or self._callback(),
        }
        reply = await self._ask("invite", "POST", self.paths.invite, body=body, judge=_judge_invite)
        if 200 <= reply.status < 300 and isinstance(reply.json, dict):
            invitation_id = reply.json.get("invitationId")
            if isinstance(invitation_id, str):
                self._sandbox.invited.put(invitation_id, self.customer)
        return reply

    async def read_results(self, invitation_id: str) -> Reply:
        """The state and the result of an invitation; kept in the sandbox's ``results``."""
        path = f"{self.paths.results}/{quote(invitation_id, safe='')}"
        reply = await self._ask("results", "GET", path, invitation_id=invitation_id, judge=_judge_results)
        self._sandbox.results.put(invitation_id, reply)
        return reply

    async def delete(self, invitation_id: str) -> Reply:
        """Delete the candidate's data."""
        path = f"{self.paths.delete}/{quote(invitation_id, safe='')}"
        return await self._ask("delete", "DELETE", path, invitation_id=invitation_id, judge=_judge_delete)

    async def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        invitation_id: str | None = None,
        judge: Callable[[Reply], str | None] | None = None,
    ) -> Reply:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await self._sandbox.send(
            operation,
            method,
            self.bridge_url + path,
            data=None if body is None else json.dumps(body, ensure_ascii=False).encode(),
            headers=headers,
            account=self.customer,
            invitation_id=invitation_id,
            judge=judge,
        )


def _judge_invite(reply: Reply) -> str | None:
    if not 200 <= reply.status < 300:
        return None
    body = reply.json
    if not isinstance(body, dict):
        return "is not a JSON object"
    if not isinstance(body.get("invitationId"), str) or not body["invitationId"]:
        return "invitationId is missing"
    if not _is_url(body.get("testUrl")):
        return "testUrl is missing or no URL"
    duration = body.get("duration", 0)
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        return "duration is not a number"
    return _judge_time(body, "deadline")


def _judge_results(reply: Reply) -> str | None:
    if not 200 <= reply.status < 300:
        return None
    body = reply.json
    if not isinstance(body, dict) or body.get("status") not in STATUSES:
        return f"status is not one of {', '.join(STATUSES)}"
    needed = {"COMPLETED": "completionTime", "EXPIRED": "expirationTime"}.get(body["status"])
    if needed is not None and needed not in body:
        return f"{needed} is missing beside {body['status']}"
    result = body.get("result")
    if not isinstance(result, dict) or not _is_url(result.get("resultUrl")):
        return "result.resultUrl is missing or no URL"
    for name in ("reportUrl", "shareUrl"):
        if name in result and not _is_url(result[name]):
            return f"result.{name} is no URL"
    if not isinstance(result.get("score", ""), str):
        return "result.score is not a string"
    return _judge_time(body, "completionTime") or _judge_time(body, "expirationTime")


def _judge_delete(reply: Reply) -> str | None:
    # The page lists 200, 204, 400 and 401; a 404 is what frameworks give by themselves. 5xx: see delete-candidate-data.
    return f"{reply.status} is not documented for a deletion" if reply.status in (202, 404, 410) else None


def _judge_time(body: dict[str, Any], name: str) -> str | None:
    if name not in body:
        return None
    value = body[name]
    try:
        good = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value) is not None
        if good:
            datetime.fromisoformat(value)
    except ValueError:
        good = False
    return None if good else f"{name} is not ISO-8601 in UTC"


def _is_url(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


__all__ = ["Paths", "SoftgardenClient"]
