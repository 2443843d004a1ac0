"""Reading request bodies: bounded in size and time, and JSON that cannot hurt."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge import wire
from bridge.errors import BodyTooLarge, InvalidRequest, SlowBody

BODY_TIME_S = 10.0


async def read(request: web.Request, limit: int, *, within_s: float = BODY_TIME_S) -> bytes:
    """The body's bytes; raises ``BodyTooLarge`` over *limit* bytes, ``SlowBody``, ``InvalidRequest`` for a broken encoding."""
    too_large = f"At most {limit // 1024} KiB are accepted here."
    if request.content_length is not None and request.content_length > limit:
        raise BodyTooLarge(too_large)
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise BodyTooLarge(too_large)
    except TimeoutError:
        msg = f"The body has to arrive within {within_s:g} seconds."
        raise SlowBody(msg) from None
    except (HttpProcessingError, web.RequestPayloadError) as error:
        msg = "The body is not encoded as its headers say."
        raise InvalidRequest(msg) from error
    return bytes(body)


def as_json(raw: bytes) -> object:
    """The JSON value in *raw*; raises ``InvalidRequest`` for anything that is not well-formed, plain JSON."""
    try:
        return wire.loads(raw)
    except ValueError:
        msg = "The body is not valid JSON."
        raise InvalidRequest(msg, {"body": ["Not valid JSON."]}) from None
