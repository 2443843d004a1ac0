"""The fakes as chaos needs them."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from bridge.sandbox import (
    ENTRY,
    Application,
    BridgeReply,
    EqualtureSandbox,
    LedgerEntry,
    Refusal,
    SoftgardenClient,
    SoftgardenSandbox,
    create_json_response,
)

READ_TRIES = 4


def invitation_of(callback_url: str) -> str:
    """The bridge's id in a callback URL."""
    return urlsplit(callback_url).path.split("/")[-2]


class Equalture(EqualtureSandbox):
    """Equalture, which also finds an application by the link that a candidate was given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(host="0.0.0.0", **options, on_call=self._look)
        self._by_link: dict[str, Application] = {}
        self.makers: dict[str, int] = {}
        """Reference id -> number of the bridge process that asked for it."""

    def address_for(self, number: int) -> str:
        """Where the process of this number reaches Equalture: an address of its own, so that its
        calls can be told apart.
        """
        return f"http://127.0.0.{number + 1}:{self.port}"

    def find(self, link: str, invitation_id: str) -> Application:
        """The application that a candidate's link leads to, or behind the bridge's page for this
        invitation.
        """
        if link in self._by_link:
            return self._by_link[link]
        return next(
            one
            for one in reversed(self.applications.values())
            if invitation_of(one.callback_url) == invitation_id
        )

    def _look(self, entry: LedgerEntry) -> None:
        application = (
            self.applications.get(entry.reference_id or "") if entry.operation == "create" else None
        )
        if application is not None:
            self._by_link[application.assessment_url] = application
            host = entry.host.partition(":")[0]
            self.makers[application.reference_id] = int(host.rpartition(".")[2]) - 1


class Softgarden(SoftgardenSandbox):
    """softgarden, which reads the result before it answers a notification, and answers 500 if it
    could not.

    So every notification answered 204 stands for a state that softgarden has seen; the ledger keeps
    it as ``response_json["read"]``. It asks the bridge's processes in turn.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.lines: dict[str, list[SoftgardenClient]] = {}
        self.steps: list[float] = []
        """When something went as it should, for a journey."""
        self.forgotten: set[str] = set()
        """Invitations that the bridge cannot know any more, for an older backup was restored."""
        self._turns = itertools.count()
        self._learnt: defaultdict[tuple[str, str], asyncio.Event] = defaultdict(asyncio.Event)

    def line(self, customer: str) -> SoftgardenClient:
        """The customer's way to the next process."""
        lines = self.lines[customer]
        return lines[next(self._turns) % len(lines)]

    def step(self) -> None:
        """Note that a journey got on."""
        self.steps.append(perf_counter())

    async def learn(self, invitation_id: str, status: str, within_s: float) -> bool:
        """Whether softgarden learns of this state by a notification in time, or of its being
        forgotten.
        """
        if invitation_id in self.forgotten:
            return True
        try:
            async with asyncio.timeout(within_s):
                await self._learnt[invitation_id, status].wait()
        except TimeoutError:
            return False
        return True

    def forget(self, invitation_id: str) -> None:
        """Wait for nothing more of this invitation."""
        self.forgotten.add(invitation_id)
        for (waited_for, _), event in self._learnt.items():
            if waited_for == invitation_id:
                event.set()

    async def read(self, customer: str, invitation_id: str, tries: int = READ_TRIES) -> BridgeReply:
        """The result as some process gives it: the first answer below 500, or the last that there
        was.
        """
        for attempt in range(tries):
            reply = await self.line(customer).read_results(invitation_id)
            if 0 < reply.status < 500:
                break
            await asyncio.sleep(0.1 * (attempt + 1))
        return reply

    async def notify(self, request: web.Request) -> web.Response:
        """Take a notification, and read the result before it is answered."""
        response = await super().notify(request)
        invitation_id, customer = str(request[ENTRY].invitation_id), str(request[ENTRY].account)
        reply = await self.read(customer, invitation_id)
        if reply.status == 200:
            seen = str(reply.json["status"])
        elif reply.status == 404:
            seen = "404"
        else:
            raise Refusal(500, "the result could not be read", violation=False)
        self._learnt[invitation_id, seen].set()
        self.step()
        return create_json_response({"read": seen}, response.status)
