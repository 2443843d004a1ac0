"""The calls that a sandbox makes: Equalture's callbacks and webhooks, softgarden's questions to the bridge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from time import perf_counter
from typing import Any

import aiohttp

from bridge.sandbox.book import Book
from bridge.sandbox.ledger import Entry
from bridge.sandbox.wire import Call, lenient_json

PEER_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a peer answered to a call that the sandbox made; status 0: nothing."""

    status: int
    json: Any
    text: str
    headers: Mapping[str, str]
    duration_ms: float
    error: str | None = None


class PeerSide(Book):
    """A sandbox's client half; works while the sandbox is running."""

    _session: aiohttp.ClientSession | None = None

    def open_session(self) -> None:
        """Ready to call others. No cookies, as vendors keep none between calls."""
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=PEER_TIMEOUT)

    async def close_session(self) -> None:
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
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        account: str | None = None,
        invitation_id: str | None = None,
        reference_id: str | None = None,
        judge: Callable[[Reply], str | None] | None = None,
    ) -> Reply:
        """Make a call and record it. Never follows redirects, never raises for a peer that fails (status 0 instead).

        *judge* says which rule the answer breaks, if any. A fault on *operation* may delay the call or drop it
        (``drop="before"``: never sent; ``"after"``: sent, the answer is lost).
        """
        if self._session is None:
            raise RuntimeError("the sandbox is not running")
        started, began, number = self.clock(), perf_counter(), next(self.numbers)
        path, _, query = url.partition("?")
        call = Call(
            operation, method, path, query, headers or {}, data or b"", {}, account, invitation_id, reference_id
        )
        fault = self.faults.strike(call)
        reply = Reply(0, None, "", {}, 0.0, "cancelled")
        violation: str | None = None
        try:
            if fault is None:
                reply = await self._exchange(method, url, data, headers)
            else:
                async with fault.entered():
                    reply = Reply(0, None, "", {}, 0.0, "dropped by a fault")
                    await fault.pause("before")
                    if fault.what.get("drop") != "before":
                        received = await self._exchange(method, url, data, headers)
                        await fault.pause("after")
                        reply = reply if fault.what.get("drop") == "after" else received
            problem = judge(reply) if judge is not None and reply.status else None
            if problem is not None:
                violation = self.violation(f"answer to {operation} {method} {path}: {problem}")
        finally:
            await self.record(
                Entry(
                    number=number,
                    operation=operation,
                    direction="made",
                    method=method,
                    path=path,
                    query=call.query,
                    status=reply.status,
                    started=started,
                    began=began,
                    duration_ms=(perf_counter() - began) * 1000,
                    request_json=call.json,
                    response_json=reply.json,
                    account=account,
                    invitation_id=invitation_id or _text_of(reply.json, "invitationId"),
                    reference_id=reference_id,
                    fault=None if fault is None else str(fault),
                    violation=violation,
                    error=reply.error,
                )
            )
        return reply

    async def _exchange(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str] | None) -> Reply:
        session = self._session
        if session is None:
            raise RuntimeError("the sandbox is not running")
        began = perf_counter()
        # aiohttp warns of plain bytes of more than 1 MiB; an oversized callback is a fair test of a bridge.
        body_out = None if data is None else BytesIO(data)
        try:
            async with session.request(method, url, data=body_out, headers=headers, allow_redirects=False) as response:
                body = await response.read()
                spent = (perf_counter() - began) * 1000
                text = body.decode("utf-8", "replace")
                return Reply(response.status, lenient_json(body), text, response.headers.copy(), spent)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Reply(0, None, "", {}, (perf_counter() - began) * 1000, f"{type(error).__name__}: {error}")


def _text_of(value: Any, key: str) -> str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


__all__ = ["PeerSide", "Reply"]
