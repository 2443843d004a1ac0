"""What only Redis can get wrong: keys left behind, commands sent twice, strangers' data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from bridge.core import ids
from bridge.core.invitation import Invitation, OrderClaimChange, State, Transition
from bridge.core.queueing import CancelTask, GiveUpTask, RetryTask, ScheduleTask, TaskDone, TaskKind
from bridge.errors import RecordTooNew
from bridge.store.connect import open_client
from bridge.store.invitation_store import RedisInvitations
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import RedisAccess
from bridge.store.task_queue import RedisTasks
from tests.redis_servers import RedisServer
from tests.store.conformance import (
    CHECK,
    MINUTE,
    NOTIFY,
    NOW,
    SECOND,
    Backend,
    Clock,
    due,
    invitation,
    lease,
    put,
)

DAY = timedelta(days=1)
pytestmark = pytest.mark.redis


@pytest.fixture
async def commands(real_server: RedisServer) -> AsyncIterator[RedisAccess]:
    async with Redis(unix_socket_path=real_server.socket) as client:
        await client.flushall()
    async with open_client(real_server.url) as commands:
        yield commands


@pytest.fixture
def store(commands: RedisAccess) -> RedisInvitations:
    return RedisInvitations(commands, prefix="b", retention=DAY, clock=Clock())


@pytest.fixture
def backend(commands: RedisAccess, store: RedisInvitations) -> Backend:
    async def life(_: str) -> None:
        raise NotImplementedError

    return Backend(
        store, RedisTasks(commands, prefix="b", retention=DAY, stamp=lambda: 2**46), Clock(), life
    )


async def names(commands: RedisAccess) -> list[str]:
    return sorted([key async for key in commands.scan("*")])


async def test_resent_commit(store: RedisInvitations, backend: Backend) -> None:
    """A commit with the same id is recognised as the same one sent twice, and not done again."""
    step = Transition(invitation(), (due(),), OrderClaimChange.CLAIM, commit_id="same")
    assert await store.commit(step)
    (mine,) = await lease(backend)
    assert await store.commit(step)
    assert await backend.tasks.settle(mine, TaskDone(), NOW)
    assert await backend.tasks.next_due() is None


async def test_resent_commit_of_a_task_that_is_done(
    store: RedisInvitations, backend: Backend, commands: RedisAccess
) -> None:
    """A commit sent again after its task was done does not say that the task is missing: it would
    be done twice.
    """
    step = Transition(invitation(), (due(),), OrderClaimChange.CLAIM, commit_id="same")
    assert await store.commit(step)
    (mine,) = await lease(backend)
    assert await backend.tasks.settle(mine, TaskDone(), NOW)
    assert await store.commit(step)
    assert (await Reconciliation(commands, prefix="b", clock=backend.clock).run()).repairable == 0
    assert await backend.tasks.next_due() is None


async def test_resent_lease(backend: Backend) -> None:
    """A lease that is sent twice takes no task twice."""
    await put(backend, due())
    assert len(await lease(backend)) == 1
    assert await lease(backend) == ()


async def test_nothing_left_behind(
    store: RedisInvitations, backend: Backend, commands: RedisAccess
) -> None:
    """When everything is done, only the record and the two ways to it are left; when it is
    cancelled, too.
    """
    one = await put(backend, due(), due(NOTIFY))
    application = ids.compute_application_key(one.customer, one.application_id)
    left = [f"b:{{p7}}:app:{application}"]
    left += [f"b:{{p7}}:iv:{one.id}", f"b:{{p7}}:order:{one.order_key}"]
    for mine in await lease(backend):
        assert await backend.tasks.settle(mine, RetryTask(NOW), NOW)
    for mine in await lease(backend):
        assert await backend.tasks.settle(mine, TaskDone(), NOW)
    assert await names(commands) == left
    assert await store.commit(Transition(one, (due(), due(NOTIFY))))
    await lease(backend)
    assert await store.commit(
        Transition(replace(one, version=2), (CancelTask(CHECK), CancelTask(NOTIFY)))
    )
    assert await names(commands) == left


async def test_waiting_tasks_are_small(backend: Backend, commands: RedisAccess) -> None:
    """A task that waits for its first attempt takes a place in its lane and nothing else; so does a
    released one.
    """
    await put(backend, due())
    assert await commands.run(("HLEN", "b:{p7}:tasks")) == 0
    await backend.tasks.release(await lease(backend), NOW)
    assert await commands.run(("HLEN", "b:{p7}:tasks")) == 0


async def test_order_lives_as_long_as_its_record(
    store: RedisInvitations, backend: Backend, commands: RedisAccess
) -> None:
    """Every commit prolongs the order's claim with the record, also if it says nothing of it."""
    one = await put(backend)
    order = f"b:{{p7}}:order:{one.order_key}"
    await commands.run(("PEXPIRE", order, 1000))
    assert await store.commit(Transition(one))
    assert await commands.run(("PTTL", order)) > 1000


async def test_order_of_a_debt(
    store: RedisInvitations, backend: Backend, commands: RedisAccess
) -> None:
    """A tombstone that lives for ever and keeps its order keeps it for ever."""
    one = await put(backend)
    assert await store.commit(Transition(replace(one, state=State.ERASED), expires=False))
    assert await commands.run(("PTTL", f"b:{{p7}}:order:{one.order_key}")) == -1


