"""The cost of leasing does not grow with what is stored; counted, not timed (``make growth`` is for
that).
"""

from __future__ import annotations

import pytest

from bridge.store.connect import open_client
from tests.bench.growth import Bench, is_open
from tests.redis_servers import RedisServer, binaries, running

SMALL, LARGE = 400, 10_000


@pytest.mark.redis
async def test_work_among_many() -> None:
    """To lease and settle takes Redis as many commands among ten thousand invitations as among a
    few hundred.
    """
    with running(RedisServer(next(iter(binaries().values())))) as server:
        async with open_client(server.url) as commands:
            bench = Bench(commands, server)
            await bench.fill(is_open, 0, SMALL)
            few = await bench.lease_calls()
            await bench.fill(is_open, SMALL, LARGE)
            many = await bench.lease_calls()
    assert many == pytest.approx(few, rel=0.05)
    assert sum(many.values()) < 500
