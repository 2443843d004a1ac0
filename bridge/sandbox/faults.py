"""Fault switches: what can go wrong on the wire, switched on per operation.

A fault is spread over the course of one call::

    delay -> hang="before" -> drop="before" -> status | the work | delay_after -> hang="after" -> drop="after"
                                                                    -> status_after, body, text, headers

``status`` means: refused, the work surely not done. ``status_after`` and ``drop="after"``: the work was done and the caller
cannot know. ``hang`` lasts until the fault is healed; a caller that has gone meanwhile gets no work done.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, Unpack, get_args

from bridge.sandbox.wire import Answer, Call

Body = Literal["html", "bad_json", "wrong_shape", "empty", "huge"]
Moment = Literal["before", "after"]


class What(TypedDict, total=False):
    """The switches of a fault; see the module's docstring for the order in which they act."""

    delay: float
    """Seconds before the work."""
    delay_after: float
    """Seconds between the work and the answer."""
    status: int
    """Answer this without doing the work."""
    status_after: int
    """Do the work, answer this."""
    headers: Mapping[str, str]
    """Added to the answer, e.g. ``Retry-After``."""
    text: str
    """Body instead of the usual one (sent as JSON if it looks like JSON)."""
    body: Body
    """A broken body instead of the usual one; the work is done."""
    huge_bytes: int
    """Size for ``body="huge"``; default 8 MiB."""
    drop: Moment
    """Reset the connection (RST) without an answer, before or after the work. Beware with ``times=1``: over a kept-alive
    connection aiohttp's client repeats GET, PUT and DELETE once by itself, so the caller may not notice a single drop."""
    hang: Moment
    """Do not go on until healed, before or after the work."""
    times: int
    """Strike this often, then no more."""
    probability: float
    """Strike with this probability (0 to 1)."""
    rng: random.Random
    """The dice for ``probability``; default: the sandbox's."""
    when: Callable[[Call], bool]
    """Strike only the calls of which this is true."""


# By name, as ``What``'s annotations are strings at run time; a switch given over HTTP is checked against these.
_REALS = ("delay", "delay_after", "probability")
_ANSWERING = frozenset({"status", "status_after", "headers", "text", "body", "huge_bytes"})
_INTEGERS = ("status", "status_after", "huge_bytes", "times")


