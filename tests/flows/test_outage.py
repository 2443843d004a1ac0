"""Redis away: nothing is accepted that could be lost, and all goes on when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from bridge.core.queueing import LEASE_LIFE
from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, Config, Launch, eventually
from tests.redis_servers import RedisServer, binaries
from tests.stalls import net_since

CLAIM = {"fit": "high"}


@pytest.fixture
def own_redis(config: Config) -> Iterator[RedisServer]:
    """A durable Redis for one test, which may do bad things to it."""
    server = RedisServer(next(iter(binaries().values())), durable=True)
    config.daemon["redis"]["url"] = server.url
    yield server.start()
    server.close()


@pytest.fixture
async def exposed(own_redis: RedisServer, launch: Launch) -> Bridge:
    """A bridge on that Redis."""
    return await launch()


def refused(reply: BridgeReply) -> None:
    """Assert that the store is said to be away, and when to come back."""
    assert (reply.status, reply.json["code"]) == (503, "store_unavailable")
    assert int(reply.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_redis_away(exposed: Bridge, own_redis: RedisServer, how: str) -> None:
    """Without Redis every call that needs it is 503 within two seconds, and the bridge recovers by
    itself.
    """
    bridge = exposed
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    reference = bridge.created()
    own_redis.kill() if how == "killed" else own_redis.freeze()

    began = time.monotonic()
    url = bridge.callback_of(reference)
    invite, callback, read, delete, ready, live, admin = await asyncio.gather(
        bridge.acme.invite("engineer"),
        bridge.ask("PUT", url, json=CLAIM),
        bridge.acme.read_results(an_id),
        bridge.acme.delete(an_id),
        bridge.ask("GET", "/readyz"),
        bridge.ask("GET", "/livez"),
        bridge.ask("GET", f"{bridge.admin_url}/readyz"),
    )
    assert net_since(began) < 2
    for reply in (invite, callback, read, delete):
        refused(reply)
    assert (ready.status, ready.headers["Retry-After"], "redis" in ready.text.lower()) == (
        503,
        "2",
        False,
    )
    assert (live.status, live.json) == (200, {"status": "ok"})
    assert (admin.status, list(admin.json["errors"])) == (503, ["redis"])
    page = await bridge.ask("GET", bridge.runtime.signer.results_url(an_id))
    assert (page.status, page.headers["Content-Type"].split(";")[0]) == (503, "text/html")
    assert len(bridge.equalture.calls("create")) == 1

    own_redis.start() if how == "killed" else own_redis.thaw()

    async def ready_again() -> bool:
        return (await bridge.ask("GET", "/readyz")).status == 200

    await eventually(ready_again)
    assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"
    assert await bridge.equalture.complete(reference) == 200
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    await eventually(lambda: bridge.notified(an_id))
    assert (await bridge.acme.invite("engineer")).status == 200


async def test_create_outlives_a_short_outage(exposed: Bridge, own_redis: RedisServer) -> None:
    """A Redis that is back before long costs no application: the create that was under way is
    written down after all.
    """
    bridge = exposed
    fault = bridge.equalture.fault("create", delay_after=30, times=1)
    call = asyncio.create_task(bridge.acme.invite("engineer"))
    await fault.wait_applied()
    await eventually(lambda: bridge.equalture.applications)
    own_redis.kill()
    fault.heal()
    await bridge.equalture.wait_calls("create")
    own_redis.start()
    invited = await call
    assert invited.status == 200
    assert (await bridge.acme.read_results(invited.json["invitationId"])).json[
        "status"
    ] == "PENDING"


async def test_acknowledged_callback_survives_kill_9_of_redis(
    exposed: Bridge, own_redis: RedisServer
) -> None:
    """What was answered 200 is there after Redis was killed at that instant, and leads to the
    notification.
    """
    bridge = exposed
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created(), fit="medium") == 200
    own_redis.kill()
    own_redis.start()
    # A check that ran into the outage is repeated when its lease has run out.
    await bridge.advance(LEASE_LIFE)
    view = await bridge.result(bridge.acme, an_id, "COMPLETED")
    assert view["result"]["score"].startswith("Medium")
    await eventually(lambda: bridge.notified(an_id))


async def test_bridge_starts_without_redis(own_redis: RedisServer, launch: Launch) -> None:
    """A bridge that is started before its Redis waits: alive, not ready, and at work as soon as
    Redis is there.
    """
    own_redis.kill()
    bridge = await launch()
    assert (await bridge.ask("GET", "/livez")).status == 200
    assert (await bridge.ask("GET", "/readyz")).status == 503
    refused(await bridge.acme.invite("engineer"))
    own_redis.start()
    invited = await bridge.acme.invite("engineer")
    assert invited.status == 200
    assert await bridge.equalture.complete(bridge.created()) == 200
    await eventually(lambda: bridge.notified(invited.json["invitationId"]))


async def test_nothing_is_decided_before_the_time_is_known(bridge: Bridge) -> None:
    """Until Redis has said the time, a process accepts nothing and is not ready: by its host's
    clock an invitation could expire at once, or not for hours.
    """
    bridge.runtime.state.is_time_known = lambda: False
    refused(await bridge.acme.invite("engineer"))
    assert (await bridge.ask("GET", "/readyz")).status == 503
    bridge.runtime.state.is_time_known = lambda: True
    assert (await bridge.acme.invite("engineer")).status == 200
