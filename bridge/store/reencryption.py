"""Renews what is encrypted at rest, after the keys were changed or encryption was switched on."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

import orjson

from bridge.errors import RecordUnreadable
from bridge.store import key_names, lua_scripts, record_codec, sealed_parts
from bridge.store.encryption import Cipher
from bridge.store.key_names import PartitionKeyNames, decode_name
from bridge.store.packing import dump_json
from bridge.store.redis_access import BATCH, RedisAccess

_TRIES: Final = 20
"""Tries for one value; each fails only if a daemon writes the same value at that instant, with the
new key.
"""


@dataclass(slots=True)
class ReencryptionCounts:
    """Counts of one kind of value: *renewed*, *current* (nothing to do), and why some were
    *left*.
    """

    renewed: int = 0
    current: int = 0
    left: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value is stored; *renew* returns its new form, None if there is nothing to do."""

    name: str
    key: str
    renew: Callable[[bytes, Cipher, str], bytes | None]
    field: str = ""

    def reading(self) -> lua_scripts.Command:
        return ("HGET", self.key, self.field) if self.field else ("GET", self.key)


class Reencryption:
    """Encrypts every record, dead letter and attempt log with the newest key, beside running
    daemons.

    Only the encrypted part changes, by compare-and-set: no time, no task, no expiry. May be
    repeated.
    """

    def __init__(self, commands: RedisAccess, *, prefix: str, cipher: Cipher) -> None:
        self._commands = commands
        self._cipher = cipher
        self._partitions = PartitionKeyNames(prefix)
        self._pattern = key_names.build_scan_pattern(prefix)

    async def run(self) -> dict[str, ReencryptionCounts]:
        """Renew everything; returns the counts of ``records``, ``dead_letters``,
        ``attempt_logs``.

        Raises ``StoreUnavailable`` if a part of Redis did not answer, so that nobody takes the old
        key off what is still sealed with it.
        """
        return {
            "records": await self._renew_all(self._records()),
            "dead_letters": await self._renew_all(self._dead_letters()),
            "attempt_logs": await self._renew_all(self._attempt_logs()),
        }

    async def _records(self) -> AsyncIterator[_Place]:
        async for key in self._commands.scan(self._pattern):
            yield _Place(key_names.get_invitation_id(key), key, _renewed_record)

    async def _dead_letters(self) -> AsyncIterator[_Place]:
        for names in self._partitions:
            for task in await self._commands.run(("ZRANGE", names.dead, 0, -1)):
                name = decode_name(task)
                yield _Place(name, names.dead_letter(name), _renewed_letter)

    async def _attempt_logs(self) -> AsyncIterator[_Place]:
        for names in self._partitions:
            for task in await self._commands.run(("HKEYS", names.tasks)):
                name = decode_name(task)
                yield _Place(name, names.tasks, _renewed_entry, name)

    async def _renew_all(self, places: AsyncIterator[_Place]) -> ReencryptionCounts:
        tally = ReencryptionCounts()
        batch: list[_Place] = []
        async for place in places:
            batch.append(place)
            if len(batch) >= BATCH:
                await self._renew(batch, tally)
                batch.clear()
        await self._renew(batch, tally)
        return tally

    async def _renew(self, places: list[_Place], tally: ReencryptionCounts) -> None:
        for turn in itertools.count(1):
            values = await self._commands.run_all([place.reading() for place in places])
            calls: list[tuple[_Place, lua_scripts.Command]] = []
            for place, value in zip(places, values, strict=True):
                if value is None:
                    continue  # deleted meanwhile
                try:
                    with record_codec.raise_as_record_damaged(place.name):
                        fresh = place.renew(value, self._cipher, place.name)
                except RecordUnreadable as error:
                    tally.left.append(str(error))
                    continue
                if fresh is None:
                    tally.current += 1
                else:
                    calls.append(
                        (
                            place,
                            lua_scripts.REPLACE_ENCRYPTED.call(
                                [place.key], [value, fresh, place.field]
                            ),
                        )
                    )
            answers = await self._commands.run_all([call for _, call in calls])
            places = [place for (place, _), done in zip(calls, answers, strict=True) if not done]
            tally.renewed += len(calls) - len(places)
            if not places:
                return
            if turn == _TRIES:
                tally.left += [f"{place.name} keeps being changed; try again" for place in places]
                return


def _renewed_record(value: bytes, cipher: Cipher, owner: str) -> bytes | None:
    version, commit, data = value.split(b"|", 2)
    fresh = record_codec.renew_sealed_part(data, cipher, owner)
    return None if fresh is None else b"|".join((version, commit, fresh))


def _renewed_entry(value: bytes, cipher: Cipher, owner: str) -> bytes | None:
    """An entry of the hash ``tasks``, see common.lua; the attempt log is its last part."""
    *head, history = value.split(b"|", 5)
    fresh = sealed_parts.reseal_attempt_log(orjson.loads(history or b"[]"), cipher, owner)
    return None if fresh is None else b"|".join((*head, dump_json(fresh)))


def _renewed_letter(value: bytes, cipher: Cipher, owner: str) -> bytes | None:
    document = record_codec.read_document(value, owner)
    fresh = sealed_parts.reseal_attempt_log(document["history"], cipher, owner)
    return None if fresh is None else dump_json({**document, "history": fresh})
