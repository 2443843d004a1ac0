"""What is known when all is over: both ledgers, Redis as it is, and what each journey saw.

``gather`` is the only I/O here.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from bridge.app import utc_now
from bridge.core.ids import PARTITIONS
from bridge.core.invitation import OPEN, Invitation, State
from bridge.core.queueing import TaskKind
from bridge.sandbox import Application, BridgeReply, LedgerEntry
from bridge.store.invitation_store import RedisInvitations
from bridge.store.key_names import KeyNames, build_lane_name
from bridge.store.quarantine import RedisQuarantine
from bridge.store.redis_access import RedisAccess
from bridge.store.task_queue import RedisTasks
from tests.chaos.actors import Round
from tests.chaos.faults import Incident
from tests.chaos.plan import CUSTOMERS, MAIL, MARK
from tests.chaos.scene import Scene
from tests.chaos.stage import PREFIX, Stage, secret_of, token_of
from tests.flows.conftest import CRASHES, everything

FINAL_TRIES = 20


@dataclass(slots=True)
class Evidence:
    """Everything that the audit compares; times are ``perf_counter`` except in records."""

    rounds: list[Round]
    applications: Mapping[str, Application]
    makers: Mapping[str, int]
    """Reference id -> the process that asked Equalture for it."""
    creates: list[LedgerEntry]
    """Calls that Equalture got to make an application."""
    reads: list[LedgerEntry]
    """softgarden's readings of results."""
    notifications: list[LedgerEntry]
    answers: list[LedgerEntry]
    """Every call that a vendor made to the bridge."""
    records: Mapping[str, Invitation]
    finals: Mapping[str, BridgeReply]
    """Invitation id -> the result as softgarden reads it in the end."""
    redis: str
    """Every key and value."""
    dead: frozenset[tuple[str, TaskKind]] = frozenset()
    incidents: list[Incident] = field(default_factory=list)
    stalls: list[Incident] = field(default_factory=list)
    """When this process itself was too slow to answer as a vendor."""
    steps: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    """Log lines of bugs."""
    leaks: list[str] = field(default_factory=list)
    """Log files with something private in them."""
    planted: Counter[tuple[int, str]] = field(default_factory=Counter)
    """How often what was damaged: partitions, and names."""
    put_aside: frozenset[tuple[int, str]] = frozenset()
    """The same names, as the quarantine lists it."""
    said: Counter[str] = field(default_factory=Counter)
    """How often the log says of which name, or whole key, that it was put aside."""
    unkept: list[str] = field(default_factory=list)
    """Promises that a strike saw broken."""
    restored: tuple[float, float] | None = None
    """When the backup was made that was restored, and when Redis was back with it."""


async def unsettled(
    commands: RedisAccess, rounds: Iterable[Round], mended: Collection[str] = ()
) -> Counter[str]:
    """What still has to happen before the end can be judged: tasks that are owed, invitations still
    open, notes on records that were *mended*.
    """
    found: Counter[str] = Counter()
    for partition in range(PARTITIONS):
        keys = KeyNames(PREFIX, partition)
        kinds = (TaskKind.NOTIFY, TaskKind.ANONYMISE)
        lanes = [(customer, kind) for customer in CUSTOMERS for kind in kinds]
        queues = [
            (kind, queue)
            for customer, kind in lanes
            for queue in keys.queues(build_lane_name(customer, kind))
        ]
        counts = await commands.run_all([("ZCARD", queue) for _, queue in queues])
        for (kind, _), count in zip(queues, counts, strict=True):
            found[f"{kind} tasks"] += count
    wanted = {known.invitation_id: known.due for known in rounds if known.due is not None}
    async for invitation in store_of(commands).scan():
        due = wanted.get(invitation.id)
        if due is not None and (
            invitation.state in OPEN
            or (due == "COMPLETED" and invitation.state is not State.COMPLETED)
        ):
            found[f"invitations {invitation.state}"] += 1
    async for note in RedisQuarantine(commands, PREFIX).notes():
        found["notes on mended records"] += note.name in mended
    return +found


def store_of(commands: RedisAccess) -> RedisInvitations:
    """The bridge's records."""
    return RedisInvitations(commands, prefix=PREFIX, retention=timedelta(days=1), clock=utc_now)


