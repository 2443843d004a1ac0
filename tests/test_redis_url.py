"""Redis URLs, and what is wrong with them."""

from __future__ import annotations

import pytest

from bridge.redis_url import InvalidRedisUrl, RedisScheme, RedisUrl, parse_redis_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("redis://localhost", RedisUrl(RedisScheme.REDIS, (("localhost", 6379),))),
        ("redis://h:1/3", RedisUrl(RedisScheme.REDIS, (("h", 1),), db=3)),
        ("redis://h?db=3", RedisUrl(RedisScheme.REDIS, (("h", 6379),), db=3)),
        ("redis://[::1]:7/0", RedisUrl(RedisScheme.REDIS, (("::1", 7),))),
        ("redis://:p%40ss@h", RedisUrl(RedisScheme.REDIS, (("h", 6379),), password="p@ss")),
        (
            "rediss://u:p@h:1",
            RedisUrl(RedisScheme.REDISS, (("h", 1),), username="u", password="p", tls=True),
        ),
        (
            "unix:///run/my%20redis.sock?db=2",
            RedisUrl(RedisScheme.UNIX, path="/run/my redis.sock", db=2),
        ),
        (
            "redis+sentinel://u:p@a,b:2/main/1?tls=true",
            RedisUrl(RedisScheme.SENTINEL, (("a", 26379), ("b", 2)), "", "main", 1, "u", "p", True),
        ),
        ("redis+cluster://a:1,b", RedisUrl(RedisScheme.CLUSTER, (("a", 1), ("b", 6379)))),
        ("redis+cluster://a/0?tls=no", RedisUrl(RedisScheme.CLUSTER, (("a", 6379),))),
    ],
)
def test_urls(text: str, url: RedisUrl) -> None:
    """Every documented form is read."""
    assert parse_redis_url(text) == url


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
    """A URL that cannot work is refused; one with an empty query is fine."""
    if url == "redis://h?":
        parse_redis_url(url)
        return
    with pytest.raises(InvalidRedisUrl):
        parse_redis_url(url)


def test_passwords_are_not_shown() -> None:
    """A wrong URL's password shows neither in the complaint nor in the target."""
    with pytest.raises(InvalidRedisUrl) as raised:
        parse_redis_url("redis://u:S3CRET@h/x")
    assert "S3CRET" not in str(raised.value)
    assert "S3CRET" not in repr(parse_redis_url("redis://u:S3CRET@h"))
