"""Share links: whatever many people click, the provider hears of it seldom."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bridge.core.assessment import PublicLink
from bridge.core.lifecycle.events import ErasureRequested
from bridge.core.links import LinkSigner as Signer
from bridge.errors import InvitationGone, UnknownInvitation, UpstreamUnavailable
from bridge.service.link_access import LINK_CACHE_TIME, LinkAccess
from tests.service.fakes import ACME, World, settled, until

SIGNER = Signer("https://bridge.example.com", [b"k" * 32])


class Clicks:
    """People who click on share links."""

    def __init__(self, world: World, max_age: timedelta | None = None, **more: int) -> None:
        self.world = world
        self.links = LinkAccess(
            world.records,
            lambda _: world.provider,
            world.directory,
            SIGNER,
            timedelta(days=365),
            max_age=max_age,
            **more,
        )

    async def token(self, application: str = "application-1") -> str:
        """The token of a completed invitation."""
        one = await self.world.completed(application)
        return SIGNER.share_url(one.id).rpartition("/")[2]

    def asked(self) -> int:
        """How often the provider was asked for a link."""
        return len(self.world.provider.script.made("link"))

    def answer(self, life_s: int | None = 7200) -> None:
        """The provider gives a new link every time."""

        async def fresh(*_: str) -> PublicLink:
            return PublicLink(f"https://equalture.example.com/public/{self.asked()}", life_s)

        self.world.provider.script.on("link", fresh)


@pytest.fixture
def clicks(world: World) -> Clicks:
    clicks = Clicks(world)
    clicks.answer()
    return clicks


async def test_many_clicks_at_once(clicks: Clicks) -> None:
    """1,500 clicks on one link at the same time are one call, and all of them are led to the same
    place.
    """
    token = await clicks.token()
    assert len(set(await settled(*(clicks.links.share(token) for _ in range(1500))))) == 1
    assert clicks.asked() == 1


async def test_a_link_is_at_most_a_minute_old(clicks: Clicks) -> None:
    """A link is remembered for a minute, counted from when it was asked for; then there is a new
    one.
    """
    token = await clicks.token()
    first = await clicks.links.share(token)
    clicks.world.clock.advance(LINK_CACHE_TIME - timedelta(milliseconds=1))
    assert await clicks.links.share(token) == first
    clicks.world.clock.advance(timedelta(milliseconds=1))
    assert await clicks.links.share(token) != first
    assert clicks.asked() == 2


@pytest.mark.parametrize(
    ("life_s", "remembered_s"), [(40, 10), (30, 0), (5, 0), (0, 0), (3600, 60), (None, 60)]
)
async def test_a_link_that_ends_soon(clicks: Clicks, life_s: int | None, remembered_s: int) -> None:
    """Nobody is led to a link that is about to end: one with little time left is not remembered."""
    clicks.answer(life_s)
    token = await clicks.token()
    await clicks.links.share(token)
    clicks.world.clock.advance(timedelta(seconds=max(0.0, remembered_s - 0.5)))
    await clicks.links.share(token)
    assert clicks.asked() == (1 if remembered_s else 2)
    clicks.world.clock.advance(timedelta(seconds=0.5))
    await clicks.links.share(token)
    assert clicks.asked() == (2 if remembered_s else 3)


async def test_a_clock_that_is_set_back(clicks: Clicks) -> None:
    """A clock that is set back an hour does not make an old link young."""
    token = await clicks.token()
    await clicks.links.share(token)
    clicks.world.clock.set(-timedelta(hours=1))
    clicks.world.clock.advance(LINK_CACHE_TIME)
    await clicks.links.share(token)
    assert clicks.asked() == 2


async def test_deleted_while_it_is_remembered(clicks: Clicks) -> None:
    """A remembered link is not given to anybody once the candidate is deleted."""
    token = await clicks.token()
    await clicks.links.share(token)
    (one,) = [known async for known in clicks.world.store.scan()]
    await clicks.world.records.apply(one, ErasureRequested(), ACME)
    with pytest.raises(InvitationGone):
        await clicks.links.share(token)


async def test_deleted_while_it_is_asked_for(clicks: Clicks) -> None:
    """A link that came after the candidate was deleted is not given to those who waited for it."""
    token = await clicks.token()
    go = asyncio.Event()

    async def slow(*_: str) -> PublicLink:
        await go.wait()
        return PublicLink("https://equalture.example.com/public/1", 7200)

    clicks.world.provider.script.on("link", slow)
    callers = [asyncio.create_task(clicks.links.share(token)) for _ in range(3)]
    await until(clicks.asked)
    (one,) = [known async for known in clicks.world.store.scan()]
    await clicks.world.records.apply(one, ErasureRequested(), ACME)
    go.set()
    assert [type(answer) for answer in await settled(*callers)] == [InvitationGone] * 3


async def test_a_failure_is_not_remembered(clicks: Clicks) -> None:
    """All who wait for a link that cannot be had are told so; the next click asks again."""
    token = await clicks.token()
    clicks.world.provider.script.on(
        "link",
        UpstreamUnavailable("equalture", "public_link", "no"),
        PublicLink("https://equalture.example.com/p/1", 7200),
    )
    answers = await settled(*(clicks.links.share(token) for _ in range(20)))
    assert {type(answer) for answer in answers} == {UpstreamUnavailable}
    assert clicks.asked() == 1
    assert await clicks.links.share(token)


async def test_memory_is_bounded(world: World) -> None:
    """A bounded number of links is remembered, the newest ones, and none after its time."""
    clicks = Clicks(world, remembered=3)
    clicks.answer()
    tokens = [await clicks.token(f"application-{number}") for number in range(5)]
    for token in (*tokens, *tokens[-3:]):
        await clicks.links.share(token)
    assert clicks.asked() == 5
    await clicks.links.share(tokens[0])
    assert clicks.asked() == 6
    clicks.world.clock.advance(LINK_CACHE_TIME)
    await clicks.links.share(tokens[-1])
    assert clicks.asked() == 7


async def test_whoever_only_looks(clicks: Clicks) -> None:
    """Looking whether there is something behind a link costs no call, and tells what a click
    would.
    """
    token = await clicks.token()
    await clicks.links.check_shareable(token)
    with pytest.raises(UnknownInvitation):
        await clicks.links.check_shareable("nonsense")
    assert clicks.asked() == 0


async def test_links_end_with_what_they_lead_to(world: World) -> None:
    """A link ends when the result is no longer kept, or sooner if links may not be so old."""
    one = await world.completed()
    assert one.completed_at is not None
    assert Clicks(world).links.ends_at(one) == one.updated_at + timedelta(days=365)
    shorter = Clicks(world, max_age=timedelta(days=30))
    assert shorter.links.ends_at(one) == one.completed_at + timedelta(days=30)
    longer = Clicks(world, max_age=timedelta(days=3650))
    assert longer.links.ends_at(one) == one.updated_at + timedelta(days=365)
