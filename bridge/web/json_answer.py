"""The usual answer, JSON over a connection that stays open, sent in fewer steps than aiohttp needs
for any answer.
"""

from __future__ import annotations

import orjson
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11
from aiohttp.web_request import BaseRequest
from multidict import CIMultiDict

_HEADERS = CIMultiDict({hdrs.CONTENT_TYPE: "application/json"})


class JsonAnswer(web.Response):
    """200 with this JSON.

    Where the caller asked by HTTP/1.1 for a body and stays, headers and body are written at once;
    anything else goes aiohttp's own way, which ends in the same bytes. The application must have
    no ``on_response_prepare``.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(body=body, headers=_HEADERS)
        self._content = body
        self._sent = self._is_last = False

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send the answer, or as much of it as aiohttp does at this moment."""
        if (
            self._is_last
            or not request.keep_alive
            or request.version != HttpVersion11
            or request.method == hdrs.METH_HEAD
        ):
            return await super().prepare(request)
        headers, writer = self.headers, request.writer
        headers[hdrs.CONTENT_LENGTH] = str(len(self._content))
        headers[hdrs.DATE] = rfc822_formatted_time()
        await writer.write_headers("HTTP/1.1 200 OK", headers)
        await writer.write_eof(self._content)
        self._sent = True
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Send what is left."""
        if not self._sent:
            await super().write_eof(data)

    def force_close(self) -> None:
        """End the connection after this answer."""
        self._is_last = True
        super().force_close()

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open; None: it is not decided yet."""
        return self._sent or super().keep_alive


def json_response(document: object) -> JsonAnswer:
    """200 with *document*."""
    return JsonAnswer(orjson.dumps(document))