@dataclass(eq=False, slots=True)
class Fault:
    """One fault switched on for one operation (``"*"``: for every operation of the vendor's API)."""

    operation: str
    what: What
    strikes: int = 0
    """Calls struck so far."""
    healed: asyncio.Event = field(default_factory=asyncio.Event)
    _struck: asyncio.Condition = field(default_factory=asyncio.Condition)
    _inside: int = 0

    @property
    def spent(self) -> bool:
        """Whether it will strike no more."""
        times = self.what.get("times")
        return self.healed.is_set() or (times is not None and self.strikes >= times)

    @property
    def waiting(self) -> int:
        """Calls that it holds right now."""
        return self._inside

    def heal(self) -> None:
        """Switch it off; calls that hang or wait in it go on at once."""
        self.healed.set()

    async def wait_struck(self, times: int = 1, timeout: float = 5.0) -> None:
        """Return once it struck that often; raises ``TimeoutError`` after *timeout* seconds."""
        async with asyncio.timeout(timeout), self._struck:
            await self._struck.wait_for(lambda: self.strikes >= times)

    def hits(self, call: Call, dice: random.Random) -> bool:
        """Whether this call is struck; counts it."""
        if self.spent or self.operation not in ("*", call.operation):
            return False
        when = self.what.get("when")
        if when is not None and not when(call):
            return False
        probability = self.what.get("probability")
        if probability is not None and self.what.get("rng", dice).random() >= probability:
            return False
        self.strikes += 1
        return True

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Hold a struck call; tells those who wait for the strike."""
        self._inside += 1
        try:
            async with self._struck:
                self._struck.notify_all()
            yield
        finally:
            self._inside -= 1

    async def pause(self, moment: Moment) -> None:
        """Delay, then hang, as switched on for that side of the work; healing ends both."""
        seconds = self.what.get("delay", 0.0) if moment == "before" else self.what.get("delay_after", 0.0)
        if seconds > 0 and not self.healed.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self.healed.wait()
            except TimeoutError:
                pass
        if self.what.get("hang") == moment:
            await self.healed.wait()

    def refusal(self) -> Answer | None:
        """The answer given instead of the work, or None."""
        status = self.what.get("status")
        return None if status is None else self._dress(Answer(status, json={"errors": {"detail": "sandbox fault"}}))

    def garble(self, answer: Answer) -> Answer:
        """The answer after the work, as the caller gets it."""
        status = self.what.get("status_after")
        if status is not None:
            answer = Answer(status, json={"errors": {"detail": "sandbox fault after the work was done"}})
        return self._dress(answer)

    def _dress(self, answer: Answer) -> Answer:
        headers = {**answer.headers, **self.what.get("headers", {})}
        raw = answer.with_headers(headers)
        match self.what.get("body"):
            case "html":
                return raw.with_body(b"<!doctype html><title>Oops</title><h1>Something went wrong</h1>", "text/html")
            case "bad_json":
                return raw.with_body(b'{"id": "cut short, "name', "application/json")
            case "wrong_shape":
                return raw.with_json({"unexpected": ["shape", 1, None]})
            case "empty":
                return raw.with_body(b"", "application/json")
            case "huge":
                size = max(0, self.what.get("huge_bytes", 8 * 1024 * 1024) - 14)
                return raw.with_body(b'{"padding":"' + b"x" * size + b'"}', "application/json")
            case None:
                text = self.what.get("text")
                if text is None:
                    return raw
                kind = "application/json" if text.lstrip()[:1] in ("{", "[") else "text/plain"
                return raw.with_body(text.encode(), kind)

    def __str__(self) -> str:
        parts = (f"{name}={value!r}" for name, value in self.what.items() if name not in ("when", "rng", "text"))
        return " ".join((self.operation, *parts))

    def as_json(self) -> dict[str, Any]:
        """The fault for ``/_sandbox/faults``."""
        shown = {name: value for name, value in self.what.items() if name not in ("when", "rng")}
        return {"operation": self.operation, **shown, "strikes": self.strikes, "spent": self.spent}


class Faults:
    """The faults of one sandbox; the first that hits a call strikes it."""

    def __init__(self, vendor: Iterable[str], pages: Iterable[str], made: Iterable[str], rng: random.Random) -> None:
        self._vendor = frozenset(vendor)
        self._made = frozenset(made)
        self._known = self._vendor | self._made | frozenset(pages) | {"*"}
        self._rng = rng
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, operation: str, **what: Unpack[What]) -> Fault:
        """Switch a fault on; raises ``ValueError`` for an operation or a switch that does not exist."""
        if operation not in self._known:
            raise ValueError(f"no operation {operation!r}; there are {', '.join(sorted(self._known))}")
        _check(what)
        if operation in self._made and what.keys() & _ANSWERING:
            raise ValueError(f"{operation} is a call that the sandbox makes: it can be delayed, hang or be dropped")
        # Spent faults go now, so that a chaos run of days does not pile them up.
        self._faults = [known for known in self._faults if not known.spent or known.waiting]
        fault = Fault(operation, what)
        self._faults.append(fault)
        return fault

    def heal(self, *operations: str) -> int:
        """Switch off the faults of these operations (none named: all); returns how many."""
        ill = [fault for fault in self._faults if not operations or fault.operation in operations]
        for fault in ill:
            fault.heal()
        self._faults = [fault for fault in self._faults if fault not in ill]
        return len(ill)

    def strike(self, call: Call) -> Fault | None:
        """The fault that strikes this call, or None. ``"*"`` means the vendor's API, not the pages for people."""
        for fault in self._faults:
            if fault.operation == "*" and call.operation not in self._vendor:
                continue
            if fault.hits(call, self._rng):
                return fault
        return None


def _check(what: What) -> None:
    for name, value in what.items():
        if name not in What.__annotations__:
            raise ValueError(f"no fault switch {name!r}; there are {', '.join(What.__annotations__)}")
        if name in _REALS and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise ValueError(f"{name} must be a number, 0 or more")
        if name in _INTEGERS and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} must be a whole number, 1 or more")
    for name in ("status", "status_after"):
        if not 200 <= int(str(what.get(name, 200))) <= 599:
            raise ValueError(f"{name} must be an HTTP status from 200 to 599")
    if what.get("body") not in (None, *get_args(Body)):
        raise ValueError(f"body must be one of {', '.join(get_args(Body))}")
    for name in ("drop", "hang"):
        if what.get(name) not in (None, *get_args(Moment)):
            raise ValueError(f"{name} must be 'before' or 'after'")
    if not isinstance(what.get("text", ""), str):
        raise ValueError("text must be a string")
    headers = what.get("headers", {})
    if not isinstance(headers, Mapping) or not all(isinstance(part, str) for pair in headers.items() for part in pair):
        raise ValueError("headers must map names to strings")


__all__ = ["Body", "Fault", "Faults", "Moment", "What"]
