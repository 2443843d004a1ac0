"""A fake softgarden: takes the "notification about update" literally and asks a bridge as
softgarden does.

https://dev.softgarden.de/assessment-api/notification-about-update/

| operation | call |
|---|---|
| ``notify`` | received: POST ``[/{customer}]`` + ``NOTIFY_PATH`` + ``[/...]`` |
| ``tests``, ``invite``, ``results``, ``delete`` | made by a ``SoftgardenClient``, see ``connect`` |

Strict: Basic with the public client id, the colon and an empty password (else 401),
``application/json`` (415), a body of exactly ``{"invitationId": "<string>"}`` (400), POST only
(405); else 204. Each refusal is a violation. The bridge's answers are read strictly, too: what
softgarden's pages require and the bridge does not give is a violation.

Over HTTP, besides what ``admin_routes`` lists, below ``/_sandbox/``:

| call | does |
|---|---|
| ``GET customers`` | customers with their callback URLs and client ids |
| ``PUT customers/{customer}`` ``{"bridge_url": "...", "token": "..."}`` | use that bridge |
| ``POST customers/{customer}/tests`` | list the bridge's tests |
| ``POST customers/{customer}/invite`` ``{"test_id": "..."}`` | invite; any argument of ``invite`` |
| ``POST customers/{customer}/results/{invitationId}`` | read |
| ``POST customers/{customer}/delete/{invitationId}`` | delete |
| ``GET invitations`` | what ``list_placed_orders`` gives: also the last result that was read |

``PUT`` may also say a ``client_id``. The calls answer what the bridge answered: ``{status, json,
text, headers, duration_ms, error}``.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal, Unpack
from urllib.parse import quote

from aiohttp import web
from marshmallow import Schema, fields, validate

from bridge.sandbox.admin_routes import ADMIN
from bridge.sandbox.fake_vendor import ENTRY, FakeVendor, FakeVendorOptions, Route
from bridge.sandbox.ledger import BoundedDict
from bridge.sandbox.placed_orders import list_placed_orders
from bridge.sandbox.recording_client import BridgeReply
from bridge.sandbox.request_checks import (
    Refusal,
    create_json_response,
    create_unauthorized_refusal,
    is_url,
    read_basic_auth,
    read_json_object,
)
from bridge.sandbox.softgarden_client import SoftgardenClient

_WORD = fields.String(required=True, validate=validate.Regexp(r"[!-~]+\Z"))
_CONNECTION = Schema.from_dict(
    {
        "bridge_url": fields.String(required=True, validate=is_url),
        "token": _WORD,
        "client_id": fields.String(validate=validate.Length(min=1)),
    }
)()
"""What is told about a bridge; the token goes into a header."""
NOTIFY_PATH = "/api/rest/v3/frontend/assessmentProvider/invitationRequiresUpdate"
DEFAULT = "default"
"""The customer whose notifications come without a name in the path."""


class SoftgardenSandbox(FakeVendor):
    """The parts of softgarden that a bridge uses. Further arguments: see ``FakeVendor``.

    *client_id*: the public OAuth client that notifications come with; customers may have their own.
    *read_results*: whether a notification makes it read the result "before" it answers, "after", or
    "never" (needs ``connect``). *check_invitations*: 401 for an invitation that was not made
    through this sandbox for that customer.
    """

    name = "softgarden"
    operations = ("notify",)
    made_operations = ("tests", "invite", "results", "delete")

    def __init__(
        self,
        *,
        client_id: str = "softgarden-sandbox",
        read_results: Literal["before", "after", "never"] = "never",
        check_invitations: bool = False,
        **options: Unpack[FakeVendorOptions],
    ) -> None:
        super().__init__(**options)
        self.client_id = client_id
        self.read_results = read_results
        self.check_invitations = check_invitations
        self.clients: dict[str, SoftgardenClient] = {}
        self.results = BoundedDict[BridgeReply]()
        """Invitation id -> the result as it was last read."""
        self.invited = BoundedDict[str]()
        """Invitation id -> customer."""
        self._client_ids: dict[str, str] = {}
        self._reading: set[asyncio.Task[BridgeReply]] = set()

    def add_customer(self, customer: str, client_id: str) -> None:
        """Give a customer a client id of its own; its notifications must carry that one."""
        self._client_ids[customer] = client_id

    def callback_url(self, customer: str = DEFAULT) -> str:
        """The ``callback`` of an invite: one for all, or one for this customer."""
        prefix = "" if customer == DEFAULT else "/" + quote(customer, safe="")
        return self.base_url + prefix + NOTIFY_PATH

    def connect(self, bridge_url: str, token: str, *, customer: str = DEFAULT) -> SoftgardenClient:
        """Let this customer use a bridge with this Bearer token; the client is in ``clients``."""
        client = SoftgardenClient(self, bridge_url, token, customer)
        self.clients[customer] = client
        return client

    async def close(self) -> None:
        """Like every sandbox; reads that were postponed are dropped."""
        for task in tuple(self._reading):
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        await super().close()

    def routes(self) -> Iterable[Route]:
        """The notification, with and without a customer, and with anything behind it."""
        return [
            ("notify", "POST", f"{prefix}{NOTIFY_PATH}{tail}", self.notify)
            for prefix in ("", "/{customer}")
            for tail in ("", "/{tail:.*}")
        ]

    def error_body(self, detail: str) -> Any:
        """Error bodies are not documented; a bridge must not need one."""
        return {"message": detail}

    async def notify(self, request: web.Request) -> web.Response:
        """Handle a notification."""
        entry = request[ENTRY]
        customer = entry.account = entry.account or DEFAULT
        match entry.request_json:
            case {"invitationId": str(named)}:
                entry.invitation_id = named
        user, password = read_basic_auth(request)
        if password:
            raise create_unauthorized_refusal("Basic", "a public client has an empty password")
        if not hmac.compare_digest(user.encode(), self._client_id(customer).encode()):
            raise create_unauthorized_refusal("Basic", "wrong client id")
        body = await read_json_object(request)
        invitation_id = body.get("invitationId")
        if len(body) > 1 or not isinstance(invitation_id, str) or not invitation_id:
            raise Refusal(400, "the body is the invitation id, and nothing else")
        if self.check_invitations and self.invited.get(invitation_id) != customer:
            raise Refusal(401, "wrong credentials for invitation id")
        client = self.clients.get(customer)
        if client is not None and self.read_results == "before":
            await client.read_results(invitation_id)
        elif client is not None and self.read_results == "after":
            task = asyncio.create_task(client.read_results(invitation_id))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
        return web.Response(status=204)

    def _client_id(self, customer: str) -> str:
        return self._client_ids.get(customer, self.client_id)

    def admin_routes(self) -> Iterable[web.RouteDef]:
        """The second table of the module."""
        customer = f"{ADMIN}customers/{{name}}"
        return (
            web.get(f"{ADMIN}customers", self._list_customers),
            web.get(f"{ADMIN}invitations", self._list_invitations),
            web.put(customer, self._connect),
            web.post(f"{customer}/{{call:tests|invite}}", self._ask),
            web.post(f"{customer}/{{call:results|delete}}/{{invitation_id}}", self._ask),
        )

    async def _list_customers(self, request: web.Request) -> web.Response:
        names = sorted({DEFAULT, *self.clients, *self._client_ids})
        return create_json_response([self._customer(name) for name in names])

    def _customer(self, name: str) -> dict[str, Any]:
        return {
            "customer": name,
            "client_id": self._client_id(name),
            "callback": self.callback_url(name),
            "connected": name in self.clients,
        }

    async def _list_invitations(self, request: web.Request) -> web.Response:
        return create_json_response([asdict(order) for order in list_placed_orders(self)])

    async def _connect(self, request: web.Request) -> web.Response:
        name, wanted = request.match_info["name"], await read_json_object(request)
        if errors := _CONNECTION.validate(wanted):
            raise Refusal(400, str(errors))
        if "client_id" in wanted:
            self.add_customer(name, wanted["client_id"])
        self.connect(wanted["bridge_url"], wanted["token"], customer=name)
        return create_json_response(self._customer(name))

    async def _ask(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        client = self.clients.get(name)
        if client is None:
            how = f'PUT {ADMIN}customers/{name} {{"bridge_url": "...", "token": "..."}}'
            raise Refusal(404, f"no bridge is connected for customer {name!r}: {how}")
        match request.match_info["call"]:
            case "tests":
                reply = await client.list_tests()
            case "invite":
                reply = await client.invite(**await read_json_object(request))
            case "results":
                reply = await client.read_results(request.match_info["invitation_id"])
            case _:
                reply = await client.delete(request.match_info["invitation_id"])
        return create_json_response(asdict(reply) | {"headers": dict(reply.headers)})
