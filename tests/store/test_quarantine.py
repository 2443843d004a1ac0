"""What cannot be read harms only itself: it is put aside, said once, and operators can list and
drop it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from bridge.core import ids
from bridge.core.invitation import State, Transition
from bridge.core.queueing import CancelTask, GiveUpTask, Lease, QuarantineNote, TaskDone
from bridge.errors import RecordDamaged
from bridge.store import key_names
from bridge.store.quarantine import RedisQuarantine
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import RedisAccess, ReplicaWait
from bridge.store.reference_index import RedisReferenceIndex
from bridge.store.status_word_store import RedisStatusWords
from tests.plain_client import PlainClient
from tests.store.conformance import CHECK, MINUTE, NOTIFY, NOW, SECOND, Backend, due, lease, put
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis


@pytest.fixture
def backend(real_commands: RedisAccess) -> Backend:
    return redis_backend(real_commands)


@pytest.fixture
def quarantine(real_commands: RedisAccess, prefix: str) -> RedisQuarantine:
    return RedisQuarantine(real_commands, prefix)


async def notes(quarantine: RedisQuarantine) -> list[QuarantineNote]:
    return [note async for note in quarantine.notes()]


async def everything(backend: Backend) -> list[Lease]:
    """All that is due, until nothing more comes."""
    found: list[Lease] = []
    for number in range(20):
        got = await lease(backend, owner=f"w{number}", per_lane=4)
        if not got:
            return found
        found += got
    pytest.fail("there is no end to it")


@pytest.mark.parametrize(
    "entry",
    [
        b"garbage",
        b"\xff\xfe|||||",
        b"|||||",
        b"1|w||||x",
        b"||||0|not json",
        b'||||0|[{"other": "shape"}]',
        b'||||0|{"at": 1}',
        b"||||99999999999999999999999999|[]",
    ],
)
async def test_garbage_entry(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
    entry: bytes,
) -> None:
    """An entry of the queue that makes no sense is put aside; its task, and all others, are
    performed.
    """
    one, other = await put(backend, due()), await put(backend, due())
    await real_commands.run(("HSET", names.tasks, f"{one.id}:check", entry))
    with capture_logs() as logs:
        found = await everything(backend)
    assert {mine.invitation_id for mine in found} == {one.id, other.id}
    assert {mine.attempt for mine in found} <= {1, 10**26}
    for mine in found:
        assert await backend.tasks.settle(mine, TaskDone(), NOW)
    logged_reasons = [line for line in logs if line["event"] == "quarantine.added"]
    assert len(logged_reasons) == len(await notes(quarantine)) <= 1


@pytest.mark.parametrize(
    "member", [b"garbage", b"\xff\xfe", b"", b"iv_3" + b"a" * 24, b"iv_7short"]
)
async def test_garbage_member(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
    member: bytes,
) -> None:
    """A member of a queue that belongs to no invitation of its partition is taken off it, said once
    and listed.
    """
    other = await put(backend, due())
    with capture_logs() as logs:
        for _ in range(2):
            await real_commands.run(("ZADD", names.due("acme/check"), 1, member))
            await real_commands.run(("ZADD", names.lanes, 1, "acme/check"))
            await everything(backend)
    assert [line["event"] for line in logs] == ["quarantine.added"]
    (note,) = await notes(quarantine)
    assert (note.partition, note.what) == (7, "task")
    assert await real_commands.run(("ZRANGE", names.due("acme/check"), 0, -1)) == [
        other.id.encode()
    ]
    assert await quarantine.drop(note)
    assert await notes(quarantine) == []


async def test_heaps_of_garbage_hold_up_nobody_for_long(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
) -> None:
    """Hundreds of members that are no invitations are put aside within a few calls, and the task
    behind them is leased.
    """
    for number in range(600):
        await real_commands.run(("ZADD", names.due("acme/check"), number + 1, f"garbage-{number}"))
    one = await put(backend, due())
    found: list[Lease] = []
    for _ in range(3):
        found += await lease(backend, per_lane=4)
    assert [mine.invitation_id for mine in found] == [one.id]
    assert len([note async for note in quarantine.notes()]) == 600


@pytest.mark.parametrize(
    "kind", ["lanes", "tasks", "dead", "due:acme/check", "due:acme/check/urgent", "quarantine"]
)
async def test_wrong_typed_key(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
    kind: str,
) -> None:
    """A key that holds another type is put aside, once, and everything goes on with a new one."""
    await real_commands.run(("RPUSH", names.base + kind, "not ours"))
    with capture_logs() as logs:
        one = await put(backend, due(), due(NOTIFY, urgent=True))
        found = await everything(backend)
        assert {(mine.invitation_id, mine.kind) for mine in found} == {
            (one.id, CHECK),
            (one.id, NOTIFY),
        }
        for mine in found:
            await backend.tasks.extend([mine], NOW + MINUTE)
            assert await backend.tasks.settle(mine, TaskDone(), NOW)
    assert [line["event"] for line in logs] == ["quarantine.added"]
    (note,) = await notes(quarantine)
    assert (note.what, note.name) == ("key", f"key:{kind}")
    assert await real_commands.run(("LRANGE", names.quarantined_key(kind), 0, -1)) == [b"not ours"]
    assert await quarantine.drop(note)
    assert len([note async for note in quarantine.notes()]) == 0
    assert await real_commands.run(("EXISTS", names.quarantined_key(kind))) == 0


async def test_letter_of_lost_list(
    backend: Backend, names: key_names.KeyNames, real_commands: RedisAccess
) -> None:
    """A dead letter goes with its task, also where the list of dead letters was lost."""
    one = await put(backend, due(NOTIFY))
    (mine,) = await lease(backend)
    assert await backend.tasks.settle(mine, GiveUpTask("refused"), NOW)
    await real_commands.run(("DEL", names.dead))
    assert await backend.invitations.commit(Transition(one, (CancelTask(NOTIFY),)))
    letter = names.dead_letter(f"{one.id}:{NOTIFY}")
    assert await real_commands.run(("EXISTS", letter)) == 0


@pytest.mark.parametrize("confirmed", [False, True])
async def test_many_wrong_typed_keys(
    backend: Backend,
    names: key_names.KeyNames,
    real_client: Redis,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
    *,
    confirmed: bool,
) -> None:
    """However many keys of a partition hold another type, whoever comes first puts all that are in
    its way aside and goes on.
    """
    if confirmed:
        backend = redis_backend(RedisAccess(PlainClient(real_client), wait=ReplicaWait(0, 0.1)))
        names = key_names.KeyNames(backend.prefix, 7)
    kinds = ["lanes", "tasks", "dead"]
    kinds += [f"due:acme/{kind}{tail}" for kind in (CHECK, NOTIFY) for tail in ("", "/urgent")]
    for kind in kinds:
        await real_commands.run(("RPUSH", names.base + kind, "not ours"))
    one = await put(backend, due(), due(NOTIFY, urgent=True))
    for kind in kinds:
        await real_commands.run(("DEL", names.base + kind))
        await real_commands.run(("RPUSH", names.base + kind, "not ours"))
    await real_commands.run(("DEL", names.lanes))
    await real_commands.run(("ZADD", names.lanes, 1, "acme/check"))
    assert await lease(backend) == ()
    assert await backend.invitations.commit(
        Transition(replace(one, version=1), (due(), due(NOTIFY, urgent=True)))
    )
    assert {mine.kind for mine in await everything(backend)} == {CHECK, NOTIFY}


async def test_wrong_typed_record(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
) -> None:
    """A record that is not even a string is put aside, and other invitations know nothing of it."""
    one, other = await put(backend, due()), await put(backend)
    await real_commands.run(("DEL", names.invitation(one.id)))
    await real_commands.run(("RPUSH", names.invitation(one.id), "x"))
    assert await backend.invitations.load(one.id) is None
    assert [found async for found in backend.invitations.scan()] == [other]
    assert [note.what for note in await notes(quarantine)] == ["key"]


@pytest.mark.parametrize(
    "value",
    [b"", b"x", b"1|n", b"1|n|{", b"x|n|{}", b"1|n:c--|[]", b'1|n|{"f":1}', b"\xff|\xff|\xff"],
)
async def test_damaged_record(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
    value: bytes,
) -> None:
    """A record that makes no sense is said to be damaged, once, stays where it is, and hinders
    nobody.
    """
    one, other = await put(backend, due()), await put(backend)
    await real_commands.run(("SET", names.invitation(one.id), value))
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(RecordDamaged):
                await backend.invitations.load(one.id)
        with pytest.raises(RecordDamaged):
            await backend.invitations.find_order(7, one.order_key)
    assert [line["event"] for line in logs] == ["quarantine.added"]
    assert [found async for found in backend.invitations.scan()] == [other]
    with pytest.raises(RecordDamaged):
        await backend.tasks.take(one.id, CHECK, NOW, owner="w", until=NOW + SECOND)
    (note,) = await notes(quarantine)
    assert (note.name, note.what) == (one.id, "record")
    assert await quarantine.drop(note)
    assert await backend.invitations.load(one.id) is None
    assert await backend.invitations.find_order(7, one.order_key) is None


async def test_erasure_takes_the_notes_along(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
) -> None:
    """What was noted of an invitation's tasks goes with its candidate's data."""
    one = await put(backend, due(NOTIFY))
    await real_commands.run(("HSET", names.tasks, f"{one.id}:notify", "garbage"))
    await everything(backend)
    assert len(await notes(quarantine)) == 1
    assert await backend.invitations.commit(Transition(replace(one, state=State.ERASED)))
    assert await notes(quarantine) == []


async def test_garbage_lanes(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
) -> None:
    """Names in the index of lanes that are none are put aside; scores of any size end nothing."""
    one = await put(backend, due())
    for lane in (b"\xff/check", b"no lane/check\n/check"):
        await real_commands.run(("ZADD", names.lanes, 1, lane))
    for score in ("1e20", "-1e20", "inf", "-inf"):
        await real_commands.run(("ZADD", names.lanes, score, "beta/check"))
        await backend.tasks.next_due()
    with capture_logs() as logs:
        assert [mine.invitation_id for mine in await everything(backend)] == [one.id]
    assert [line["event"] for line in logs] == ["quarantine.added"] * 2
    assert {note.what for note in await notes(quarantine)} == {"lane"}


async def test_lanes_of_no_kind(
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    prefix: str,
    quarantine: RedisQuarantine,
) -> None:
    """What can be the lane of no version is put aside by the sweep; one that a newer version may
    know stays.
    """
    for lane in (b"nonsense", b"acme/", b"\xff", b"acme/unheard_of"):
        await real_commands.run(("ZADD", names.lanes, 1, lane))
    await real_commands.run(("ZADD", names.due("acme/unheard_of"), 1, "iv_7"))
    walk = Reconciliation(real_commands, prefix=prefix, clock=lambda: NOW)
    await walk.run(dry_run=True)
    assert await notes(quarantine) == []
    await walk.run()
    assert await real_commands.run(("ZRANGE", names.lanes, 0, -1)) == [b"acme/unheard_of"]
    assert {note.name for note in await notes(quarantine)} == {
        "lane:nonsense",
        "lane:acme/",
        "lane:\\xff",
    }


async def test_many_lanes_of_another_version(
    backend: Backend, names: key_names.KeyNames, real_commands: RedisAccess
) -> None:
    """Three hundred lanes of kinds that only a newer version knows hide nobody's tasks, and are
    said once.
    """
    for number in range(300):
        await real_commands.run(("ZADD", names.lanes, 1, f"c{number}/unheard_of"))
    one = await put(backend, due())
    with capture_logs() as logs:
        assert [mine.invitation_id for mine in await everything(backend)] == [one.id]
        assert await backend.tasks.next_due() is not None
    assert [(line["event"], line["count"]) for line in logs] == [("lanes.unknown", 300)]
    assert await real_commands.run(("ZCARD", names.lanes)) == 301


async def test_garbage_dead_letters(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
) -> None:
    """Dead letters that make no sense are left out of the list, noted once, and can be dropped."""
    for task, value in (
        (b"x:y", b"x"),
        (b"iv_7" + b"a" * 24 + b":notify", b"[]"),
        (b"a:unheard_of", b"{}"),
    ):
        await real_commands.run(("ZADD", names.dead, 1, task))
        await real_commands.run(("SET", names.dead_letter(task.decode()), value))
    with capture_logs() as logs:
        for _ in range(2):
            assert [letter async for letter in backend.tasks.dead_letters()] == []
    assert [line["event"] for line in logs] == ["quarantine.added"] * 3
    for note in await notes(quarantine):
        assert note.what == "dead letter"
        assert await quarantine.drop(note)
    assert await real_commands.run(("ZCARD", names.dead)) == 0
    assert await notes(quarantine) == []


async def test_garbage_outside_of_the_partitions(real_commands: RedisAccess, prefix: str) -> None:
    """A short cut or a word that is no text leads nowhere, and stops no webhook, deletion or
    check.
    """
    references = RedisReferenceIndex(real_commands, prefix=prefix, retention=MINUTE)
    assert (await references.add("acme", "r", "iv_1")).word is None
    for value in (b"\xff", b"?\xff"):
        (key,) = [key async for key in real_commands.scan(f"{prefix}:ref:*")]
        await real_commands.run(("SET", key, value))
        assert not any(ids.read_partition(one) for one in await references.find("acme", "r"))
        await references.add("acme", "r", "iv_2")
        assert "iv_2" in await references.find("acme", "r")
    words = RedisStatusWords(real_commands, prefix=prefix, life=MINUTE)
    await real_commands.run(("HSET", f"{prefix}:words:acme", b"\xff", b"1"))
    await words.keep("acme", "finished", NOW, limit=3)
    assert await words.words("acme") == ("\\xff", "finished")


@pytest.mark.parametrize("whose", ["nobody's", "another order's"])
async def test_order_that_points_nowhere(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    quarantine: RedisQuarantine,
    whose: str,
) -> None:
    """A claim that holds nonsense, or leads to the invitation of another order, is free, gives
    nobody that one's link, and is said once.
    """
    other = await put(backend)
    held = b"\xff" if whose == "nobody's" else other.id
    for _ in range(2):
        await real_commands.run(("SET", names.order("o"), held))
        assert await backend.invitations.find_order(7, "o") is None
        assert await real_commands.run(("EXISTS", names.order("o"))) == 0
    (note,) = await notes(quarantine)
    assert (note.what, note.name) == ("key", "key:order:o")
    assert await backend.invitations.find_order(7, other.order_key) == other
