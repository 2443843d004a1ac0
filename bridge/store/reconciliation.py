"""Compares records with queues, and mends what eviction, a partial restore or a hand in Redis has
taken away.

Every record says in its head which tasks the queue must hold (see ``common.lua``). A task that is
in neither queue nor among the dead letters is queued again, due now: its handler finds out what is
to be done. The index of lanes follows from the queues. Nothing here decides: what a record does not
say is not invented.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from bridge.core import ids
from bridge.core.invitation import OPEN, Invitation, State
from bridge.core.lifecycle.attempts import applications_to_anonymise, current_reference
from bridge.core.queueing import ReconciliationReport, TaskKind, task_id
from bridge.errors import RecordDamaged, RecordUnreadable, StoreUnavailable
from bridge.ports import Clock
from bridge.store import key_names, lua_scripts
from bridge.store.encryption import Cipher
from bridge.store.key_names import KeyNames, Partitions
from bridge.store.quarantine import RedisQuarantine
from bridge.store.record_codec import customer_of, load_record, read_head, to_ms
from bridge.store.redis_access import RedisAccess, batches

LATEST: Final = timedelta(days=800)
"""A task that is due later than this was not queued by us: no setting makes one wait so long."""
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
            ("ZSCORE", self.names.dead, task_id(self.invitation_id, self.kind)),
        ]


class Reconciliation:
    """One walk through all keys of the bridge; may run beside daemons and beside itself."""

    def __init__(
        self, commands: RedisAccess, *, prefix: str, clock: Clock, cipher: Cipher | None = None
    ) -> None:
        self._commands = commands
        self._partitions = Partitions(prefix)
        self._pattern = key_names.pattern(prefix, "*")
        self._lock = f"{prefix}:reconcile"
        self._clock = clock
        self._cipher = cipher
        self._quarantine = RedisQuarantine(commands, prefix, clock)

    async def claim(self, owner: str) -> bool:
        """Whether this process walks now; the claim lasts a minute after the last step."""
        return bool(await self._commands.run(("SET", self._lock, owner, "NX", "PX", _LOCK_MS)))

    async def release(self) -> None:
        """Let another one walk."""
        await self._commands.run(("DEL", self._lock))

    async def run(
        self, *, dry_run: bool = False, pause: Callable[[], Awaitable[None]] | None = None
    ) -> ReconciliationReport:
        """Walk once; *pause* is awaited between the steps.

        Raises ``StoreUnavailable`` where nothing answers.
        """
        tally = ReconciliationReport()
        await self._walk_index(tally, dry_run)
        # What comes twice is looked at twice: to remember a million keys for hours would cost more.
        async for batch in self._commands.scan_in_batches(self._pattern, once=False):
            found = [place for key in batch if (place := key_names.split(key))]
            records = [(names, rest[3:]) for names, rest in found if rest.startswith("iv:")]
            await self._walk_records(records, tally, dry_run)
            lanes = [(names, rest[4:]) for names, rest in found if rest.startswith("due:")]
            await self._reindex(lanes, tally, dry_run)
            if pause is not None:
                await pause()
                await self._commands.run(("PEXPIRE", self._lock, _LOCK_MS))
        await self._take_back_notes(dry_run)
        return tally

    async def _walk_index(self, tally: ReconciliationReport, dry_run: bool) -> None:
        """Lanes whose queue is gone, and dead letters whose text is."""
        indexes = await self._commands.run_each(
            [("ZRANGE", names.lanes, 0, -1) for names in self._partitions]
        )
        letters = await self._commands.run_each(
            [("ZRANGE", names.dead, 0, -1) for names in self._partitions]
        )
        tally.incomplete = any(isinstance(answer, Exception) for answer in (*indexes, *letters))
        for names, lanes, tasks in zip(self._partitions, indexes, letters, strict=True):
            if isinstance(lanes, list):
                known = [lane.decode() for lane in lanes if key_names.is_lane(lane)]
                await self._reindex([(names, lane) for lane in known], tally, dry_run)
            if isinstance(tasks, list):
                await self._forget_letters(names, tasks, tally, dry_run)

    async def _forget_letters(
        self,
        names: KeyNames,
        tasks: list[bytes],
        tally: ReconciliationReport,
        dry_run: bool,
    ) -> None:
        for batch in batches(tasks):
            keys = [names.dead_letter(task.decode("utf-8", "backslashreplace")) for task in batch]
            there = await self._commands.run_each([("EXISTS", key) for key in keys])
            gone = [task for task, exists in zip(batch, there, strict=True) if exists == 0]
            tally.forgotten += len(gone)
            if gone and not dry_run:
                await self._commands.run_each([("ZREM", names.dead, *gone)])

    async def _reindex(
        self,
        lanes: Iterable[tuple[KeyNames, str]],
        tally: ReconciliationReport,
        dry_run: bool,
    ) -> None:
        lanes = [(names, lane) for names, lane in lanes if key_names.is_lane(lane.encode())]
        calls = [
            lua_scripts.REINDEX.call([names.due(lane), names.lanes], [lane, int(dry_run)])
            for names, lane in lanes
        ]
        wrong = [answer == 1 for answer in await self._commands.run_each(calls)]
        tally.reindexed += [
            names.base + lane for (names, lane), bad in zip(lanes, wrong, strict=True) if bad
        ]

    async def _walk_records(
        self, found: list[tuple[KeyNames, str]], tally: ReconciliationReport, dry_run: bool
    ) -> None:
        expected: list[_Expected] = []
        values = await self._commands.run_each(
            [("GET", names.invitation(one)) for names, one in found]
        )
        for (names, invitation_id), value in zip(found, values, strict=True):
            if isinstance(value, Exception):
                tally.incomplete = True
            elif value is not None:
                tally.records += 1
                expected += await self._expected(names, invitation_id, value, tally)
        questions = [question for one in expected for question in one.questions()]
        answers = iter(await self._commands.run_each(questions))
        for one, places in zip(expected, zip(answers, answers, answers, strict=True), strict=True):
            try:
                if await self._is_missing(one, places, dry_run):
                    tally.requeued.append(task_id(one.invitation_id, one.kind))
            except StoreUnavailable:  # of this partition; the others are mended all the same
                tally.incomplete = True

    async def _is_missing(self, one: _Expected, places: Sequence[Any], dry_run: bool) -> bool:
        """Whether a task was nowhere, or only where it never comes; it is queued then."""
        failure = next((place for place in places if isinstance(place, Exception)), None)
        if failure is not None:
            raise failure
        scores = [float(place) for place in places if place is not None]
        if any(score <= to_ms(self._clock() + LATEST) for score in scores):
            return False
        return dry_run or await self._requeue(one, stuck=bool(scores))

    async def _expected(
        self, names: KeyNames, invitation_id: str, value: bytes, tally: ReconciliationReport
    ) -> list[_Expected]:
        if ids.partition_in(invitation_id) is None:
            return []
        try:
            version, letters, data = read_head(value, invitation_id)
            if letters is None:
                kinds = _kinds_of(load_record(invitation_id, value, self._cipher))
            else:
                kinds = [_BY_LETTER[letter] for letter in letters if letter in _BY_LETTER]
            customer = customer_of(data, invitation_id)
        except RecordDamaged:
            tally.damaged.append(invitation_id)
            with contextlib.suppress(StoreUnavailable):  # noted by the next walk then
                await self._quarantine.add_record(invitation_id)
            return []
        except RecordUnreadable:
            # A newer version's, or sealed with another key: theirs to look after.
            return []
        return [
            _Expected(names, invitation_id, kind, key_names.lane(customer, kind), version)
            for kind in kinds
        ]

    async def _requeue(self, one: _Expected, *, stuck: bool) -> bool:
        normal, urgent = one.names.queues(one.lane)
        if stuck:  # queued for a time that never comes
            await self._commands.run_each(
                [("ZREM", queue, one.invitation_id) for queue in (normal, urgent)]
            )
        call = lua_scripts.MEND.call(
            [
                *(one.names.invitation(one.invitation_id), normal, urgent),
                *(one.names.tasks, one.names.lanes, one.names.dead),
            ],
            [one.invitation_id, one.kind, one.lane, one.version, to_ms(self._clock())],
        )
        return bool(await self._commands.run(call))

    async def _take_back_notes(self, dry_run: bool) -> None:
        """A record that was repaired is no longer in quarantine."""
        async for note in self._quarantine.notes():
            if note.what != "record" or dry_run:
                continue
            names = self._partitions[note.partition]
            try:
                value = await self._commands.run(("GET", names.invitation(note.name)))
                if value is not None:
                    load_record(note.name, value, self._cipher)
                removed = await self._quarantine.remove(note.name)
            except (RecordUnreadable, StoreUnavailable):
                continue
            if removed:
                log.info("quarantine.removed", what="record", invitation_id=note.name)


def _kinds_of(invitation: Invitation) -> list[TaskKind]:
    """What a record of an older version, which does not say so, surely needs."""
    kinds = []
    unconfirmed = invitation.state is State.COMPLETED and not invitation.confirmed
    if invitation.state in OPEN or (unconfirmed and current_reference(invitation) is not None):
        kinds.append(TaskKind.CHECK)
    if applications_to_anonymise(invitation):
        kinds.append(TaskKind.ANONYMISE)
    return kinds
