"""What a candidate asks of its Redis, and what it keeps there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis

from tests.redis_servers import RedisServer

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class RedisUse:
    """Counted since the server started."""

    reads: int
    """How often it found something to read: a round trip, or several at once."""
    commands: int
    """Those that scripts call included."""
    cpu_us: float

    def since(self, earlier: RedisUse, operations: int) -> dict[str, float]:
        """For each operation."""
        own = 1  # the question itself
        return {
            "round_trips": round((self.reads - earlier.reads - own) / operations, 2),
            "commands": round((self.commands - earlier.commands) / operations, 2),
            "cpu_us": round((self.cpu_us - earlier.cpu_us) / operations, 1),
        }


class RedisMeter:
    """Reads the counters of one server."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def read(self) -> RedisUse:
        """The counters now."""
        told = self._client.info("all")
        commands = sum(
            one["calls"]
            for name, one in told.items()
            if name.startswith("cmdstat_") and name != "cmdstat_info"
        )
        cpu_s = told["used_cpu_user"] + told["used_cpu_sys"]
        return RedisUse(told["total_reads_processed"], commands, cpu_s * 1e6)

    def weigh_keys(self) -> int:
        """Bytes of all keys with their values, as ``MEMORY USAGE`` counts them."""
        keys = list(self._client.scan_iter(count=_BATCH))
        total = 0
        for first in range(0, len(keys), _BATCH):
            with self._client.pipeline(transaction=False) as pipe:
                for key in keys[first : first + _BATCH]:
                    pipe.memory_usage(key, samples=0)
                total += sum(size or 0 for size in pipe.execute())
        return total


@contextlib.contextmanager
def open_meter(server: RedisServer) -> Iterator[RedisMeter]:
    """A meter with one connection."""
    with server.client() as client:
        client.ping()
        yield RedisMeter(client)
