"""What goes wrong with calls to a vendor, and how a vendor answers in spite of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.simulation.memory_network import HttpMessage
from tests.simulation.stage_settings import VENDOR_TIMEOUT_S

ANSWER_FAULTS = (
    "refused before it was done",
    "connection lost before it was done",
    "connection lost after it was done",
    "no answer before it was done",
    "no answer after it was done",
    "error 500 before it was done",
    "error 500 after it was done",
    "error 502 before it was done",
    "error 503 with a Retry-After that lies",
    "error 429 with a Retry-After",
    "a redirect before it was done",
)
"""What is answered, if anything, instead of what was done."""
BODY_FAULTS = (
    "a proxy's page after it was done",
    "an empty answer after it was done",
    "half an answer after it was done",
    "an answer that breaks off after it was done",
    "an answer that never ends after it was done",
    "an answer that is too long after it was done",
    "an error in a success after it was done",
)
"""A success, but with a body that says nothing of what was done."""
FAULTS = (*ANSWER_FAULTS, *BODY_FAULTS)
RETRY_LIES = ("60", "-5", "soon", "0", "1e3", "Sun, 06 Nov 1994 08:49:37 GMT")
"""What no Retry-After should say, or what nobody should believe."""
TOO_LONG = 1_100_000
"""Bytes; more than the bridge reads of one answer."""
_REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    202: "Accepted",
    302: "Found",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


@dataclass(slots=True)
class VendorWeather:
    """How often a call goes wrong, and how slow the others are."""

    faulty: float = 0.0
    away: bool = False
    """No call gets an answer."""
    latest_answer_s: float = 0.05
    dead_accounts: set[str] = field(default_factory=set)
    """Accounts whose calls get no answer at all."""
    slow_accounts: set[str] = field(default_factory=set)
    """Accounts whose calls are answered at the last moment."""
    faults: tuple[str, ...] = FAULTS
    counts: dict[str, int] = field(default_factory=dict)

    async def keep_waiting(self, draws: Random, account: str) -> None:
        """What a call of this account waits for beside others."""
        if account in self.slow_accounts:
            await asyncio.sleep(VENDOR_TIMEOUT_S - draws.uniform(0.2, 1.0))

    def draw_fault(self, draws: Random) -> str:
        """What goes wrong with the next call; empty: nothing."""
        if self.away:
            return draws.choice(self.faults[1:2] + self.faults[3:4])
        if not self.faulty or draws.random() >= self.faulty:
            return ""
        fault = draws.choice(self.faults)
        self.count(fault)
        return fault

    def count(self, what: str) -> None:
        """Note that something odd happened once more."""
        self.counts[what] = self.counts.get(what, 0) + 1


def build_answer(status: int, document: Any = None, **headers: str) -> HttpMessage:
    """An answer with a JSON body, or without one."""
    body = b"" if document is None else json.dumps(document).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpMessage(
        f"HTTP/1.1 {status} {_REASONS[status]}", {"Content-Type": "application/json", **named}, body
    )


Perform = Callable[[], Awaitable[HttpMessage]]


async def answer_in_weather(
    weather: VendorWeather, draws: Random, fault: str, perform: Perform
) -> HttpMessage | None:
    """The answer to a call with this fault: what is done, and what the caller gets; None: its
    connection is closed.
    """
    await asyncio.sleep(weather.latest_answer_s * draws.random())
    answer: HttpMessage | None = None
    if not fault or fault.endswith("after it was done"):
        answer = await perform()
    match fault.partition(" before")[0].partition(" after")[0]:
        case "":
            return answer
        case "refused":
            return build_answer(422, {"errors": {"detail": "not today"}})
        case "connection lost":
            return None
        case "no answer":
            await asyncio.sleep(VENDOR_TIMEOUT_S + 5.0)
            return None
        case "error 500" | "error 502" as error:
            return build_answer(int(error[-3:]), {"errors": {"detail": "Internal Server Error"}})
        case "error 503 with a Retry-After that lies":
            return build_answer(503, None, Retry_After=draws.choice(RETRY_LIES))
        case "error 503 with a Retry-After of days":
            return build_answer(503, None, Retry_After="604800")
        case "error 429 with a Retry-After":
            return build_answer(429, {"errors": {"detail": "slowly"}}, Retry_After="2")
        case "a redirect":
            return build_answer(302, None, Location="https://elsewhere.example/")
        case "a proxy's page":
            return HttpMessage("HTTP/1.1 200 OK", {"Content-Type": "text/html"}, b"<html>hello")
        case "an empty answer":
            return build_answer(200)
        case "an error in a success":
            return build_answer(200, {"errors": {"detail": "Internal Server Error"}})
        case other:
            assert answer is not None
            return _spoil_body(answer, other)


def _spoil_body(answer: HttpMessage, how: str) -> HttpMessage:
    match how:
        case "half an answer":
            return replace(answer, body=answer.body[: len(answer.body) // 2])
        case "an answer that breaks off":
            return replace(answer, missing=7, breaks_off=True)
        case "an answer that never ends":
            return replace(answer, missing=7)
        case "an answer that is too long":
            return replace(answer, body=answer.body + b" " * TOO_LONG)
    raise ValueError(how)
