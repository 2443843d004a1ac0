"""Both vendors in one: prebuilt answers, and every call noted in the ledger of its caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import orjson

from tests.bench.http_messages import MessageProtocol, build_answer
from tests.bench.ledger import Ledger
from tests.bench.sample_calls import JOBS, RESULTS

NOTIFY_PATH = "/assessment/callback"
"""Where the ATS wants to be notified."""
_APPLICATION = b"GET /connect_ats/applications/"
_DONE = build_answer(b'{"status":"completed"}')
_NOT_DONE = build_answer(b'{"status":"invited"}')
_RESULTS = build_answer(RESULTS)
_JOBS = build_answer(JOBS)
_TOKEN = build_answer(b'{"access_token":"SFMyNTY.c2FtcGxl.b3ducw"}')
_NOTED = build_answer(b"{}")
_UNKNOWN = build_answer(b'{"error":"unknown"}', "404 Not Found")


HOST = "127.0.0.1"


@contextlib.asynccontextmanager
async def run_vendors(ledger: Ledger, delay_s: float = 0.0) -> AsyncIterator[int]:
    """Both vendors on one port, which comes back; *delay_s* is how long each answer takes."""
    server = await asyncio.get_running_loop().create_server(
        lambda: VendorConnection(ledger, delay_s), HOST, 0
    )
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()


class VendorConnection(MessageProtocol):
    """A connection of a candidate to its vendors."""

    def __init__(self, ledger: Ledger, delay_s: float = 0.0) -> None:
        super().__init__()
        self._ledger = ledger
        self._delay_s = delay_s

    def take_message(self, head: bytes, body: bytes) -> None:
        """Answer a call."""
        answer = self._answer(head, body)
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self.transport.write, answer)
        else:
            self.transport.write(answer)

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(_APPLICATION):
            path = head[len(_APPLICATION) : head.index(b" ", len(_APPLICATION))].decode()
            reference_id, _, action = path.partition("/")
            done = reference_id in self._ledger.finished
            if action == "status":
                self._ledger.looks += 1
                return _DONE if done else _NOT_DONE
            if action.startswith("results") and done:
                return _RESULTS
        elif head.startswith(b"POST /connect_ats/applications "):
            order = orjson.loads(body)
            number = int(order["applicant_details"]["email"].partition("@")[0])
            seen = self._ledger.add_create(number, urlsplit(order["callback_url"]).path)
            return build_answer(
                b'{"reference_id":"%b","assessment_url":"https://app.equalture.example/en/assessments'
                b'/%d/token/SFMyNTY.c2FtcGxl"}' % (seen.reference_id.encode(), number),
                "201 Created",
            )
        elif head.startswith(b"POST " + NOTIFY_PATH.encode()):
            self._ledger.add_notification(orjson.loads(body)["invitationId"])
            return _NOTED
        elif head.startswith(b"GET /connect_ats/jobs "):
            return _JOBS
        elif b"/connect_ats/access_token" in head.partition(b"\r\n")[0]:
            return _TOKEN
        self._ledger.strange.append(head.partition(b"\r\n")[0].decode("latin-1"))
        return _UNKNOWN
