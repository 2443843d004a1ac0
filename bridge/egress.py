"""The one way out: client sessions for hosts that an administrator named, and guarded ones for URLs that came from outside.

Both send no cookies, read no environment and count on callers passing ``allow_redirects=False``, since aiohttp knows that only
per request.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_V4_IN_V6 = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
"""6to4 and Teredo: they lead to a v4 host of the sender's choice, and nobody serves on them any more."""


class AnswerTooLarge(ValueError):
    """The answer is longer than the reader is willing to hold."""


class ForbiddenAddress(OSError):
    """A URL from outside leads into a network that is not public; aiohttp wraps this as a connector error."""


@dataclass(slots=True)
class Flight:
    """Pass one per request as ``trace_request_ctx=`` to learn whether the request may have left.

    *may_have_left* is False from the start of the request until a connection is there: in between, surely nothing was sent.
    It stays True (not known) where the session is not one of this module's.
    """

    may_have_left: bool = True


def session(*, connections: int) -> aiohttp.ClientSession:
    """A session for trusted, configured hosts with at most *connections* sockets (0: no limit). Needs a running loop."""
    return _session(aiohttp.TCPConnector(limit=connections, limit_per_host=0))


def guarded_session(*, allow_private: bool, connections: int) -> aiohttp.ClientSession:
    """A session for URLs from outside: addresses that are not public are refused after DNS, unless *allow_private*.

    Literal addresses in URLs, which never reach a resolver, are judged as well, when their socket is made.
    """
    if allow_private:
        return session(connections=connections)
    connector = aiohttp.TCPConnector(
        limit=connections, limit_per_host=0, resolver=GuardedResolver(), socket_factory=guarded_socket
    )
    return _session(connector)


async def read_capped(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body of at most *limit* bytes, counted after decompression; raises ``AnswerTooLarge`` beyond."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            response.close()  # else aiohttp would read on, to save the connection
            msg = f"more than {limit} bytes"
            raise AnswerTooLarge(msg)
    return bytes(body)


def is_public_address(text: str) -> bool:
    """Whether *text* is an IP address that anybody on the internet could be reached at; False for anything else.

    Not public: private, loopback, link-local, carrier-grade NAT, multicast, reserved, unspecified, documentation, and every
    v6 form that carries a v4 address of such a kind.
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

    One bad address condemns the name: a public host has no reason to mix, an attacker who rebinds a name has.
    """

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of *host*; raises ``ForbiddenAddress``, or what the inner resolver raises."""
        found = await self._inner.resolve(host, port, family)
        if not all(is_public_address(one["host"]) for one in found):
            msg = f"{host} leads to an address that is not public"
            raise ForbiddenAddress(msg)
        return found

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def guarded_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for an address that is about to be connected to; the last word, whoever resolved the name."""
    family, kind, protocol, _, address = info
    if not is_public_address(str(address[0])):
        msg = "the address is not public"
        raise ForbiddenAddress(msg)
    return socket.socket(family, kind, protocol)


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_on_start)
    trace.on_connection_create_end.append(_on_connection)
    trace.on_connection_reuseconn.append(_on_connection)
    return aiohttp.ClientSession(
        connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[trace]
    )


async def _on_start(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    if isinstance(context.trace_request_ctx, Flight):
        context.trace_request_ctx.may_have_left = False


async def _on_connection(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    if isinstance(context.trace_request_ctx, Flight):
        context.trace_request_ctx.may_have_left = True
