"""What both fakes share: an aiohttp application on a socket, whose middleware keeps the ledger and
applies the faults.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from itertools import count
from time import perf_counter
from typing import Any, Literal, Self, TypedDict, cast

from aiohttp import web
from aiohttp.typedefs import Middleware

from bridge.sandbox.admin_routes import ADMIN, admin_routes, answer_admin
from bridge.sandbox.bridge_caller import BridgeCaller
from bridge.sandbox.faults import Fault, Faults
from bridge.sandbox.ledger import Entry, Observer, append_bounded, lenient_json
from bridge.sandbox.request_checks import Refusal, json_response
from bridge.sandbox.simulated_clock import SandboxClock

MAX_BODY = 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.Response]]
Route = tuple[str, str, str, Handler]
"""Operation, method, path as aiohttp writes it, handler."""
ENTRY = web.RequestKey("ENTRY", Entry)
"""The request's entry for the ledger, for which a handler finds out whom the call is about."""


class Options(TypedDict, total=False):
    """What every fake takes, all by name; see ``FakeVendor``."""

    host: str
    port: int
    clock: SandboxClock | None
    on_call: Observer | None
    max_entries: int
    rng: random.Random | None


class FakeVendor:
    """A fake vendor on a real socket, in the caller's event loop. Use ``async with``, or
    ``start()`` and ``close()``.

    *port* 0 picks a free one, which a later ``start()`` uses again. *max_entries* bounds ledger and
    violations (the oldest go). *rng* gives the random numbers of faults with a probability.
    *on_call* is called with every entry.
    """

    operations: tuple[str, ...] = ()
    """The vendor's API; ``"*"`` as a fault's operation means these."""
    page_operations: tuple[str, ...] = ()
    """Pages for people."""
    made_operations: tuple[str, ...] = ()
    """Calls that the sandbox makes; faults can delay, hang and drop them."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: SandboxClock | None = None,
        on_call: Observer | None = None,
        max_entries: int = 100_000,
        rng: random.Random | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.clock = clock or SandboxClock()
        self.on_call = on_call
        self.ledger: list[Entry] = []
        self.violations: list[str] = []
        seeded = rng or random.Random(0)  # noqa: S311 - no secret; chaos runs can be repeated
        self.faults = Faults(self.operations, self.page_operations, self.made_operations, seeded)
        self._max_entries = max_entries
        self._numbers = count(1)
        self._recorded = asyncio.Condition()
        self._operation_of: dict[object, str] = {}
        self._runner: web.AppRunner | None = None
        self.bridge = BridgeCaller(self)

    # What a vendor defines

    def routes(self) -> Iterable[Route]:
        """The vendor's paths."""
        raise NotImplementedError

    def admin_routes(self) -> Iterable[web.RouteDef]:
        """Further paths below ``/_sandbox/``."""
        return ()

    def error_body(self, detail: str) -> Any:
        """An error in the vendor's words."""
        raise NotImplementedError

    # Running

    async def start(self) -> None:
        """Listen; raises ``OSError`` when the port is taken."""
        if self._runner is not None:
            raise RuntimeError("the sandbox is running already")
        app = web.Application(
            middlewares=[cast(Middleware, self._record)], client_max_size=MAX_BODY
        )
        for operation, method, path, handler in self.routes():
            app.router.add_route(method, path, handler)
            self._operation_of[handler] = operation
        app.add_routes([*admin_routes(self), *self.admin_routes()])
        await self.bridge.open()
        # A short grace: a call that a fault holds would otherwise keep close() waiting.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, self.host, self.port).start()
        except BaseException:
            await self.close()
            raise
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening and let go of every call; state and ledger stay, so that ``start()`` may
        follow (an outage).
        """
        runner, self._runner = self._runner, None
        for fault in self.faults:
            if fault.waiting:
                fault.heal()
        if runner is not None:
            await runner.cleanup()
        await self.bridge.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        """Where it is reached, without a trailing slash; known once it was started, or with a fixed
        port.
        """
        if self.port == 0:
            raise RuntimeError("the sandbox has no port yet: start it first")
        everywhere = self.host in ("", "0.0.0.0")  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if everywhere else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    # Faults and ledger

    def fault(self, operation: str, **switches: Any) -> Fault:
        """Switch a fault on for an operation or ``"*"``; the switches are the fields of
        ``faults.Fault``.
        """
        return self.faults.add(operation, **switches)

    def heal(self, *operations: str) -> int:
        """Switch faults off, of these operations or all; returns how many."""
        return self.faults.heal(*operations)

    def calls(self, operation: str | None = None, **match: Any) -> list[Entry]:
        """Ended calls of an operation (None: all) whose entries have the given values."""
        return [
            entry
            for entry in self.ledger
            if operation in (None, entry.operation)
            and all(getattr(entry, name) == value for name, value in match.items())
        ]

    async def wait_calls(
        self, operation: str | None = None, count: int = 1, *, timeout: float = 5.0, **match: Any
    ) -> list[Entry]:
        """As ``calls``, once there are *count*; raises ``TimeoutError`` after *timeout* seconds."""
        async with asyncio.timeout(timeout), self._recorded:
            await self._recorded.wait_for(lambda: len(self.calls(operation, **match)) >= count)
        return self.calls(operation, **match)

    def begin(
        self, operation: str, direction: Literal["received", "made"], method: str, path: str
    ) -> Entry:
        """The entry of a call that begins now."""
        number, now = next(self._numbers), self.clock()
        return Entry(
            number, operation, direction, method, path, {}, started=now, began=perf_counter()
        )

    async def end(self, entry: Entry) -> None:
        """Put the entry of a call that has ended into the ledger."""
        entry.duration_ms = (perf_counter() - entry.began) * 1000
        append_bounded(self.ledger, entry, self._max_entries)
        if self.on_call is not None:
            self.on_call(entry)
        async with self._recorded:
            self._recorded.notify_all()

    def violate(self, entry: Entry, rule: str) -> None:
        """Note the contract rule that this call broke."""
        entry.violation = rule
        append_bounded(self.violations, rule, self._max_entries)

    # Calls received

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.Response:
        path, _, _ = request.raw_path.partition("?")
        if path.startswith(ADMIN):
            return await answer_admin(request, handler)
        operation = self._operation_of.get(request.match_info.handler, "unknown")
        entry = request[ENTRY] = self.begin(operation, "received", request.method, path)
        entry.query, entry.host = dict(request.query), request.host
        # Known even if the call is refused or dropped before the handler has looked at it.
        entry.reference_id = request.match_info.get("reference_id")
        entry.account = request.match_info.get("customer")
        response: web.Response | None = None
        try:
            response = await self._respond(request, handler, entry)
        finally:
            if response is not None:
                entry.status = response.status
                content = response.body
                entry.response_json = lenient_json(content) if isinstance(content, bytes) else None
            await self.end(entry)
        if response is None:
            _reset(request)
            return web.Response()
        return response

    async def _respond(
        self, request: web.Request, handler: Handler, entry: Entry
    ) -> web.Response | None:
        try:
            entry.request_json = lenient_json(await request.read())
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(entry, Refusal(413, "body too large"))
        fault = self.faults.strike(entry)
        if fault is None:
            return await self._answer(request, handler, entry)

        async def work() -> web.Response:
            return fault.refusal() or fault.garble(await self._answer(request, handler, entry))

        # A call that hung gets no work done if its caller has gone, or if the sandbox is closing
        # and let go of it.
        return await fault.around(work, gone=lambda: _gone(request) or self._runner is None)

    async def _answer(self, request: web.Request, handler: Handler, entry: Entry) -> web.Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return self._refuse(entry, refusal)
        except web.HTTPException as error:  # the router knows no such path or method
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            # Browsers ask for an icon by themselves; that is nobody's mistake.
            violation = entry.path != "/favicon.ico"
            return self._refuse(
                entry, Refusal(error.status, error.reason, violation=violation, headers=headers)
            )

    def _refuse(self, entry: Entry, refusal: Refusal) -> web.Response:
        if refusal.violation:
            self.violate(entry, f"{entry.method} {entry.path}: {refusal.status} {refusal.detail}")
        return json_response(self.error_body(refusal.detail), refusal.status, refusal.headers)


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _reset(request: web.Request) -> None:
    """Reset the connection: with linger 0 the kernel sends RST, which no client takes for a short
    answer.
    """
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
