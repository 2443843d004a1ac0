"""All that the version at e027d48 kept in Redis is read, performed and changed by this one.

The dump was written by that version's own store from ``kept_records``: records of every state in
the clear and encrypted, queues of every kind, normal and urgent, running leases, attempt logs, dead
letters, the quarantine, absent customers, references and status words. A new stored field or format
must leave these tests as they are; a new version brings a dump of its own.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

import pytest

from bridge.core.invitation import Invitation
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import ErasureRequested
from bridge.core.queueing import AttemptNote, Lease, LeaseRequest, TaskDone, TaskKind
from bridge.store.encryption import EncryptionKeyRing
from bridge.store.invitation_store import RedisInvitations
from bridge.store.quarantine import RedisQuarantine
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import RedisAccess
from bridge.store.reencryption import Reencryption
from bridge.store.reference_index import RedisReferenceIndex
from bridge.store.status_word_store import RedisStatusWords
from bridge.store.task_queue import RedisTasks
from bridge.store.unserved_customers import RedisUnservedCustomers
from tests.core.build import POLICY
from tests.store import dumps
from tests.store.conformance import ANONYMISE, CHECK, NOTIFY, RETENTION, Clock
from tests.store.kept_records import DAY, MINUTE, NOW, RECORDS, SEALED

pytestmark = pytest.mark.redis
DUMP = dumps.read("version-0.1.0-e027d48.json")
MADE: dict[str, str] = DUMP["made"]
KEY = base64.b64decode(DUMP["encryption_key"])
EVERY_RECORD = RECORDS | SEALED
VERSIONS = {"invited": 2, "reported": 2, "bare_report": 2}
"""How often a record was written; the others once."""


@dataclass
class Store:
    """Today's store over the dump."""

    commands: RedisAccess
    prefix: str
    clock: Clock
    cipher: EncryptionKeyRing

    @property
    def invitations(self) -> RedisInvitations:
        return RedisInvitations(
            self.commands,
            prefix=self.prefix,
            retention=RETENTION,
            clock=self.clock,
            cipher=self.cipher,
        )

    @property
    def tasks(self) -> RedisTasks:
        return RedisTasks(
            self.commands, prefix=self.prefix, retention=RETENTION, cipher=self.cipher
        )

    async def load(self, name: str) -> Invitation:
        found = await self.invitations.load(MADE[name])
        assert found is not None
        return found

    async def lease_all(self) -> dict[tuple[str, TaskKind], Lease]:
        """Every queued task, long after all of them are due and every lease has ended."""
        later = NOW + 30 * DAY
        found = await self.tasks.lease(
            LeaseRequest(later, owner="w1", until=later + MINUTE, count=100, per_lane=100)
        )
        return {(lease.invitation_id, lease.kind): lease for lease in found}


@pytest.fixture
async def store(real_commands: RedisAccess, request: pytest.FixtureRequest) -> Store:
    prefix = f"previous-{request.node.name}"
    await dumps.restore(real_commands, DUMP, prefix)
    return Store(real_commands, prefix, Clock(), EncryptionKeyRing([KEY]))


@pytest.mark.parametrize("name", EVERY_RECORD)
async def test_every_record_is_read(store: Store, name: str) -> None:
    """A record of every state is read with every field as it was, in the clear or encrypted."""
    assert await store.load(name) == replace(EVERY_RECORD[name], version=VERSIONS.get(name, 1))


async def test_all_are_found(store: Store) -> None:
    """A walk through all records gives each of them, and an order leads to its own."""
    assert {one.id async for one in store.invitations.scan()} == set(MADE.values())
    for name, one in EVERY_RECORD.items():
        if one.order_key:
            found = await store.invitations.find_order(int(one.id[3], 16), one.order_key)
            assert found == await store.load(name)


async def test_every_task_is_performed(store: Store) -> None:
    """Every queued task is leased with its customer and urgency, and can be done."""
    found = await store.lease_all()
    checks = {
        "creating",
        "uncertain",
        "invited",
        "not_issued",
        "started",
        "reported",
        "bare_report",
    }
    checks |= {"unconfirmed", "orphaned", "expired", "elsewhere"}
    notifications = {"completed", "unconfirmed", "expired", "repeated", "sealed"}
    anonymisations = {"orphaned", "failed_but_made", "erased"}
    assert set(found) == {
        *((MADE[name], CHECK) for name in checks),
        *((MADE[name], NOTIFY) for name in notifications),
        *((MADE[name], ANONYMISE) for name in anonymisations),
    }
    assert {one.invitation_id for one in found.values() if one.urgent} == {
        MADE[name] for name in ("reported", "bare_report", "completed", "unconfirmed", "sealed")
    }
    assert found[MADE["elsewhere"], CHECK].customer == "beta"
    for lease in found.values():
        assert await store.tasks.settle(lease, TaskDone(), NOW + 30 * DAY)
    assert await store.lease_all() == {}


