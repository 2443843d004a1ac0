"""Compares records with queues, and restores what eviction, a partial restore or manual changes in
Redis have removed.

Every record lists in its head which tasks the queue must hold (see ``common.lua``). A task that is
in neither queue nor among the dead letters is queued again, due now: its handler finds out what is
to be done. The index of lanes is rebuilt from the queues, that of applications from the records.
Nothing is decided here: only what a record lists is restored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog

from bridge.core import ids
from bridge.core.lifecycle.checks import infer_tasks_of_older_record
from bridge.core.queueing import ReconciliationReport, TaskKind, format_task_id
from bridge.errors import RecordDamaged, RecordUnreadable, StoreUnavailable
from bridge.ports import Clock
from bridge.store import key_names, lua_scripts
from bridge.store.encryption import Cipher
from bridge.store.key_names import KeyNames, PartitionKeyNames, decode_name, is_lane_name
from bridge.store.quarantine import RedisQuarantine
from bridge.store.record_codec import (
    load_record,
    read_application_id,
    read_customer,
    read_record_head,
)
from bridge.store.redis_access import RedisAccess, split_into_batches
from bridge.store.stored_times import to_ms

LATEST: Final = timedelta(days=800)
"""A task that is due later than this is wrong: no setting makes one wait so long."""
_LOCK_MS: Final = 60_000
_BY_LETTER: Final = {kind.value[0]: kind for kind in TaskKind}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Expected:
    """A task that the queue must hold."""

    names: KeyNames
    invitation_id: str
    kind: TaskKind
    lane: str
    version: int

    def questions(self) -> list[lua_scripts.Command]:
        normal, urgent = self.names.queues(self.lane)
        return [
            ("ZSCORE", normal, self.invitation_id),
            ("ZSCORE", urgent, self.invitation_id),
            ("ZSCORE", self.names.dead, format_task_id(self.invitation_id, self.kind)),
        ]


class Reconciliation:
    """A pass over all keys of the bridge; may run beside daemons and other passes."""

    def __init__(
        self, commands: RedisAccess, *, prefix: str, clock: Clock, cipher: Cipher | None = None
    ) -> None:
        self._commands = commands
        self._partitions = PartitionKeyNames(prefix)
        self._pattern = key_names.build_scan_pattern(prefix, "*")
        self._lock = f"{prefix}:reconcile"
        self._clock = clock
        self._cipher = cipher
        self._quarantine = RedisQuarantine(commands, prefix, clock)

    async def claim(self, owner: str) -> bool:
        """Whether this process may run a pass now; the claim lasts a minute after the last step."""
        return bool(await self._commands.run(("SET", self._lock, owner, "NX", "PX", _LOCK_MS)))

    async def release(self) -> None:
        """Let another process run a pass."""
        await self._commands.run(("DEL", self._lock))

    async def run(
        self, *, dry_run: bool = False, pause: Callable[[], Awaitable[None]] | None = None
    ) -> ReconciliationReport:
        """Run one pass; *pause* is awaited between the steps.

        Raises ``StoreUnavailable`` if no part of Redis answers.
        """
        current = _Pass(
            self._commands, self._partitions, self._quarantine, self._clock, self._cipher, dry_run
        )
        await current.index()
        answers = False
        try:
            # A key that comes twice is checked twice: remembering a million keys would cost more.
            async for batch in self._commands.scan_in_batches(
                self._pattern, once=False, whole=True
            ):
                found = [place for key in batch if (place := key_names.split_key(key))]
                records = [(names, rest[3:]) for names, rest in found if rest[:3] == "iv:"]
                await current.records(records)
                lanes = [(names, rest[4:]) for names, rest in found if rest[:4] == "due:"]
                await current.lanes(lanes)
                answers = True
                if pause is not None:
                    await pause()
                    await self._commands.run(("PEXPIRE", self._lock, _LOCK_MS))
        except StoreUnavailable:
            if not answers:
                raise
            current.report.incomplete = True
        if not dry_run:
            await current.notes()
        return current.report


@dataclass(frozen=True, slots=True)
class _Pass:
    """Checks one kind of key after the other, and repairs it unless *dry_run*."""

    commands: RedisAccess
    partitions: PartitionKeyNames
    quarantine: RedisQuarantine
    clock: Clock
    cipher: Cipher | None
    dry_run: bool
    report: ReconciliationReport = field(default_factory=ReconciliationReport)

    async def index(self) -> None:
        """Check for lanes without a queue, and listed dead letters without content."""
        indexes = [
            (names, index) for names in self.partitions for index in (names.lanes, names.dead)
        ]
        calls = [("ZRANGE", index, 0, -1) for _, index in indexes]
        for (names, index), listed in zip(
            indexes, await self.commands.run_each(calls), strict=True
        ):
            if isinstance(listed, Exception):
                self.report.incomplete = True
            elif index == names.lanes:
                await self.lanes([(names, lane.decode()) for lane in listed if is_lane_name(lane)])
                for lane in listed:
                    if not is_lane_name(lane) and not self.dry_run:
                        await self.quarantine.quarantine_lane(names, lane)
            else:
                await self.letters(names, listed)

    async def letters(self, names: KeyNames, tasks: list[bytes]) -> None:
        """Check the list of dead letters of a partition."""
        for batch in split_into_batches(tasks):
            keys = [names.dead_letter(decode_name(task)) for task in batch]
            there = await self.commands.run_each([("EXISTS", key) for key in keys])
            gone = [task for task, exists in zip(batch, there, strict=True) if exists == 0]
            if gone and not self.dry_run:
                # Only what was still listed: a letter may have been ended since it was listed.
                (removed,) = await self.commands.run_each([("ZREM", names.dead, *gone)])
                self.report.forgotten += removed if isinstance(removed, int) else 0
            else:
                self.report.forgotten += len(gone)

    async def lanes(self, found: list[tuple[KeyNames, str]]) -> None:
        """Check these lanes in the index of lanes."""
        found = [(names, lane) for names, lane in found if is_lane_name(lane.encode())]
        calls = [
            lua_scripts.REINDEX.call([names.due(lane), names.lanes], [lane, int(self.dry_run)])
            for names, lane in found
        ]
        wrong = await self.commands.run_each(calls)
        self.report.reindexed += [
            names.base + lane
            for (names, lane), is_wrong in zip(found, wrong, strict=True)
            if is_wrong == 1
        ]

    async def records(self, found: list[tuple[KeyNames, str]]) -> None:
        """Check the tasks of these invitations, and whether their applications lead to them."""
        calls = [("GET", names.invitation(invitation_id)) for names, invitation_id in found]
        expected: list[_Expected] = []
        read: list[tuple[KeyNames, str, bytes]] = []
        for place, value in zip(found, await self.commands.run_each(calls), strict=True):
            if isinstance(value, Exception):
                self.report.incomplete = True
            elif value is not None:
                self.report.records += 1
                expected += await self._expected(*place, value)
                read.append((*place, value))
        await self.applications(read)
        questions = [question for one in expected for question in one.questions()]
        answers = iter(await self.commands.run_each(questions))
        for one, places in zip(expected, zip(answers, answers, answers, strict=True), strict=True):
            try:
                if await self._was_missing(one, places):
                    self.report.requeued.append(format_task_id(one.invitation_id, one.kind))
            except StoreUnavailable:  # only this partition; the others are still repaired
                self.report.incomplete = True

    async def applications(self, read: list[tuple[KeyNames, str, bytes]]) -> None:
        """Check that the applications of these records lead to them."""
        calls = []
        now, look_only = to_ms(self.clock()), int(self.dry_run)
        for names, invitation_id, value in read:
            with contextlib.suppress(RecordDamaged):  # reported with its tasks
                version, _, data = read_record_head(value, invitation_id)
                if application := read_application_id(data, invitation_id):
                    key = ids.compute_application_key(
                        read_customer(data, invitation_id), application
                    )
                    keys = (names.invitation(invitation_id), names.application(key))
                    args = (invitation_id, version, now, look_only)
                    calls.append(lua_scripts.INDEX_APPLICATION.call(keys, args))
        for answer in await self.commands.run_each(calls):
            if isinstance(answer, Exception):
                self.report.incomplete = True
            else:
                self.report.indexed += answer

    async def notes(self) -> None:
        """Delete the notes on records that were repaired."""
        async for note in self.quarantine.notes():
            if note.what != "record":
                continue
            key = self.partitions[note.partition].invitation(note.name)
            try:
                value = await self.commands.run(("GET", key))
                if value is not None:
                    load_record(note.name, value, self.cipher)
                removed = await self.quarantine.remove(note.name)
            except (RecordUnreadable, StoreUnavailable):
                continue
            if removed:
                log.info("quarantine.removed", what="record", invitation_id=note.name)

    async def _expected(self, names: KeyNames, invitation_id: str, value: bytes) -> list[_Expected]:
        if ids.read_partition(invitation_id) is None:
            return []
        try:
            version, letters, data = read_record_head(value, invitation_id)
            if letters is None:
                kinds = infer_tasks_of_older_record(load_record(invitation_id, value, self.cipher))
            else:
                kinds = [_BY_LETTER[letter] for letter in letters if letter in _BY_LETTER]
            customer = read_customer(data, invitation_id)
        except RecordDamaged:
            self.report.damaged.append(invitation_id)
            with contextlib.suppress(StoreUnavailable):  # the next pass notes it
                await self.quarantine.add_record(invitation_id)
            return []
        except RecordUnreadable:
            # A newer version's, or encrypted with another key: left to the process that can read
            # it.
            return []
        lanes = [(kind, key_names.build_lane_name(customer, kind)) for kind in kinds]
        return [_Expected(names, invitation_id, *lane, version) for lane in lanes]

    async def _was_missing(self, one: _Expected, places: Sequence[Any]) -> bool:
        """Whether a task was in no queue, or due at an impossible time; it is queued now."""
        failure = next((place for place in places if isinstance(place, Exception)), None)
        if failure is not None:
            raise failure
        scores = [float(place) for place in places if place is not None]
        now = self.clock()
        if any(score <= to_ms(now + LATEST) for score in scores):
            return False
        if self.dry_run and scores:
            return True
        normal, urgent = one.names.queues(one.lane)
        if scores:
            stuck = [("ZREM", queue, one.invitation_id) for queue in (normal, urgent)]
            await self.commands.run_each(stuck)
        record, names = one.names.invitation(one.invitation_id), one.names
        call = lua_scripts.REQUEUE_LOST_TASK.call(
            [record, normal, urgent, names.tasks, names.lanes, names.dead],
            [one.invitation_id, one.kind, one.lane, one.version, to_ms(now), int(self.dry_run)],
        )
        return bool(await self.commands.run(call))
