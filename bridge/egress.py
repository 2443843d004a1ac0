"""All outgoing connections: client sessions for hosts that an administrator named, and guarded ones
for URLs that came from outside.

Both send no cookies and ignore the environment; callers must pass ``allow_redirects=False``, which
aiohttp takes only per request. Both may use an HTTP proxy; guarded hosts are then checked before
the proxy is asked, since it is the proxy that connects.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from yarl import URL

from bridge.connection_limits import OpenConnector

DNS_TIMEOUT_S = 2.0
"""How long resolving a name may take before a proxy is asked."""
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_V4_IN_V6 = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
"""6to4 and Teredo: they lead to a v4 host of the sender's choice, and are no longer in use.
"""


class AnswerTooLarge(ValueError):
    """The answer is longer than the reader's limit."""


class ForbiddenAddress(OSError):
    """A URL from outside leads into a network that is not public; aiohttp wraps this as a connector
    error.
    """


class SentTracker:
    """Whether a request may have left, which ``track_sending`` has watched."""

    __slots__ = ("_before", "may_have_left")

    def __init__(self, *, may_have_left: bool = True) -> None:
        self.may_have_left = may_have_left
        self._before: Token[SentTracker | None] | None = None

    def __enter__(self) -> SentTracker:
        self._before = _SENT.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            _SENT.reset(self._before)


_SENT: ContextVar[SentTracker | None] = ContextVar("sent", default=None)


def track_sending(session: aiohttp.ClientSession) -> SentTracker:
    """``with`` this around one request over *session*, it learns whether that may have left.

    ``may_have_left`` is False until a connection for the request exists: until then nothing was
    sent. It stays True (unknown) if the session is not one of this module's.
    """
    return SentTracker(may_have_left=not hasattr(session.connector, _TRACKED))


_TRACKED: Final = "tracked_by_bridge"
"""The attribute that marks the connectors of this module's sessions."""


class _TrackedRequest(aiohttp.ClientRequest):
    """Tells its ``SentTracker`` that it has a connection.

    aiohttp's own way is a ``TraceConfig``, which costs each request twenty times as much.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """See ``ClientRequest``."""
        sent = _SENT.get()
        if sent is not None:
            sent.may_have_left = True
        return await super().send(conn)


def create_session(
    *, connections: int, proxy: str | None = None, connect: OpenConnector | None = None
) -> aiohttp.ClientSession:
    """A session for trusted, configured hosts with at most *connections* sockets (0: no limit).

    Needs a running loop.

    *proxy* is a URL, perhaps with user and password; this machine itself is reached without it.
    *connect*: None is TCP.
    """
    if connect is not None:
        return _session(connect(connections))
    connector = aiohttp.TCPConnector(limit=connections, limit_per_host=0)
    return _session(connector, *([create_proxy_middleware(proxy)] if proxy else []))


def create_guarded_session(
    *,
    allow_private: bool,
    connections: int,
    proxy: str | None = None,
    resolver: AbstractResolver | None = None,
    connect: OpenConnector | None = None,
) -> aiohttp.ClientSession:
    """A session for URLs from outside: addresses that are not public are refused after DNS, unless
    *allow_private*.

    Literal addresses in URLs, which never reach a resolver, are checked as well, when their socket
    is made. With a *proxy* both are checked before it is asked; a name that cannot be resolved here
    is left to the proxy. *resolver*: None is the system's; *connect*: None is TCP.
    """
    if allow_private or connect is not None:
        return create_session(connections=connections, proxy=proxy, connect=connect)
    guard = GuardedResolver(resolver)
    if proxy:  # the connections are to the proxy, which the administrator named
        connector = aiohttp.TCPConnector(limit=connections, limit_per_host=0)
        return _session(
            connector, create_private_host_filter(guard), create_proxy_middleware(proxy)
        )
    connector = aiohttp.TCPConnector(
        limit=connections, limit_per_host=0, resolver=guard, socket_factory=create_guarded_socket
    )
    return _session(connector)


def create_proxy_middleware(proxy: str) -> aiohttp.ClientMiddlewareType:
    """Sends requests through *proxy*, except those to this machine itself."""
    url = URL(proxy)
    headers = {}
    if url.user is not None:
        headers[hdrs.PROXY_AUTHORIZATION] = aiohttp.encode_basic_auth(
            url.user, url.password or "", "utf-8"
        )
    place = url.with_user(None)  # errors name it

    async def send(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if not _is_this_machine(request.url.host or ""):
            request.update_proxy(place, None, headers)
            if not request.is_ssl():  # no tunnel: the proxy reads the request itself
                request.headers.update(headers)
        return await handler(request)

    return send


def create_private_host_filter(guard: GuardedResolver) -> aiohttp.ClientMiddlewareType:
    """Refuses hosts that are, or lead to, an address that is not public."""

    async def send(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            await _check_host(guard, request.url.host or "")
        except ForbiddenAddress as error:
            raise aiohttp.ClientConnectorError(request.connection_key, error) from None
        return await handler(request)

    return send


def describe_call_failure(error: BaseException) -> str:
    """How a call without an answer failed; without the URL, which may contain secrets."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy says {error.status}"
    return type(error).__name__


