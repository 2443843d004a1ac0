"""Redis URLs, and what is wrong with them."""

from __future__ import annotations

import pytest

from bridge.errors import ConfigError
from bridge.store.connect import Target, open_client, read_url
from bridge.store.redis_access import RedisAccess


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("redis://localhost", Target("redis", (("localhost", 6379),))),
        ("redis://h:1/3", Target("redis", (("h", 1),), db=3)),
        ("redis://h?db=3", Target("redis", (("h", 6379),), db=3)),
        ("redis://[::1]:7/0", Target("redis", (("::1", 7),))),
        ("redis://:p%40ss@h", Target("redis", (("h", 6379),), password="p@ss")),
        ("rediss://u:p@h:1", Target("rediss", (("h", 1),), username="u", password="p", tls=True)),
        ("unix:///run/my%20redis.sock?db=2", Target("unix", path="/run/my redis.sock", db=2)),
        (
            "redis+sentinel://u:p@a,b:2/main/1?tls=true",
            Target("redis+sentinel", (("a", 26379), ("b", 2)), "", "main", 1, "u", "p", True),
        ),
        ("redis+cluster://a:1,b", Target("redis+cluster", (("a", 1), ("b", 6379)))),
        ("redis+cluster://a/0?tls=no", Target("redis+cluster", (("a", 6379),))),
    ],
)
def test_urls(url: str, target: Target) -> None:
    """Every documented form is read."""
    assert read_url(url) == target


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "localhost",
            "http://h",
            "redis://",
            "redis://h:port",
            "redis://h:99999",
            "redis://h/x",
            "redis://h/0/1",
        ),
        *(
            "redis://h/-1",
            "redis://h/²",
            "redis://a,b",
            "redis://h?tls=true",
            "redis://h?",
            "redis://h?nonsense",
        ),
        *(
            "unix://",
            "unix://run/redis.sock",
            "unix:///",
            "redis+sentinel://h",
            "redis+sentinel://h/s/0/x",
        ),
        *("redis+cluster://h/1", "redis+cluster://h?db=0", "redis://[::1", "redis+cluster://a,,b"),
    ],
)
def test_wrong_urls(url: str) -> None:
    """A URL that cannot work is a complaint about redis.url; one with an empty query is fine."""
    if url == "redis://h?":
        read_url(url)
        return
    with pytest.raises(ConfigError, match=r"redis\.url"):
        read_url(url)


def test_passwords_are_not_shown() -> None:
    """A wrong URL's password shows neither in the complaint nor in the target."""
    with pytest.raises(ConfigError) as raised:
        read_url("redis://u:S3CRET@h/x")
    assert "S3CRET" not in str(raised.value)
    assert "S3CRET" not in repr(read_url("redis://u:S3CRET@h"))


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
