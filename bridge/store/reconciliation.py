"""Compares records with queues, and mends what eviction, a partial restore or a hand in Redis has
taken away.

Every record says in its head which tasks the queue must hold (see ``common.lua``). A task that is
in neither queue nor among the dead letters is queued again, due now: its handler finds out what is
to be done. The index of lanes follows from the queues. Nothing here decides: what a record does not
say is not invented.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from bridge.core import ids
from bridge.core.invitation import OPEN, Invitation, State
from bridge.core.lifecycle.attempts import applications_to_anonymise, current_reference
from bridge.core.queueing import ReconciliationReport, TaskKind
from bridge.errors import RecordDamaged, RecordUnreadable, StoreUnavailable
from bridge.ports import Clock
from bridge.store import key_names, lua_scripts, record_codec
from bridge.store.encryption import Cipher
from bridge.store.quarantine import RedisQuarantine
from bridge.store.redis_access import RedisAccess

BATCH: Final = 100
LATEST: Final = timedelta(days=800)
"""A task that is due later than this was not queued by us: no setting makes one wait so long."""
_LOCK_MS: Final = 60_000
_BY_LETTER: Final = {kind.value[0]: kind for kind in TaskKind}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Expected:
    """A task that the queue must hold."""

    names: key_names.KeyNames
    invitation_id: str
    kind: TaskKind
    lane: str
    version: int

    def questions(self) -> list[lua_scripts.Command]:
        normal, urgent = self.names.queues(self.lane)
        return [
            ("ZSCORE", normal, self.invitation_id),
            ("ZSCORE", urgent, self.invitation_id),
            ("ZSCORE", self.names.dead, key_names.task(self.invitation_id, self.kind)),
        ]


class Reconciliation:
    """One walk through all keys of the bridge; may run beside daemons and beside itself."""

    def __init__(
        self, commands: RedisAccess, *, prefix: str, clock: Clock, cipher: Cipher | None = None
    ) -> None:
        self._commands = commands
        self._keys = key_names.all_keys(prefix)
        self._pattern = key_names.invitation_pattern(prefix).removesuffix("iv:*") + "*"
        self._lock = f"{prefix}:reconcile"
        self._clock = clock
        self._cipher = cipher
        self._quarantine = RedisQuarantine(commands, prefix)

    async def claim(self, owner: str) -> bool:
        """Whether this process is the one that walks now; the claim lasts a minute after the last
        step.
        """
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
        async for batch in self._commands.scan_in_batches(self._pattern, BATCH):
            found = dict.fromkeys(batch)
            await self._walk_records([key for key in found if _is(key, "iv:")], tally, dry_run)
            lanes = [
                (place[0], place[1][4:])
                for key in found
                if _is(key, "due:") and (place := key_names.split(key))
            ]
            await self._reindex(lanes, tally, dry_run)
            if pause is not None:
                await pause()
                await self._commands.run(("PEXPIRE", self._lock, _LOCK_MS))
        await self._take_back_notes(dry_run)
        return tally

    async def _walk_index(self, tally: ReconciliationReport, dry_run: bool) -> None:
        """Lanes whose queue is gone, and dead letters whose text is."""
        indexes = await self._commands.run_each(
            [("ZRANGE", names.lanes, 0, -1) for names in self._keys]
        )
        letters = await self._commands.run_each(
            [("ZRANGE", names.dead, 0, -1) for names in self._keys]
        )
        tally.incomplete = any(isinstance(answer, Exception) for answer in (*indexes, *letters))
        for names, lanes, tasks in zip(self._keys, indexes, letters, strict=True):
            if isinstance(lanes, list):
                known = [lane.decode() for lane in lanes if key_names.is_lane(lane)]
                await self._reindex([(names, lane) for lane in known], tally, dry_run)
            if isinstance(tasks, list):
                await self._forget_letters(names, tasks, tally, dry_run)

    async def _forget_letters(
        self,
        names: key_names.KeyNames,
        tasks: list[bytes],
        tally: ReconciliationReport,
        dry_run: bool,
    ) -> None:
        for start in range(0, len(tasks), BATCH):
            batch = tasks[start : start + BATCH]
            there = await self._commands.run_each(
                [
                    ("EXISTS", names.dead_letter(task.decode("utf-8", "backslashreplace")))
                    for task in batch
                ]
            )
            gone = [task for task, exists in zip(batch, there, strict=True) if exists == 0]
            tally.forgotten += len(gone)
            if gone and not dry_run:
                await self._commands.run_each([("ZREM", names.dead, *gone)])

    async def _reindex(
        self,
        lanes: Iterable[tuple[key_names.KeyNames, str]],
        tally: ReconciliationReport,
        dry_run: bool,
    ) -> None:
        lanes = [(names, lane) for names, lane in lanes if key_names.is_lane(lane.encode())]
        if dry_run:
            questions: list[lua_scripts.Command] = []
            for names, lane in lanes:
                questions += [
                    ("ZRANGE", names.due(lane), 0, 0, "WITHSCORES"),
                    ("ZSCORE", names.lanes, lane),
                ]
            answers = await self._commands.run_each(questions)
            wrong = [
                _first(answers[2 * n]) != _score(answers[2 * n + 1]) for n in range(len(lanes))
            ]
        else:
            calls = [
                lua_scripts.REINDEX.call([names.due(lane), names.lanes], [lane])
                for names, lane in lanes
            ]
            wrong = [answer == 1 for answer in await self._commands.run_each(calls)]
        tally.reindexed += [
            names.base + lane for (names, lane), bad in zip(lanes, wrong, strict=True) if bad
        ]

    async def _walk_records(
        self, found: list[str], tally: ReconciliationReport, dry_run: bool
    ) -> None:
        expected: list[_Expected] = []
        for key, value in zip(
            found, await self._commands.run_each([("GET", key) for key in found]), strict=True
        ):
            if isinstance(value, Exception):
                tally.incomplete = True
            elif value is not None:
                tally.records += 1
                expected += await self._expected(key, value, tally)
        questions = [question for one in expected for question in one.questions()]
        answers = await self._commands.run_each(questions)
        latest = record_codec.to_ms(self._clock() + LATEST)
        for number, one in enumerate(expected):
            places = answers[3 * number : 3 * number + 3]
            if any(isinstance(place, Exception) for place in places):
                tally.incomplete = True
                continue
            scores = [_score(place) for place in places]
            if any(score is not None and score <= latest for score in scores):
                continue
            try:
                wrong = dry_run or await self._requeue(
                    one, stuck=any(score is not None for score in scores)
                )
            except StoreUnavailable:  # of this partition; the others are mended all the same
                tally.incomplete = True
                continue
            if wrong:
                tally.requeued.append(key_names.task(one.invitation_id, one.kind))

    async def _expected(
        self, key: str, value: bytes, tally: ReconciliationReport
    ) -> list[_Expected]:
        invitation_id = key_names.invitation_in(key)
        place = key_names.split(key)
        if place is None or ids.partition_in(invitation_id) is None:
            return []
        try:
            version, letters, data = record_codec.read_head(value, invitation_id)
            if letters is None:
                kinds = _kinds_of(
                    record_codec.load_invitation(invitation_id, version, data, self._cipher)
                )
            else:
                kinds = [_BY_LETTER[letter] for letter in letters if letter in _BY_LETTER]
            customer = record_codec.customer_of(data, invitation_id)
        except RecordDamaged:
            tally.damaged.append(invitation_id)
            partition = ids.partition_in(invitation_id) or 0
            with contextlib.suppress(StoreUnavailable):  # noted by the next walk then
                await self._quarantine.add(
                    partition, invitation_id, "record", "it is no record", self._clock()
                )
            return []
        except (
            RecordUnreadable
        ):  # a newer version's, or sealed with another key: theirs to look after
            return []
        names, _ = place
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
                one.names.invitation(one.invitation_id),
                normal,
                urgent,
                one.names.tasks,
                one.names.lanes,
                one.names.dead,
            ],
            [one.invitation_id, one.kind, one.lane, one.version, record_codec.to_ms(self._clock())],
        )
        return bool(await self._commands.run(call))

    async def _take_back_notes(self, dry_run: bool) -> None:
        """A record that was repaired is no longer in quarantine."""
        async for note in self._quarantine.notes():
            if note.what != "record" or dry_run:
                continue
            names = self._keys[note.partition]
            try:
                value = await self._commands.run(("GET", names.invitation(note.name)))
                if value is not None:
                    version, _, data = record_codec.read_head(value, note.name)
                    record_codec.load_invitation(note.name, version, data, self._cipher)
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


def _is(key: str, beginning: str) -> bool:
    place = key_names.split(key)
    return place is not None and place[1].startswith(beginning)


def _score(answer: Any) -> float | None:
    return None if answer is None or isinstance(answer, Exception) else float(answer)


def _first(answer: Any) -> float | None:
    """The score in the answer to ZRANGE WITHSCORES, in either shape that redis-py gives."""
    if not isinstance(answer, list) or not answer:
        return None
    return float(answer[0][1] if isinstance(answer[0], (tuple, list)) else answer[1])
