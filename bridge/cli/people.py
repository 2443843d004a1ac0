"""The people of the demo: they open links in a browser that keeps no cookies and follows no
redirects by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from bridge.cli.tape import BRIDGE, Heard, Tape

_TIMEOUT = aiohttp.ClientTimeout(total=15)


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody got to see; status 0: nothing."""

    status: int
    location: str = ""
    kind: str = ""
    body: bytes = b""


class People:
    """Opens links; visits to the bridge go on the tape, those to a fake are heard by the fake."""

    def __init__(self, tape: Tape, bridge_url: str) -> None:
        self._tape = tape
        self._bridge_url = bridge_url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def open(
        self, who: str, url: str, method: str = "GET", form: Mapping[str, str] | None = None
    ) -> Seen:
        """Let *who* open a link, or press the button of a page."""
        if self._session is None:
            raise RuntimeError("nobody is there: use async with")
        began = perf_counter()
        error = None
        try:
            async with self._session.request(
                method, url, data=form, allow_redirects=False
            ) as response:
                body = await response.read()
                seen = Seen(
                    response.status,
                    response.headers.get("Location", ""),
                    response.content_type,
                    body,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            seen, error = Seen(0), f"{type(problem).__name__}: {problem}"
        if url.startswith(self._bridge_url):
            spent = (perf_counter() - began) * 1000
            remark = f"leads to {seen.location}" if seen.location else error
            path = urlsplit(url).path
            self._tape.keep(
                Heard(
                    who,
                    BRIDGE,
                    "visit",
                    method,
                    path,
                    seen.status,
                    began,
                    spent,
                    answer=_told(seen),
                    remark=remark,
                )
            )
        return seen


def _told(seen: Seen) -> str | None:
    if not seen.body or seen.location:
        return None
    if seen.kind == "text/html":
        _, _, rest = seen.body.decode("utf-8", "replace").partition("<title>")
        return f"a page: {rest.partition('</title>')[0]}"
    return f"{seen.kind}, {len(seen.body)} bytes"
