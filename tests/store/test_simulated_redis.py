"""The Redis store over the simulation's Redis, which runs the same Lua scripts in memory."""

from __future__ import annotations

import time
from random import Random

import pytest

from bridge.store.redis_access import RedisAccess
from tests.simulation.memory_redis import MemoryRedis
from tests.simulation.redis_link import RedisLink, RedisWeather
from tests.store.conformance import Backend, InvitationPromises, QueuePromises
from tests.store.conftest import redis_backend


@pytest.fixture
def backend() -> Backend:
    server = MemoryRedis(lambda: round(time.time() * 1000))
    return redis_backend(RedisAccess(RedisLink(server, RedisWeather(), Random(1))))


class TestInvitations(InvitationPromises):
    """Over the simulation's Redis."""


class TestQueue(QueuePromises):
    """Over the simulation's Redis."""
