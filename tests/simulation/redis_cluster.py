"""A Redis of several servers, each with some of the partitions, and what goes wrong with one.

The client is the bridge's own for a cluster. All servers share one set of keys, since no script
touches keys of two; what each of them has of its own is how it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from bridge.core.ids import PARTITIONS
from bridge.store.cluster_client import ClusterClient
from bridge.store.lua_scripts import Command
from bridge.store.redis_access import DEADLINE_S
from bridge.store.redis_client import RedisClient
from tests.simulation.memory_redis import MemoryRedis
from tests.simulation.redis_link import RedisLink, RedisNode, RedisWeather

HOST: Final = "redis"
FIRST_PORT: Final = 7000
Look = Callable[[Command, Any], None]


def find_server(key: bytes, count: int) -> int:
    """The server, of so many, that has this key."""
    return key_slot(key) * count // REDIS_CLUSTER_HASH_SLOTS


class RedisServers:
    """One server, or those of a cluster."""

    def __init__(self, keys: MemoryRedis, count: int) -> None:
        self.weathers = [RedisWeather() for _ in range(count)]
        self._keys = keys

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.weathers)

    def find_partitions(self, server: int) -> list[int]:
        """Those whose keys this server has."""
        return [
            number
            for number in range(PARTITIONS)
            if find_server(b"{p%x}" % number, self.count) == server
        ]

    def change_all(self, name: str, value: object) -> None:
        """The same weather everywhere."""
        for weather in self.weathers:
            setattr(weather, name, value)

    def connect(self, draws: Random, look: Look) -> RedisClient:
        """The client of one process."""
        links = [RedisLink(self._keys, weather, draws, look) for weather in self.weathers]
        if len(links) == 1:
            return links[0]

        def open_node(_: str, port: int) -> Any:
            return ClusterNode(links[port - FIRST_PORT], port - FIRST_PORT, len(links))

        seeds = [(HOST, FIRST_PORT + number) for number in range(len(links))]
        return ClusterClient(seeds, open_node, deadline_s=DEADLINE_S)


@dataclass(slots=True)
class ClusterNode:
    """``MultiplexedClient`` of one server, as far as the cluster's client needs it."""

    link: RedisLink
    number: int
    count: int

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together, once."""
        plain = [("PING",) if one[0] == "CLUSTER" else one for one in commands]
        answers = await self.link.send_once(plain)
        for place, command in enumerate(commands):
            if command == ("CLUSTER", "INFO"):
                answers[place] = b"cluster_state:ok\r\ncluster_current_epoch:1\r\n"
            elif command == ("CLUSTER", "SLOTS"):
                answers[place] = list(map(self._describe_slots, range(self.count)))
        return answers

    async def send_followed(self, command: Command, follower: Command) -> tuple[Any, Any]:
        """Send both together."""
        answer, following = await self.send([command, follower])
        return answer, following

    async def primaries(self) -> list[Any]:
        """This server, with its own keys."""
        return [ClusterMember(self.link, self.number, self.count)]

    async def ping(self) -> None:
        """Return if it answers."""
        await self.link.ping()

    async def release_idle(self) -> None:
        """There is nothing to release."""

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _describe_slots(self, number: int) -> list[Any]:
        first, end = (
            -(-at * REDIS_CLUSTER_HASH_SLOTS // self.count) for at in (number, number + 1)
        )
        return [first, end - 1, [HOST.encode(), FIRST_PORT + number]]


@dataclass(slots=True)
class ClusterMember(RedisNode):
    """What the bridge asks of a single server of several."""

    number: int
    count: int

    async def scan(self, cursor: int, *, match: str, count: int) -> tuple[int, list[bytes]]:
        """All of its keys at once."""
        cursor, found = await RedisNode.scan(self, cursor, match=match, count=count)
        return cursor, [one for one in found if find_server(one, self.count) == self.number]
