"""What can go wrong on the wire, switched on per operation; in this order during one call::

    delay -> hang="before" -> drop="before" -> status
    the work
    delay_after -> hang="after" -> drop="after" -> status_after, body, text, headers

``status`` means: refused, the work was not done. ``status_after`` and ``drop="after"``: the work
was done and the caller cannot know. ``hang`` lasts until the fault is healed; a caller that has
gone meanwhile gets no work done.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from typing import Any, Literal, TypeVar

from aiohttp import web
from marshmallow import Schema, ValidationError, fields, validate

from bridge.sandbox.ledger import LedgerEntry
from bridge.sandbox.request_checks import create_field_validator, create_json_response

T = TypeVar("T")

_BODIES = {
    "html": (b"<!doctype html><title>Oops</title><h1>Something went wrong</h1>", "text/html"),
    "bad_json": (b'{"id": "cut short, "name', "application/json"),
    "wrong_shape": (b'{"unexpected": ["shape", 1, null]}', "application/json"),
    "empty": (b"", "application/json"),
}


_ANSWERING = frozenset({"status", "status_after", "headers", "text", "body", "huge_bytes"})
_SECONDS = fields.Float(validate=validate.Range(min=0))
_COUNT = fields.Integer(strict=True, validate=validate.Range(min=1))
_STATUS = fields.Integer(strict=True, validate=validate.Range(200, 599))
_BODY = fields.String(allow_none=True, validate=validate.OneOf([*_BODIES, "huge"]))
_HEADERS = fields.Dict(fields.String(), fields.String())
_PROBABILITY = fields.Float(validate=validate.Range(0, 1))
_CALLABLE = fields.Raw(validate=create_field_validator("a function of an entry", callable))
_MOMENT = fields.String(allow_none=True, validate=validate.OneOf(["before", "after"]))


def _switch(default: Any, rule: fields.Field[Any]) -> Any:
    """A field of a fault, and what may be given for it; values come over HTTP, too."""
    return field(default=default, metadata={"rule": rule})


@dataclass(eq=False, slots=True, kw_only=True)
class Fault:
    """A fault switched on for one operation (``"*"``: for every operation of the vendor's API)."""

    operation: str
    delay: float = _switch(0.0, _SECONDS)
    """Seconds before the work."""
    delay_after: float = _switch(0.0, _SECONDS)
    """Seconds between the work and the answer."""
    status: int | None = _switch(None, _STATUS)
    """Answer this without doing the work."""
    status_after: int | None = _switch(None, _STATUS)
    """Do the work, answer this."""
    headers: Mapping[str, str] | None = _switch(None, _HEADERS)
    """Added to the answer, e.g. ``Retry-After``."""
    text: str | None = _switch(None, fields.String())
    """Body instead of the usual one (sent as JSON if it looks like JSON)."""
    body: Literal["html", "bad_json", "wrong_shape", "empty", "huge"] | None = _switch(None, _BODY)
    """A broken body instead of the usual one; the work is done."""
    huge_bytes: int = _switch(8 * 1024 * 1024, _COUNT)
    """Size for ``body="huge"``."""
    drop: Literal["before", "after"] | None = _switch(None, _MOMENT)
    """Reset the connection (RST) without an answer, before or after the work. A client may repeat
    a GET, PUT or DELETE by itself and not notice a single drop, as aiohttp's does.
    """
    hang: Literal["before", "after"] | None = _switch(None, _MOMENT)
    """Hang until healed, before or after the work."""
    times: int | None = _switch(None, _COUNT)
    """How often to apply it; None: always."""
    probability: float = _switch(1.0, _PROBABILITY)
    when: Callable[[LedgerEntry], bool] | None = _switch(None, _CALLABLE)  # noqa: RUF009 - a field
    """Apply only to calls of which this is true."""
    switches: Mapping[str, Any] = field(default_factory=dict)
    """The arguments that it was switched on with."""
    strikes: int = field(init=False, default=0)
    """Calls that it was applied to so far."""
    waiting: int = field(init=False, default=0)
    """Calls that hang in it right now."""
    healed: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _struck: asyncio.Condition = field(init=False, default_factory=asyncio.Condition)

    @property
    def is_spent(self) -> bool:
        """Whether it will not be applied any more."""
        return self.healed.is_set() or (self.times is not None and self.strikes >= self.times)

    def heal(self) -> None:
        """Switch it off; calls that hang or wait in it go on at once."""
        self.healed.set()

    async def wait_applied(self, times: int = 1, timeout: float = 20.0) -> None:
        """Return once it was applied so often; raises ``TimeoutError`` after *timeout* seconds."""
        async with asyncio.timeout(timeout), self._struck:
            await self._struck.wait_for(lambda: self.strikes >= times)

    def applies_to(self, entry: LedgerEntry, rng: random.Random) -> bool:
        """Whether it applies to this call; counts it."""
        if self.is_spent or (self.when is not None and not self.when(entry)):
            return False
        if self.probability < 1 and rng.random() >= self.probability:
            return False
        self.strikes += 1
        return True

    async def around(
        self, work: Callable[[], Awaitable[T]], gone: Callable[[], bool] = lambda: False
    ) -> T | None:
        """Do *work*; None where the call is to be dropped, or its caller is *gone* after a hang."""
        self.waiting += 1
        try:
            async with self._struck:
                self._struck.notify_all()
            await self._pause(self.delay, self.hang == "before")
            if self.drop == "before" or (self.hang == "before" and gone()):
                return None
            result = await work()
            if self.status is None:  # else it was refused, and nothing is done after that
                await self._pause(self.delay_after, self.hang == "after")
                if self.drop == "after":
                    return None
            return result
        finally:
            self.waiting -= 1

    async def _pause(self, seconds: float, hang: bool) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.healed.wait(), seconds)
        if hang:
            await self.healed.wait()

    def refusal(self) -> web.Response | None:
        """The answer given instead of the work, or None."""
        return None if self.status is None else self._dress(_error(self.status, "sandbox fault"))

    def garble(self, response: web.Response) -> web.Response:
        """The answer after the work, as the caller gets it."""
        if self.status_after is not None:
            response = _error(self.status_after, "sandbox fault after the work was done")
        return self._dress(response)

    def _dress(self, response: web.Response) -> web.Response:
        content: tuple[bytes, str] | None = None
        if self.body == "huge":
            padding = b"x" * max(0, self.huge_bytes - 14)
            content = b'{"padding":"' + padding + b'"}', "application/json"
        elif self.body is not None:
            content = _BODIES[self.body]
        elif self.text is not None:
            is_json = self.text.lstrip()[:1] in ("{", "[")
            content = self.text.encode(), "application/json" if is_json else "text/plain"
        if content is not None:
            response.body, response.content_type = content
        response.headers.update(self.headers or {})
        return response

    def __str__(self) -> str:
        parts = (f"{name}={value!r}" for name, value in self.switches.items() if name != "text")
        return " ".join((self.operation, *parts))

    def as_json(self) -> dict[str, Any]:
        """The fault for ``/_sandbox/faults``."""
        known = {"strikes": self.strikes, "spent": self.is_spent}
        return {"operation": self.operation, **self.switches, **known}