async def gather(
    scene: Scene, commands: RedisAccess, incidents: list[Incident], stalls: list[Incident]
) -> Evidence:
    """Read it all together."""
    stage, rounds = scene.stage, [*scene.rounds()]
    softgarden, equalture = stage.softgarden, stage.equalture
    told = {
        known.invitation_id: known.customer for known in rounds if known.invitation_id is not None
    }
    replies = await _finals(stage, told)
    queue = RedisTasks(commands, prefix=PREFIX, retention=timedelta(days=1))
    dead = frozenset([(letter.invitation_id, letter.kind) async for letter in queue.dead_letters()])
    records = {invitation.id: invitation async for invitation in store_of(commands).scan()}
    logs = [bridge.log for bridge in stage.bridges]
    crashes, leaks, said = await asyncio.to_thread(_read_logs, logs)
    notes = RedisQuarantine(commands, PREFIX).notes()
    made = [
        entry
        for entry in (*softgarden.ledger.entries, *equalture.ledger.entries)
        if entry.direction == "made"
    ]
    return Evidence(
        rounds=rounds,
        applications=equalture.applications,
        makers=equalture.makers,
        creates=equalture.calls("create"),
        reads=softgarden.calls("results"),
        notifications=softgarden.calls("notify"),
        answers=made,
        records=records,
        finals=replies,
        redis=await everything(commands),
        dead=dead,
        incidents=incidents,
        stalls=stalls,
        steps=sorted(softgarden.steps),
        violations=[*equalture.violations, *softgarden.violations],
        crashes=crashes,
        leaks=leaks,
        planted=scene.planted,
        put_aside=frozenset([(note.partition, note.name) async for note in notes]),
        said=said,
        unkept=scene.unkept,
        restored=scene.restored,
    )


async def _finals(stage: Stage, told: Mapping[str, str]) -> dict[str, BridgeReply]:
    turns = asyncio.Semaphore(20)

    async def read(invitation_id: str, customer: str) -> tuple[str, BridgeReply]:
        async with turns:
            return invitation_id, await stage.softgarden.read(customer, invitation_id, FINAL_TRIES)

    return dict(await asyncio.gather(*(read(*each) for each in told.items())))


def _read_logs(paths: list[Path]) -> tuple[list[str], list[str], Counter[str]]:
    private = [MARK, f"@{MAIL}", *map(token_of, CUSTOMERS), *map(secret_of, CUSTOMERS)]
    crashes: list[str] = []
    leaks: list[str] = []
    said: Counter[str] = Counter()
    for path in paths:
        text = path.read_text("utf-8", "replace")
        leaks += [f"{word} in {path}" for word in private if word in text]
        for line in text.splitlines():
            entry = _parse(line)
            if any(crash in line for crash in CRASHES) or entry is None:
                crashes.append(f"{path.name}: {line[:2000]}")
            elif entry.get("event") == "quarantine.added":
                said[entry.get("name") or entry.get("task_id") or entry["key"]] += 1
    return crashes, leaks, said


def _parse(line: str) -> dict[str, Any] | None:
    # Whatever comes past the log (a traceback, a warning of the interpreter) is nothing that should
    # happen.
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return entry


def keep(evidence: Evidence, folder: Path) -> None:
    """Write what was compared beside the logs, for whoever looks into a broken promise."""
    entries = {
        "creates": evidence.creates,
        "reads": evidence.reads,
        "notifications": evidence.notifications,
        "made": evidence.answers,
    }
    for name, found in entries.items():
        lines = (json.dumps(asdict(entry), default=str) for entry in found)
        (folder / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    (folder / "records.txt").write_text("\n".join(map(repr, evidence.records.values())), "utf-8")
    (folder / "rounds.txt").write_text("\n".join(map(repr, evidence.rounds)), "utf-8")
    (folder / "incidents.txt").write_text("\n".join(map(repr, evidence.incidents)), "utf-8")


def by_order(evidence: Evidence) -> list[tuple[Round, list[LedgerEntry]]]:
    """Each round with the creates of its order, in the order in which they began."""
    rounds: defaultdict[str, list[Round]] = defaultdict(list)
    for known in evidence.rounds:
        rounds[known.email].append(known)
    creates: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in sorted(evidence.creates, key=lambda entry: entry.began):
        creates[entry.request_json["applicant_details"]["email"]].append(entry)
    found = []
    for email, of_candidate in rounds.items():
        ends = [later.begun for later in of_candidate[1:]] + [float("inf")]
        for known, end in zip(of_candidate, ends, strict=True):
            found.append(
                (known, [entry for entry in creates[email] if known.begun <= entry.began < end])
            )
    return found
