"""What version 0.1.0 left in Redis is read, performed and changed by this one; a dump of it is
kept.
"""

from __future__ import annotations

import pytest

from bridge.core.invitation import State
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import AssessmentStarted, ErasureRequested
from bridge.core.queueing import TaskDone, TaskKind
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import RedisAccess
from tests.core.build import POLICY
from tests.store import dumps
from tests.store.conformance import CHECK, MINUTE, NOTIFY, NOW, Backend, dead_letters, lease
from tests.store.conftest import redis_backend

pytestmark = pytest.mark.redis
DUMP = dumps.read("version-0.1.0.json")
MADE: dict[str, str] = DUMP["made"]
STATES = {
    "creating": State.CREATING,
    "uncertain": State.UNCERTAIN,
    "invited": State.INVITED,
    "started": State.STARTED,
    "reported": State.INVITED,
    "completed": State.COMPLETED,
    "unconfirmed": State.COMPLETED,
    "expired": State.INVITED,
    "failed": State.FAILED,
    "erased": State.ERASED,
    "refused": State.COMPLETED,
    "repeated": State.COMPLETED,
}


@pytest.fixture
async def backend(real_commands: RedisAccess, request: pytest.FixtureRequest) -> Backend:
    prefix = f"older-{request.node.name}"
    await dumps.restore(real_commands, DUMP, prefix)
    return redis_backend(real_commands, prefix)


async def test_every_record_is_read(backend: Backend) -> None:
    """Records of every state are read, one by one and as a whole."""
    for name, an_id in MADE.items():
        found = await backend.invitations.load(an_id)
        assert found is not None
        assert (name, found.state) == (name, STATES[name])
    assert {one.id async for one in backend.invitations.scan()} == set(MADE.values())


async def test_every_task_is_performed(backend: Backend) -> None:
    """Tasks that waited, failed before or were leased by a process that has died are leased, each
    with its attempts.
    """
    later = NOW + 8 * 24 * 60 * MINUTE
    found = {(one.invitation_id, one.kind): one for one in await lease(backend, later)}
    for name in ("creating", "uncertain", "invited", "started", "reported", "expired"):
        assert (MADE[name], CHECK) in found
    assert found[MADE["repeated"], NOTIFY].history[0].outcome == "rejected"
    assert (MADE["completed"], NOTIFY) in found
    assert (MADE["erased"], TaskKind.ANONYMISE) in found
    for one in found.values():
        assert await backend.tasks.settle(one, TaskDone(), later)
    assert await lease(backend, later) == ()


async def test_dead_letters_are_replayed(backend: Backend) -> None:
    """A dead letter of the older version is listed and can be replayed."""
    (letter,) = await dead_letters(backend)
    assert (letter.invitation_id, letter.kind, letter.reason) == (
        MADE["refused"],
        NOTIFY,
        "rejected",
    )
    assert await backend.tasks.replay(letter.invitation_id, NOTIFY, NOW)


async def test_records_are_changed(backend: Backend) -> None:
    """An order is found by its key, and its record goes on: completed, deleted."""
    known = await backend.invitations.load(MADE["invited"])
    assert known is not None
    found = await backend.invitations.find_order(3, known.order_key)
    assert found == known
    for event in (AssessmentStarted(NOW), ErasureRequested()):
        assert await backend.invitations.commit(decide(known, event, POLICY, NOW))
        known = await backend.invitations.load(MADE["invited"])
        assert known is not None
    assert known.state is State.ERASED


async def test_nothing_to_mend(
    backend: Backend, real_commands: RedisAccess, request: pytest.FixtureRequest
) -> None:
    """A reconciliation finds nothing lost in what the older version left whole."""
    found = await Reconciliation(
        real_commands, prefix=f"older-{request.node.name}", clock=backend.clock
    ).run()
    assert (found.records, found.requeued, found.damaged) == (len(MADE), [], [])
