"""A client of Redis Cluster, as far as this store needs one: every command names its key first, and
all keys of one command share a slot.

It is not redis-py's own client: while a node dies, that one closes connections which others are
using (so they fail without a Redis error), and asks one node after the other where the slots are;
see ``.github/decisions/0004-an-own-cluster-client.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final

from redis.asyncio import Redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    TimeoutError,
    TryAgainError,
)

from bridge.store.lua_scripts import Command
from bridge.store.multiplexed_client import MultiplexedClient
from bridge.store.quorum import ask_majority

Address = tuple[str, int]

TOPOLOGY_TIMEOUT_S: Final = 0.5
"""How long a node may take to tell where the slots are; all nodes are asked at once."""
_ASKING: Final = ("ASKING",)
_TRIES: Final = 3
_PAUSE_S: Final = 0.03
_ELSEWHERE = (ConnectionError, TimeoutError, MovedError, ClusterDownError, TryAgainError)
"""Errors after which the slot may have moved: it is looked up again."""
_MOVED = (MovedError, TryAgainError)
_SILENT = (ConnectionError, TimeoutError, ClusterDownError)


class ClusterClient:
    """Sends every command to the node that has its slot, also while slots and nodes move.

    *open_node* makes the client of one node, which must not repeat commands by itself; *seeds* are
    the nodes to ask first. Every call ends within *deadline_s*.
    """

    def __init__(
        self,
        seeds: Sequence[Address],
        open_node: Callable[[str, int], MultiplexedClient],
        *,
        deadline_s: float,
    ) -> None:
        self._deadline_s = deadline_s
        self._seeds = tuple(seeds)
        self._open_node = open_node
        self._nodes: dict[Address, MultiplexedClient] = {}
        self._slots: list[Address] = []
        self._asking: asyncio.Task[None] | None = None

    async def send(
        self, commands: Sequence[Command], *, wait_for_failover: bool = True
    ) -> list[Any]:
        """Send commands, those for one node together; returns for each its answer or its exception.

        Without *wait_for_failover* a node that does not answer is not asked again; moved slots are
        still followed.
        """
        began, attempt = monotonic(), 0
        worth = _ELSEWHERE if wait_for_failover else _MOVED
        answers: list[Any] = [None] * len(commands)
        left: Sequence[int] = range(len(commands))
        if self._slots:  # as a rule; then the nodes keep the deadline
            answers = await self._ask_all(commands)
            left, attempt = self._find_unsettled(answers, left, worth), 1
        if left:
            async with asyncio.timeout(began + self._deadline_s - monotonic()):
                while left and attempt < _TRIES:
                    await self._find_slots(again=attempt > 0)
                    found = await self._ask_all([commands[index] for index in left])
                    for index, answer in zip(left, found, strict=True):
                        answers[index] = answer
                    left = self._find_unsettled(answers, left, worth)
                    attempt += 1
        if not wait_for_failover and any(isinstance(answer, _SILENT) for answer in answers):
            self._refresh()  # so that the next call knows
        return answers

    async def send_followed(self, command: Command, follower: Command) -> tuple[Any, Any]:
        """Send *command*, then *follower* over the same connection; returns the answers or
        exceptions of both.
        """
        for attempt in range(_TRIES):
            await self._find_slots(again=attempt > 0)
            answer, following = await self._ask_followed(command, follower)
            if not isinstance(answer, _ELSEWHERE):
                break
            self._learn(answer)
        return answer, following

    async def primaries(self) -> list[Redis]:
        """The clients of all nodes that have slots."""
        await self._find_slots(again=True)
        places = dict.fromkeys(self._slots)
        return [node for place in places for node in await self._node(place).primaries()]

    async def ping(self) -> None:
        """Return if any primary answers."""
        await self._find_slots()
        calls = [self._node(place).ping() for place in dict.fromkeys(self._slots)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if failures:
            self._refresh()  # so that the next call knows
        if len(failures) == len(answers):
            raise failures[0]

    async def aclose(self) -> None:
        """Close all connections."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        for node in self._nodes.values():
            await node.aclose()

    async def _ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send each command to the node that has its slot, those for one node together."""
        places = [self._place_of(command) for command in commands]
        if places.count(places[0]) == len(places):
            return await self._ask(places[0], commands)
        by_place: defaultdict[Address, list[int]] = defaultdict(list)
        for index, place in enumerate(places):
            by_place[place].append(index)
        calls = [
            self._ask(place, [commands[index] for index in those])
            for place, those in by_place.items()
        ]
        answers: list[Any] = [None] * len(commands)
        for those, found in zip(by_place.values(), await asyncio.gather(*calls), strict=True):
            for index, answer in zip(those, found, strict=True):
                answers[index] = answer
        return answers

    async def _ask(self, place: Address, commands: Sequence[Command]) -> list[Any]:
        try:
            answers = await self._node(place).send(commands)
        except (ConnectionError, TimeoutError) as error:
            return [error] * len(commands)
        for index, answer in enumerate(answers):
            if _is_being_moved(answer):
                with contextlib.suppress(ConnectionError, TimeoutError):
                    asked = await self._node((answer.host, answer.port)).send(
                        [_ASKING, commands[index]]
                    )
                    answers[index] = asked[1]
        return answers

    async def _ask_followed(self, command: Command, follower: Command) -> tuple[Any, Any]:
        node = self._node(self._place_of(command))
        try:
            answer, following = await node.send_followed(command, follower)
            if _is_being_moved(answer):
                node = self._node((answer.host, answer.port))
                return await node.send_followed(command, follower, after=[_ASKING])
        except (ConnectionError, TimeoutError) as error:
            return error, error
        return answer, following

    def _place_of(self, command: Command) -> Address:
        key = command[3 if command[0] in ("EVALSHA", "EVAL") else 1]
        return self._slots[key_slot(key if isinstance(key, bytes) else str(key).encode())]

    def _node(self, place: Address) -> MultiplexedClient:
        if place not in self._nodes:
            self._nodes[place] = self._open_node(*place)
        return self._nodes[place]

    def _find_unsettled(
        self, answers: Sequence[Any], asked: Sequence[int], worth: tuple[type[Exception], ...]
    ) -> list[int]:
        """Those among the *asked* that are *worth* another try."""
        found = [index for index in asked if isinstance(answers[index], worth)]
        for index in found:
            self._learn(answers[index])
        return found

    def _learn(self, error: Exception) -> None:
        """Store where a node says that a slot is; the next try reads the whole map."""
        if isinstance(error, MovedError):
            self._slots[error.slot_id] = (error.host, error.port)

    async def _find_slots(self, *, again: bool = False) -> None:
        if self._slots and not again:
            return
        if self._slots:
            await asyncio.sleep(_PAUSE_S)
        await asyncio.shield(self._refresh())  # goes on for later calls if this one times out
        if not self._slots:
            raise ConnectionError("no node of the cluster answers")

    def _refresh(self) -> asyncio.Task[None]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all_nodes())
        return self._asking

    async def _ask_all_nodes(self) -> None:
        places = dict.fromkeys([*self._slots, *self._seeds])
        views = await ask_majority([self._view(place) for place in places], TOPOLOGY_TIMEOUT_S)
        # a node that was cut off from the others has an older epoch
        best = max(views, key=lambda view: view[0], default=None)
        if best is None or len(best[1]) < REDIS_CLUSTER_HASH_SLOTS:
            return
        self._slots = best[1]
        for place in self._nodes.keys() - set(best[1]):
            await self._nodes[place].release_idle()

    async def _view(self, place: Address) -> tuple[tuple[bool, int], list[Address]]:
        info, ranges = await self._node(place).send([("CLUSTER", "INFO"), ("CLUSTER", "SLOTS")])
        if isinstance(info, Exception) or isinstance(ranges, Exception):
            raise info if isinstance(info, Exception) else ranges
        facts = dict(line.split(":", 1) for line in info.decode().split() if ":" in line)
        slots: dict[int, Address] = {}
        for first, last, primary, *_ in ranges:
            owner = (primary[0].decode() if primary[0] else place[0], primary[1])
            slots.update(dict.fromkeys(range(first, last + 1), owner))
        epoch = int(facts.get("cluster_current_epoch", 0))
        return (facts.get("cluster_state") == "ok", epoch), [
            slots[number] for number in sorted(slots)
        ]


def _is_being_moved(answer: object) -> bool:
    """Whether the slot is on its way to the node that this answer names."""
    return isinstance(answer, AskError) and not isinstance(answer, MovedError)
