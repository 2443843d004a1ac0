"""The Redis store over fakeredis: quick, and with a connection that can be lost."""

from __future__ import annotations

import pytest
from fakeredis import FakeServer

from bridge.core.invitation import Transition
from bridge.errors import StoreUnavailable
from bridge.store.redis_access import RedisAccess
from tests.store.conformance import (
    Backend,
    InvitationPromises,
    QueuePromises,
    invitation,
    lease,
)
from tests.store.conftest import redis_backend


@pytest.fixture
def backend(fake_commands: RedisAccess) -> Backend:
    return redis_backend(fake_commands)


class TestInvitations(InvitationPromises):
    """Over fakeredis."""


class TestQueue(QueuePromises):
    """Over fakeredis."""


async def test_lost_connection(
    backend: Backend, fake_server: FakeServer, fake_commands: RedisAccess
) -> None:
    """Without a connection every operation says StoreUnavailable, and works again afterwards."""
    one = invitation()
    fake_server.connected = False
    for operation in (
        backend.invitations.commit(Transition(one)),
        backend.invitations.load(one.id),
        lease(backend),
        anext(aiter(backend.invitations.scan())),
        fake_commands.ping(),
    ):
        with pytest.raises(StoreUnavailable):
            await operation
    fake_server.connected = True
    await fake_commands.ping()
    assert await backend.invitations.commit(Transition(one))