async def _check_host(guard: GuardedResolver, host: str) -> None:
    last = host.rpartition(".")[2].lower()
    if ":" in host or last.isdigit() or last.startswith("0x"):  # an address, however it is written
        if not is_public_address(host):
            raise ForbiddenAddress("the address is not public")
        return
    try:
        async with asyncio.timeout(DNS_TIMEOUT_S):
            await guard.resolve(host)
    except ForbiddenAddress:
        raise
    except (OSError, TimeoutError):
        # Assumption: networks that need a proxy often cannot resolve outside names. The list of
        # allowed hosts still applies.
        return


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"


async def read_limited_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body of at most *limit* bytes, counted after decompression; raises ``AnswerTooLarge``
    beyond.
    """
    content = response.content
    body = await content.readany()
    if not content.at_eof():
        parts = bytearray(body)
        while len(parts) <= limit and (chunk := await content.readany()):
            parts += chunk
        body = bytes(parts)
    if len(body) > limit:
        response.close()  # else aiohttp would read on, to reuse the connection
        msg = f"more than {limit} bytes"
        raise AnswerTooLarge(msg)
    return body


def is_public_address(text: str) -> bool:
    """Whether *text* is a public IP address; False for anything else.

    Not public: private, loopback, link-local, carrier-grade NAT, multicast, reserved, unspecified,
    documentation, and every v6 form that carries a v4 address of such a kind.
    """
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address not in _GLOBAL_V6 or any(address in network for network in _V4_IN_V6):
            return False
    # Python calls most of multicast global; it is meant for no single host.
    return address.is_global and not (address.is_multicast or address.is_reserved)


class GuardedResolver(AbstractResolver):
    """Resolves like the system and refuses names of which any address is not public.

    One such address is enough: a public host has no reason to mix, an attacker who rebinds a name
    has.
    """

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of *host*; raises ``ForbiddenAddress``, or what the inner resolver
        raises.
        """
        found = await self._inner.resolve(host, port, family)
        if not all(is_public_address(one["host"]) for one in found):
            msg = f"{host} leads to an address that is not public"
            raise ForbiddenAddress(msg)
        return found

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def create_guarded_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for an address that is about to be connected to; the final check, whatever resolved
    the name.
    """
    family, kind, protocol, _, address = info
    if not is_public_address(str(address[0])):
        msg = "the address is not public"
        raise ForbiddenAddress(msg)
    return socket.socket(family, kind, protocol)


def _session(
    connector: aiohttp.BaseConnector, *middlewares: aiohttp.ClientMiddlewareType
) -> aiohttp.ClientSession:
    setattr(connector, _TRACKED, True)
    return aiohttp.ClientSession(
        connector=connector,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=middlewares,
        request_class=_TrackedRequest,
    )
