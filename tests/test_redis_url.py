"""Redis URLs, and what is wrong with them."""

from __future__ import annotations

import pytest

from bridge.redis_url import RedisUrl, Scheme, WrongUrl, read


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("redis://localhost", RedisUrl(Scheme.REDIS, (("localhost", 6379),))),
        ("redis://h:1/3", RedisUrl(Scheme.REDIS, (("h", 1),), db=3)),
        ("redis://h?db=3", RedisUrl(Scheme.REDIS, (("h", 6379),), db=3)),
        ("redis://[::1]:7/0", RedisUrl(Scheme.REDIS, (("::1", 7),))),
        ("redis://:p%40ss@h", RedisUrl(Scheme.REDIS, (("h", 6379),), password="p@ss")),
        (
            "rediss://u:p@h:1",
            RedisUrl(Scheme.REDISS, (("h", 1),), username="u", password="p", tls=True),
        ),
        (
            "unix:///run/my%20redis.sock?db=2",
            RedisUrl(Scheme.UNIX, path="/run/my redis.sock", db=2),
        ),
        (
            "redis+sentinel://u:p@a,b:2/main/1?tls=true",
            RedisUrl(Scheme.SENTINEL, (("a", 26379), ("b", 2)), "", "main", 1, "u", "p", True),
        ),
        ("redis+cluster://a:1,b", RedisUrl(Scheme.CLUSTER, (("a", 1), ("b", 6379)))),
        ("redis+cluster://a/0?tls=no", RedisUrl(Scheme.CLUSTER, (("a", 6379),))),
    ],
)
def test_urls(text: str, url: RedisUrl) -> None:
    """Every documented form is read."""
    assert read(text) == url


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
        read(url)
        return
    with pytest.raises(WrongUrl):
        read(url)


def test_passwords_are_not_shown() -> None:
    """A wrong URL's password shows neither in the complaint nor in the target."""
    with pytest.raises(WrongUrl) as raised:
        read("redis://u:S3CRET@h/x")
    assert "S3CRET" not in str(raised.value)
    assert "S3CRET" not in repr(read("redis://u:S3CRET@h"))
