"""The calls that the fakes make to a bridge: Equalture's callbacks and webhooks, softgarden's
requests, visits of people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from time import perf_counter
from typing import Any

import aiohttp

from bridge.sandbox.faults import Faults
from bridge.sandbox.ledger import BRIDGE, Ledger, parse_json_leniently

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)


@dataclass(frozen=True, slots=True)
class BridgeReply:
    """A bridge's answer to a call of a sandbox; status 0: none."""

    status: int
    json: Any
    text: str
    headers: Mapping[str, str]
    duration_ms: float
    error: str | None = None
    """Why there was no answer."""

    @property
    def location(self) -> str | None:
        """Where the answer redirects to."""
        return self.headers.get("Location")


class RecordingClient:
    """An HTTP client of *name*'s that records its calls in a ledger and is subject to faults."""

    def __init__(self, name: str, ledger: Ledger, faults: Faults) -> None:
        self._name = name
        self._ledger = ledger
        self._faults = faults
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Get ready: no cookies are kept, and there is no limit on connections."""
        connector, cookies = aiohttp.TCPConnector(limit=0), aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=cookies, timeout=_TIMEOUT
        )

    async def close(self) -> None:
        """Calls under way end with status 0."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self,
        operation: str,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        judge: Callable[[BridgeReply], str | None] = lambda _: None,
        describe: Callable[[BridgeReply], Any] = lambda reply: reply.json,
        **known: Any,
    ) -> BridgeReply:
        """Make a call and record it; a peer that fails is status 0, a redirect is not followed.

        *body* is sent as JSON, bytes as they are. *judge* says which rule the answer breaks, if
        any; *describe* what of it the entry keeps, of which other fields may be *known*. A fault
        on *operation* may delay the call, or drop it before it is sent or before the answer.
        """
        path, _, _ = url.partition("?")
        parties = {"caller": self._name, "receiver": BRIDGE}
        entry = self._ledger.begin(operation, "made", method, path, **(parties | known))
        if not isinstance(body, bytes | None):
            body = json.dumps(body, ensure_ascii=False).encode()
        entry.request_json = parse_json_leniently(body or b"")
        kind = {} if body is None else {"Content-Type": "application/json"}
        headers = {**kind, **(headers or {})}
        fault = self._faults.fault_for(entry)
        reply = _no_reply("cancelled" if fault is None else "dropped by a fault")
        try:
            if fault is None:
                reply = await self._exchange(method, url, body, headers)
            else:
                work = partial(self._exchange, method, url, body, headers)
                reply = await fault.around(work) or reply
            if reply.status and (problem := judge(reply)) is not None:
                self._ledger.violate(entry, f"answer to {operation} {method} {path}: {problem}")
        finally:
            entry.status, entry.error, entry.location = reply.status, reply.error, reply.location
            entry.response_json = describe(reply)
            match reply.json:
                case {"invitationId": str(invitation_id)} if entry.invitation_id is None:
                    entry.invitation_id = invitation_id
            await self._ledger.end(entry)
        return reply

    async def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> BridgeReply:
        if self._session is None:
            raise RuntimeError("the client is not open")
        began = perf_counter()
        # aiohttp warns of plain bytes of more than 1 MiB, but a test may send them.
        data = None if body is None else BytesIO(body)
        request = self._session.request(
            method, url, data=data, headers=headers, allow_redirects=False
        )
        try:
            async with request as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _no_reply(f"{type(error).__name__}: {error}", began)
        text, spent_ms = answer.decode("utf-8", "replace"), (perf_counter() - began) * 1000
        received = response.headers.copy()
        return BridgeReply(response.status, parse_json_leniently(answer), text, received, spent_ms)


def _no_reply(reason: str, began: float | None = None) -> BridgeReply:
    spent_ms = 0.0 if began is None else (perf_counter() - began) * 1000
    return BridgeReply(0, None, "", {}, spent_ms, reason)
