"""A deployed bridge, called as softgarden calls it: one request at a time, and why none came back.

Only ``doctor`` does this. Redirects are not followed, for the token would travel along.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bridge import response_parsing
from bridge.egress import AnswerTooLarge, read_limited_body

ANSWER_LIMIT = 1024 * 1024
"""Bytes of the longest answer that is read."""
PROBLEM = "application/problem+json"
NOTHING: MappingProxyType[str, Any] = MappingProxyType({})


class NoUsableAnswer(Exception):
    """Nothing usable came back; the text says what happened, *remedy* what to do."""

    def __init__(self, words: str, remedy: str) -> None:
        super().__init__(words)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class BridgeAnswer:
    """One answer; *json* is None where the body is none, *ms* is how long it took."""

    status: int
    headers: CIMultiDictProxy[str]
    json: Any
    ms: int
    began: datetime

    @property
    def fields(self) -> Any:
        """The body, if it is an object; else an empty one."""
        return self.json if isinstance(self.json, dict) else NOTHING

    @property
    def media_type(self) -> str:
        """The type of the body, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def code(self) -> str:
        """The code of a problem; empty where the answer is none."""
        code = self.fields.get("code")
        return code if self.media_type == PROBLEM and isinstance(code, str) else ""

    def clock_off_by(self) -> timedelta | None:
        """How far ahead the bridge's clock is of this computer's; None: it does not say."""
        try:
            theirs = parsedate_to_datetime(self.headers.get("Date", ""))
        except ValueError:
            return None
        if theirs.tzinfo is None:
            return None
        return theirs - (self.began + timedelta(milliseconds=self.ms / 2))


class DeployedBridge:
    """The bridge at *base*, called with *token*; the session is the caller's to close."""

    def __init__(
        self, session: aiohttp.ClientSession, base: URL, token: str, *, timeout_s: float
    ) -> None:
        self.base = base
        self._session = session
        self._token = token
        self._timeout_s = timeout_s
        self.slowest: tuple[int, str] = (0, "nothing was asked")
        """Milliseconds of the slowest answer, and to what; without ids and links."""

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "",
        json: object = None,
        body: bytes | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> BridgeAnswer:
        """One call below the base, or to an absolute URL; raises ``NoUsableAnswer``.

        *token*: empty for the right one, None for none at all.
        """
        url = URL(path) if "://" in path else URL(str(self.base).rstrip("/") + path, encoded=True)
        sent = CIMultiDict(headers)
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self._token}"
        if json is not None:
            body = orjson.dumps(json)
        if body is not None:
            sent["Content-Type"] = "application/json"
        began, start = datetime.now(UTC), time.monotonic()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.request(
                    method, url, headers=sent, data=body, allow_redirects=False
                ) as response,
            ):
                raw = await read_limited_body(response, ANSWER_LIMIT)
        except (aiohttp.ClientError, OSError, TimeoutError, AnswerTooLarge) as error:
            raise _no_answer(error, url, self._timeout_s) from error
        ms = round((time.monotonic() - start) * 1000)
        # An absolute URL is a link of the bridge's: its path holds a secret.
        where = ["page"] if "://" in path else [part for part in path.split("/") if part][:2]
        what = " ".join((method, *where))
        if ms >= self.slowest[0]:
            self.slowest = ms, what
        return BridgeAnswer(response.status, response.headers, _json(raw), ms, began)

    async def certificate_ends(self) -> datetime:
        """Until when the bridge's certificate is valid; raises ``NoUsableAnswer`` where TLS
        fails.
        """
        host, port = self.base.host or "", self.base.port
        try:
            async with asyncio.timeout(self._timeout_s):
                _, writer = await asyncio.open_connection(
                    host, port, ssl=ssl.create_default_context()
                )
        except (OSError, TimeoutError) as error:
            raise _no_answer(error, self.base, self._timeout_s) from error
        certificate = writer.get_extra_info("ssl_object").getpeercert()
        writer.close()
        seconds = ssl.cert_time_to_seconds(certificate["notAfter"])
        return datetime.fromtimestamp(seconds, UTC)


def is_this_machine(host: str) -> bool:
    """Whether *host* is a name or an address of the computer that this runs on."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _json(raw: bytes) -> Any:
    try:
        return response_parsing.parse_json(raw)
    except ValueError:
        return None


def _no_answer(error: BaseException, url: URL, timeout_s: float) -> NoUsableAnswer:
    """*error* in words that name what has to be fixed."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    where = f"{url.host}:{url.port}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NoUsableAnswer(
            f"the certificate of {where} is not trusted: {cause.verify_message}",
            "Install a certificate for this very name, whole chain included, from an authority"
            " that everybody trusts.",
        )
    if isinstance(cause, ssl.SSLError):
        return NoUsableAnswer(
            f"{where} does not speak TLS that can be used ({cause.reason or 'no handshake'})",
            "Most likely plain HTTP is served at this port: have a proxy end TLS there, and see"
            " that it allows TLS 1.2 or newer.",
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError) or (
        isinstance(cause, OSError) and (type(cause).__name__ == "gaierror")
    ):
        return NoUsableAnswer(
            f"the name {url.host} is not known", "Correct the URL, or the DNS entry."
        )
    if isinstance(cause, ConnectionRefusedError):
        return NoUsableAnswer(
            f"nobody listens at {where}",
            "Start the bridge and the proxy in front of it, and open the port in the firewall.",
        )
    if isinstance(error, TimeoutError):
        return NoUsableAnswer(
            f"{where} did not answer within {timeout_s:g} s",
            "Look whether a firewall drops the connection, or the proxy waits for a bridge that"
            " is not there.",
        )
    if isinstance(error, AnswerTooLarge):
        return NoUsableAnswer(
            "the answer is far too long", "This is hardly a bridge: correct the URL."
        )
    return NoUsableAnswer(
        f"the connection to {where} broke off ({type(error).__name__})",
        "Look into the log of the proxy, and of the bridge.",
    )
