"""How much work waits, how much was given up: counted on request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from bridge.core.queueing import Backlog, Lane, TaskKind
from bridge.errors import StoreUnavailable
from bridge.store import key_names, lua_scripts
from bridge.store.key_names import KeyNames, PartitionKeyNames
from bridge.store.lua_scripts import Command
from bridge.store.redis_access import RedisAccess
from bridge.store.stored_times import to_ms

_NOTIFYING_LANES: Final = 32
"""Lanes of a partition whose queued notifications are looked at."""
_OF_A_LANE: Final = 4
_LANES: Final = 4096
"""Due lanes of a partition that are counted, the longest overdue first: more than exist."""


class RedisBacklog:
    """Counts what lies in all partitions that answer, in two round trips."""

    def __init__(self, commands: RedisAccess, *, prefix: str) -> None:
        self._commands = commands
        self._partitions = PartitionKeyNames(prefix)

    async def count(self, now: datetime, waits_for: Callable[[str], bool]) -> Backlog:
        """What waits *now*, of the customers (by key) that it *waits_for*.

        Raises ``StoreUnavailable`` where no partition answers.
        """
        at = to_ms(now)
        asked = [command for names in self._partitions for command in _overview(names, at)]
        answers = await self._commands.run_each(asked)
        backlog = Backlog(due=dict.fromkeys(TaskKind, 0))
        queues: list[tuple[Lane, Command]] = []
        oldest = at
        for names, start in zip(self._partitions, range(0, len(answers), 3), strict=True):
            lanes, dead, quarantined = answers[start : start + 3]
            if any(isinstance(one, StoreUnavailable) for one in (lanes, dead, quarantined)):
                backlog.missing += 1
                continue
            backlog.dead += dead
            backlog.quarantined += quarantined
            for name, due in _due_lanes(lanes):
                lane = key_names.parse_lane_name(name)
                if waits_for(lane.customer):
                    oldest = min(oldest, due)
                    queues.append((lane, ("ZCOUNT", names.due(name), "-inf", at)))
        if backlog.missing == len(self._partitions):
            raise StoreUnavailable("Redis does not answer")
        counted = await self._commands.run_each([command for _, command in queues])
        numbers: Counter[TaskKind] = Counter()
        of_customers: Counter[str] = Counter()
        for (lane, _), answer in zip(queues, counted, strict=True):
            number = answer if isinstance(answer, int) else 0
            numbers[lane.kind] += number
            of_customers[lane.customer] += number
        backlog.due.update(numbers)
        backlog.due_of = dict(of_customers)
        backlog.oldest_due_s = (at - oldest) / 1000
        return backlog

    async def list_unnotified(self) -> list[str]:
        """Invitations whose notification is queued, also for later; the first of each lane, where
        there are very many.
        """
        kind = TaskKind.NOTIFY.value
        calls = [
            lua_scripts.PEEK.call([names.lanes], ["+inf", _NOTIFYING_LANES, kind])
            for names in self._partitions
        ]
        queues: list[Command] = []
        for names, lanes in zip(
            self._partitions, await self._commands.run_each(calls), strict=True
        ):
            if not isinstance(lanes, StoreUnavailable):
                queues += [
                    ("ZRANGE", names.due(name), 0, _OF_A_LANE - 1) for name, _ in _due_lanes(lanes)
                ]
        answers = await self._commands.run_each(queues)
        return [
            key_names.decode_name(member)
            for answer in answers
            if isinstance(answer, list)
            for member in answer
        ]


def _overview(names: KeyNames, at: int) -> tuple[Command, Command, Command]:
    return (
        lua_scripts.PEEK.call([names.lanes], [at, _LANES, *key_names.KINDS]),
        ("ZCARD", names.dead),
        ("HLEN", names.quarantine),
    )


def _due_lanes(answer: list[Any]) -> list[tuple[str, int]]:
    """The lanes of this version, and when the earliest task of each is due, in ms."""
    return [
        (name.decode(), round(float(due)))
        for name, due in zip(answer[1::2], answer[2::2], strict=True)
        if key_names.is_lane_name(name)
    ]
