"""HTTP without sockets: bytes go from one protocol to the other after a while, in order.

Both ends that belong to the bridge are aiohttp's own: its server behind the bridge's listener, and
its client, whose ``UnixConnector`` asks the loop for a connection. The world's own ends, the
vendors and who calls the bridge, are plain.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.simulation.event_loop import HOST

Context = contextvars.Context
CALLER = "x-caller"
"""A header that the network adds: the bridge process that calls."""


@dataclass(frozen=True, slots=True)
class HttpMessage:
    """A request (*start* is "POST /path HTTP/1.1") or an answer ("HTTP/1.1 200 OK")."""

    start: str
    headers: Mapping[str, str]
    body: bytes
    missing: int = 0
    """Of an answer: how many bytes its length says more than are ever sent."""
    breaks_off: bool = False
    """Of an answer: its connection is closed behind it."""

    @property
    def method(self) -> str:
        """Of a request."""
        return self.start.partition(" ")[0]

    @property
    def path(self) -> str:
        """Of a request, with its query."""
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.start.split(" ")[1])

    def dump(self) -> bytes:
        """As it goes over the network."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        length = f"Content-Length: {len(self.body) + self.missing}\r\n"
        return f"{self.start}\r\n{head}{length}\r\n".encode() + self.body


class MemoryTransport(asyncio.Transport):
    """One end of a connection; *context* is the one in which its protocol is called."""

    def __init__(self, network: MemoryNetwork, host: str, context: Context) -> None:
        super().__init__()
        self.host = host
        self.peer: MemoryTransport
        self._network = network
        self._context = context
        self._protocol: Any = None
        self._closing = False
        self._arrives_at = 0.0
        self._paused = False
        self._waiting: list[bytes] = []

    def connect(self, protocol: Any) -> None:
        """From now on *protocol* gets what comes."""
        self._protocol = protocol
        self._context.run(protocol.connection_made, self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What sockets know: the addresses."""
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def write(self, data: Any) -> None:
        """Send; what comes too late is dropped, as TCP does."""
        if not self._closing and len(data):
            self.peer.schedule(self.peer.receive, bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        """Send all together."""
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        """Nothing waits: the network takes all at once."""
        return 0

    def set_protocol(self, protocol: Any) -> None:
        """Replace the protocol."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """The protocol."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether this end was closed."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether its protocol wants more."""
        return not self._paused

    def pause_reading(self) -> None:
        """Keep what comes for later."""
        self._paused = True

    def resume_reading(self) -> None:
        """Hand out what was kept."""
        self._paused = False
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self.receive(data)

    def close(self) -> None:
        """Close both ends, after what was sent."""
        if not self._closing:
            self._closing = True
            self._network.forget(self)
            self._network.loop.call_soon(self._end, None, context=self._context)
            self.peer.schedule(self.peer.lose, None)

    def abort(self) -> None:
        """Close both ends."""
        self.close()

    def schedule(self, callback: Callable[..., None], *args: Any) -> None:
        """Have something arrive here, after all that was sent before."""
        loop = self._network.loop
        self._arrives_at = max(self._arrives_at, loop.time() + self._network.draw_latency())
        loop.call_at(self._arrives_at, callback, *args, context=self._context)

    def receive(self, data: bytes) -> None:
        """Bytes have arrived."""
        if self._paused:
            self._waiting.append(data)
        elif not self._closing:
            self._protocol.data_received(data)

    def lose(self, error: Exception | None) -> None:
        """The other end is gone."""
        if not self._closing:
            self._closing = True
            self._network.forget(self)
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)


class MessageReader(asyncio.Protocol):
    """The world's own end of a connection: reads whole messages."""

    def __init__(self) -> None:
        self.transport: MemoryTransport
        self.lost = False
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand out every message that is complete."""
        self._buffer += data
        while (message := self._take()) is not None:
            self.message_received(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self.lost = True

    def message_received(self, message: HttpMessage) -> None:
        """A whole message has come."""
        raise NotImplementedError

    def _take(self) -> HttpMessage | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        start, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        return HttpMessage(start, headers, rest[:length])


Serve = Callable[[HttpMessage], Awaitable[HttpMessage | None]]
"""Answers a request; None: the connection is closed without an answer."""


Unheard = Callable[[HttpMessage], None]
"""Is told of a request that was answered when its caller waited no longer."""


class _ServedConnection(MessageReader):
    """A connection to a vendor."""

    def __init__(self, serve: Serve, unheard: Unheard, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._serve = serve
        self._unheard = unheard
        self._loop = loop

    def message_received(self, message: HttpMessage) -> None:
        headers = {**message.headers, CALLER: self.transport.peer.host}
        self._loop.create_task(self._answer(HttpMessage(message.start, headers, message.body)))

    async def _answer(self, message: HttpMessage) -> None:
        answer = await self._serve(message)
        if answer is None:
            self.transport.close()
        else:
            if self.lost:
                self._unheard(message)
            self.transport.write(answer.dump())
            if answer.breaks_off:
                self.transport.close()


class _CallingConnection(MessageReader):
    """A connection to the bridge, for one request after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._answer: asyncio.Future[HttpMessage] | None = None

    async def ask(self, message: HttpMessage) -> HttpMessage:
        """Send a request, and wait for its answer; raises ``ConnectionError``."""
        self._answer = self._loop.create_future()
        self.transport.write(message.dump())
        return await self._answer

    def message_received(self, message: HttpMessage) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the bridge closed the connection"))


class MemoryNetwork:
    """All connections of a world."""

    def __init__(self, loop: asyncio.AbstractEventLoop, draws: Random) -> None:
        self.loop = loop
        self._draws = draws
        self._vendors: dict[str, tuple[Serve, Unheard]] = {}
        self._listeners: dict[str, tuple[Callable[[], Any], Context]] = {}
        self._idle: dict[str, list[_CallingConnection]] = {}
        self._open: dict[MemoryTransport, None] = {}
        self.unreachable: set[str] = set()
        """Vendors that cannot be connected to."""

    def draw_latency(self) -> float:
        """How long bytes are under way this time, in seconds."""
        return 0.0002 + 0.002 * self._draws.random() ** 3

    def serve_vendor(
        self, host: str, serve: Serve, unheard: Unheard = lambda message: None
    ) -> None:
        """Have *serve* answer the requests to this host."""
        self._vendors[host] = serve, unheard

    def listen(self, host: str, make_protocol: Callable[[], Any]) -> None:
        """Have a bridge process accept connections; in its name, which the caller's context has."""
        self._listeners[host] = (make_protocol, contextvars.copy_context())

    def list_listening(self) -> list[str]:
        """The bridge processes that accept connections."""
        return list(self._listeners)

    def stop_accepting(self, host: str) -> None:
        """Accept no more connections there."""
        self._listeners.pop(host, None)

    def stop_listening(self, host: str) -> None:
        """Accept no more connections there, and reset those that are open."""
        self.stop_accepting(host)
        self._idle.pop(host, None)
        for transport in [one for one in self._open if one.host == host]:
            self.forget(transport)
            reset = ConnectionResetError("the process was killed")
            transport.peer.schedule(transport.peer.lose, reset)

    def forget(self, transport: MemoryTransport) -> None:
        """It was closed."""
        self._open.pop(transport, None)

    async def connect_to_vendor(
        self, make_protocol: Callable[[], Any], *_: object, **__: object
    ) -> tuple[MemoryTransport, Any]:
        """What ``UnixConnector`` asks for; the vendor is told apart by the Host header."""
        await asyncio.sleep(self.draw_latency())
        ours, theirs = self._pair(HOST.get(), "", contextvars.copy_context(), Context())
        protocol = make_protocol()
        ours.connect(protocol)
        theirs.connect(_ServedConnection(self._serve, self._unheard, self.loop))
        return ours, protocol

    async def _serve(self, message: HttpMessage) -> HttpMessage | None:
        return await self._find_vendor(message)[0](message)

    def _unheard(self, message: HttpMessage) -> None:
        self._find_vendor(message)[1](message)

    def _find_vendor(self, message: HttpMessage) -> tuple[Serve, Unheard]:
        return self._vendors[message.headers["host"].partition(":")[0]]

    async def call_bridge(self, host: str, message: HttpMessage) -> HttpMessage:
        """Ask a bridge process; raises ``ConnectionError``."""
        idle = self._idle.setdefault(host, [])
        while idle:
            connection = idle.pop()
            if not connection.lost and not connection.transport.is_closing():
                break
        else:
            connection = await self._connect_to_bridge(host)
        try:
            answer = await connection.ask(message)
        except asyncio.CancelledError:
            connection.transport.close()  # who waits no longer hangs up
            raise
        idle.append(connection)
        return answer

    async def _connect_to_bridge(self, host: str) -> _CallingConnection:
        await asyncio.sleep(self.draw_latency())
        if host not in self._listeners:
            raise ConnectionRefusedError(host)
        make_protocol, context = self._listeners[host]
        ours, theirs = self._pair("", host, Context(), context)
        connection = _CallingConnection(self.loop)
        ours.connect(connection)
        theirs.connect(context.run(make_protocol))
        return connection

    def _pair(
        self, host: str, other: str, context: Context, others: Context
    ) -> tuple[MemoryTransport, MemoryTransport]:
        ours = MemoryTransport(self, host, context)
        theirs = MemoryTransport(self, other, others)
        ours.peer, theirs.peer = theirs, ours
        self._open[ours] = self._open[theirs] = None
        return ours, theirs
