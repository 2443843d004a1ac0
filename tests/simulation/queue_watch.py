"""Looks at every script that changes the queue: leases, due times, attempts, lanes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.core.ids import read_partition
from bridge.core.invitation import OPEN, Invitation, State
from bridge.core.lifecycle.attempts import list_applications_to_anonymise
from bridge.core.queueing import TaskKind, format_task_id, parse_task_id
from bridge.store import key_names, lua_scripts
from bridge.store.key_names import PartitionKeyNames, decode_name, split_key
from bridge.store.lua_scripts import Command
from bridge.store.record_codec import load_dead_letter
from tests.simulation.damaged_entries import DAMAGES, DamagedEntries
from tests.simulation.key_changes import KEY_CHANGES
from tests.simulation.memory_redis import MemoryRedis
from tests.simulation.older_version import DEPLOY, ROLL_BACK
from tests.simulation.partial_outages import OUTAGES
from tests.simulation.redis_link import REDIS_UNWELL
from tests.simulation.stage_settings import RETRY_S

LEASE_S: Final = 10.0
"""How long a lease lasts without a heartbeat, as the bridge says."""
SKEW_S: Final = 0.5
"""By how much the times of two processes may differ."""
JUMPED_S: Final = 8.5
"""By how much more where Redis's clock was set a moment ago, perhaps twice."""
JITTER: Final = 0.2
SETTLES_S: Final = 0.3
"""From when a pause is chosen until Redis has it."""
ENDS_WELL: Final = (
    "process restarted",
    "a customer's file is broken",
    DEPLOY,
    ROLL_BACK,
    *KEY_CHANGES,
)
"""When processes give back what they have perhaps begun."""
LOSES_LEASES: Final = (
    *ENDS_WELL,
    "process killed",
    "process stands still",
    "all processes killed",
    "a start without Redis",
    *REDIS_UNWELL,
    "Redis's clock jumps",
    *DAMAGES,
    *OUTAGES,
)
"""What keeps a process from saying that it still works on a task."""
AT_ONCE: Final = ("rejected", "callback_not_allowed", "poisoned")
"""Why a notification is given up before its plan ends."""
_SCRIPTS: Final = {
    name: one.name for one in lua_scripts.BY_SHA.values() for name in (one.sha, one.text)
}
Task = tuple[str, TaskKind]


