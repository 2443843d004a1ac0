"""The memory store keeps the promises that the use cases' tests rely on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.core.invitation import Transition
from bridge.core.queueing import TaskKind
from bridge.errors import StoreUnavailable
from tests.fakes import MemoryStore
from tests.store.conformance import (
    NOW,
    RETENTION,
    Backend,
    Clock,
    InvitationPromises,
    QueuePromises,
    invitation,
    put,
)


@pytest.fixture
def backend() -> Backend:
    clock = Clock()
    store = MemoryStore(clock, retention=RETENTION)

    async def life(name: str) -> timedelta | None:
        expires = store.expires_at(name)
        return None if expires is None else expires - clock()

    return Backend(store, store, clock, life)


class TestInvitations(InvitationPromises):
    """In memory."""


class TestQueue(QueuePromises):
    """In memory."""


async def test_expired_record(backend: Backend) -> None:
    """What outlived its retention is gone, and its order is free."""
    one = await put(backend)
    backend.clock.now += RETENTION
    assert await backend.invitations.load(one.id) is None
    assert await backend.invitations.find_order(7, one.order_key) is None


async def test_down() -> None:
    """A store that is down says so."""
    store = MemoryStore()
    store.down = True
    with pytest.raises(StoreUnavailable):
        await store.commit(Transition(invitation()))
    with pytest.raises(StoreUnavailable):
        await store.replay("x", TaskKind.CHECK, NOW)
