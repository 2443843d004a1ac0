"""A record never stays without its task: what got lost is found and queued again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.core.assessment import Result
from bridge.core.invitation import CreateAttempt, CreateOutcome, Invitation, State, Transition
from bridge.core.queueing import CancelTask, GiveUpTask, ReconciliationReport, TaskDone, TaskKind
from bridge.errors import StoreUnavailable
from bridge.store import key_names
from bridge.store.quarantine import RedisQuarantine
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import RedisAccess
from bridge.sweep import Sweep
from tests.store.conformance import ANONYMISE, CHECK, MINUTE, NOTIFY, NOW, Backend, due, lease, put
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis
ASKABLE = (CreateAttempt(1, "d" * 64, NOW, CreateOutcome.CREATED, "r"),)


@pytest.fixture
def backend(real_commands: RedisAccess) -> Backend:
    return redis_backend(real_commands)


@pytest.fixture
def reconciliation(real_commands: RedisAccess, prefix: str, backend: Backend) -> Reconciliation:
    return Reconciliation(real_commands, prefix=prefix, clock=backend.clock)


async def queued(backend: Backend) -> set[tuple[str, TaskKind]]:
    return {(mine.invitation_id, mine.kind) for mine in await lease(backend, NOW + MINUTE)}


async def test_nothing_is_wrong(backend: Backend, reconciliation: Reconciliation) -> None:
    """Where every task is in its place nothing is changed, whatever became of the tasks."""
    one = await put(backend, due(), due(NOTIFY, urgent=True), due(ANONYMISE))
    other = await put(backend, due(), due(NOTIFY))
    for mine in await lease(backend):
        if mine.invitation_id == other.id:
            await backend.tasks.settle(
                mine, TaskDone() if mine.kind is CHECK else GiveUpTask("no"), NOW
            )
    assert await backend.invitations.commit(Transition(one, (CancelTask(NOTIFY),)))
    gone = await put(backend, due(NOTIFY))
    (mine,) = await lease(backend)
    await backend.tasks.settle(mine, GiveUpTask("no"), NOW)
    assert await backend.tasks.drop(gone.id, NOTIFY)
    found = await reconciliation.run()
    assert (found.records, found.repairable, found.damaged, found.incomplete) == (3, 0, [], False)


@pytest.mark.parametrize("loss", ["queues", "members", "leases and all", "index"])
async def test_lost_tasks(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    reconciliation: Reconciliation,
    loss: str,
) -> None:
    """Whatever of the queue got lost, each task is queued once, and a dry run says the same and
    changes nothing.
    """
    one = await put(backend, due(), due(NOTIFY, urgent=True))
    every = {(one.id, CHECK), (one.id, NOTIFY)}
    queues = [names.due("acme/check"), names.due("acme/notify/urgent")]
    if loss == "leases and all":
        await lease(backend)
        await real_commands.run(("DEL", *queues, names.tasks, names.lanes))
    elif loss == "queues":
        await real_commands.run(("DEL", *queues))
    elif loss == "members":
        for queue in queues:
            await real_commands.run(("ZREM", queue, one.id))
    else:
        await real_commands.run(("DEL", names.lanes))
    assert await queued(backend) == set()
    dry = await reconciliation.run(dry_run=True)
    assert await queued(backend) == set()
    found = await reconciliation.run()
    assert (found.requeued, bool(found.reindexed)) == (dry.requeued, bool(dry.reindexed))
    assert await queued(backend) == every
    assert (await reconciliation.run()).requeued == []


async def test_lost_dead_letter(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    reconciliation: Reconciliation,
) -> None:
    """A task whose dead letter was taken away is queued again; one that is a dead letter is not."""
    one = await put(backend, due(NOTIFY))
    (mine,) = await lease(backend)
    await backend.tasks.settle(mine, GiveUpTask("no"), NOW)
    assert (await reconciliation.run()).repairable == 0
    await real_commands.run(("DEL", names.dead_letter(f"{one.id}:notify")))
    found = await reconciliation.run()
    assert (found.forgotten, found.requeued) == (1, [f"{one.id}:notify"])
    assert await queued(backend) == {(one.id, NOTIFY)}


async def test_never(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    reconciliation: Reconciliation,
) -> None:
    """A task that is queued for a time that never comes, and a lane that is, are due again."""
    one = await put(backend, due())
    await real_commands.run(("ZADD", names.due("acme/check"), "1e20", one.id))
    await real_commands.run(("ZADD", names.lanes, "1e20", "acme/check"))
    assert (await reconciliation.run()).requeued == [f"{one.id}:check"]
    await real_commands.run(("ZADD", names.lanes, "inf", "acme/check"))
    assert await queued(backend) == set()
    assert (await reconciliation.run()).reindexed
    assert await queued(backend) == {(one.id, CHECK)}


async def test_half_a_commit(
    backend: Backend, names: key_names.KeyNames, real_commands: RedisAccess, prefix: str
) -> None:
    """A completed record whose notification was never queued, as after a write that was cut in two,
    is notified after all.
    """
    one = await put(backend)
    done = replace(
        one, state=State.COMPLETED, result=Result(fit="high"), confirmed=True, completed_at=NOW
    )
    assert await backend.invitations.commit(Transition(done, (due(NOTIFY, urgent=True),)))
    await real_commands.run(("DEL", names.due("acme/notify/urgent"), names.lanes))
    reconciliation = Reconciliation(real_commands, prefix=prefix, clock=backend.clock)
    assert (await reconciliation.run()).requeued == [f"{one.id}:notify"]


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"state": State.INVITED}, {CHECK}),
        (
            {"state": State.COMPLETED, "result": Result(), "attempts": ASKABLE, "live_attempt": 1},
            {CHECK},
        ),
        ({"state": State.COMPLETED, "result": Result()}, set()),
        ({"state": State.COMPLETED, "result": Result(), "confirmed": True}, set()),
        ({"state": State.EXPIRED}, set()),
        ({"state": State.ERASED, "attempts": ASKABLE}, {ANONYMISE}),
    ],
)
async def test_records_of_an_older_version(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    reconciliation: Reconciliation,
    fields: dict[str, object],
    kinds: set[TaskKind],
) -> None:
    """A record that does not say what it needs gets what it surely needs, and no more."""
    one: Invitation = replace(await put(backend), **fields)  # type: ignore[arg-type]
    assert await backend.invitations.commit(Transition(one))
    key = names.invitation(one.id)
    value = await real_commands.run(("GET", key))
    await real_commands.run(("SET", key, value.replace(b":----|", b"|", 1)))
    assert {task.rpartition(":")[2] for task in (await reconciliation.run()).requeued} == kinds
    assert await queued(backend) == {(one.id, kind) for kind in kinds}


async def test_damaged_records_are_noted_and_taken_back(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    reconciliation: Reconciliation,
    prefix: str,
) -> None:
    """A walk notes damaged records, once, goes on with the others, and takes the note back when one
    was repaired.
    """
    one = await put(backend, due())
    value = await real_commands.run(("GET", names.invitation(one.id)))
    await real_commands.run(("SET", names.invitation(one.id), b"nonsense"))
    with capture_logs() as logs:
        assert [(await reconciliation.run()).damaged for _ in range(2)] == [[one.id]] * 2
    assert [line["event"] for line in logs] == ["quarantine.added"]
    quarantine = RedisQuarantine(real_commands, prefix)
    assert len([note async for note in quarantine.notes()]) == 1
    await real_commands.run(("SET", names.invitation(one.id), value))
    assert (await reconciliation.run()).damaged == []
    assert len([note async for note in quarantine.notes()]) == 0


async def test_changed_meanwhile(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    reconciliation: Reconciliation,
) -> None:
    """A task that somebody queues or finishes while the walk looks is not queued twice, nor brought
    back.
    """
    one = await put(backend, due())
    await real_commands.run(("DEL", names.due("acme/check"), names.lanes))
    await real_commands.run(("GET", names.invitation(one.id)))
    assert await backend.invitations.commit(Transition(one, (CancelTask(CHECK),)))
    assert (await reconciliation.run()).repairable == 0
    assert await queued(backend) == set()


class Walks:
    """A reconciler that counts, and is somebody else's turn, away or broken at first."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.trouble: list[Exception | None] = [
            StoreUnavailable("away"),
            ValueError("a bug"),
            None,
            None,
        ]

    async def claim(self, owner: str) -> bool:
        self.log.append(owner)
        if self.trouble and (error := self.trouble.pop(0)) is not None:
            raise error
        return len(self.trouble) == 0

    async def release(self) -> None:
        self.log.append("release")

    async def run(self, **_: object) -> ReconciliationReport:
        self.log.append("run")
        return ReconciliationReport(requeued=["iv:check"])


