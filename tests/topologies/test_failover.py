"""A primary dies, hangs or is demoted: everybody learns of it in time, the bridge recovers by
itself, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from bridge.core.invitation import Invitation
from bridge.core.queueing import Lease, TaskDone
from bridge.errors import StoreUnavailable
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess, ReplicaWait
from bridge.store.redis_inspection import find_durability_risks
from tests.flows.conftest import Config, Launch, eventually
from tests.redis_servers import Cluster, Guarded, RedisServer, await_true, running
from tests.stalls import net_since
from tests.store.conformance import MINUTE, NOW, Backend, due, lease, put
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis

RECOVERY_S = 15
WAIT = ReplicaWait(replicas=1, timeout_s=1.2)


@pytest.fixture
def own(request: pytest.FixtureRequest, binary: Path) -> Iterator[Guarded | Cluster]:
    """Servers that the test may hurt."""
    with running((Guarded if request.param == "sentinel" else Cluster)(binary)) as own:
        yield own


@pytest.fixture
async def commands(own: Guarded | Cluster) -> AsyncIterator[RedisAccess]:
    async with open_client(own.url) as commands:
        yield commands


@pytest.fixture
def backend(commands: RedisAccess) -> Backend:
    return redis_backend(commands, "lost")


@pytest.fixture
async def known(own: Guarded | Cluster) -> list[Invitation]:
    """A record with a due task in each partition, confirmed by a replica."""
    async with open_client(own.url, wait=WAIT) as commands:
        return await one_each(redis_backend(commands, "lost"))


def victim(own: Guarded | Cluster) -> RedisServer:
    return own.primary if isinstance(own, Guarded) else own.primaries[0]


async def one_each(backend: Backend) -> list[Invitation]:
    return list(
        await asyncio.gather(*(put(backend, due(), partition=number) for number in range(16)))
    )


async def failures(backend: Backend, commands: RedisAccess, known: list[Invitation]) -> int:
    """How many of these operations fail, none of which may take two seconds, nor fail in any other
    way.
    """

    async def ask(number: int) -> bool:
        started = time.monotonic()
        try:
            if number < len(known):
                await backend.invitations.load(known[number].id)
            elif number == len(known):
                await lease(backend, count=1)
            else:
                await commands.ping()
        except StoreUnavailable:
            return True
        finally:
            assert net_since(started) < 2
        return False

    return sum(await asyncio.gather(*map(ask, range(len(known) + 2))))


async def works(backend: Backend, known: list[Invitation]) -> bool:
    """Whether all of these can be read, and every partition written to."""
    try:
        assert await asyncio.gather(*(backend.invitations.load(one.id) for one in known)) == known
        await one_each(backend)
    except StoreUnavailable:
        return False
    return True


@pytest.mark.parametrize("blow", ["kill", "freeze"])
@pytest.mark.parametrize("own", ["sentinel", "cluster"], indirect=True)
async def test_primary_lost(
    own: Guarded | Cluster,
    commands: RedisAccess,
    backend: Backend,
    known: list[Invitation],
    blow: str,
) -> None:
    """After kill -9 of a primary, or while it hangs, all answers come in less than 2 s; then all
    goes on, with all there was.
    """
    assert await failures(backend, commands, known) == 0
    getattr(victim(own), blow)()
    assert await failures(backend, commands, known)
    await eventually(lambda: works(backend, known), within_s=RECOVERY_S)
    leased: list[Lease] = []

    async def all_leased() -> bool:
        # When the leases from before are over, and every partition was found to be back.
        leased.extend(await lease(backend, NOW + MINUTE, count=500))
        return {one.id for one in known} <= {mine.invitation_id for mine in leased}

    await eventually(all_leased, within_s=RECOVERY_S)
    assert all(
        await asyncio.gather(*(backend.tasks.settle(mine, TaskDone(), NOW) for mine in leased))
    )
    assert await find_durability_risks(commands) == []


@pytest.mark.parametrize("own", ["sentinel", "cluster"], indirect=True)
async def test_primary_demoted(
    own: Guarded | Cluster, commands: RedisAccess, backend: Backend, known: list[Invitation]
) -> None:
    """When an administrator has primary and replica change places, the bridge follows, and stays
    with the new one.
    """
    assert await works(backend, known)
    if isinstance(own, Guarded):
        with own.sentinels[0].client(
            password=own.SENTINEL_PASSWORD, decode_responses=True
        ) as client:
            client.execute_command("SENTINEL", "FAILOVER", own.SERVICE)
            newest = ("127.0.0.1", own.replica.port)
            await eventually(
                lambda: client.sentinel_get_master_addr_by_name(own.SERVICE) == newest,
                within_s=RECOVERY_S,
            )
        demoted = own.primary.client(password=own.PASSWORD)
        demoted.replicaof("127.0.0.1", own.replica.port)  # as Sentinel does, sooner or later
    else:
        with own.replicas[0].client() as client:
            client.execute_command("CLUSTER", "FAILOVER")
        demoted = own.primaries[0].client()
    with demoted:
        await asyncio.to_thread(await_true, lambda: demoted.info("replication")["role"] == "slave")
    await eventually(lambda: works(backend, known), within_s=RECOVERY_S)
    assert await failures(backend, commands, known) == 0


@pytest.mark.parametrize("own", ["sentinel", "cluster"], indirect=True)
async def test_journey_across(own: Guarded | Cluster, config: Config, launch: Launch) -> None:
    """A candidate who was invited before a primary died is tested, notified of, read and deleted
    after it.
    """
    config.daemon["redis"]["url"] = own.url
    bridge = await launch()
    invited = await bridge.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    tag = f"{{p{an_id[3]}}}"
    lost = own.primary if isinstance(own, Guarded) else own.owner_of(tag)
    with lost.client(password=own.PASSWORD if isinstance(own, Guarded) else None) as client:
        client.set(tag, "")
        assert client.wait(1, 900) == 1
    lost.kill()
    assert (await bridge.acme.read_results(an_id)).status == 503
    whole = isinstance(own, Guarded)  # the rest of a cluster goes on
    assert (await bridge.ask("GET", "/readyz")).status == (503 if whole else 200)

    async def readable() -> bool:
        ready = (await bridge.ask("GET", "/readyz")).status == 200
        return ready and (await bridge.acme.read_results(an_id)).status == 200

    await eventually(readable, within_s=RECOVERY_S)
    assert await bridge.equalture.complete(bridge.created()) == 200
    await eventually(lambda: bridge.notified(an_id), within_s=RECOVERY_S)
    assert (await bridge.acme.read_results(an_id)).json["status"] == "COMPLETED"
    assert (await bridge.acme.delete(an_id)).status == 204
    assert (await bridge.acme.read_results(an_id)).status == 404


async def test_hanging_sentinel(guarded: Guarded) -> None:
    """While the Sentinel that is named first hangs, a bridge that starts finds the primary in
    time.
    """
    guarded.sentinels[0].freeze()
    try:
        async with open_client(guarded.url) as commands:
            await commands.ping()
            assert await works(redis_backend(commands), [])
    finally:
        guarded.sentinels[0].thaw()


async def test_moving_slot(binary: Path) -> None:
    """While a slot moves to another node, and after it, its records are found; then there is work,
    too.
    """
    with running(Cluster(binary, replicas=False)) as own:
        async with open_client(own.url) as commands:
            backend = redis_backend(commands)
            one, other = [await put(backend, due()) for _ in range(2)]
            source, target = own.owner_of("{p7}"), own.owner_of("{p0}")
            assert source is not target
            with (
                source.client(decode_responses=True) as leaving,
                target.client(decode_responses=True) as arriving,
            ):
                slot = key_slot(b"{p7}")
                arriving.execute_command(
                    "CLUSTER", "SETSLOT", slot, "IMPORTING", leaving.execute_command("CLUSTER MYID")
                )
                leaving.execute_command(
                    "CLUSTER",
                    "SETSLOT",
                    slot,
                    "MIGRATING",
                    arriving.execute_command("CLUSTER MYID"),
                )
                (key,) = leaving.keys(f"*{one.id}")
                leaving.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 1000)
                assert await backend.invitations.load(one.id) == one
                assert await backend.invitations.load(other.id) == other
                for key in leaving.keys("*{p7}*"):
                    leaving.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 1000)
                for client in (arriving, leaving):
                    client.execute_command(
                        "CLUSTER", "SETSLOT", slot, "NODE", arriving.execute_command("CLUSTER MYID")
                    )
            assert await backend.invitations.load(one.id) == one
            assert len(await lease(backend)) == 2
