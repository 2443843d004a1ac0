"""Records of the last version whose values had names (1673acc) are read, changed and written in the
form of today; a dump of what that version's own store wrote is kept.
"""

from __future__ import annotations

import base64
from dataclasses import replace

import orjson
import pytest

from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import AssessmentStarted, ErasureRequested
from bridge.store import record_codec
from bridge.store.encryption import EncryptionKeyRing
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import RedisAccess
from bridge.store.reencryption import Reencryption
from tests.core.build import POLICY
from tests.store import dumps
from tests.store.conformance import Clock
from tests.store.kept_records import NOW, RECORDS, SEALED, TOLD
from tests.store.test_previous_version import Store

pytestmark = pytest.mark.redis
DUMP = dumps.read("version-0.1.0-1673acc.json")
MADE: dict[str, str] = DUMP["made"]
KEY = base64.b64decode(DUMP["encryption_key"])
EVERY_RECORD = RECORDS | TOLD | SEALED


@pytest.fixture
async def store(real_commands: RedisAccess, request: pytest.FixtureRequest) -> Store:
    prefix = f"named-{request.node.name}"
    await dumps.restore(real_commands, DUMP, prefix)
    return Store(real_commands, prefix, Clock(), EncryptionKeyRing([KEY]))


async def format_of(store: Store, name: str) -> int:
    """The format in which this record stands in Redis."""
    an_id = MADE[name]
    value = await store.commands.run(("GET", f"{store.prefix}:{{p{an_id[3]}}}:iv:{an_id}"))
    number: int = orjson.loads(value.split(b"|", 2)[2])["f"]
    return number


@pytest.mark.parametrize("name", EVERY_RECORD)
async def test_every_record_is_read(store: Store, name: str) -> None:
    """A record of every state is read with every field as it was, in the clear or encrypted, and by
    a walk through all of them.
    """
    expected = replace(EVERY_RECORD[name], version=1)
    assert await store.invitations.load(MADE[name]) == expected
    assert expected in [one async for one in store.invitations.scan()]


async def test_a_change_renews_the_form(store: Store) -> None:
    """What is changed is written in the form of today, and nothing of it is lost."""
    known = await store.invitations.load(MADE["invited"])
    assert known is not None
    assert await format_of(store, "invited") < record_codec.FORMAT
    started = decide(known, AssessmentStarted(NOW), POLICY, NOW)
    assert await store.invitations.commit(started)
    assert await format_of(store, "invited") == record_codec.FORMAT
    assert await store.invitations.load(known.id) == replace(started.invitation, version=2)


@pytest.mark.parametrize("name", ["told", "sealed", "expired"])
async def test_candidates_are_deleted(store: Store, name: str) -> None:
    """A candidate of the older version is deleted, and the order is free."""
    known = await store.invitations.load(MADE[name])
    assert known is not None
    assert await store.invitations.commit(decide(known, ErasureRequested(), POLICY, NOW))
    assert await store.invitations.find_order(int(known.id[3], 16), known.order_key) is None


async def test_nothing_to_mend(store: Store) -> None:
    """A reconciliation finds nothing to mend in what the older version left whole, nor once a
    record of it was renewed.
    """
    one = await store.invitations.load(MADE["invited"])
    assert one is not None
    for _ in range(2):
        found = await Reconciliation(
            store.commands, prefix=store.prefix, clock=store.clock, cipher=store.cipher
        ).run()
        assert (found.records, found.requeued, found.damaged) == (len(MADE), [], [])
        await store.invitations.commit(decide(one, AssessmentStarted(NOW), POLICY, NOW))


async def test_encryption_keys_are_changed(store: Store) -> None:
    """What was encrypted with the older version's key, or not at all, is encrypted with a newer one
    and read again.
    """
    store.cipher = EncryptionKeyRing([bytes(32), KEY])
    await Reencryption(store.commands, prefix=store.prefix, cipher=store.cipher).run()
    store.cipher = EncryptionKeyRing([bytes(32)])
    for name in ("sealed", "told", "completed"):
        assert await store.invitations.load(MADE[name]) == replace(EVERY_RECORD[name], version=1)
