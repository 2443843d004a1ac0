"""The demo's look for a person, which would show nothing if it could not see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.core.invitation import Transition
from bridge.demo.search import search_redis
from bridge.store.connect import open_client
from bridge.store.invitation_store import RedisInvitations
from tests.redis_servers import RedisServer, binaries, running
from tests.store.test_record_codec import full


@pytest.mark.parametrize("issued", [True, False], ids=["at rest", "about to change"])
async def test_the_search_sees_into_records(issued: bool) -> None:
    """A word that stands in a record is found, in whichever form the record is stored."""
    one = replace(full(), version=0, test_name="Unmistakable", issued=issued)
    with running(RedisServer(next(iter(binaries().values())))) as server:
        async with open_client(server.url) as commands:
            store = RedisInvitations(
                commands, prefix="b", retention=timedelta(days=1), clock=lambda: datetime.now(UTC)
            )
            assert await store.commit(Transition(one))
        keys, found = await search_redis(server.url, ["unmistakable", "nobody"])
    assert keys > 0
    assert found == {"unmistakable"}