@dataclass(slots=True)
class HeldLease:
    """Who holds a task, and until when, as that was last said."""

    owner: str
    stamp: str
    until_ms: float


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What the watch has to know of its world."""

    now: Callable[[], float]
    redis_ms: Callable[[], int]
    complain: Callable[[str, str, str], None]
    """Is told of a broken promise: which one, how, and of which invitation."""
    is_near: Callable[..., bool]
    """Whether trouble of these kinds explains what happens at a time."""
    may_be_news: Callable[[float, str], bool]
    """Whether a process may not have noticed until then what happened."""
    damaged: DamagedEntries
    """What somebody has written into the queues."""
    may_wait: Callable[[int, float], bool]
    """Whether work of a partition may wait at a time, as trouble of this partition alone."""
    records: Mapping[str, Invitation]
    """Every invitation as it was last committed."""
    calls: Mapping[str, int]
    """How often softgarden was notified of each invitation, whatever it answered."""
    accepted: Mapping[str, int]
    """How often it took such a notification."""


class QueueWatch:
    """Follows every task through the scripts that Redis runs, and says what cannot be right."""

    def __init__(self, redis: MemoryRedis, facts: QueueFacts) -> None:
        self.takeovers = 0
        """How often a lease ran out, and another process took the task."""
        self.processes_end = False
        """Whether all end now, in good order: what they give back was perhaps begun."""
        self._redis = redis
        self._facts = facts
        self._partitions = PartitionKeyNames("bridge")
        self._leases: dict[Task, HeldLease] = {}
        self._granted: set[tuple[Task, str, str]] = set()
        self._due_ms: dict[Task, float] = {}
        """When tasks become due that are not leased, or were renewed since."""
        self._commits: dict[str, str] = {}
        self._set_back: set[str] = set()
        """Of these Redis may have forgotten attempts."""
        self._ended: dict[str, tuple[object, ...]] = {}
        """What of an invitation softgarden has to know."""
        self._before: dict[str, tuple[int, int]] = {}
        """How often softgarden had been called, and had accepted, when a NOTIFY became due."""
        self._attempts: dict[str, int] = {}
        self._lost: Counter[str] = Counter()
        """NOTIFY tasks whose call was perhaps made, and whose process could not say so."""
        self._unsent: Counter[str] = Counter()
        """How many calls passed for made, as far as the process knew, and were not."""

    def look(self, command: Command, answer: Any) -> None:
        """After a command, and after ``RecordWatch`` has looked at it."""
        name = _SCRIPTS.get(command[1]) if command[0] in ("EVALSHA", "EVAL") else None
        if name is None or name == "peek" or isinstance(answer, Exception):
            return
        first = 3 + int(command[2])
        keys = [str(key) for key in command[3:first]]
        args = [
            part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
            for part in command[first:]
        ]
        match name:
            case "commit" if answer in (1, 2):
                self._see_commit(args, leased=answer == 2)
            case "settle":
                self._check_granted((args[0], TaskKind(args[1])), args[3], args[4])
                if answer == 1:
                    self._see_settlement(args)
            case "lease":
                self._see_leases(keys, args, answer or [])
            case "extend" if answer == 1:
                self._extend(_task(args[1]), args[3], args[4], float(args[5]))
            case "take" if answer:
                taken = (args[0], parse_task_id(args[1])[1])
                self._due_ms.pop(taken, None)
                self._grant(taken, args[5], str(int(answer[0])), float(args[4]))
            case "requeue_lost_task" if answer == 1 and args[5] == "0":
                lost = (args[0], TaskKind(args[1]))
                self._start_counting(lost)
                self._due_ms[lost] = 0.0
            case "bring_forward" | "end_dead_letter" | "make_lane_due":
                self._due_ms = dict.fromkeys(self._due_ms, 0.0)  # any of them may be due now
        self._check_lanes(keys)

    def forget(self, invitations: Iterable[str]) -> None:
        """Redis has gone back to an earlier moment as far as these are concerned, and
        ``RecordWatch`` with it.
        """
        invitations = set(invitations)
        self.forget_attempts(invitations)
        # A notification of an earlier end may be there again, with the calls that it had.
        self._before = {one: had for one, had in self._before.items() if one not in invitations}
        held = (one for one, kind in self._leases if kind is TaskKind.NOTIFY)
        self._set_back.update(held)
        self._leases.clear()
        self._due_ms = dict(self._list_renewed())
        self._commits.clear()
        self._ended = {
            one.id: (one.state, one.corrected_at)
            for one in self._facts.records.values()
            if one.state in (State.EXPIRED, State.COMPLETED) and one.issued
        }

    def forget_attempts(self, invitations: Iterable[str]) -> None:
        """How often these tasks were tried was lost."""
        self._set_back.update(invitations)

    def _list_renewed(self) -> Iterator[tuple[Task, float]]:
        """The tasks that were queued again during a lease, by their entries."""
        for names in self._partitions:
            found = iter(self._redis.execute(("HGETALL", names.tasks)))
            for task_id, entry in zip(found, found, strict=True):
                parts = decode_name(entry).split("|", 5)
                if len(parts) == 6 and parts[3]:
                    yield parse_task_id(decode_name(task_id)), float(parts[3])

    # What scripts did

    def _see_commit(self, args: list[str], *, leased: bool) -> None:
        invitation_id, commit, ending = args[1], args[6], args[17]
        again = self._commits.get(invitation_id) == commit
        self._commits[invitation_id] = commit
        if not again:
            if ending:
                self._check_granted((invitation_id, TaskKind(ending)), args[18], args[19])
                self._end((invitation_id, TaskKind(ending)), args[18], args[19], done=True)
            for at in range(20, len(args), 5):
                change, kind, due = args[at], TaskKind(args[at + 1]), float(args[at + 3])
                task = (invitation_id, kind)
                if change == "due":
                    self._due_ms[task] = due
                    self._start_counting(task)
                elif change == "cancel":
                    self._leases.pop(task, None)
                    self._due_ms.pop(task, None)
        if leased:
            task = (invitation_id, TaskKind(args[13]))
            self._grant(task, args[14], args[15], float(args[16]))
        self._check_needs(invitation_id)

    def _see_settlement(self, args: list[str]) -> None:
        task = invitation_id, kind = args[0], TaskKind(args[1])
        outcome, renewed = args[5], task in self._due_ms
        held = self._leases.get(task)
        if held is not None and (held.owner, held.stamp) != (args[3], args[4]):
            self._complain("one at a time", task, "ended by one who does not hold it")
        self._end(task, args[3], args[4], done=outcome == "done" and not renewed)
        if kind is TaskKind.NOTIFY and not renewed and outcome != "done":
            self._check_attempts(invitation_id, outcome, args)
        if outcome == "again" and not renewed:
            self._due_ms[task] = float(args[6])
        if invitation_id in self._facts.records:
            self._check_needs(invitation_id)

    def _see_leases(self, keys: list[str], args: list[str], answer: Sequence[Any]) -> None:
        for at in range(0, len(answer), 4):
            lane = args[5 + 3 * int(answer[at])]
            task = (decode_name(answer[at + 1]), TaskKind(lane.rpartition("/")[2]))
            if read_partition(task[0]) is None:  # written by somebody, perhaps into two queues
                self._granted.add((task, args[2], args[3]))
                continue
            due_ms = self._due_ms.pop(task, None)
            early_s = 0.0 if due_ms is None else (due_ms - self._facts.redis_ms()) / 1000
            if early_s > self._get_slack() and task not in self._leases:
                self._complain("plan", task, f"begun {early_s:.1f} s before it is due")
            self._grant(task, args[2], args[3], float(args[1]))

    def _grant(self, task: Task, owner: str, stamp: str, until_ms: float) -> None:
        before = self._leases.get(task)
        if before is not None and (before.owner, before.stamp) != (owner, stamp):
            self.takeovers += 1
            left_s = (before.until_ms - self._facts.redis_ms()) / 1000
            if left_s > self._get_slack():
                how = f"leased again {left_s:.1f} s before its lease ends"
                self._complain("one at a time", task, how)
            elif not self._may_have_been_lost(before):
                self._complain("one at a time", task, "its lease ran out, and its process lives")
            if task[1] is TaskKind.NOTIFY:
                self._lost[task[0]] += 1
        self._due_ms.pop(task, None)
        self._leases[task] = HeldLease(owner, stamp, until_ms)
        self._granted.add((task, owner, stamp))

    def _extend(self, task: Task, owner: str, stamp: str, until_ms: float) -> None:
        held = self._leases.get(task)
        if held is not None and (held.owner, held.stamp) == (owner, stamp):
            held.until_ms = until_ms

    def _end(self, task: Task, owner: str, stamp: str, *, done: bool) -> None:
        held = self._leases.get(task)
        if held is None or (held.owner, held.stamp) != (owner, stamp):
            return
        del self._leases[task]
        invitation_id, kind = task
        record = self._facts.records.get(invitation_id)
        if not done or kind is not TaskKind.NOTIFY or record is None:
            return
        accepted = self._before.get(invitation_id, (0, 0))[1]
        is_told = self._facts.accepted.get(invitation_id, 0) > accepted
        if record.state in (State.EXPIRED, State.COMPLETED) and not is_told:
            self._complain("notified", task, "done, and softgarden has not taken it")

    # What must hold

    def _check_granted(self, task: Task, owner: str, stamp: str) -> None:
        if (task, owner, stamp) not in self._granted:
            self._complain("one at a time", task, "done by one who never held it")

    def _start_counting(self, task: Task) -> None:
        invitation_id, kind = task
        if kind is TaskKind.NOTIFY:
            facts = self._facts
            self._before[invitation_id] = (
                facts.calls.get(invitation_id, 0),
                facts.accepted.get(invitation_id, 0) if task not in self._leases else 0,
            )
            self._attempts.pop(invitation_id, None)
            self._unsent.pop(invitation_id, None)
            self._lost[invitation_id] = task in self._leases

    def _check_attempts(self, invitation_id: str, outcome: str, args: list[str]) -> None:
        """What is told as attempts are calls that were made, and the plan is kept."""
        task = (invitation_id, TaskKind.NOTIFY)
        made = self._facts.calls.get(invitation_id, 0)
        made -= self._before.get(invitation_id, (0, 0))[0]
        reason = ""
        if outcome == "dead":
            letter = load_dead_letter(invitation_id, TaskKind.NOTIFY, args[8].encode())
            attempts, reason = letter.attempts, letter.reason
        else:
            attempts = int(args[7])
        # A process that stood still while it connected cannot know that nothing was sent.
        if attempts == made + self._unsent[invitation_id] + 1:
            self._unsent[invitation_id] += self._is_near("process stands still")
        if attempts > made + self._unsent[invitation_id]:
            self._complain("attempts", task, f"{attempts} are told, {made} were made")
        before = self._attempts.get(invitation_id, 0)
        if attempts == before and (self.processes_end or self._is_near(*ENDS_WELL)):
            self._lost[invitation_id] += 1
        untold = made > attempts + self._lost[invitation_id]
        if untold and invitation_id not in self._set_back:
            self._complain("attempts", task, f"{made} were made, {attempts} are told")
        if reason:
            if attempts <= len(RETRY_S) and reason not in AT_ONCE:
                self._complain("plan", task, f"given up after {attempts} attempts: {reason}")
        elif attempts > len(RETRY_S):
            self._complain("plan", task, f"again after {attempts} attempts")
        elif attempts == before + 1:
            pause_s = (float(args[6]) - self._facts.redis_ms()) / 1000
            least_s = (1 - JITTER) * RETRY_S[attempts - 1] - SETTLES_S
            if pause_s < least_s and not self._is_near(*LOSES_LEASES):
                self._complain("plan", task, f"attempt {attempts + 1} after {pause_s:.1f} s")
        self._attempts[invitation_id] = attempts

    def _check_needs(self, invitation_id: str) -> None:
        """No record is without the task that it needs, in the very commit that makes it need it."""
        record = self._facts.records[invitation_id]
        if record.state in OPEN and not self._is_queued(record, TaskKind.CHECK):
            self._complain("task", (record.id, TaskKind.CHECK), f"{record.state} without a task")
        if list_applications_to_anonymise(record) and not self._is_queued(
            record, TaskKind.ANONYMISE
        ):
            self._complain("task", (record.id, TaskKind.ANONYMISE), f"{record.state} without it")
        if record.state in (State.EXPIRED, State.COMPLETED) and record.issued:
            ended = (record.state, record.corrected_at)
            if self._ended.get(record.id) != ended and not self._is_queued(record, TaskKind.NOTIFY):
                self._complain("task", (record.id, TaskKind.NOTIFY), f"{record.state} without it")
            self._ended[record.id] = ended

    def _is_queued(self, record: Invitation, kind: TaskKind) -> bool:
        names = self._partitions.of(record.id)
        assert names is not None
        queues = names.queues(key_names.build_lane_name(record.customer, kind))
        return (
            any(self._redis.read_score(queue, record.id) is not None for queue in queues)
            or self._redis.read_score(names.dead, format_task_id(record.id, kind)) is not None
        )

    def _check_lanes(self, keys: list[str]) -> None:
        """The index of lanes says when the first task of each is due."""
        for key in keys:
            base, found, lane = key.partition("due:")
            if found:
                first = self._redis.read_score(key)
                listed = self._redis.read_score(f"{base}lanes", lane)
                place = split_key(key)
                damaged = self._facts.damaged
                if first != listed and not (
                    place and damaged.holds_nonsense(place[0].partition, self._facts.now())
                ):
                    self._facts.complain("task", f"{lane} is listed for {listed}, not {first}", "")

    def list_overdue(self, limit_s: float) -> list[str]:
        """Lanes whose first task has been due for longer than this."""
        at = self._facts.redis_ms() - 1000 * limit_s
        return [
            f"{lane} since {(self._facts.redis_ms() - due) / 1000:.1f} s"
            for names in self._partitions
            if not self._facts.may_wait(names.partition, self._facts.now())
            for lane in self._redis.list_members(names.lanes)
            if (due := self._redis.read_score(names.lanes, lane) or 0) < at
        ]

    def list_strays(self) -> list[str]:
        """Tasks without a record."""
        strays = []
        for names in self._partitions:
            for lane in self._redis.list_members(names.lanes):
                for member in self._redis.list_members(names.due(lane)):
                    if not self._redis.exists(names.invitation(member)):
                        strays.append(f"{member} in {lane}")
        return strays

    def _get_slack(self) -> float:
        """Processes ask Redis for its time four times a minute."""
        now, jumps = self._facts.now(), "Redis's clock jumps"
        jumped = any(self._facts.may_be_news(at, jumps) for at in (now, now - LEASE_S))
        return SKEW_S + (JUMPED_S if jumped else 0.0)

    def _may_have_been_lost(self, held: HeldLease) -> bool:
        """Whether trouble explains that nobody ended it, now or when it ran out: a task that was
        queued again meanwhile is leased only when it is due.
        """
        now = self._facts.now()
        ran_out = now - (self._facts.redis_ms() - held.until_ms) / 1000
        moments = (now, now - LEASE_S, ran_out, ran_out - LEASE_S)
        return any(self._facts.is_near(at, *LOSES_LEASES) for at in moments)

    def _is_near(self, *kinds: str) -> bool:
        return self._facts.is_near(self._facts.now(), *kinds)

    def _complain(self, promise: str, task: Task, how: str) -> None:
        now = self._facts.now()
        if not self._facts.damaged.concerns(task[0], now - LEASE_S, now):
            self._facts.complain(promise, f"{task[1]}: {how}", task[0])


def _task(text: str) -> Task:
    return parse_task_id(text)
