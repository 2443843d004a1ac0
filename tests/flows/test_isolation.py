"""One customer's trouble does not slow another's journey: measured as a ratio within one run."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest

from tests.flows.conftest import Bridge, eventually

JOURNEYS = 9
TIMES = 3.0
FLOOR_S = 0.3
"""Below this, a journey is quick whatever the ratio: machines have moods."""

Noise = Callable[[Bridge], AbstractAsyncContextManager[None]]


async def journey(bridge: Bridge) -> float:
    """How long globex waits from the order to the notification and the result."""
    began = time.monotonic()
    invited = await bridge.globex.invite("job-3")
    an_id = invited.json["invitationId"]
    created = bridge.equalture.calls("create", status=201, account="globex")[-1]
    assert created.reference_id is not None
    assert await bridge.equalture.complete(created.reference_id) == 200
    await bridge.softgarden.wait_calls("notify", status=204, invitation_id=an_id)
    reply = await bridge.globex.read_results(an_id)
    assert reply.json["status"] == "COMPLETED"
    return time.monotonic() - began


async def usual(bridge: Bridge) -> float:
    """The median of some journeys."""
    return statistics.median([await journey(bridge) for _ in range(JOURNEYS)])


async def completions(bridge: Bridge, count: int) -> None:
    """acme's candidates finish, one after the other."""
    for _ in range(count):
        await bridge.acme.invite("engineer")
    for reference, application in list(bridge.equalture.applications.items()):
        if application.account == "acme" and not application.done:
            assert await bridge.equalture.complete(reference) == 200


@contextlib.asynccontextmanager
async def black_hole(bridge: Bridge) -> AsyncIterator[None]:
    """acme's callback endpoint takes everything in and answers nothing."""
    hung = bridge.softgarden.fault(
        "notify", hang="before", when=lambda call: call.account == "acme"
    )
    await completions(bridge, 30)
    await hung.wait_applied(5)
    yield
    hung.heal()


@contextlib.asynccontextmanager
async def wrong_secret(bridge: Bridge) -> AsyncIterator[None]:
    """Equalture refuses acme's client secret, and softgarden its notifications, while acme goes on
    inviting.
    """
    account = bridge.equalture.accounts["acme"]
    await completions(bridge, 20)
    right, account.client_secret = account.client_secret, "another one"
    bridge.equalture.revoke_tokens()
    refused = bridge.softgarden.fault(
        "notify", status=401, when=lambda call: call.account == "acme"
    )
    known = len(bridge.equalture.violations)
    stop = asyncio.Event()

    async def invite() -> None:
        while not stop.is_set():
            assert (await bridge.acme.invite("engineer")).status == 502

    callers = [asyncio.create_task(invite()) for _ in range(2)]
    yield
    stop.set()
    await asyncio.gather(*callers)
    account.client_secret = right
    refused.heal()
    del bridge.equalture.violations[known:]  # the wrong secret is this test's


@contextlib.asynccontextmanager
async def flood(bridge: Bridge) -> AsyncIterator[None]:
    """Three hundred of acme's candidates finish at once, and softgarden takes its time with
    each.
    """
    slow = bridge.softgarden.fault("notify", delay=0.2, when=lambda call: call.account == "acme")
    for _ in range(10):
        await asyncio.gather(*(bridge.acme.invite("engineer") for _ in range(30)))
    references = [
        key for key, one in bridge.equalture.applications.items() if one.account == "acme"
    ]
    assert len(references) == 300

    async def finish(some: list[str]) -> None:
        for reference in some:
            assert await bridge.equalture.complete(reference) == 200

    finishing = [asyncio.create_task(finish(references[number::20])) for number in range(20)]
    await eventually(lambda: slow.strikes)
    yield
    await asyncio.gather(*finishing)
    slow.heal()
    await bridge.softgarden.wait_calls("notify", 300, status=204, account="acme", timeout=30)


@pytest.mark.parametrize(
    "noise", [black_hole, wrong_secret, flood], ids=lambda noise: noise.__name__
)
async def test_a_noisy_neighbour(bridge: Bridge, noise: Noise) -> None:
    """A customer's journeys are hardly slower while its neighbour is dead, locked out, or flooding
    the bridge.
    """
    await journey(bridge)
    quiet = await usual(bridge)
    async with noise(bridge):
        noisy = await usual(bridge)
    assert noisy < max(TIMES * quiet, FLOOR_S), f"{quiet:.3f} s became {noisy:.3f} s"


async def test_clicks_on_links(bridge: Bridge) -> None:
    """300 clicks at once on a share link that Equalture is silent about keep nobody of that
    customer from inviting.
    """
    invited = await bridge.acme.invite("engineer")
    assert await bridge.equalture.complete(bridge.created()) == 200
    view = await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED")
    await bridge.idle()
    silent = bridge.equalture.fault("public_link", hang="before")
    share = view["result"]["shareUrl"]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def click() -> int:
            async with session.get(share, allow_redirects=False) as reply:
                return reply.status

        clicks = [asyncio.create_task(click()) for _ in range(300)]
        await silent.wait_applied()
        answers = await asyncio.gather(*(bridge.acme.invite("engineer") for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert set(await asyncio.gather(*clicks)) == {503}
    assert silent.strikes == 1
    bridge.equalture.heal()
    bridge.equalture.fault("public_link", drop="before")
    for _ in range(10):
        assert (await bridge.ask("GET", share)).status == 503
    assert (await bridge.acme.invite("engineer")).status == 200
