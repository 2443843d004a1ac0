"""The store's promises, and a candidate's whole journey, in every way in which Redis may be set
up.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import ConnectionPool, Redis
from structlog.testing import capture_logs

from bridge.errors import RedisSetupError, StoreUnavailable
from bridge.redis_url import InvalidRedisUrl, parse_redis_url
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess
from bridge.store.tls import TLSConnection, load_trusted_authorities
from tests.flows.conftest import Config, Launch, eventually
from tests.needs import with_tls
from tests.redis_servers import PATIENCE_S, RedisServer, free_port, running
from tests.store.conformance import Backend, InvitationPromises, QueuePromises
from tests.store.conftest import redis_backend
from tests.topologies.conftest import SHAPES, openssl

pytestmark = pytest.mark.redis


@pytest.fixture
async def commands(url: str) -> AsyncIterator[RedisAccess]:
    async with open_client(url, deadline_s=PATIENCE_S) as commands:
        yield commands


@pytest.fixture
def backend(commands: RedisAccess) -> Backend:
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
    """With a wrong user, a wrong password or none the store is unavailable, which is told without
    the password.
    """
    place = password_url.rpartition("@")[2]
    async with open_client(wrong.format(place=place)) as commands:
        with pytest.raises(StoreUnavailable) as raised:
            await commands.ping()
    assert "wrong" not in str(raised.value).lower().replace("wrongpass", "")


@pytest.mark.tls
async def test_strange_authority(tls_url: str, tls_port: int) -> None:
    """A server whose certificate nobody we trust has signed is not spoken to; nor does it speak to
    us without ours.
    """
    authority = tls_url.partition("?")[2].split("&")[0]
    for url in (f"rediss://localhost:{tls_port}", f"rediss://localhost:{tls_port}?{authority}"):
        async with open_client(url) as commands:
            with pytest.raises(StoreUnavailable):
                await commands.ping()


@pytest.mark.tls
@pytest.mark.parametrize(
    "url", ["rediss://{}", "redis+cluster://{}?tls=true", "redis+sentinel://{}/main?tls=true"]
)
async def test_strange_authority_is_said(tls_port: int, url: str) -> None:
    """Why a certificate is refused stands in the log, once, whichever way Redis is set up."""
    with capture_logs() as logged:
        async with open_client(url.format(f"localhost:{tls_port}")) as commands:
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    await commands.ping()
    (told,) = [one["reason"] for one in logged if one["event"] == "redis.certificate_refused"]
    assert "ca=" in told


@pytest.mark.tls
async def test_old_authority(certificates: Path) -> None:
    """An authority as they were made before, which Python 3.13 refuses, is told as the reason, with
    the remedy.
    """
    port, binary = free_port(), with_tls()
    assert binary is not None
    names = ("-subj", "/CN=Old CA", "-days", "2")
    openssl(certificates, "req", "-x509", "-key", "ca.key", "-out", "old-ca.pem", *names)
    sign = (
        "-CA",
        "old-ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "names",
    )
    openssl(certificates, "x509", "-req", "-in", "own.csr", "-out", "of-old.pem", *sign)
    settings = {
        "bind": "127.0.0.1",
        "tls-port": str(port),
        "tls-cert-file": f"{certificates}/of-old.pem",
        "tls-key-file": f"{certificates}/own.key",
        "tls-ca-cert-file": f"{certificates}/old-ca.pem",
        "tls-auth-clients": "no",
    }
    with running(RedisServer(binary, settings=settings)):
        # what Python 3.13 does by itself
        strict = load_trusted_authorities(ca=f"{certificates}/old-ca.pem")
        strict.context.verify_flags |= ssl.VERIFY_X509_STRICT
        pool = ConnectionPool(
            connection_class=TLSConnection, host="localhost", port=port, tls=strict
        )
        async with Redis(connection_pool=pool) as client:
            commands = RedisAccess(client)
            with pytest.raises(StoreUnavailable) as raised:
                await commands.ping()
    assert "CA cert does not include key usage extension" in str(raised.value)
    assert "keyUsage=critical,keyCertSign" in str(raised.value)


@pytest.mark.tls
async def test_name_in_certificate(tls_url: str) -> None:
    """A certificate that is for another name is refused."""
    async with open_client(tls_url.replace("localhost", "127.0.0.1")) as commands:
        with pytest.raises(StoreUnavailable):
            await commands.ping()


@pytest.mark.tls
async def test_spoilt_certificate(certificates: Path) -> None:
    """A file that holds no certificate is a complaint at the start."""
    with pytest.raises(RedisSetupError, match="cannot be used"):
        async with open_client(f"rediss://h?ca={certificates}/names"):
            pass


def test_missing_authority() -> None:
    """A file of certificates that is not there is a complaint at the start, not a mystery later."""
    with pytest.raises(InvalidRedisUrl, match="cannot be read"):
        parse_redis_url("rediss://h?ca=/nowhere")
    with pytest.raises(InvalidRedisUrl, match="tls=true"):
        parse_redis_url("redis+cluster://h?ca=/nowhere")
