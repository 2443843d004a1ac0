"""Clients are opened without a Redis."""

from __future__ import annotations

import pytest

from bridge.errors import RedisSetupError
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess


@pytest.mark.parametrize(
    "url",
    [
        "redis://nowhere.invalid",
        "rediss://nowhere.invalid",
        "redis+sentinel://nowhere.invalid/main?tls=true",
        "redis+cluster://nowhere.invalid?tls=true",
    ],
)
async def test_opening_needs_no_redis(url: str) -> None:
    """Every kind of client is opened and closed without a Redis: the bridge starts without it."""
    async with open_client(url) as commands:
        assert isinstance(commands, RedisAccess)


async def test_a_wrong_url_is_the_administrators_matter() -> None:
    """It says which setting is to blame."""
    with pytest.raises(RedisSetupError, match="begins with") as raised:
        async with open_client("http://h"):
            pass
    assert raised.value.setting == "url"
