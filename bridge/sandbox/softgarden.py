"""A fake softgarden: takes the "notification about update" literally and asks a bridge as softgarden does.

| operation | call |
|---|---|
| ``notify`` | received: POST ``[/{customer}]/api/rest/v3/frontend/assessmentProvider/invitationRequiresUpdate[/...]`` |
| ``tests``, ``invite``, ``results``, ``delete`` | made, by a ``SoftgardenClient`` (see ``connect``) |

Strict: Basic with the public client id, the colon and an empty password (else 401), ``application/json`` (415), a body of exactly
``{"invitationId": "<string>"}`` (400), POST only (405); else 204. Each refusal is a violation. The bridge's answers
are read strictly, too: what softgarden's pages require and the bridge does not give is a violation.

Over HTTP, besides what ``admin`` lists, below ``/_sandbox/``:

| call | does |
|---|---|
| ``GET customers`` | customers with their callback URLs and client ids |
| ``POST customers/{customer}/tests`` | list the bridge's tests (needs ``connect``) |
| ``POST customers/{customer}/invite`` ``{"test_id": "..."}`` | invite a candidate (all arguments of ``invite`` allowed) |
| ``POST customers/{customer}/results/{invitationId}``, ``.../delete/{invitationId}`` | read, delete |
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import asdict
from typing import Literal, Unpack
from urllib.parse import quote, unquote

from bridge.sandbox.accounts import Limited
from bridge.sandbox.admin import ADMIN
from bridge.sandbox.client import Paths, SoftgardenClient
from bridge.sandbox.peer import Reply
from bridge.sandbox.server import Rule, SandboxServer, ServerOptions
from bridge.sandbox.wire import Answer, Call, Refusal, basic_auth, json_object

NOTIFY_PATH = "/api/rest/v3/frontend/assessmentProvider/invitationRequiresUpdate"

Reading = Literal["before", "after", "never"]


class SoftgardenSandbox(SandboxServer):
    """softgarden, as far as a bridge sees it. Further arguments: see ``SandboxServer``.

    *client_id*: the public OAuth client that notifications come with; customers may have their own. *read_results*: whether a
    notification makes it read the result "before" it answers, "after", or "never" (needs ``connect``; notification-about-update).
    *check_invitations*: 401 for an invitation that was not made through this sandbox for that customer.
    """

    operations = ("notify",)
    made_operations = ("tests", "invite", "results", "delete")

    def __init__(
        self,
        *,
        client_id: str = "softgarden-sandbox",
        read_results: Reading = "never",
        check_invitations: bool = False,
        **server: Unpack[ServerOptions],
    ) -> None:
        super().__init__(**server)
        self.client_id = client_id
        self.read_results: Reading = read_results
        self.check_invitations = check_invitations
        self.clients: dict[str, SoftgardenClient] = {}
        self.results: Limited[Reply] = Limited(100_000)
        """Invitation id -> the result as last read, by whomever."""
        self.invited: Limited[str] = Limited(100_000)
        """Invitation id -> customer."""
        self._client_ids: dict[str, str] = {}
        self._reading: set[asyncio.Task[Reply]] = set()

    def add_customer(self, customer: str, client_id: str) -> None:
        """Give a customer a client id of its own; its notifications must carry that one."""
        self._client_ids[customer] = client_id

    def callback_url(self, customer: str | None = None) -> str:
        """The ``callback`` of an invite: one for all, or one for this customer."""
        prefix = "" if customer is None else "/" + quote(customer, safe="")
        return self.base_url + prefix + NOTIFY_PATH

    def connect(
        self, bridge_url: str, token: str, *, customer: str = "default", paths: Paths | None = None
    ) -> SoftgardenClient:
        """Let this customer use a bridge with this Bearer token; the client stands in ``clients``, too.

        Its invites carry ``callback_url(customer)``; for the customer "default" the one without a prefix.
        """
        callback = None if customer == "default" else customer
        client = SoftgardenClient(
            self, bridge_url, token, customer=customer, callback=lambda: self.callback_url(callback), paths=paths
        )
        self.clients[customer] = client
        return client

    async def close(self) -> None:
        """As every sandbox; reading that was put off is given up."""
        for task in tuple(self._reading):
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        await super().close()

    def rules(self) -> list[Rule]:
        """See the module's docstring."""
        paths = (f"{prefix}{NOTIFY_PATH}{tail}" for prefix in ("", "/{customer}") for tail in ("", "/{tail*}"))
        return [Rule("notify", ("POST",), path, self._notify) for path in paths]

    def refusal(self, refusal: Refusal) -> Answer:
        """Error bodies are not documented; a bridge must not need one."""
        return Answer(refusal.status, {"message": refusal.detail}, headers=refusal.headers)

    async def _notify(self, call: Call) -> Answer:
        customer = call.params.get("customer", "default")
        call.account = customer
        seen = call.json
        if isinstance(seen, dict) and isinstance(seen.get("invitationId"), str):
            call.invitation_id = seen["invitationId"]
        self._check_client(call, customer)
        invitation_id = _invitation_id(call)
        if self.check_invitations and self.invited.get(invitation_id) != customer:
            raise Refusal(401, "wrong credentials for invitation id")
        client = self.clients.get(customer)
        if client is not None and self.read_results == "before":
            await client.read_results(invitation_id)
        elif client is not None and self.read_results == "after":
            task = asyncio.create_task(client.read_results(invitation_id))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
        return Answer(204)

    def _check_client(self, call: Call, customer: str) -> None:
        user, password = basic_auth(call)
        expected = self._client_ids.get(customer, self.client_id)
        if password or not hmac.compare_digest(user.encode(), expected.encode()):
            why = "a public client has an empty password" if password else "wrong client id"
            raise Refusal(401, why, headers={"WWW-Authenticate": "Basic"})

    async def admin(self, call: Call) -> Answer | None:
        """See the module's docstring."""
        match call.method, [unquote(part) for part in call.path.removeprefix(ADMIN).split("/")]:
            case "GET", ["customers"]:
                names = sorted({"default", *self.clients, *self._client_ids})
                return Answer(
                    200,
                    [
                        {
                            "customer": name,
                            "client_id": self._client_ids.get(name, self.client_id),
                            "callback": self.callback_url(None if name == "default" else name),
                            "connected": name in self.clients,
                        }
                        for name in names
                    ],
                )
            case "POST", ["customers", name, "tests"]:
                return _shown(await self.clients[name].list_tests())
            case "POST", ["customers", name, "invite"]:
                return _shown(await self.clients[name].invite(**json_object(call, broken=400)))
            case "POST", ["customers", name, "results", invitation_id]:
                return _shown(await self.clients[name].read_results(invitation_id))
            case "POST", ["customers", name, "delete", invitation_id]:
                return _shown(await self.clients[name].delete(invitation_id))
        return None


def _invitation_id(call: Call) -> str:
    body = json_object(call, broken=400)
    invitation_id = body.get("invitationId")
    if not isinstance(invitation_id, str) or not invitation_id:
        raise Refusal(400, "invitation id is missing")
    if len(body) > 1:
        raise Refusal(400, f"unknown field {', '.join(sorted(body.keys() - {'invitationId'}))}")
    return invitation_id


def _shown(reply: Reply) -> Answer:
    return Answer(200, asdict(reply) | {"headers": dict(reply.headers)})


__all__ = ["NOTIFY_PATH", "Paths", "SoftgardenClient", "SoftgardenSandbox"]
