"""What is wrong, and the posts that say so, on real Redis servers."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from bridge.core.incident import HOUR, Incident, IncidentKind
from bridge.store.alert_queue import LIFE, POSTS_LIMIT, RedisAlertQueue
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess

pytestmark = pytest.mark.redis

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ENDPOINTS = ("one", "two")


def incident(customer: str = "acme", text: str = "Something is wrong.") -> Incident:
    """A dead letter."""
    return Incident(IncidentKind.DEAD_LETTER, customer, "", text, "assessment-bridge dead list")


@pytest.fixture
def prefix() -> str:
    return f"alerts-{secrets.token_hex(4)}"


def queue_of(commands: RedisAccess, prefix: str) -> RedisAlertQueue:
    """One process's view of the queue; its posts are numbered."""
    numbers = itertools.count(1)
    owner = secrets.token_hex(2)
    return RedisAlertQueue(commands, prefix=prefix, new_secret=lambda: f"{owner}-{next(numbers)}")


@pytest.fixture
def queue(real_commands: RedisAccess, prefix: str) -> RedisAlertQueue:
    return queue_of(real_commands, prefix)


async def posts(queue: RedisAlertQueue, endpoint: str, now: datetime = NOW) -> list[str]:
    """The texts of all posts that are due."""
    found = []
    while post := await queue.take(endpoint, now, now + HOUR):
        found.append(post.incident.text)
    return found


async def test_said_once(queue: RedisAlertQueue) -> None:
    """An incident is queued for every endpoint once, however often it is reported; another
    customer's is another one.
    """
    assert await queue.report(incident(), NOW, NOW, ENDPOINTS) == 2
    for seconds in range(1, 30):
        at = NOW + seconds * SECOND
        assert await queue.report(incident(text="the same"), at, at, ENDPOINTS) is None
    assert await queue.report(incident("globex"), NOW, NOW, ENDPOINTS) == 2
    assert await posts(queue, "one") == ["Something is wrong."] * 2
    assert await posts(queue, "two") == ["Something is wrong."] * 2


async def test_said_by_one_process(real_commands: RedisAccess, prefix: str) -> None:
    """Of many processes that report the same at once one queues it."""
    reports = [
        queue_of(real_commands, prefix).report(incident(), NOW, NOW, ENDPOINTS) for _ in range(20)
    ]
    said = await asyncio.gather(*reports)
    assert sorted(said, key=str) == [2] + [None] * 19


async def test_news(queue: RedisAlertQueue) -> None:
    """What is new is said when the pause is over, with the newest words; without news nothing
    is.
    """
    await queue.report(incident(), NOW, NOW, ["one"])
    later = NOW + HOUR
    assert await queue.report(incident(), NOW, later, ["one"]) is None
    assert await queue.report(incident(text="new"), later - SECOND, later - SECOND, ["one"]) is None
    (known,) = await queue.open_incidents()
    assert (known.incident.text, known.said_at, known.last_at) == ("new", NOW, later - SECOND)
    assert await queue.report(known.incident, known.last_at, later, ["one"]) == 1
    assert await posts(queue, "one", later) == ["Something is wrong.", "new"]


async def test_over(queue: RedisAlertQueue) -> None:
    """What is over and comes again is said at once."""
    await queue.report(incident(), NOW, NOW, ["one"])
    await queue.end([])
    await queue.end([incident(text="whatever it says")])
    assert await queue.open_incidents() == []
    assert await queue.report(incident(), NOW + SECOND, NOW + SECOND, ["one"]) == 1


async def test_a_post_is_leased(queue: RedisAlertQueue) -> None:
    """A post that somebody has taken is nobody else's until the lease ends; then it comes again
    under its id, as the next attempt.
    """
    await queue.report(incident(), NOW, NOW, ["one"])
    first = await queue.take("one", NOW, NOW + 30 * SECOND)
    assert first is not None
    assert (first.incident, first.at, first.attempt) == (incident(), NOW, 1)
    assert await queue.take("one", NOW + 29 * SECOND, NOW + HOUR) is None
    again = await queue.take("one", NOW + 30 * SECOND, NOW + HOUR)
    assert again is not None
    assert (again.id, again.attempt) == (first.id, 2)


