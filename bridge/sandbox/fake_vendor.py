"""What both fakes share: an aiohttp application whose middleware keeps ledger and faults."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Self, TypedDict, Unpack, cast

from aiohttp import web
from aiohttp.typedefs import Middleware

from bridge.sandbox.admin_routes import ADMIN, admin_routes, answer_admin
from bridge.sandbox.faults import Faults
from bridge.sandbox.ledger import BRIDGE, Ledger, LedgerEntry, Observer, parse_json_leniently
from bridge.sandbox.recording_client import RecordingClient
from bridge.sandbox.request_checks import Refusal, create_json_response
from bridge.sandbox.simulated_clock import SandboxClock

MAX_BODY = 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.Response]]
Route = tuple[str, str, str, Handler]
"""Operation, method, path as aiohttp writes it, handler."""
ENTRY = web.RequestKey("ENTRY", LedgerEntry)
"""The request's entry in the ledger, to which a handler adds whom the call is about."""


class FakeVendorOptions(TypedDict, total=False):
    """The arguments of every fake, all by name."""

    host: str
    port: int
    """0 (the default) chooses a free port, which a later ``start()`` uses again."""
    clock: SandboxClock
    on_call: Observer
    """Is called with every entry of the ledger."""
    max_entries: int
    """Bounds the ledger; the oldest entries are dropped."""
    rng: random.Random
    """The random numbers of faults with a probability."""


class FakeVendor:
    """A fake vendor on a real socket: use ``async with``, or ``start()`` and ``close()``."""

    name: str
    """The vendor's name as a party of a call."""
    operations: tuple[str, ...] = ()
    """The vendor's API; ``"*"`` as a fault's operation means these."""
    page_operations: Mapping[str, str] = {}
    """Pages for people -> who opens them."""
    made_operations: tuple[str, ...] = ()
    """Calls that the sandbox makes; faults can delay, hang and drop them."""

    def __init__(self, **options: Unpack[FakeVendorOptions]) -> None:
        self.host = options.get("host", "127.0.0.1")
        self.port = options.get("port", 0)
        self.clock = options.get("clock") or SandboxClock()
        limit, observer = options.get("max_entries", 100_000), options.get("on_call")
        self.ledger = Ledger(self._now, limit, observer)
        self.violations, self.calls = self.ledger.violations, self.ledger.calls
        self.wait_calls = self.ledger.wait_calls
        self.faults = Faults(
            self.operations, self.page_operations, self.made_operations, options.get("rng")
        )
        self.fault, self.heal = self.faults.add, self.faults.heal
        self.outgoing = RecordingClient(self.name, self.ledger, self.faults)
        self._operation_of: dict[object, str] = {}
        self._runner: web.AppRunner | None = None
        self._page_routes: list[web.RouteDef] = []
        self._guard: Middleware | None = None

    def _now(self) -> datetime:
        return self.clock()  # another clock may be put in its place

    def routes(self) -> Iterable[Route]:
        """The vendor's paths."""
        raise NotImplementedError

    def admin_routes(self) -> Iterable[web.RouteDef]:
        """Further paths below ``/_sandbox/``."""
        return ()

    def serve_page(self, routes: Iterable[web.RouteDef], guard: Middleware) -> None:
        """Have further paths below ``/_sandbox/``, and *guard* judge every call there; before
        ``start()``.
        """
        self._page_routes, self._guard = list(routes), guard

    def error_body(self, detail: str) -> Any:
        """An error in the vendor's words."""
        raise NotImplementedError

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
        app.add_routes([*admin_routes(self), *self.admin_routes(), *self._page_routes])
        await self.outgoing.open()
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
        """Stop listening and end every call; ``start()`` may follow (an outage)."""
        runner, self._runner = self._runner, None
        for fault in self.faults:
            if fault.waiting:
                fault.heal()
        if runner is not None:
            await runner.cleanup()
        await self.outgoing.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        """Where it is reached, without a trailing slash."""
        if self.port == 0:
            raise RuntimeError("the sandbox has no port yet: start it first")
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104 - compared
        return f"http://{host}:{self.port}"

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.Response:
        path, _, _ = request.raw_path.partition("?")
        if f"{path}/".startswith(ADMIN):
            judged = handler if self._guard is None else partial(self._guard, handler=handler)
            return await answer_admin(request, cast(Handler, judged))
        operation = self._operation_of.get(request.match_info.handler, "unknown")
        entry = request[ENTRY] = self.ledger.begin(operation, "received", request.method, path)
        entry.caller, entry.receiver = self.page_operations.get(operation, BRIDGE), self.name
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
                entry.response_json = (
                    parse_json_leniently(content) if isinstance(content, bytes) else None
                )
            await self.ledger.end(entry)
        if response is None:
            _reset(request)
            return web.Response()
        return response

    async def _respond(
        self, request: web.Request, handler: Handler, entry: LedgerEntry
    ) -> web.Response | None:
        try:
            entry.request_json = parse_json_leniently(await request.read())
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(entry, Refusal(413, "body too large"))
        fault = self.faults.fault_for(entry)
        if fault is None:
            return await self._answer(request, handler, entry)

        async def work() -> web.Response:
            return fault.refusal() or fault.garble(await self._answer(request, handler, entry))

        # After a hang no work is done if the caller has gone or the sandbox is closing.
        return await fault.around(work, gone=lambda: _gone(request) or self._runner is None)

    async def _answer(
        self, request: web.Request, handler: Handler, entry: LedgerEntry
    ) -> web.Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return self._refuse(entry, refusal)
        except web.HTTPException as error:  # the router knows no such path or method
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            # Browsers ask for an icon by themselves; that is not a mistake.
            wrong = entry.path != "/favicon.ico"
            unrouted = Refusal(error.status, error.reason, violation=wrong, headers=headers)
            return self._refuse(entry, unrouted)

    def _refuse(self, entry: LedgerEntry, refusal: Refusal) -> web.Response:
        if refusal.violation:
            rule = f"{entry.method} {entry.path}: {refusal.status} {refusal.detail}"
            self.ledger.violate(entry, rule)
        return create_json_response(
            self.error_body(refusal.detail), refusal.status, refusal.headers
        )


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _reset(request: web.Request) -> None:
    """Cut the connection: with linger 0 the kernel sends RST, which no client mistakes for an
    answer.
    """
    if (transport := request.transport) is not None:
        if (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
