"""The Redis store over Redis Cluster: no change ever needs two slots."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis import Redis

from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess
from bridge.store.redis_inspection import find_durability_risks
from tests.store.conformance import Backend, InvitationPromises, QueuePromises, due, lease, put
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis


@pytest.fixture
async def cluster_commands(cluster_url: str) -> AsyncIterator[RedisAccess]:
    async with open_client(cluster_url) as commands:
        yield commands


@pytest.fixture
def backend(cluster_commands: RedisAccess) -> Backend:
    return redis_backend(cluster_commands)


class TestInvitations(InvitationPromises):
    """Over a cluster."""


class TestQueue(QueuePromises):
    """Over a cluster."""


async def test_forgotten_scripts(backend: Backend, cluster_url: str) -> None:
    """A cluster that forgot its scripts is taught them again."""
    with Redis(port=int(cluster_url.rpartition(":")[2])) as node:
        node.script_flush()
        await put(backend, due())
        node.script_flush()
    assert len(await lease(backend)) == 1


async def test_durability(cluster_commands: RedisAccess) -> None:
    """A cluster's nodes are checked for durability, before anything else was asked of them."""
    (complaint,) = await find_durability_risks(cluster_commands)
    assert "append-only" in complaint
