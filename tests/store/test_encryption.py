"""Encryption at rest: what it hides, and that keys can be introduced, changed and missed without
loss.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import orjson
import pytest
from cryptography.fernet import Fernet
from fakeredis import FakeAsyncRedis

from bridge.core.invitation import Invitation, State, Transition
from bridge.core.queueing import (
    AttemptNote,
    DeadLetter,
    GiveUpTask,
    Lease,
    LeaseRequest,
    RetryTask,
    TaskKind,
)
from bridge.errors import RecordDamaged, RecordKeyMissing, StoreUnavailable
from bridge.store import record_codec
from bridge.store.encryption import EncryptionKeyRing, WrongOwner
from bridge.store.invitation_store import RedisInvitations
from bridge.store.lua_scripts import REPLACE_ENCRYPTED, Command
from bridge.store.redis_access import RedisAccess
from bridge.store.reencryption import Reencryption
from bridge.store.sealed_parts import reseal_attempt_log
from bridge.store.stored_texts import read_stored_texts
from bridge.store.task_queue import RedisTasks
from tests.plain_client import PlainClient
from tests.store.conformance import MINUTE, NOTIFY, NOW, RETENTION, Clock, due, invitation
from tests.store.named_records import build_named_document
from tests.store.test_record_codec import RESULT, full

ME = "record iv_7x"
OLD, NEW, OTHER = (bytes([number]) * 32 for number in (1, 2, 3))
SAID = "softgarden said: nein, Ümit"
NOTE = AttemptNote(NOW, "refused", 401, 5, SAID)
NO_KEY = "(encrypted with a key that is not in encryption_keys)"


@pytest.mark.parametrize("plain", [b"", b"x", "Mut 😀".encode(), b"{}" * 5000])
def test_back(plain: bytes) -> None:
    """What was sealed comes back, short or long, and never the same text twice."""
    ring = EncryptionKeyRing([NEW])
    sealed = ring.encrypt(plain, ME)
    assert ring.decrypt(sealed, ME) == plain
    assert ring.encrypt(plain, ME) != sealed


def test_rotation() -> None:
    """The newest key seals, every listed one opens, and one that is taken off the list opens
    nothing more.
    """
    sealed = EncryptionKeyRing([OLD]).encrypt(b"x", ME)
    both = EncryptionKeyRing([NEW, OLD])
    assert both.decrypt(sealed, ME) == b"x"
    assert not both.is_newest(sealed)
    assert both.is_newest(both.encrypt(b"y", ME))
    assert EncryptionKeyRing([NEW]).decrypt(both.encrypt(b"y", ME), ME) == b"y"
    with pytest.raises(ValueError, match="no key fits"):
        EncryptionKeyRing([NEW]).decrypt(sealed, ME)


def test_tampering() -> None:
    """A sealed text that was changed is refused like one of a foreign key, whatever it was changed
    to.
    """
    ring = EncryptionKeyRing([NEW])
    sealed = ring.encrypt(b"x", ME)
    for wrong in (sealed[:-6] + "AAAA==", sealed[1:], "", "ü", "gAAAAA"):
        with pytest.raises(ValueError, match="no key fits"):
            ring.decrypt(wrong, ME)


def test_small() -> None:
    """Encryption does not make a long result much bigger in Redis, since it is packed first."""
    one = replace(full(), result=replace(RESULT, traits=RESULT.traits * 10))
    plain = len(record_codec.dump_invitation(one))
    assert len(record_codec.dump_invitation(one, EncryptionKeyRing([NEW]))) < plain + 200


@pytest.mark.parametrize(
    "written",
    [None, EncryptionKeyRing([OLD]), EncryptionKeyRing([NEW]), EncryptionKeyRing([OLD, NEW])],
)
def test_every_form_is_read(written: EncryptionKeyRing | None) -> None:
    """Plain records from before, and those of every listed key, are read with both keys listed."""
    one, ring = full(), EncryptionKeyRing([NEW, OLD])
    assert (
        record_codec.load_invitation(one.id, 9, record_codec.dump_invitation(one, written), ring)
        == one
    )
    letter = DeadLetter(
        one.id, NOTIFY, "acme", 3, "refused", NOW, (NOTE, replace(NOTE, excerpt=""))
    )
    assert (
        record_codec.load_dead_letter(
            one.id, NOTIFY, record_codec.dump_dead_letter(letter, written), ring
        )
        == letter
    )


@pytest.mark.parametrize(
    ("ring", "words"),
    [
        (None, "encryption_keys is empty"),
        (EncryptionKeyRing([OTHER]), "a key that is not in encryption_keys"),
    ],
)
def test_missing_key_of_a_record(ring: EncryptionKeyRing | None, words: str) -> None:
    """Without the key a record cannot be read, and the error names the record and the setting."""
    one = full()
    with pytest.raises(RecordKeyMissing, match=words) as caught:
        record_codec.load_invitation(
            one.id, 9, record_codec.dump_invitation(one, EncryptionKeyRing([OLD])), ring
        )
    assert one.id in str(caught.value)


@pytest.mark.parametrize("ring", [None, EncryptionKeyRing([OTHER])])
def test_missing_key_of_an_attempt_log(ring: EncryptionKeyRing | None) -> None:
    """Without the key an attempt log shows why it cannot be shown, and is written back as it
    was.
    """
    stored = record_codec.dump_attempt_log((NOTE,), EncryptionKeyRing([OLD]), "iv_7x")
    (shown,) = record_codec.load_attempt_log(stored, ring, "iv_7x")
    assert shown.excerpt == NO_KEY
    assert json.loads(orjson.dumps(shown.excerpt)) == NO_KEY
    assert record_codec.dump_attempt_log((shown,), ring, "iv_7x") == stored


def unbound(key: bytes, plain: bytes) -> str:
    """What older versions sealed: without a word about whose it is."""
    return Fernet(base64.urlsafe_b64encode(key)).encrypt(b"-" + plain).decode()


def test_parts_open_where_they_belong() -> None:
    """A sealed part that was copied to another record is refused, and so is one that became another
    kind of part.
    """
    one, ring = full(), EncryptionKeyRing([NEW])
    other = replace(one, id="iv_7" + "B" * 24)
    stolen = {**orjson.loads(record_codec.dump_invitation(other, ring))}
    stolen["sealed"] = orjson.loads(record_codec.dump_invitation(one, ring))["sealed"]
    with pytest.raises(RecordDamaged, match="belongs to another record") as caught:
        record_codec.load_invitation(other.id, 9, orjson.dumps(stolen), ring)
    assert other.id in str(caught.value)
    log = record_codec.dump_attempt_log((NOTE,), ring, one.id)
    assert record_codec.load_attempt_log(log, ring, one.id) == (NOTE,)
    assert [note.excerpt for note in record_codec.load_attempt_log(log, ring, other.id)] == [NO_KEY]
    with pytest.raises(WrongOwner):
        ring.decrypt(orjson.loads(log)[0]["bound"], f"record {one.id}")


def test_nobody_renews_a_stolen_part() -> None:
    """``reencrypt`` does not seal anew what does not belong where it stands."""
    one, ring = full(), EncryptionKeyRing([NEW, OLD])
    stolen = record_codec.dump_invitation(one, EncryptionKeyRing([OLD]))
    with pytest.raises(RecordDamaged, match="belongs to another record"):
        record_codec.renew_sealed_part(stolen, ring, "iv_7" + "B" * 24)


def test_parts_of_older_versions() -> None:
    """What was sealed before parts named their owner is read, and bound by ``reencrypt``."""
    one, ring = full(), EncryptionKeyRing([NEW])
    document = build_named_document(one)
    private = {name: document.pop(name) for name in ("callback", "url", "hint", "result")}
    old = orjson.dumps({**document, "sealed": unbound(NEW, orjson.dumps(private))})
    assert record_codec.load_invitation(one.id, 9, old, ring) == one
    fresh = record_codec.renew_sealed_part(old, ring, one.id)
    assert fresh is not None
    assert record_codec.load_invitation(one.id, 9, fresh, ring) == one
    assert record_codec.renew_sealed_part(fresh, ring, one.id) is None
    with pytest.raises(RecordDamaged):
        record_codec.load_invitation("iv_7" + "B" * 24, 9, fresh, ring)
    note = orjson.loads(record_codec.dump_attempt_log((NOTE,)))[0]
    note["sealed"] = unbound(NEW, note.pop("excerpt").encode())
    assert record_codec.load_attempt_log(orjson.dumps([note]), ring, one.id) == (NOTE,)
    renewed = reseal_attempt_log([note], ring, f"{one.id}:check")
    assert renewed is not None
    assert "sealed" not in renewed[0]
    assert record_codec.load_attempt_log(orjson.dumps(renewed), ring, one.id) == (NOTE,)


def test_tombstone_has_nothing_to_seal() -> None:
    """Of an erased record nothing is left to be sealed, so it is read without any key."""
    one = replace(full(), state=State.ERASED)
    data = record_codec.dump_invitation(one, EncryptionKeyRing([OLD]))
    assert data == record_codec.dump_invitation(one)
    assert record_codec.renew_sealed_part(data, EncryptionKeyRing([NEW]), one.id) is None


# ------------------------------------------------------------ in the store


@pytest.fixture
async def commands(fake_commands: RedisAccess) -> AsyncIterator[RedisAccess]:
    return fake_commands


class Room:
    """Store and queue on the same Redis with this list of keys."""

    def __init__(self, commands: RedisAccess, *keys: bytes) -> None:
        self.commands = commands
        self.ring = EncryptionKeyRing(keys) if keys else None
        self.clock = Clock()
        self.store = RedisInvitations(
            commands, prefix="b", retention=RETENTION, clock=self.clock, cipher=self.ring
        )
        self.queue = RedisTasks(commands, prefix="b", retention=RETENTION, cipher=self.ring)

    async def fill(self) -> Invitation:
        """A full record, a waiting task with a log, and a dead letter."""
        one = replace(full(), id=invitation().id, version=0)
        assert await self.store.commit(Transition(one, (due(), due(NOTIFY))))
        for lease in await self.lease():
            settlement = (
                GiveUpTask("refused", NOTE)
                if lease.kind is NOTIFY
                else RetryTask(NOW + MINUTE, NOTE)
            )
            assert await self.queue.settle(lease, settlement, NOW)
        return replace(one, version=1)

    async def lease(self) -> tuple[Lease, ...]:
        later = self.clock() + 2 * MINUTE
        return await self.queue.lease(
            LeaseRequest(later, owner="w", until=later + MINUTE, count=9, per_lane=9)
        )

    async def reencrypt(self) -> dict[str, tuple[int, int, list[str]]]:
        assert self.ring is not None
        tallies = await Reencryption(self.commands, prefix="b", cipher=self.ring).run()
        return {name: (tally.renewed, tally.current, tally.left) for name, tally in tallies.items()}

    async def letters(self) -> list[DeadLetter]:
        return [letter async for letter in self.queue.dead_letters()]


async def everything(commands: RedisAccess) -> dict[str, object]:
    """All of Redis: each key with its value."""
    found: dict[str, object] = {}
    async for key in commands.scan("*"):
        kind = await commands.run(("TYPE", key))
        verb = {
            b"string": ("GET",),
            b"hash": ("HGETALL",),
            b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
        }[kind]
        found[key] = await commands.run((verb[0], key, *verb[1:]))
    return found


async def test_nothing_stands_readable(commands: RedisAccess) -> None:
    """With a key no trait, score, link or excerpt can be found anywhere in Redis, or read without
    the key; without one all of it can.
    """
    secrets = (
        "Mut",
        "Ruhe",
        "wie mutig",
        "strong",
        "equalture.example",
        "api.softgarden.de",
        "said: nein",
    )

    async def find() -> list[str]:
        text = "".join([text async for text in read_stored_texts(commands)])
        return [word for word in secrets if word in text]

    one = await Room(commands, NEW).fill()
    assert await find() == []
    with pytest.raises(RecordKeyMissing):
        await Room(commands).store.load(one.id)
    await commands.run(("FLUSHALL",))
    await Room(commands).fill()
    assert await find() == list(secrets)


@pytest.mark.parametrize("before", [(), (OLD,)])
async def test_reencrypt(commands: RedisAccess, before: tuple[bytes, ...]) -> None:
    """After it the newest key alone reads everything, whether it was sealed with an older one or
    not at all; once is enough.
    """
    one = await Room(commands, *before).fill()
    both = Room(commands, NEW, OLD)
    assert await both.reencrypt() == {
        "records": (1, 0, []),
        "dead_letters": (1, 0, []),
        "attempt_logs": (1, 0, []),
    }
    assert await both.reencrypt() == {
        "records": (0, 1, []),
        "dead_letters": (0, 1, []),
        "attempt_logs": (0, 1, []),
    }
    only = Room(commands, NEW)
    assert await only.store.load(one.id) == one
    assert [letter.history for letter in await only.letters()] == [(NOTE,)]
    assert [lease.history for lease in await only.lease()] == [(NOTE,)]


async def test_reencrypt_changes_nothing_else(commands: RedisAccess) -> None:
    """Apart from the sealed parts every key, version, time, task and remaining life is as
    before.
    """
    one = await Room(commands, OLD).fill()
    record, letter = f"b:{{p7}}:iv:{one.id}", f"b:{{p7}}:dead:{one.id}:notify"
    await commands.run(("PEXPIRE", record, 100_000))
    await commands.run(("PERSIST", letter))
    before = await everything(commands)
    await Room(commands, NEW, OLD).reencrypt()
    after = await everything(commands)
    assert 99_000 < await commands.run(("PTTL", record)) <= 100_000
    assert await commands.run(("PTTL", letter)) == -1
    changed = {key for key in before if before[key] != after[key]}
    assert before.keys() == after.keys()
    assert changed == {record, letter, "b:{p7}:tasks"}
    stored = [orjson.loads(values[record].split(b"|", 2)[2]) for values in (before, after)]  # type: ignore[attr-defined]
    assert stored[0].keys() == stored[1].keys()
    assert [name for name in stored[0] if stored[0][name] != stored[1][name]] == ["sealed"]
    assert before[record].split(b"|")[:2] == after[record].split(b"|")[:2]  # type: ignore[attr-defined]


async def test_reencrypt_leaves_what_it_cannot_read(commands: RedisAccess) -> None:
    """What is sealed with a key that is not listed is left untouched, told with its id, and does
    not stop the rest.
    """
    lost = await Room(commands, OTHER).fill()
    before = await everything(commands)
    room = Room(commands, NEW)
    tallies = await room.reencrypt()
    assert await everything(commands) == before
    why = "is encrypted with a key that is not in encryption_keys"
    assert tallies == {
        "records": (0, 0, [f"{lost.id} {why}"]),
        "dead_letters": (0, 0, [f"{lost.id}:notify {why}"]),
        "attempt_logs": (0, 0, [f"{lost.id}:check {why}"]),
    }
    await Room(commands, OLD).fill()
    assert (await Room(commands, NEW, OLD).reencrypt())["records"] == (1, 0, [f"{lost.id} {why}"])


async def test_missing_key_damages_nothing(commands: RedisAccess) -> None:
    """Without the key the record stays, its task can be leased and given back, and with the key all
    is there again.
    """
    one = await Room(commands, OLD).fill()
    blind = Room(commands, OTHER)
    with pytest.raises(RecordKeyMissing):
        await blind.store.load(one.id)
    (lease,) = await blind.lease()
    assert [note.excerpt for note in lease.history] == [NO_KEY]
    again = RetryTask(NOW, AttemptNote(NOW, "later", excerpt="more"), counted=False)
    assert await blind.queue.settle(lease, again, NOW)
    assert await Room(commands, OLD).store.load(one.id) == one
    (lease,) = await Room(commands, OLD, OTHER).lease()
    assert [note.excerpt for note in lease.history] == [SAID, "more"]


async def test_reencrypt_beside_a_writer(
    commands: RedisAccess, fake_client: FakeAsyncRedis
) -> None:
    """A value that a daemon changes between reading and writing is read again: the daemon's change
    is never undone.
    """
    one = await Room(commands, OLD).fill()
    daemon = Room(commands, NEW, OLD)
    changes = [replace(one, version=version, test_name=f"name {version}") for version in (1, 2, 3)]

    class Slow(RedisAccess):
        """Lets the daemon write after each reading."""

        async def run_all(self, calls: object) -> list[object]:
            answers = await commands.run_all(calls)  # type: ignore[arg-type]
            if changes and any(":iv:" in str(call[1]) for call in calls):  # type: ignore[attr-defined]
                assert await daemon.store.commit(Transition(changes.pop(0)))
            return answers

        async def run(self, command: object) -> object:
            return await commands.run(command)  # type: ignore[arg-type]

        def scan(self, pattern: str) -> AsyncIterator[str]:
            return commands.scan(pattern)

    slow = Slow(fake_client)
    assert daemon.ring is not None
    await Reencryption(slow, prefix="b", cipher=daemon.ring).run()
    found = await Room(commands, NEW).store.load(one.id)
    assert found is not None
    assert (found.test_name, found.version) == ("name 2", 3)


async def test_resent_reseal(commands: RedisAccess) -> None:
    """The script says "done" also when it is sent twice, and "no" where the value is another
    one.
    """
    await commands.run(("SET", "k", "old"))
    call = REPLACE_ENCRYPTED.call(["k"], ["old", "new", ""])
    assert [await commands.run(call) for _ in range(2)] == [1, 1]
    await commands.run(("SET", "k", "else"))
    assert await commands.run(call) == 0
    assert await commands.run(REPLACE_ENCRYPTED.call(["gone"], ["old", "new", ""])) == 0
    assert await commands.run(("EXISTS", "gone")) == 0


@pytest.mark.redis
async def test_reencrypt_on_real_redis(real_commands: RedisAccess) -> None:
    """The real server keeps the remaining life, too."""
    await real_commands.run(("FLUSHALL",))
    one = await Room(real_commands, OLD).fill()
    record = f"b:{{p7}}:iv:{one.id}"
    await real_commands.run(("PEXPIRE", record, 100_000))
    tallies = await Room(real_commands, NEW, OLD).reencrypt()
    assert [renewed for renewed, _, _ in tallies.values()] == [1, 1, 1]
    assert 90_000 < await real_commands.run(("PTTL", record)) <= 100_000
    assert await Room(real_commands, NEW).store.load(one.id) == one
    assert TaskKind.NOTIFY in {letter.kind for letter in await Room(real_commands, NEW).letters()}


async def test_reencrypt_gives_up_on_what_never_rests(
    commands: RedisAccess, fake_client: FakeAsyncRedis
) -> None:
    """A value that changes at every attempt is left as it is, and told, instead of trying for
    ever.
    """
    one = await Room(commands, OLD).fill()

    class Restless(RedisAccess):
        """Somebody is faster every time."""

        async def run_all(self, calls: Sequence[Command]) -> list[object]:
            answers = await commands.run_all([call for call in calls if call[0] != "EVALSHA"])
            return answers or [0 for _ in calls]

    tally = (
        await Reencryption(
            Restless(PlainClient(fake_client)),
            prefix="b",
            cipher=EncryptionKeyRing([NEW, OLD]),
        ).run()
    )["records"]
    assert (tally.renewed, tally.current) == (0, 0)
    assert tally.left == [f"{one.id} keeps being changed; try again"]


async def test_reencrypt_tells_that_a_part_of_redis_is_away(half_silent: RedisAccess) -> None:
    """Where one of several nodes cannot say which records it has, nobody is told that all is
    done.
    """
    await Room(half_silent, OLD).fill()
    with pytest.raises(StoreUnavailable):
        await Room(half_silent, NEW, OLD).reencrypt()


async def test_reencrypt_does_not_mind_what_disappears(commands: RedisAccess) -> None:
    """A dead letter that was dropped while its place was being looked up counts as nothing."""
    one = await Room(commands, OLD).fill()
    await commands.run(("DEL", f"b:{{p7}}:dead:{one.id}:notify"))
    assert (await Room(commands, NEW, OLD).reencrypt())["dead_letters"] == (0, 0, [])
