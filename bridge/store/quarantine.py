"""What could not be read and was put aside, so that it stops nobody: notes for operators.

Each partition has a hash of notes. The name of a note says what it is about: an invitation id (its
record), a task id (an entry of the queue), ``lane:...`` or ``key:...``. So the notes on an
invitation go when its candidate is deleted. A note keeps no content: what was put aside either
stays where it is (a record, which may be repaired), lies beside the notes (a key, for a month), or
is worthless.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from bridge.core import ids
from bridge.core.queueing import QuarantineNote
from bridge.store import key_names

if TYPE_CHECKING:
    from bridge.store.redis_access import RedisAccess

log = structlog.get_logger()

LIFE: Final = timedelta(days=30)
LIFE_MS: Final = LIFE // timedelta(milliseconds=1)


def note(at: datetime, what: str, reason: str, **more: str) -> bytes:
    """A note; *reason* is ours and repeats nothing of what was found."""
    return orjson.dumps({"at": at.isoformat(), "what": what, "reason": reason, **more})


@dataclass(frozen=True, slots=True)
class RedisQuarantine:
    """``Quarantine`` over Redis."""

    commands: RedisAccess
    prefix: str

    async def notes(self) -> AsyncIterator[QuarantineNote]:
        """Every note of the partitions that answer, in no order."""
        every = key_names.all_keys(self.prefix)
        answers = await self.commands.run_each([("HGETALL", names.quarantine) for names in every])
        for names, answer in zip(every, answers, strict=True):
            if isinstance(answer, Exception):
                continue
            pairs = (
                answer.items()
                if isinstance(answer, dict)
                else zip(answer[::2], answer[1::2], strict=True)
            )
            for name, value in pairs:
                yield _read(names, name, value)

    async def size(self) -> int:
        """How many notes there are in the partitions that answer."""
        every = key_names.all_keys(self.prefix)
        answers = await self.commands.run_each([("HLEN", names.quarantine) for names in every])
        return sum(answer for answer in answers if isinstance(answer, int))

    async def add(self, partition: int, name: str, what: str, reason: str, at: datetime) -> None:
        """Note it, and say so unless it is known."""
        names = key_names.all_keys(self.prefix)[partition]
        if await self.commands.run(("HSETNX", names.quarantine, name, note(at, what, reason))):
            log.error("quarantine.added", what=what, name=name, partition=partition, reason=reason)

    async def remove(self, invitation_id: str) -> bool:
        """Take back the note on this invitation's record, which can be read (again)."""
        partition = ids.partition_in(invitation_id)
        if partition is None:
            return False
        names = key_names.all_keys(self.prefix)[partition]
        return bool(await self.commands.run(("HDEL", names.quarantine, invitation_id)))

    async def drop(self, found: QuarantineNote) -> bool:
        """Forget a note and delete what it is about; False: somebody was faster."""
        names = key_names.all_keys(self.prefix)[found.partition]
        if found.what == "record":
            await self.commands.run(("DEL", names.invitation(found.name)))
        elif found.what == "dead letter":
            await self.commands.run(("ZREM", names.dead, found.name))
            await self.commands.run(("DEL", names.dead_letter(found.name)))
        elif found.name.startswith("key:"):
            await self.commands.run(("DEL", names.put_aside(found.name.removeprefix("key:"))))
        return bool(await self.commands.run(("HDEL", names.quarantine, found.name)))


def _read(names: key_names.KeyNames, name: bytes, value: bytes) -> QuarantineNote:
    partition = key_names.partition_of(names.base) or 0
    shown = name.decode("utf-8", "backslashreplace")
    try:
        document = orjson.loads(value)
        return QuarantineNote(
            partition,
            shown,
            str(document["what"]),
            str(document["reason"]),
            datetime.fromisoformat(document["at"]),
        )
    except (ValueError, KeyError, TypeError):
        return QuarantineNote(
            partition,
            shown,
            "note",
            "this note itself cannot be read",
            datetime.fromtimestamp(0, UTC),
        )