_SWITCHES = Schema.from_dict(
    {item.name: item.metadata["rule"] for item in dataclass_fields(Fault) if item.metadata}
)()


class Faults:
    """The faults of one sandbox; the first one that matches a call is applied to it.

    *api*: the operations that ``"*"`` means. *made*: calls that the sandbox makes, which can be
    delayed, hang and be dropped. *pages*: pages for people.
    """

    def __init__(
        self,
        api: Iterable[str] = (),
        pages: Iterable[str] = (),
        made: Iterable[str] = (),
        rng: random.Random | None = None,
    ) -> None:
        self._api, self._made = frozenset(api), frozenset(made)
        self._known = self._api | self._made | frozenset(pages) | {"*"}
        self._rng = rng or random.Random(0)  # noqa: S311 - no secret; chaos runs can be repeated
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, operation: str, **switches: Any) -> Fault:
        """Switch a fault on; raises ``ValueError`` for an unknown operation or switch."""
        if operation not in self._known:
            known = ", ".join(sorted(self._known))
            raise ValueError(f"no operation {operation!r}; there are {known}")
        if operation in self._made and switches.keys() & _ANSWERING:
            raise ValueError(f"{operation} is made by the sandbox: it can only be delayed or lost")
        try:
            fault = Fault(operation=operation, **_SWITCHES.load(switches))
        except ValidationError as error:
            raise ValueError("; ".join(_tell_mistakes(error))) from None
        fault.switches = {name: switches[name] for name in switches if name != "when"}
        # Drop spent faults, so that they do not accumulate in a run of days.
        self._faults = [known for known in self._faults if not known.is_spent or known.waiting]
        self._faults.append(fault)
        return fault

    def heal(self, *operations: str) -> int:
        """Switch off the faults of these operations (none named: all); returns how many."""
        ended = [fault for fault in self._faults if not operations or fault.operation in operations]
        for fault in ended:
            fault.heal()
        self._faults = [fault for fault in self._faults if fault not in ended]
        return len(ended)

    def fault_for(self, entry: LedgerEntry) -> Fault | None:
        """The fault that applies to this call, or None."""
        names = {entry.operation, "*"} if entry.operation in self._api else {entry.operation}
        for fault in self._faults:
            if fault.operation in names and fault.applies_to(entry, self._rng):
                entry.fault = str(fault)
                return fault
        return None


def _error(status: int, detail: str) -> web.Response:
    return create_json_response({"errors": {"detail": detail}}, status)


def _tell_mistakes(error: ValidationError) -> Iterator[str]:
    for name, said in error.messages_dict.items():
        yield f"{name}: {' '.join(said) if isinstance(said, list) else 'Not a valid value.'}"
