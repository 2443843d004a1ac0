"""What both fakes share on the receiving side: the socket, and the order fault - rule - handler - ledger."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Self, Unpack
from urllib.parse import unquote

import aiohttp
from aiohttp import web

from bridge.sandbox.admin import ADMIN, answer_admin
from bridge.sandbox.book import BookOptions
from bridge.sandbox.faults import Fault
from bridge.sandbox.ledger import Entry
from bridge.sandbox.peer import PeerSide
from bridge.sandbox.wire import Answer, Call, Refusal

MAX_BODY = 1024 * 1024

Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One path with its methods. *path* has ``{name}`` for one segment and ``{name*}`` for any tail."""

    operation: str
    methods: tuple[str, ...]
    path: str
    handler: Handler
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        pattern = re.sub(r"\\{(\w+)\\\*\\}", r"(?P<\1>.*)", pattern)
        object.__setattr__(self, "pattern", re.compile(pattern))

    def match(self, path: str) -> dict[str, str] | None:
        """The variable parts, percent-decoded, if the path is this rule's. Strict: ``//`` and a trailing slash are not."""
        found = self.pattern.fullmatch(path)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}


class ServerOptions(BookOptions, total=False):
    """What every fake takes, all by name; see ``SandboxServer`` and ``Book``."""

    host: str
    port: int
    public_url: str | None


class SandboxServer(PeerSide):
    """A fake vendor on a real socket, in the caller's event loop. Use ``async with``, or ``start()`` and ``close()``.

    *port* 0 picks a free one and keeps it over a later ``start()``. *public_url*: how others reach it, if not by host and
    port. The other arguments are those of ``Book``.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, public_url: str | None = None, **book: Unpack[BookOptions]
    ) -> None:
        super().__init__(**book)
        self.host = host
        self.port = port
        self._public_url = public_url
        self._runner: web.ServerRunner | None = None
        self._rules: list[Rule] = []

    async def start(self) -> None:
        """Listen; raises ``OSError`` when the port is taken."""
        if self._runner is not None:
            raise RuntimeError("the sandbox is running already")
        self._rules = self.rules()
        self.open_session()
        # A short grace: a call that a fault holds would otherwise keep close() waiting.
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.2)
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, self.host, self.port).start()
        except BaseException:
            await self.close()
            raise
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening and let go of every call; state and ledger stay, so that ``start()`` may follow (an outage)."""
        runner, self._runner = self._runner, None
        for fault in self.faults:
            if fault.waiting:
                fault.heal()
        if runner is not None:
            await runner.cleanup()
        await self.close_session()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        """Where it is reached, without a trailing slash; known once it was started, or with a fixed port."""
        if self._public_url is not None:
            return self._public_url.rstrip("/")
        if self.port == 0:
            raise RuntimeError("the sandbox has no port yet: start it first")
        host = "127.0.0.1" if self.host in ("", "0.0.0.0") else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    # What a vendor defines

    def rules(self) -> list[Rule]:
        """The vendor's paths."""
        raise NotImplementedError

    def refusal(self, refusal: Refusal) -> Answer:
        """An error as the vendor words it."""
        raise NotImplementedError

    # Calls received

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        started, began, number = self.clock(), perf_counter(), next(self.numbers)
        call, rule, allowed = await self._read(request)
        if call.path.startswith(ADMIN):
            return _render(await answer_admin(self, call))
        broken: list[str] = []
        answer: Answer | None = None
        fault = self.faults.strike(call)
        try:
            if fault is None:
                answer = await self._answer(call, rule, allowed, broken)
            else:
                async with fault.entered():
                    answer = await self._answer_through(fault, call, rule, allowed, broken, request)
        finally:
            await self.record(
                Entry(
                    number=number,
                    operation=call.operation,
                    direction="received",
                    method=call.method,
                    path=call.path,
                    query=call.query,
                    status=0 if answer is None else answer.status,
                    started=started,
                    began=began,
                    duration_ms=(perf_counter() - began) * 1000,
                    request_json=call.json,
                    response_json=None if answer is None or answer.body is not None else answer.json,
                    account=call.account,
                    invitation_id=call.invitation_id,
                    reference_id=call.reference_id,
                    fault=None if fault is None else str(fault),
                    violation=broken[0] if broken else None,
                )
            )
        if answer is None:
            _cut(request)
            return web.Response()
        return _render(answer)

    async def _read(self, request: web.BaseRequest) -> tuple[Call, Rule | None, set[str]]:
        path, _, query = request.raw_path.partition("?")
        try:
            body = await request.content.read(MAX_BODY + 1) if request.body_exists else b""
            while len(body) <= MAX_BODY and (more := await request.content.read(MAX_BODY)):
                body += more
        except (aiohttp.ClientError, ConnectionError):
            body = b""
        call = Call("unknown", request.method, path, query, request.headers, body)
        chosen: Rule | None = None
        allowed: set[str] = set()
        for rule in self._rules:
            params = rule.match(path)
            if params is None:
                continue
            allowed |= set(rule.methods)
            if chosen is None:
                call.operation, call.params = rule.operation, params
            if request.method in rule.methods:
                call.operation, call.params, chosen = rule.operation, params, rule
                break
        # Known to the ledger even if the call is refused or cut before the handler has looked at it.
        call.reference_id = call.params.get("reference_id")
        return call, chosen, allowed

    async def _answer(self, call: Call, rule: Rule | None, allowed: set[str], broken: list[str]) -> Answer:
        try:
            if rule is None and allowed:
                raise Refusal(405, "method not allowed", headers={"Allow": ", ".join(sorted(allowed))})
            if rule is None:
                # Browsers ask for an icon by themselves; that is nobody's mistake.
                raise Refusal(404, "no such path", violation=call.path != "/favicon.ico")
            if len(call.body) > MAX_BODY:
                raise Refusal(413, "body too large")
            return await rule.handler(call)
        except Refusal as refusal:
            if refusal.violation:
                broken.append(self.violation(f"{call.method} {call.path}: {refusal.status} {refusal.detail}"))
            return self.refusal(refusal)

    async def _answer_through(
        self,
        fault: Fault,
        call: Call,
        rule: Rule | None,
        allowed: set[str],
        broken: list[str],
        request: web.BaseRequest,
    ) -> Answer | None:
        await fault.pause("before")
        # A call that hung gets no work done if its caller has gone, or if the sandbox is closing and let go of it.
        lost = fault.what.get("hang") == "before" and (_gone(request) or self._runner is None)
        if lost or fault.what.get("drop") == "before":
            return None
        answer = fault.refusal()
        if answer is not None:
            return answer
        answer = await self._answer(call, rule, allowed, broken)
        await fault.pause("after")
        return None if fault.what.get("drop") == "after" else fault.garble(answer)


def _render(answer: Answer) -> web.Response:
    headers = {"Content-Type": f"{answer.content_type}; charset=utf-8", **answer.headers}
    if answer.status == 204:
        del headers["Content-Type"]
    return web.Response(status=answer.status, body=answer.payload(), headers=headers)


def _gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


def _cut(request: web.BaseRequest) -> None:
    """Reset the connection: with linger 0 the kernel sends RST, which no client takes for a short answer."""
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


__all__ = ["Handler", "Rule", "SandboxServer", "ServerOptions"]