async def test_sweep_goes_on() -> None:
    """Redis away, a mistake or another process at it are no reason to stop; what was mended is
    said.
    """
    walks, pauses = Walks(), 0

    async def pause(_: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses > 4:
            raise StopAsyncIteration

    with capture_logs() as logs, pytest.raises((StopAsyncIteration, RuntimeError)):
        await Sweep(walks, "me", pause).run()
    assert walks.log == ["me", "me", "me", "me", "run", "release"]
    assert [line["event"] for line in logs] == ["sweep.failed", "sweep.repaired"]


async def test_one_process_walks(reconciliation: Reconciliation) -> None:
    """Of several processes one walks at a time."""
    assert await reconciliation.claim("one")
    assert not await reconciliation.claim("other")
    await reconciliation.release()
    assert await reconciliation.claim("other")


async def test_lost_hire(
    backend: Backend,
    names: key_names.KeyNames,
    real_commands: RedisAccess,
    reconciliation: Reconciliation,
) -> None:
    """A hire that no queue holds is queued again, as every other task is."""
    one = await put(backend, due(TaskKind.HIRE))
    await real_commands.run(("DEL", names.due("acme/hire")))
    assert (await reconciliation.run()).requeued == [f"{one.id}:hire"]
    assert await queued(backend) == {(one.id, TaskKind.HIRE)}


async def test_beside_an_older_daemon(
    backend: Backend, names: key_names.KeyNames, real_commands: RedisAccess
) -> None:
    """A record that a version without hires wrote again while one was queued stays whole when that
    one is settled.
    """
    one = await put(backend, due(TaskKind.HIRE))
    key = names.invitation(one.id)
    head, _, rest = (await real_commands.run(("GET", key))).partition(b":")
    assert rest.startswith(b"---h|")
    await real_commands.run(("SET", key, head + b":---" + rest[4:]))
    (mine,) = await lease(backend)
    assert await backend.tasks.settle(mine, TaskDone(), NOW)
    assert await backend.invitations.load(one.id) == one
    assert await backend.invitations.commit(Transition(one, (due(),)))
    assert (await real_commands.run(("GET", key))).partition(b":")[2].startswith(b"c---|")


class SlowSweep:
    """Redis as a sweep sees it that stands still between two questions: *meanwhile* is done."""

    def __init__(
        self,
        commands: RedisAccess,
        meanwhile: Callable[[], Awaitable[object]],
        before: str = "EXISTS",
    ) -> None:
        self._commands = commands
        self._meanwhile = meanwhile
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._commands, name)

    async def run_each(self, calls: Sequence[Any]) -> Any:
        if calls and calls[0][0] == self._before:
            await self._meanwhile()
        return await self._commands.run_each(calls)


