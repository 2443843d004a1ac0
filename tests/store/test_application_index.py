"""The way from an application of the ATS to its invitations, in Redis."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.core import ids
from bridge.core.invitation import CreateAttempt, CreateOutcome, Invitation, State, Transition
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import ApplicationAnonymised, ErasureRequested
from bridge.errors import StoreUnavailable
from bridge.store import key_names
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import RedisAccess
from tests.core.build import POLICY
from tests.store.conformance import NOW, RETENTION, Backend, of_application
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis
APPLICATION = ("acme", "app-1")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def backend(real_commands: RedisAccess) -> Backend:
    return redis_backend(real_commands)


@pytest.fixture
def index(prefix: str) -> str:
    """The key of the index of the application that these tests are about."""
    names = key_names.PartitionKeyNames(prefix)[ids.compute_partition(*APPLICATION)]
    return names.application(ids.compute_application_key(*APPLICATION))


async def put(backend: Backend, number: int = 1, **fields: object) -> Invitation:
    one = replace(of_application(*APPLICATION, number), **fields)  # type: ignore[arg-type]
    assert await backend.invitations.commit(Transition(one))
    return replace(one, version=1)


async def change(backend: Backend, one: Invitation, event: object) -> Invitation:
    step = decide(one, event, POLICY, backend.clock())  # type: ignore[arg-type]
    assert await backend.invitations.commit(step)
    return replace(step.invitation, version=one.version + 1)


async def life(commands: RedisAccess, key: str) -> timedelta | None:
    left = await commands.run(("PTTL", key))
    # real time goes on a little between the write and this question
    return None if left == -1 else MINUTE * round(timedelta(milliseconds=left) / MINUTE)


async def test_damaged_list_and_a_silent_node(half_silent: RedisAccess) -> None:
    """While a list is put aside and a node does not say which records it has, nobody passes for
    somebody without a test.
    """
    backend = redis_backend(half_silent)
    await put(backend)
    names = key_names.PartitionKeyNames(backend.prefix)[ids.compute_partition(*APPLICATION)]
    index = names.application(ids.compute_application_key(*APPLICATION))
    await half_silent.run(("DEL", index))
    await half_silent.run(("SET", index, "nonsense"))
    with pytest.raises(StoreUnavailable):
        await backend.invitations.find_by_application(*APPLICATION)


async def test_scan_of_the_whole(half_silent: RedisAccess) -> None:
    """Who needs every record is told that a node did not answer; a listing shows what there is."""
    backend = redis_backend(half_silent)
    one = await put(backend)
    assert [found async for found in backend.invitations.scan()] == [one]
    with pytest.raises(StoreUnavailable):
        [found async for found in backend.invitations.scan(whole=True)]


async def test_says_nothing(backend: Backend, index: str, real_commands: RedisAccess) -> None:
    """What Redis holds names neither the application nor the customer, and goes with the last
    deletion.
    """
    one, other = await put(backend), await put(backend, 2)
    assert "app-1" not in index
    assert "acme" not in index
    listed = await real_commands.run(("ZRANGE", index, 0, -1))
    assert {name.decode() for name in listed} == {one.id, other.id}
    await change(backend, one, ErasureRequested())
    assert await real_commands.run(("ZRANGE", index, 0, -1)) == [other.id.encode()]
    await change(backend, other, ErasureRequested())
    assert await real_commands.run(("EXISTS", index)) == 0


async def test_lives_with_its_records(
    backend: Backend, index: str, real_commands: RedisAccess
) -> None:
    """It lives as long as the record that lives longest, for ever where that one does, and forgets
    one that is over.
    """
    orphan = CreateAttempt(1, "d" * 64, NOW, CreateOutcome.ORPHAN, "r1")
    first = await put(backend)
    assert await life(real_commands, index) == RETENTION
    backend.clock.now += timedelta(days=100)
    owed = await put(backend, 2, state=State.EXPIRED, attempts=(orphan,))
    assert await life(real_commands, index) == RETENTION
    event = ApplicationAnonymised("nobody's")
    assert await backend.invitations.commit(decide(owed, event, POLICY, NOW))
    assert await life(real_commands, index) is None
    paid = await change(backend, replace(owed, version=2), ApplicationAnonymised("r1"))
    assert await life(real_commands, index) == RETENTION
    backend.clock.now += RETENTION - timedelta(days=50)
    assert await backend.invitations.commit(Transition(paid))
    listed = await real_commands.run(("ZRANGE", index, 0, -1))
    assert (first.id.encode(), listed) == (first.id.encode(), [paid.id.encode()])


async def test_records_of_an_older_version(
    backend: Backend, prefix: str, index: str, real_commands: RedisAccess
) -> None:
    """A record without its way is found again by a reconciliation, which a daemon does by itself; a
    tombstone is not.
    """
    one, erased = await put(backend), await put(backend, 2)
    await change(backend, erased, ErasureRequested())
    await real_commands.run(("DEL", index))
    assert await backend.invitations.find_by_application(*APPLICATION) == ()
    reconciliation = Reconciliation(real_commands, prefix=prefix, clock=backend.clock)
    assert (await reconciliation.run(dry_run=True)).indexed == 1
    assert await backend.invitations.find_by_application(*APPLICATION) == ()
    assert (await reconciliation.run()).indexed == 1
    assert await backend.invitations.find_by_application(*APPLICATION) == (one,)
    assert await life(real_commands, index) == RETENTION
    found = await reconciliation.run()
    assert (found.indexed, found.repairable) == (0, 0)


async def test_damaged(backend: Backend, index: str, real_commands: RedisAccess) -> None:
    """A key of another type in its place is put aside, and stops neither change nor search: who is
    hired or deleted before the reconciliation has made the list anew must not be passed over.
    """
    one, other = await put(backend), await put(backend, 2)
    elsewhere = of_application("acme", "app-2", 3)
    assert await backend.invitations.commit(Transition(elsewhere))
    await real_commands.run(("DEL", index))
    await real_commands.run(("SET", index, "nonsense"))
    for _ in range(2):
        assert await backend.invitations.find_by_application(*APPLICATION) == (one, other)
    assert await backend.invitations.find_by_application("acme", "app-3") == ()
    assert await backend.invitations.commit(Transition(one))
    found = await backend.invitations.find_by_application(*APPLICATION)
    assert found == (replace(one, version=2), other)
    await Reconciliation(real_commands, prefix=backend.prefix, clock=backend.clock).run()
    assert await backend.invitations.find_by_application(*APPLICATION) == found