async def test_later_and_never(queue: RedisAlertQueue) -> None:
    """A post is due again when it was said; one that has arrived is gone, also for who was slow."""
    await queue.report(incident(), NOW, NOW, ENDPOINTS)
    post = await queue.take("one", NOW, NOW + HOUR)
    assert post is not None
    await queue.postpone("one", post, NOW + 5 * SECOND)
    assert await queue.take("one", NOW + 4 * SECOND, NOW + HOUR) is None
    assert await queue.take("one", NOW + 5 * SECOND, NOW + HOUR) is not None
    await queue.finish("one", post)
    await queue.postpone("one", post, NOW)
    assert await queue.take("one", NOW + 2 * HOUR, NOW + 3 * HOUR) is None
    other = await queue.take("two", NOW, NOW + HOUR)
    assert other is not None
    assert other.id == post.id


async def test_bounded(queue: RedisAlertQueue, real_commands: RedisAccess, prefix: str) -> None:
    """An endpoint that takes nothing costs a bounded number of posts, and whatever is left goes by
    itself.
    """
    key = f"{prefix}:{{alerts}}:posts:one"
    await real_commands.run_all([("HSET", key, f"a{one}", "0|x") for one in range(POSTS_LIMIT)])
    assert await queue.report(incident(), NOW, NOW, ENDPOINTS) == 1
    for name in ("incidents", "posts:two", "due:two"):
        left = await real_commands.run(("PTTL", f"{prefix}:{{alerts}}:{name}"))
        assert 0 < left <= LIFE / timedelta(milliseconds=1)


async def test_one_looks(queue: RedisAlertQueue) -> None:
    """One process at a time looks for what is wrong."""
    assert await queue.claim_look("one", timedelta(minutes=1))
    assert not await queue.claim_look("two", timedelta(minutes=1))


@pytest.mark.parametrize("name", ["incidents", "posts:one", "due:one"])
async def test_a_key_of_another_type(
    queue: RedisAlertQueue, real_commands: RedisAccess, prefix: str, name: str
) -> None:
    """A key that holds something else is replaced."""
    await real_commands.run(("SET", f"{prefix}:{{alerts}}:{name}", "nonsense"))
    assert await queue.report(incident(), NOW, NOW, ["one"]) == 1
    assert await posts(queue, "one") == ["Something is wrong."]


async def test_nonsense(queue: RedisAlertQueue, real_commands: RedisAccess, prefix: str) -> None:
    """What cannot be read, or is of a kind that only a newer version knows, is left out and holds
    nothing up.
    """
    base = f"{prefix}:{{alerts}}:"
    newer = b'{"kind":"new","customer":"acme","about":"","text":"t","command":"c","at":1}'
    values = (b"nonsense", b"1|2|[]", b"x|2|{}", b"1|2|" + newer, b"1|2|\xff")
    for number, value in enumerate(values):
        await real_commands.run(("HSET", f"{base}incidents", f"k{number}", value))
    await real_commands.run(("HSET", f"{base}posts:one", "a", "nonsense", "b", b"0|" + newer))
    await real_commands.run(("ZADD", f"{base}due:one", 1, "a", 2, "b", 3, "gone"))
    assert await queue.open_incidents() == []
    await queue.report(incident(), NOW, NOW, ["one"])
    taken = [await queue.take("one", NOW, NOW + HOUR) for _ in range(3)]
    assert [post and post.incident for post in taken] == [None, incident(), None]


async def test_in_a_cluster(cluster_url: str, prefix: str) -> None:
    """All keys that change together lie in one slot."""
    async with open_client(cluster_url) as commands:
        queue = queue_of(commands, prefix)
        assert await queue.report(incident(), NOW, NOW, ENDPOINTS) == 2
        assert await posts(queue, "two") == ["Something is wrong."]
        assert len(await queue.open_incidents()) == 1