async def test_attempts_go_on_being_counted(store: Store) -> None:
    """A task that failed before is leased with its count and its log, in the clear or encrypted."""
    found = await store.lease_all()
    repeated, sealed = found[MADE["repeated"], NOTIFY], found[MADE["sealed"], NOTIFY]
    assert repeated.attempt == 2
    assert repeated.history == (
        AttemptNote(NOW, "unavailable", 503, 12, "é"),
        AttemptNote(NOW, "bulkhead", None, 0, ""),
    )
    assert sealed.history == (AttemptNote(NOW, "unavailable", 503, 12, "a sealed answer"),)


async def test_running_leases_hold(store: Store) -> None:
    """What the older version's processes are at work on is given to nobody else, and to us
    afterwards.
    """
    names = {MADE[name] for name in ("started", "invited", "reported")}
    at_once = await store.tasks.lease(
        LeaseRequest(NOW, owner="w1", until=NOW + MINUTE, count=100, per_lane=100)
    )
    assert names.isdisjoint(lease.invitation_id for lease in at_once)
    then = NOW + 2 * MINUTE
    later = await store.tasks.lease(
        LeaseRequest(then, owner="w1", until=then + MINUTE, count=100, per_lane=100)
    )
    assert names <= {lease.invitation_id for lease in later}


async def test_their_owner_goes_on_with_them(store: Store) -> None:
    """The holder of a running lease, updated meanwhile, gets the same one again."""
    ours = await store.tasks.take(MADE["started"], CHECK, NOW, owner="old-host", until=NOW + MINUTE)
    assert ours is not None
    assert await store.tasks.settle(ours, TaskDone(), NOW)


async def test_dead_letters_are_replayed(store: Store) -> None:
    """Dead letters are listed with their logs and can be replayed."""
    letters = {letter.invitation_id: letter async for letter in store.tasks.dead_letters()}
    assert letters.keys() == {MADE["refused"], MADE["sealed_report"]}
    assert letters[MADE["refused"]].history == (
        AttemptNote(NOW, "rejected", 400, 12, "später, was?"),
    )
    assert letters[MADE["sealed_report"]].history[0].excerpt == "a sealed answer"
    for letter in letters.values():
        assert (letter.kind, letter.attempts, letter.reason, letter.since) == (
            NOTIFY,
            1,
            "rejected",
            NOW,
        )
        assert await store.tasks.replay(letter.invitation_id, NOTIFY, NOW)


async def test_quarantine_is_listed(store: Store) -> None:
    """What was put aside is listed and can be dropped."""
    quarantine = RedisQuarantine(store.commands, store.prefix)
    notes = [note async for note in quarantine.notes()]
    assert sorted(note.what for note in notes) == ["dead letter", "key", "record", "task"]
    for note in notes:
        assert await quarantine.drop(note)
    assert len([note async for note in quarantine.notes()]) == 0


async def test_side_notes_are_understood(store: Store) -> None:
    """References, events that wait, events seen, status words and absent customers mean what they
    meant.
    """
    references = RedisReferenceIndex(store.commands, prefix=store.prefix, retention=RETENTION)
    assert await references.find("acme", "reference-1") == (MADE["invited"], MADE["started"])
    assert (await references.add("acme", "reference-9", MADE["orphaned"])).word == "finished"
    assert await references.is_event_seen("acme", "event-1")
    words = RedisStatusWords(store.commands, prefix=store.prefix, life=RETENTION)
    assert await words.words("acme") == ("in progress", "übersprungen")
    unserved_customers = RedisUnservedCustomers(store.commands, prefix=store.prefix)
    assert await unserved_customers.update(lambda _: True, NOW) == 1


@pytest.mark.parametrize("name", ["creating", "invited", "completed", "expired", "sealed"])
async def test_records_are_changed(store: Store, name: str) -> None:
    """A record of the older version goes on: its candidate is deleted, and its order is free."""
    known = await store.load(name)
    deleted = decide(known, ErasureRequested(), POLICY, NOW)
    assert await store.invitations.commit(deleted)
    assert (await store.load(name)).application_id == ""
    assert await store.invitations.find_order(int(known.id[3], 16), known.order_key) is None


async def test_nothing_to_mend(store: Store) -> None:
    """A reconciliation finds nothing lost in what the older version left whole."""
    walk = Reconciliation(
        store.commands, prefix=store.prefix, clock=store.clock, cipher=store.cipher
    )
    found = await walk.run()
    assert (found.records, found.requeued, found.damaged) == (len(MADE), [], [])


async def test_encryption_keys_are_changed(store: Store) -> None:
    """What was encrypted with the older version's key is encrypted with a newer one and read
    again.
    """
    store.cipher = EncryptionKeyRing([bytes(32), KEY])
    await Reencryption(store.commands, prefix=store.prefix, cipher=store.cipher).run()
    store.cipher = EncryptionKeyRing([bytes(32)])
    assert (await store.load("sealed")).result == SEALED["sealed"].result
    assert (await store.lease_all())[MADE["sealed"], NOTIFY].history[0].excerpt == "a sealed answer"
