"""Somebody's endpoint for alerts, and somebody's chat."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = secrets.token_bytes(32)
SECRET = "whsec_" + base64.b64encode(KEY).decode()
CHAT = "T0-the-password-of-a-chat"


@dataclass(slots=True)
class AlertReceiver:
    """Takes signed posts, which it verifies by the specification alone, and messages of a chat.

    *status* is what signed posts are answered with; *posts* and *ids* are those that got 200, in
    order, *attempts* the ids of all.
    """

    url: str = ""
    status: int = 200
    posts: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    chat: list[str] = field(default_factory=list)
    chat_works: asyncio.Event = field(default_factory=asyncio.Event)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls) -> AsyncIterator[AlertReceiver]:
        """One that listens meanwhile."""
        receiver = cls()
        receiver.chat_works.set()
        application = web.Application()
        application.router.add_post("/alerts", receiver.take_signed)
        application.router.add_post(f"/{CHAT}", receiver.take_message)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield receiver
        finally:
            receiver.chat_works.set()
            await runner.cleanup()

    @property
    def settings(self) -> list[dict[str, str]]:
        """The setting ``alerts`` that posts to both."""
        return [
            {"url": f"{self.url}/alerts", "secret": SECRET},
            {"url": f"{self.url}/{CHAT}", "format": "slack"},
        ]

    async def take_signed(self, request: web.Request) -> web.Response:
        """Take a signed post."""
        raw, headers = await request.read(), request.headers
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
        wanted = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        assert f"v1,{wanted}" in headers["webhook-signature"].split()
        self.attempts.append(headers["webhook-id"])
        if self.status == 200:
            self.posts.append(json.loads(raw))
            self.ids.append(headers["webhook-id"])
        async with self._arrived:
            self._arrived.notify_all()
        return web.Response(status=self.status)

    async def take_message(self, request: web.Request) -> web.Response:
        """Take a message."""
        await self.chat_works.wait()
        assert request.content_type == "application/json"
        message = await request.json()
        assert list(message) == ["text"]
        self.chat.append(message["text"])
        return web.Response(text="ok")

    def of(self, kind: str, customer: str | None = "acme") -> list[dict[str, Any]]:
        """The signed posts of this kind about a customer, or about the whole daemon."""
        return [
            one
            for one in self.posts
            if (one["type"], one["data"]["customer"]) == (f"alert.{kind}", customer)
        ]

    async def wait(
        self, kind: str, times: int = 1, *, customer: str | None = "acme"
    ) -> dict[str, Any]:
        """The newest of so many posts of this kind about a customer, and no more."""
        async with asyncio.timeout(40), self._arrived:
            await self._arrived.wait_for(lambda: len(self.of(kind, customer)) >= times)
        found = self.of(kind, customer)
        assert len(found) == times
        return found[-1]