async def test_dangling_order(
    store: RedisInvitations, backend: Backend, commands: RedisAccess
) -> None:
    """An order whose record is gone is found by nobody and free to be claimed."""
    one = await put(backend)
    await commands.run(("DEL", f"b:{{p7}}:iv:{one.id}"))
    assert await store.find_order(7, one.order_key) is None
    successor = invitation(order_key=one.order_key)
    assert await store.commit(Transition(successor, order=OrderClaimChange.CLAIM))
    assert await store.find_order(7, one.order_key) == replace(successor, version=1)


async def test_newer_record(
    store: RedisInvitations, backend: Backend, commands: RedisAccess
) -> None:
    """A record of a newer format is refused where it is read, passed over where all are, and its
    task can still be taken.
    """
    one = await put(backend, due())
    key = f"b:{{p7}}:iv:{one.id}"
    value = await commands.run(("GET", key))
    await commands.run(("SET", key, value.replace(b'"f":3', b'"f":4')))
    for reading in (store.load(one.id), store.find_order(7, one.order_key)):
        with pytest.raises(RecordTooNew):
            await reading
    assert [] == [known async for known in store.scan()]
    assert await backend.tasks.take(one.id, CHECK, NOW, owner="w", until=NOW + MINUTE) is not None


async def test_dead_letters_expire(backend: Backend, commands: RedisAccess) -> None:
    """Dead letters are kept for the retention; then they are no longer listed."""
    one = await put(backend, due(NOTIFY))
    (mine,) = await lease(backend)
    assert await backend.tasks.settle(mine, GiveUpTask("refused"), NOW)
    key = f"b:{{p7}}:dead:{mine.task_id}"
    assert 0 < await commands.run(("PTTL", key)) <= DAY // timedelta(milliseconds=1)
    await commands.run(("DEL", key))
    assert [letter async for letter in backend.tasks.dead_letters()] == []
    assert not await backend.tasks.replay(one.id, NOTIFY, NOW)


async def test_foreign_keys(
    store: RedisInvitations, backend: Backend, commands: RedisAccess
) -> None:
    """Other applications, and other bridges, in the same Redis are not seen."""
    await commands.run(("SET", "b:{p7}:ivory", "x"))
    await commands.run(("SET", "ab:{p7}:iv:iv_7x", "x"))
    one = await put(backend)
    assert [found async for found in store.scan()] == [one]


async def test_lanes_in_step(
    store: RedisInvitations, backend: Backend, commands: RedisAccess
) -> None:
    """After any sequence of changes every lane is listed with the time of its earliest task, and no
    other lane is.
    """
    rows: list[Invitation] = [
        await put(backend, due(at=NOW + n * SECOND), due(NOTIFY), partition=7) for n in range(20)
    ]
    for turn in range(10):
        leases = await lease(backend, NOW + turn * SECOND, owner=f"w{turn}", count=9)
        for number, mine in enumerate(leases):
            settlement = (TaskDone(), RetryTask(NOW + turn * MINUTE), GiveUpTask("x"))[number % 3]
            await backend.tasks.settle(mine, settlement, NOW)
        await backend.tasks.extend(leases, NOW + MINUTE)
        row = rows[turn]
        await store.commit(
            Transition(row, (CancelTask(CHECK), ScheduleTask(NOTIFY, NOW + turn * SECOND)))
        )
        await backend.tasks.replay(row.id, TaskKind.NOTIFY, NOW)
        listed = await commands.run(("ZRANGE", "b:{p7}:lanes", 0, -1, "WITHSCORES"))
        real = {}
        for lane in ("acme/check", "acme/notify"):
            first = await commands.run(("ZRANGE", f"b:{{p7}}:due:{lane}", 0, 0, "WITHSCORES"))
            if first:
                real[lane.encode()] = first[1]
        assert dict(zip(listed[::2], listed[1::2], strict=True)) == real


async def test_cost_of_an_idle_worker(backend: Backend, commands: RedisAccess) -> None:
    """Asking for work takes one journey of 16 commands, however many tasks wait for later."""
    await asyncio.gather(
        *(put(backend, due(at=NOW + DAY), partition=number % 16) for number in range(100))
    )
    await lease(backend)  # now the scripts are known
    before = await commands.run(("INFO", "stats"))
    await lease(backend)
    after = await commands.run(("INFO", "stats"))
    # 16 scripts with a command each, and the INFO before
    assert after["total_commands_processed"] - before["total_commands_processed"] <= 16 * 2 + 1


@pytest.mark.parametrize("owner", ["a|b"])
async def test_strange_owner(backend: Backend, owner: str) -> None:
    """A name that would break an entry's form is refused."""
    one = await put(backend, due())
    with pytest.raises(ValueError, match="owner"):
        await lease(backend, owner=owner)
    with pytest.raises(ValueError, match="owner"):
        await backend.tasks.take(one.id, CHECK, NOW, owner=owner, until=NOW)


async def test_strange_ids(store: RedisInvitations, backend: Backend) -> None:
    """Nothing is written under an id that is none."""
    with pytest.raises(ValueError, match="invitation id"):
        await store.commit(Transition(replace(invitation(), id="iv_x")))
    await put(backend, due())
    (mine,) = await lease(backend)
    with pytest.raises(ValueError, match="invitation id"):
        await backend.tasks.settle(replace(mine, invitation_id="x"), TaskDone(), NOW)


async def test_foreign_type(backend: Backend, commands: RedisAccess) -> None:
    """A key of the bridge that holds something foreign is put aside, and the call works all the
    same.
    """
    await commands.run(("SET", "b:{p3}:lanes", "x"))
    assert await backend.tasks.next_due() is None
    assert await commands.run(("GET", "b:{p3}:quarantine:lanes")) == b"x"