async def test_dead_letter_that_is_ended_meanwhile(
    backend: Backend, real_commands: RedisAccess, prefix: str
) -> None:
    """A dead letter that somebody ends while the list of them is checked was not lost."""
    one = await put(backend, due(NOTIFY))
    (mine,) = await lease(backend)
    await backend.tasks.settle(mine, GiveUpTask("no"), NOW)
    slow: Any = SlowSweep(real_commands, lambda: backend.tasks.drop(one.id, NOTIFY))
    found = await Reconciliation(slow, prefix=prefix, clock=backend.clock).run()
    assert (found.forgotten, found.repairable) == (0, 0)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_task_that_is_done_meanwhile(
    backend: Backend, real_commands: RedisAccess, prefix: str, *, dry_run: bool
) -> None:
    """A task that is done between the looks at its record and at its queue was not lost."""
    await put(backend, due(NOTIFY))
    (mine,) = await lease(backend)
    slow: Any = SlowSweep(
        real_commands, lambda: backend.tasks.settle(mine, TaskDone(), NOW), "ZSCORE"
    )
    found = await Reconciliation(slow, prefix=prefix, clock=backend.clock).run(dry_run=dry_run)
    assert (found.requeued, found.repairable) == ([], 0)


async def test_a_node_that_lists_nothing_is_told(half_silent: RedisAccess) -> None:
    """Where one of several nodes cannot say which records it has, the others' are checked, and the
    report says that it is not the whole.
    """
    backend = redis_backend(half_silent)
    await put(backend, due())
    half = Reconciliation(half_silent, prefix=backend.prefix, clock=backend.clock)
    found = await half.run()
    assert (found.records, found.incomplete) == (1, True)
