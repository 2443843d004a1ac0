"""Whose work waits, and what becomes due when they are back."""

from __future__ import annotations

import pytest

from bridge.core.queueing import AttemptNote, RetryTask
from bridge.store import key_names
from bridge.store.redis_access import RedisAccess
from bridge.store.unserved_customers import RedisUnservedCustomers
from tests.store.conformance import ANONYMISE, CHECK, MINUTE, NOTIFY, NOW, SECOND, due, lease, put
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis
PREFIX = "absences"
HOUR = 60 * MINUTE
EVERYBODY = frozenset({"acme", "beta"}).__contains__
ACME = frozenset({"acme"}).__contains__


async def test_work_of_those_who_are_back_is_due(real_commands: RedisAccess) -> None:
    """Checks and anonymisations of a customer that was absent are due when it is back; all else
    keeps its time.
    """
    backend = redis_backend(real_commands, f"{PREFIX}-1")
    unserved_customers = RedisUnservedCustomers(real_commands, prefix=f"{PREFIX}-1")
    checks = [
        await put(backend, due(at=NOW + HOUR), partition=7, customer="beta") for _ in range(3)
    ]
    checks.append(await put(backend, due(at=NOW + 24 * HOUR), partition=3, customer="beta"))
    owed = await put(backend, due(ANONYMISE, NOW + HOUR), customer="beta")
    await put(backend, due(NOTIFY, NOW + HOUR), customer="beta")
    await put(backend, due(at=NOW + HOUR), customer="acme")
    assert await unserved_customers.update(EVERYBODY, NOW) == 0
    assert await unserved_customers.update(ACME, NOW) == 0
    assert await lease(backend, NOW + SECOND) == ()
    # Another process, after a restart: it knows of the absence from Redis alone.
    later = RedisUnservedCustomers(real_commands, prefix=f"{PREFIX}-1")
    assert await later.update(EVERYBODY, NOW + MINUTE) == 5
    got = await lease(backend, NOW + MINUTE)
    assert {(one.invitation_id, one.kind) for one in got} == {
        *((one.id, CHECK) for one in checks),
        (owed.id, ANONYMISE),
    }
    assert await later.update(EVERYBODY, NOW + MINUTE) == 0


async def test_who_is_at_it_is_left_alone(real_commands: RedisAccess) -> None:
    """A task that somebody holds is not made due under his hands, and attempts are kept."""
    backend = redis_backend(real_commands, f"{PREFIX}-2")
    unserved_customers = RedisUnservedCustomers(real_commands, prefix=f"{PREFIX}-2")
    tried = await put(backend, due(), customer="beta")
    (first,) = await lease(backend)
    await backend.tasks.settle(first, RetryTask(NOW + HOUR, AttemptNote(NOW, "unavailable")), NOW)
    await put(backend, due(), customer="beta")
    (held,) = await lease(backend)
    await unserved_customers.update(ACME, NOW)
    assert await unserved_customers.update(EVERYBODY, NOW + SECOND) == 1
    (again,) = await lease(backend, NOW + SECOND)
    assert (again.invitation_id, len(again.history)) == (tried.id, 1)
    assert held.invitation_id != tried.id


async def test_more_than_fits_into_one_call(real_commands: RedisAccess) -> None:
    """However many there are, all become due, by calls of bounded length."""
    backend = redis_backend(real_commands, f"{PREFIX}-3")
    unserved_customers = RedisUnservedCustomers(real_commands, prefix=f"{PREFIX}-3", together=2)
    for number in range(7):
        await put(backend, due(at=NOW + HOUR + number * SECOND), customer="beta")
    await unserved_customers.update(ACME, NOW)
    assert await unserved_customers.update(EVERYBODY, NOW) == 7


async def test_one_damaged_partition(real_commands: RedisAccess) -> None:
    """A key that somebody spoilt in one partition is put aside; names that are no lanes do no
    harm.
    """
    backend = redis_backend(real_commands, f"{PREFIX}-4")
    unserved_customers = RedisUnservedCustomers(real_commands, prefix=f"{PREFIX}-4")
    names = key_names.PartitionKeyNames(f"{PREFIX}-4")
    await real_commands.run(("SET", names[0].unserved, "not a set"))
    await real_commands.run(("ZADD", names[9].lanes, 1, b"\xff\xfe/check"))
    await real_commands.run(("ZADD", names[9].lanes, 1, b"no lane at all"))
    await put(backend, due(at=NOW + HOUR), partition=9, customer="beta")
    await unserved_customers.update(ACME, NOW)
    assert await unserved_customers.update(EVERYBODY, NOW) == 1
    assert len(await lease(backend, NOW)) == 1


async def test_behind_many_whom_nobody_serves(real_commands: RedisAccess) -> None:
    """However many customers were removed, and whatever waits for them, those who are served get
    their turn.
    """
    backend = redis_backend(real_commands, f"{PREFIX}-5")
    for number in range(600):
        await put(backend, due(at=NOW - HOUR), customer=f"removed-{number}")
    mine = await put(backend, due(), customer="acme")
    looks = [await lease(backend, serves=ACME) for _ in range(4)]
    assert [[one.invitation_id for one in look] for look in looks if look] == [[mine.id]]
