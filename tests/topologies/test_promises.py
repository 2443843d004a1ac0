"""The store's promises, and a candidate's whole journey, in every way in which Redis may be set up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.errors import ConfigError, StoreUnavailable
from bridge.store.commands import Commands
from bridge.store.connection import open_client, read_url
from tests.flows.conftest import Config, Launch, eventually
from tests.store.conformance import Backend, InvitationPromises, QueuePromises
from tests.store.conftest import redis_backend
from tests.topologies.conftest import SHAPES

pytestmark = pytest.mark.redis


@pytest.fixture
async def commands(url: str) -> AsyncIterator[Commands]:
    async with open_client(url) as commands:
        yield commands


@pytest.fixture
def backend(commands: Commands) -> Backend:
    return redis_backend(commands)


@pytest.mark.parametrize("shape", SHAPES)
class TestInvitations(InvitationPromises):
    """Over each."""


@pytest.mark.parametrize("shape", SHAPES)
class TestQueue(QueuePromises):
    """Over each."""


@pytest.mark.parametrize("shape", SHAPES)
async def test_journey(config: Config, launch: Launch, url: str) -> None:
    """A candidate is invited, tested, notified of, read and deleted."""
    config.daemon["redis"]["url"] = url
    bridge = await launch()
    assert (await bridge.acme.list_tests()).status == 200
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    await eventually(lambda: bridge.notified(an_id))
    done = await bridge.acme.read_results(an_id)
    assert done.json["status"] == "COMPLETED"
    assert (await bridge.ask("GET", done.json["result"]["resultUrl"])).status == 200
    assert (await bridge.acme.delete(an_id)).status == 204
    assert (await bridge.acme.read_results(an_id)).status == 404
    await bridge.idle()


@pytest.mark.parametrize(
    "wrong",
    ["redis://nobody:x@{place}", "redis://bridge:wrong@{place}", "redis://{place}"],
)
async def test_wrong_password(password_url: str, wrong: str) -> None:
    """With a wrong user, a wrong password or none the store is unavailable, which is told without the password."""
    place = password_url.rpartition("@")[2]
    async with open_client(wrong.format(place=place)) as commands:
        with pytest.raises(StoreUnavailable) as raised:
            await commands.ping()
    assert "wrong" not in str(raised.value).lower().replace("wrongpass", "")


@pytest.mark.tls
async def test_strange_authority(tls_url: str, tls_port: int) -> None:
    """A server whose certificate nobody we trust has signed is not spoken to; nor does it speak to us without ours."""
    authority = tls_url.partition("?")[2].split("&")[0]
    for url in (f"rediss://localhost:{tls_port}", f"rediss://localhost:{tls_port}?{authority}"):
        async with open_client(url) as commands:
            with pytest.raises(StoreUnavailable):
                await commands.ping()


@pytest.mark.tls
async def test_name_in_certificate(tls_url: str) -> None:
    """A certificate that is for another name is refused."""
    async with open_client(tls_url.replace("localhost", "127.0.0.1")) as commands:
        with pytest.raises(StoreUnavailable):
            await commands.ping()


@pytest.mark.tls
async def test_spoilt_certificate(certificates: Path) -> None:
    """A file that holds no certificate is a complaint at the start."""
    with pytest.raises(ConfigError, match="cannot be used"):
        async with open_client(f"rediss://h?ca={certificates}/names"):
            pass


def test_missing_authority() -> None:
    """A file of certificates that is not there is a complaint at the start, not a mystery later."""
    with pytest.raises(ConfigError, match="cannot be read: /nowhere"):
        read_url("rediss://h?ca=/nowhere")
    with pytest.raises(ConfigError, match="tls=true"):
        read_url("redis+cluster://h?ca=/nowhere")
