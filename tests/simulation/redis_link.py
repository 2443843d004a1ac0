"""A process's connection to the Redis of its world, and what can go wrong with it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from redis.exceptions import ClusterDownError, ConnectionError, TimeoutError

from bridge.store import lua_scripts
from bridge.store.lua_scripts import Command
from tests.simulation.memory_redis import MemoryRedis

SOCKET_S = 0.7
"""How long the real client waits for one answer."""
REPEATED_AFTER_S = 0.02
"""The real client repeats what it lost the answer of, once, after this time."""
_LOOKS = ((lua_scripts.PEEK.sha,), (lua_scripts.PEEK.text,))
_OF_THE_WORLD = contextvars.Context()
REDIS_UNWELL: Final = (
    "Redis refuses connections",
    "Redis restarts",
    "Redis hangs",
    "Redis loses replies",
    "Redis loses requests",
    "Redis is slow",
    "Redis is full",
    "Redis is read-only",
)
"""The kinds of trouble during which all of Redis answers late, or not, or refuses."""


@dataclass(slots=True)
class RedisWeather:
    """What goes wrong between the processes and Redis now; each a probability or a state."""

    down: bool = False
    """Connections are refused."""
    hangs: bool = False
    """Commands are taken, and never answered."""
    without_primary: bool = False
    """A cluster has nobody who may answer for these keys."""
    reply_lost: float = 0.0
    """How often a command is executed, but its answer lost."""
    request_lost: float = 0.0
    """How often a command is lost before it is executed."""
    latest_answer_s: float = 0.002
    lost_replies: int = 0
    lost_requests: int = 0


@dataclass(slots=True)
class RedisLink:
    """``RedisClient`` of one process."""

    server: MemoryRedis
    weather: RedisWeather
    draws: Random
    look: Callable[[Command, Any], None] = lambda command, answer: None
    """Is told of everything that was executed, and might have changed something."""
    sent: int = field(default=0)

    async def send(
        self, commands: Sequence[Command], *, wait_for_failover: bool = True
    ) -> list[Any]:
        """Send commands together; what got no answer is sent once more, as the real client does."""
        try:
            return await self.send_once(commands)
        except ConnectionError:
            if not wait_for_failover:
                raise
            await asyncio.sleep(REPEATED_AFTER_S)
            return await self.send_once(commands)

    async def send_followed(self, command: Command, follower: Command) -> tuple[Any, Any]:
        """Send both together."""
        answer, following = await self.send([command, follower])
        return answer, following

    async def primaries(self) -> list[Any]:
        """The server."""
        return [RedisNode(self)]

    async def ping(self) -> None:
        """Return if the server answers."""
        await self.send_once([("PING",)])

    async def send_once(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together. They arrive, whatever becomes of their sender meanwhile."""
        self.sent += len(commands)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[list[Any]] = loop.create_future()
        self._after(self._draw_latency(), self._arrive, commands, answered)
        return await answered

    def _arrive(self, commands: Sequence[Command], answered: asyncio.Future[list[Any]]) -> None:
        weather, draws = self.weather, self.draws
        if weather.down:
            _end(answered, ConnectionError("refused"))
        elif weather.hangs:
            self._after(SOCKET_S, _end, answered, TimeoutError("no answer"))
        elif weather.without_primary:
            found = [self._answer_without_primary(one) for one in commands]
            self._after(self._draw_latency(), _end, answered, found)
        elif weather.request_lost and draws.random() < weather.request_lost:
            weather.lost_requests += 1
            _end(answered, ConnectionError("lost before it was executed"))
        else:
            answers = self._execute(commands)
            if weather.reply_lost and draws.random() < weather.reply_lost:
                weather.lost_replies += 1
                _end(answered, ConnectionError("lost after it was executed"))
            else:
                self._after(self._draw_latency(), _end, answered, answers)

    def _answer_without_primary(self, command: Command) -> Any:
        """What has no key is answered by whoever is there."""
        keyless = command[0] in ("PING", "TIME")
        return self._execute([command])[0] if keyless else ClusterDownError("The cluster is down")

    def _draw_latency(self) -> float:
        return self.weather.latest_answer_s * self.draws.random()

    def _after(self, delay_s: float, callback: Callable[..., None], *args: Any) -> None:
        """In the world's own name: what stops or ends a process does not stop Redis."""
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + delay_s, callback, *args, context=_OF_THE_WORLD)

    def _execute(self, commands: Sequence[Command]) -> list[Any]:
        answers = []
        for command, answer in zip(commands, self.server.execute_all(commands), strict=True):
            if command[1:2] not in _LOOKS:
                self.look(command, answer)
            answers.append(_build_dictionary(answer) if command[0] == "HGETALL" else answer)
        return answers


def _end(answered: asyncio.Future[list[Any]], answer: list[Any] | Exception) -> None:
    if answered.done():
        return  # whoever asked has given up
    if isinstance(answer, Exception):
        answered.set_exception(answer)
    else:
        answered.set_result(answer)


def _build_dictionary(answer: Any) -> Any:
    """redis-py makes a hash a dictionary."""
    if isinstance(answer, list):
        return dict(zip(answer[::2], answer[1::2], strict=True))
    return answer


@dataclass(slots=True)
class RedisNode:
    """What the bridge asks of a single server, beside commands."""

    link: RedisLink

    async def execute_command(self, *command: Any) -> Any:
        """Send one command; an error is raised."""
        (answer,) = await self.link.send([command])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ping(self) -> Any:
        """Whether it answers."""
        return await self.execute_command("PING")

    async def time(self) -> tuple[int, int]:
        """The server's time."""
        seconds, micros = await self.execute_command("TIME")
        return int(seconds), int(micros)

    async def scan(self, cursor: int, *, match: str, count: int) -> tuple[int, list[bytes]]:
        """All keys at once."""
        await self.link.send([("PING",)])
        return 0, self.link.server.list_keys(match)
