"""``GET /-/calls``: the calls in both directions, live, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.flows.conftest import Bridge, Launch


class Reader:
    """One who watches."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.text = ""

    async def until(self, operation: str) -> list[dict[str, Any]]:
        """The calls up to the first one of this operation."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(10):
            async for line in self._response.content:
                self.text += line.decode()
                if line.strip():
                    found.append(json.loads(line))
                    if found[-1]["operation"] == operation:
                        return found
        raise AssertionError(f"it ended without {operation}: {found}")


@contextlib.asynccontextmanager
async def watching(bridge: Bridge, query: str = "") -> AsyncIterator[Reader]:
    """Watch the calls from now on."""
    async with bridge.session.get(f"{bridge.admin_url}/-/calls{query}") as response:
        assert response.status == 200
        await response.content.readline()  # it has begun
        yield Reader(response)


async def test_both_directions(bridge: Bridge) -> None:
    """A journey is seen in the order in which its calls ended, with status, customer and
    invitation; nobody's name, and no path with a secret.
    """
    async with watching(bridge) as reader:
        invitation_id = (await bridge.acme.invite("engineer")).json["invitationId"]
        await bridge.equalture.complete(bridge.created())
        calls = await reader.until("notify")
    seen = [(one["direction"], one["party"], one["operation"], one["status"]) for one in calls]
    callback = "/equalture/callbacks/{invitation_id}/{secret}"
    for wanted in (
        ("out", "equalture", "create", 201),
        ("in", "softgarden", "/softgarden/invitations", 200),
        ("in", "equalture", callback, 200),
        ("out", "softgarden", "notify", 204),
    ):
        assert wanted in seen
    assert {one["customer"] for one in calls} == {"acme"}
    about = [one for one in calls if one["operation"] not in ("jobs",)]
    assert {one.get("invitation_id") for one in about} == {invitation_id}
    assert "Muster" not in reader.text
    assert "ada.muster" not in reader.text


async def test_one_customers(bridge: Bridge) -> None:
    """With ``customer=`` others' calls are not shown; somebody unknown is 400."""
    async with watching(bridge, "?customer=globex") as reader:
        await bridge.acme.list_tests()
        await bridge.globex.list_tests()
        calls = await reader.until("/softgarden/tests")
    assert {one["customer"] for one in calls} == {"globex"}
    reply = await bridge.ask("GET", f"{bridge.admin_url}/-/calls?customer=glbex")
    assert (reply.status, list(reply.json["errors"])) == (400, ["customer"])


async def test_a_failure_has_its_reason(bridge: Bridge) -> None:
    """A call that fails is shown with its code and why."""
    bridge.equalture.fault("jobs", status=500)
    async with watching(bridge) as reader:
        await bridge.acme.list_tests()
        calls = await reader.until("jobs")
    assert calls[-1]["status"] == 500
    assert calls[-1]["code"]
    assert calls[-1]["reason"]


async def test_another_processs_calls(bridge: Bridge, launch: Launch) -> None:
    """Whoever watches at one process sees the calls of the others, too."""
    other = await launch(port=0)
    sharing = asyncio.create_task(other.runtime.calls.run())
    try:
        async with watching(bridge) as reader:

            async def ask_again() -> None:
                while True:
                    await other.ask("GET", "/results/nothing")
                    await asyncio.sleep(0.2)

            asking = asyncio.create_task(ask_again())
            calls = await reader.until("/results/{token}")
            asking.cancel()
        assert calls[-1]["party"] == "pages"
    finally:
        sharing.cancel()


async def test_nobody_elses_stream(bridge: Bridge) -> None:
    """A foreign Host gets nothing; HEAD ends at once; too many readers are told so."""
    foreign = await bridge.ask(
        "GET", f"{bridge.admin_url}/-/calls", headers={"Host": "evil.example"}
    )
    assert foreign.status == 403
    async with bridge.session.head(f"{bridge.admin_url}/-/calls") as head:
        assert head.status == 200
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(16):
            await stack.enter_async_context(watching(bridge))
        reply = await bridge.ask("GET", f"{bridge.admin_url}/-/calls")
        assert (reply.status, reply.json["code"]) == (503, "too_many_readers")
