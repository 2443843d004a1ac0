"""A Redis that answers but takes no writes: said by readiness, and no reason to lose anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from bridge.store.redis_access import RedisAccess
from bridge.store.redis_inspection import find_durability_risks
from tests.flows.conftest import Bridge, Config, Launch, eventually
from tests.redis_servers import RedisServer, binaries, free_port

pytestmark = pytest.mark.redis


@pytest.fixture
def server() -> Iterator[RedisServer]:
    own = RedisServer(next(iter(binaries().values())), durable=True)
    yield own.start()
    own.close()


@pytest.fixture
async def bridge(server: RedisServer, config: Config, launch: Launch) -> Bridge:
    config.daemon["redis"]["url"] = server.url
    return await launch()


def refuse(client: Redis, how: str) -> str:
    """Have it refuse writes; gives a word of its reason."""
    match how:
        case "memory":
            client.config_set("maxmemory", 1)
            return "maxmemory"
        case "replica":
            client.replicaof("127.0.0.1", free_port())
            return "replica"
        case _:
            client.config_set("min-replicas-to-write", 1)
            return "replicas"


def relent(client: Redis) -> None:
    client.config_set("maxmemory", 0)
    client.config_set("min-replicas-to-write", 0)
    client.replicaof("NO", "ONE")


@pytest.mark.parametrize("how", ["memory", "replica", "too few replicas"])
async def test_refused_writes(bridge: Bridge, server: RedisServer, how: str) -> None:
    """Readiness is 503 with the reason while Redis refuses; nothing is acknowledged; then all goes
    on by itself.
    """
    invited = await bridge.acme.invite("engineer")
    an_id, made = invited.json["invitationId"], bridge.created()
    with server.client() as client:
        word = refuse(client, how)
        assert (await bridge.ask("GET", "/readyz")).status == 503
        assert word in str((await bridge.runtime.readiness.check()).reasons["redis"])
        assert await bridge.equalture.complete(made) == 503
        answer = await bridge.acme.invite("engineer")
        assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
        assert word not in answer.text
        relent(client)
    assert (await bridge.ask("GET", "/readyz")).status == 200
    assert await bridge.equalture.complete(made) == 200
    await eventually(lambda: bridge.notified(an_id))


async def test_deletion_makes_room(bridge: Bridge, server: RedisServer) -> None:
    """Where Redis has room for nothing else a deletion is done all the same, and nothing of the
    candidate is left.
    """
    invited = await bridge.acme.invite("engineer", candidate_id="application-4711")
    an_id, made = invited.json["invitationId"], bridge.created()
    assert await bridge.equalture.complete(made) == 200
    await eventually(lambda: bridge.notified(an_id))
    with server.client() as client:
        refuse(client, "memory")
        assert (await bridge.acme.invite("engineer")).status == 503
        assert (await bridge.acme.delete(an_id)).status == 204
        assert (await bridge.acme.read_results(an_id)).status == 404
        relent(client)
    assert bridge.equalture.applications[made].state == "anonymized"
    assert "application-4711" not in await bridge.stored()


async def test_a_replica_is_not_durable(server: RedisServer, bridge: Bridge) -> None:
    """A Redis that is somebody's replica is complained of, so that ``refuse`` refuses it."""
    commands: RedisAccess = bridge.runtime.commands
    assert await find_durability_risks(commands) == []
    with server.client() as client:
        refuse(client, "replica")
        assert any("replica" in complaint for complaint in await find_durability_risks(commands))
        relent(client)
