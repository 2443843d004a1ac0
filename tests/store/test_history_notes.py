"""What a note in an invitation's history costs in Redis."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.core.invitation import Transition
from bridge.store.key_names import PartitionKeyNames
from bridge.store.redis_access import RedisAccess
from tests.store.conformance import Backend, put
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis
SOON = timedelta(minutes=1)


@pytest.fixture
def backend(real_commands: RedisAccess) -> Backend:
    return redis_backend(real_commands)


async def test_a_note_does_not_prolong_a_life(
    backend: Backend, real_commands: RedisAccess, prefix: str
) -> None:
    """A record that is about to go goes then, with its order, however often it is read."""
    one = await put(backend)
    names = PartitionKeyNames(prefix).of(one.id)
    assert names is not None
    keys = (names.invitation(one.id), names.order(one.order_key))
    await real_commands.run(("SET", keys[1], one.id))
    await real_commands.run(("PEXPIRE", keys[0], SOON // timedelta(milliseconds=1)))
    assert await backend.invitations.commit(Transition(one, renews=False))
    for key in keys:
        left = await real_commands.run(("PTTL", key))
        assert 0 < left <= SOON // timedelta(milliseconds=1)
    changed = replace(one, version=one.version + 1)
    assert await backend.invitations.commit(Transition(changed))
    assert await real_commands.run(("PTTL", keys[0])) > SOON // timedelta(milliseconds=1)
