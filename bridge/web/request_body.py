"""Reading request bodies: bounded in size, time and number, and JSON that cannot hurt."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from bridge import response_parsing
from bridge.errors import (
    BodyTimeout,
    BodyTooLarge,
    InvalidRequest,
    ProcessOverloaded,
    UnsupportedEncoding,
)
from bridge.web.app_keys import CALL, EXPECTS_BODY

BODY_TIME_S = 10.0
_GZIP = ("gzip", "x-gzip")
_EITHER_HEADER = 32 + zlib.MAX_WBITS
"""Makes zlib detect whether this is gzip or zlib."""


class BodyBudget:
    """Limits the bytes of bodies that this process reads at once: *total*, of which one holder gets
    at most *share*.
    """

    def __init__(self, total: int, share: int) -> None:
        self._left = total
        self._share = share
        self._held: Counter[str] = Counter()

    @property
    def holders(self) -> frozenset[str]:
        """The holders of reserved bytes."""
        return frozenset(self._held)

    def take(self, holder: str, size: int) -> None:
        """Reserve *size* bytes; raises ``ProcessOverloaded`` if there is no room."""
        if size > self._left or self._held[holder] + size > self._share:
            raise ProcessOverloaded(
                "Too many bodies are being received at once; nothing was taken in."
            )
        self._left -= size
        self._held[holder] += size

    def give_back(self, holder: str, size: int) -> None:
        """The inverse of ``take``."""
        self._left += size
        self._held[holder] -= size
        if not self._held[holder]:
            del self._held[holder]


@dataclass(frozen=True, slots=True)
class BodyReader:
    """How the bodies of one kind of call are read: at most *limit* bytes each, within *within_s*,
    as *room* allows.
    """

    limit: int
    room: BodyBudget = field(default_factory=lambda: BodyBudget(32 * 1024 * 1024, 8 * 1024 * 1024))
    within_s: float = BODY_TIME_S

    async def read(self, request: web.Request, holder: str, *, unpack: bool = False) -> bytes:
        """The body's bytes; call it once it is known that *holder* may send one.

        Raises ``BodyTooLarge``, ``BodyTimeout``, ``ProcessOverloaded``, ``UnsupportedEncoding`` for
        one that is compressed, and ``InvalidRequest`` for a broken one. *unpack* accepts gzip and
        deflate; the limit then also holds for the decompressed size.
        """
        self.check_headers(request, unpack=unpack)
        raw = await self._receive(request, holder, request.content_length or 0)
        encoding = _encoding(request)
        return self._unpacked(raw, encoding) if encoding else raw

    def check_headers(self, request: web.Request, *, unpack: bool = False) -> None:
        """Refuse, as ``read`` does, a body that by its headers is too large or compressed."""
        encoding = _encoding(request)
        if encoding and not (unpack and encoding in (*_GZIP, "deflate")):
            raise _unsupported()
        if request.content_length is not None and request.content_length > self.limit:
            raise self._too_large()

    async def _receive(self, request: web.Request, holder: str, taken: int) -> bytes:
        call, content = request[CALL], request.content
        expected = request.get(EXPECTS_BODY) and request.version == HttpVersion11
        self.room.take(holder, taken)
        try:
            if content.is_eof() and not expected:
                # It came with the headers, as most do: there is nothing to wait for.
                body = content.read_nowait(-1)
                if len(body) > self.limit:
                    raise self._too_large()
                if len(body) > taken:
                    self.room.take(holder, len(body) - taken)
                    taken = len(body)
                call.body_read = True
                return body
            chunks = bytearray()
            async with asyncio.timeout(self.within_s):
                if expected:
                    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    request.writer.output_size = 0  # the answer has not begun
                async for chunk in content.iter_any():
                    size = len(chunks) + len(chunk)
                    if size > self.limit:
                        raise self._too_large()
                    if size > taken:
                        self.room.take(holder, size - taken)
                        taken = size
                    chunks += chunk
        except TimeoutError:
            msg = f"The body has to arrive within {self.within_s:g} seconds."
            raise BodyTimeout(msg) from None
        except (HttpProcessingError, web.RequestPayloadError) as error:
            raise _broken() from error
        finally:
            self.room.give_back(holder, taken)
        call.body_read = True
        return bytes(chunks)

    def _unpacked(self, raw: bytes, encoding: str) -> bytes:
        # "deflate" is zlib's format by RFC 9110; some senders leave its header out.
        bare = encoding == "deflate" and raw[:1] and raw[0] & 0x0F != zlib.DEFLATED
        unfolding = zlib.decompressobj(-zlib.MAX_WBITS if bare else _EITHER_HEADER)
        try:
            plain = unfolding.decompress(raw, self.limit + 1)
        except zlib.error as error:
            raise _broken() from error
        if len(plain) > self.limit:
            raise self._too_large()
        if not unfolding.eof or unfolding.unused_data:
            raise _broken()
        return plain

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"At most {self.limit // 1024} KiB are accepted here.")


def refuse_compressed_body(request: web.Request) -> None:
    """Raise ``UnsupportedEncoding`` for a compressed body, at an endpoint that reads none."""
    if request.body_exists and _encoding(request):
        raise _unsupported()


def parse_json_body(raw: bytes) -> object:
    """The JSON value in *raw*; raises ``InvalidRequest`` for anything that is not well-formed,
    plain JSON.
    """
    try:
        return response_parsing.parse_json(raw)
    except ValueError:
        msg = "The body is not valid JSON."
        raise InvalidRequest(msg, {"body": ["Not valid JSON."]}) from None


def _encoding(request: web.Request) -> str:
    """The body's encoding; empty for none. Several come as one text, which matches no encoding."""
    found = request.headers.getall(hdrs.CONTENT_ENCODING, None)
    if not found:
        return ""
    given = ",".join(found).lower().split(",")
    return ",".join(name for name in map(str.strip, given) if name and name != "identity")


def _broken() -> InvalidRequest:
    msg = "The body is not encoded as its headers say."
    return InvalidRequest(msg, {"body": [msg]})


def _unsupported() -> UnsupportedEncoding:
    return UnsupportedEncoding("Send the body as it is, without a Content-Encoding.")
