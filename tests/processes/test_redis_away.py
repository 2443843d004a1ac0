"""Redis frozen, killed, late, or not durable: what the real daemon answers, says, and does."""

from __future__ import annotations

import asyncio
import time

import pytest

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.processes.conftest import Launch, Place, acme, eventually
from tests.redis_servers import RedisServer
from tests.stalls import net_since

pytestmark = pytest.mark.redis


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_redis_away(
    launch: Launch,
    redis: RedisServer,
    equalture: EqualtureSandbox,
    softgarden: SoftgardenSandbox,
    how: str,
) -> None:
    """Without Redis all that needs it is 503 within two seconds, callbacks too, and the status
    page says so; it recovers by itself.
    """
    daemon = launch()
    await daemon.ready()
    client = acme(softgarden, daemon)
    an_id = (await client.invite("engineer")).json["invitationId"]
    (reference,) = equalture.applications
    redis.kill() if how == "killed" else redis.freeze()

    for _ in range(2):
        began = time.monotonic()
        invite, callback, ready, admin, live = await asyncio.gather(
            client.invite("engineer"),
            equalture.complete(reference),
            daemon.get("/readyz"),
            daemon.get("/readyz", daemon.admin_url),
            daemon.get("/livez"),
        )
        assert net_since(began) < 2
        assert (invite.status, invite.json["code"]) == (503, "store_unavailable")
        assert int(invite.headers["Retry-After"]) >= 1
        assert (callback, ready[0], admin[0], live[0]) == (503, 503, 503, 200)
        assert "edis" in admin[1]
        assert "edis" not in ready[1]
        page = await daemon.get("/", daemon.admin_url)
        assert (page[0], "Redis: Redis does not answer" in page[1]) == (200, True)

    redis.start() if how == "killed" else redis.thaw()
    await daemon.ready(5)
    assert await equalture.complete(reference) == 200
    await softgarden.wait_calls("notify", status=204, invitation_id=an_id, timeout=20)
    assert (await client.invite("engineer")).status == 200
    daemon.terminate()
    assert await daemon.ended() == 0


async def test_started_without_redis(
    launch: Launch, redis: RedisServer, softgarden: SoftgardenSandbox
) -> None:
    """A daemon that is started before its Redis waits, says so once, and takes work as soon as
    Redis is there.
    """
    redis.kill()
    daemon = launch()

    async def alive() -> bool:
        return (await daemon.get("/livez"))[0] == 200

    await eventually(alive)
    assert (await daemon.get("/readyz"))[0] == 503
    redis.start()
    await daemon.ready(5)
    assert (await acme(softgarden, daemon).invite("engineer")).status == 200
    assert len(daemon.entries("redis.waiting")) == 1
    assert daemon.entries("redis.not_durable") == []
    daemon.terminate()
    assert await daemon.ended() == 0


async def test_sigterm_without_redis(launch: Launch, redis: RedisServer) -> None:
    """A daemon whose Redis hangs ends in good order all the same."""
    daemon = launch()
    await daemon.ready()
    redis.freeze()
    daemon.terminate()
    assert await daemon.ended(15) == 0
    redis.thaw()


@pytest.fixture
def careless(redis: RedisServer) -> RedisServer:
    """The same Redis, started anew without its append-only file."""
    redis.kill()
    redis.settings["appendonly"] = "no"
    return redis.start()


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_not_durable_refused(
    launch: Launch, place: Place, careless: RedisServer, workers: str
) -> None:
    """``require_durable: refuse`` ends the daemon with exit code 1 and a log line that says why and
    what to do.
    """
    place.document["redis"]["require_durable"] = "refuse"
    daemon = launch("--workers", workers)
    assert await daemon.ended(15) == 1
    assert "append-only" in daemon.entries("redis.not_durable")[0]["text"]
    assert "require_durable" in daemon.entries("redis.refused")[0]["text"]
    assert daemon.entries("daemon.stopped")


@pytest.mark.parametrize(("required", "lines"), [("warn", 1), ("off", 0)])
async def test_not_durable_tolerated(
    launch: Launch, place: Place, careless: RedisServer, required: str, lines: int
) -> None:
    """``warn`` logs it and serves; ``off`` is silent."""
    place.document["redis"]["require_durable"] = required
    daemon = launch()
    await daemon.ready()
    await eventually(lambda: len(daemon.entries("redis.not_durable")) == lines)
    daemon.terminate()
    assert await daemon.ended() == 0
    assert len(daemon.entries("redis.not_durable")) == lines
