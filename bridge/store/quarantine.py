"""Data that could not be read and was quarantined, so that it blocks nothing: notes for operators.

Each partition has a hash of notes. The name of a note says what it is about: an invitation id (its
record), a task id (an entry of the queue), ``lane:...`` or ``key:...``. So the notes on an
invitation are deleted with its candidate. A note contains no data: quarantined data either stays
where it is (a record, which may be repaired), is kept beside the notes (a key, for a month), or is
worthless.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import orjson
import structlog

from bridge.core.queueing import Lane, QuarantineNote
from bridge.errors import StoreUnavailable
from bridge.ports import Clock
from bridge.store import key_names, lua_scripts
from bridge.store.damaged_keys import build_quarantine_note
from bridge.store.key_names import KeyNames, PartitionKeyNames, decode_name
from bridge.store.redis_access import RedisAccess
from bridge.store.stored_times import to_ms

_SHOWN: Final = 200
"""How many bytes of the damaged data are shown."""

log = structlog.get_logger()


class RedisQuarantine:
    """``Quarantine`` over Redis."""

    def __init__(
        self, commands: RedisAccess, prefix: str, clock: Clock = lambda: datetime.now(UTC)
    ) -> None:
        self._commands = commands
        self._partitions = PartitionKeyNames(prefix)
        self._clock = clock

    async def notes(self) -> AsyncIterator[QuarantineNote]:
        """Every note of the partitions that answer, in no particular order."""
        calls = [("HGETALL", names.quarantine) for names in self._partitions]
        answers = await self._commands.run_each(calls)
        for names, answer in zip(self._partitions, answers, strict=True):
            if isinstance(answer, Exception):
                continue
            for name, value in answer.items():
                yield _read(names, name, value)

    async def add(self, names: KeyNames, name: str, what: str, reason: str) -> None:
        """Add a note to this partition, and log it unless it is there already."""
        text = build_quarantine_note(self._clock(), what, reason)
        if await self._commands.run(("HSETNX", names.quarantine, name, text)):
            log.error(
                "quarantine.added", what=what, name=name, partition=names.partition, reason=reason
            )

    async def add_record(self, invitation_id: str) -> None:
        """Add a note on a damaged record, which stays where it is: it may be repaired."""
        if names := self._partitions.of(invitation_id):
            await self.add(names, invitation_id, "record", "it is not a record")

    async def quarantine_lane(self, names: KeyNames, lane: bytes) -> None:
        """Remove an entry that is not a lane from the index of lanes.

        If Redis refuses that, it stays and is skipped until Redis accepts it.
        """
        shown = decode_name(lane[:_SHOWN])
        with contextlib.suppress(StoreUnavailable):
            await self.add(names, f"lane:{shown}", "lane", "it is not a lane")
            await self._commands.run(("ZREM", names.lanes, lane))

    async def quarantine_task(
        self, names: KeyNames, lane: Lane, member: bytes, due: datetime | None
    ) -> None:
        """Remove the damaged entry of a task; the task itself stays queued, *due* at that time.

        None: it belongs to no invitation and is deleted.

        If Redis refuses that, its lease runs out and the next one tries again: no other task waits
        for it.
        """
        shown = f"{decode_name(member[:_SHOWN])}:{lane.kind}"
        reason = "its entry cannot be read" if due else "it belongs to no invitation"
        text = build_quarantine_note(self._clock(), "task", reason, customer=lane.customer)
        name = key_names.get_lane_name(lane)
        call = lua_scripts.QUARANTINE_TASK.call(
            [names.due(name), names.tasks, names.lanes, names.quarantine],
            [
                member,
                member + f":{lane.kind}".encode(),
                name,
                shown,
                text,
                to_ms(due) if due else "",
            ],
        )
        with contextlib.suppress(StoreUnavailable):
            if await self._commands.run(call) == 1:
                log.error(
                    "quarantine.added",
                    what="task",
                    task_id=shown,
                    customer=lane.customer,
                    reason=reason,
                )

    async def remove(self, invitation_id: str) -> bool:
        """Delete the note on this invitation's record, which can be read again."""
        names = self._partitions.of(invitation_id)
        if names is None:
            return False
        return bool(await self._commands.run(("HDEL", names.quarantine, invitation_id)))

    async def drop(self, found: QuarantineNote) -> bool:
        """Delete a note and the data that it is about; False: it was deleted already."""
        names = self._partitions[found.partition]
        if found.what == "record":
            await self._commands.run(("DEL", names.invitation(found.name)))
        elif found.what == "dead letter":
            await self._commands.run(("ZREM", names.dead, found.name))
            await self._commands.run(("DEL", names.dead_letter(found.name)))
        elif found.name.startswith("key:"):
            await self._commands.run(
                ("DEL", names.quarantined_key(found.name.removeprefix("key:")))
            )
        return bool(await self._commands.run(("HDEL", names.quarantine, found.name)))


def _read(names: KeyNames, name: bytes, value: bytes) -> QuarantineNote:
    shown = decode_name(name)
    try:
        document = orjson.loads(value)
        what, reason = str(document["what"]), str(document["reason"])
        since = datetime.fromisoformat(document["at"])
    except (ValueError, KeyError, TypeError):
        what, reason = "note", "this note itself cannot be read"
        since = datetime.fromtimestamp(0, UTC)
    return QuarantineNote(names.partition, shown, what, reason, since)
