"""Tasks that were given up, for operators."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import structlog

from bridge.core.queueing import DeadLetter, TaskKind, format_task_id, parse_task_id
from bridge.errors import RecordDamaged, RecordUnreadable, StoreUnavailable
from bridge.ports import Clock
from bridge.store import key_names, lua_scripts
from bridge.store.encryption import Cipher
from bridge.store.key_names import KeyNames, PartitionKeyNames, decode_name
from bridge.store.quarantine import RedisQuarantine
from bridge.store.record_codec import load_dead_letter
from bridge.store.redis_access import RedisAccess, split_into_batches
from bridge.store.stored_times import to_ms

log = structlog.get_logger()


class RedisDeadLetters:
    """The part of ``TaskQueue`` that concerns dead letters."""

    def __init__(
        self,
        commands: RedisAccess,
        *,
        prefix: str,
        cipher: Cipher | None = None,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._commands = commands
        self._partitions = PartitionKeyNames(prefix)
        self._cipher = cipher
        self._quarantine = RedisQuarantine(commands, prefix, clock)

    async def dead_letters(self) -> AsyncIterator[DeadLetter]:
        """Every dead letter that can be read, in no particular order; the others are logged."""
        for names in self._partitions:
            (listed,) = await self._commands.run_each([("ZRANGE", names.dead, 0, -1)])
            if isinstance(listed, Exception):
                log.warning("dead_letters.incomplete", partition=names.partition, error=str(listed))
                continue
            for batch in split_into_batches([decode_name(task) for task in listed]):
                calls = [("GET", names.dead_letter(task)) for task in batch]
                for task, value in zip(batch, await self._commands.run_each(calls), strict=True):
                    letter = await self._read(names, task, value)
                    if letter is not None:
                        yield letter

    async def replay(self, invitation_id: str, kind: TaskKind, now: datetime) -> bool:
        """Queue a dead letter's task again, from attempt 1, due now; False: no such dead letter."""
        return await self._revive(invitation_id, kind, to_ms(now))

    async def drop(self, invitation_id: str, kind: TaskKind) -> bool:
        """Delete a dead letter; False: no such dead letter."""
        return await self._revive(invitation_id, kind, "")

    async def _read(self, names: KeyNames, task: str, value: object) -> DeadLetter | None:
        if not isinstance(value, bytes):  # deleted meanwhile, or its partition does not answer
            return None
        try:
            return load_dead_letter(*parse_task_id(task), value, self._cipher)
        except (RecordDamaged, ValueError):
            with contextlib.suppress(
                StoreUnavailable
            ):  # a Redis that refuses writes can still be read
                await self._quarantine.add(names, task, "dead letter", "it is not a dead letter")
        except RecordUnreadable as error:
            log.warning("dead_letter.unreadable", task_id=task, error=str(error))
        return None

    async def _revive(self, invitation_id: str, kind: TaskKind, at: int | str) -> bool:
        names = self._partitions.of(invitation_id)
        if names is None:
            return False
        key = names.dead_letter(format_task_id(invitation_id, kind))
        value = await self._commands.run(("GET", key))
        if value is None:
            return False
        letter = load_dead_letter(invitation_id, kind, value, self._cipher)
        lane = key_names.build_lane_name(letter.customer, kind)
        record = names.invitation(invitation_id)
        call = lua_scripts.END_DEAD_LETTER.call(
            [*names.queues(lane), names.tasks, names.lanes, names.dead, key, record],
            [invitation_id, kind, lane, at],
        )
        done: int = await self._commands.run(call)
        return done == 1
