"""Looks at every record that is committed: what was known of an invitation may only go forward."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from bridge.core.invitation import Invitation, State
from bridge.store import lua_scripts
from bridge.store.encryption import Cipher
from bridge.store.key_names import PartitionKeyNames
from bridge.store.lua_scripts import Command
from bridge.store.record_codec import load_record
from tests.simulation.memory_redis import MemoryRedis

RANKS: Final = {
    State.CREATING: 0,
    State.UNCERTAIN: 0,
    State.FAILED: 0,
    State.INVITED: 1,
    State.STARTED: 2,
    State.EXPIRED: 3,
    State.COMPLETED: 4,
    State.ERASED: 5,
}
"""CREATING, UNCERTAIN and FAILED come in any order: a repeated order makes a new attempt."""

_RESEALS: Final = ((lua_scripts.REPLACE_ENCRYPTED.sha,), (lua_scripts.REPLACE_ENCRYPTED.text,))


class RecordWatch:
    """Sees what Redis executes; *complain* is told of a broken promise, *note_change* of another
    state.
    """

    def __init__(
        self,
        redis: MemoryRedis,
        complain: Callable[[str, str, str], None],
        note_change: Callable[[State, State], None],
        now: Callable[[], float],
    ) -> None:
        self.cipher: Cipher | None = None
        """Opens whatever was sealed."""
        self.seen: dict[str, tuple[State, datetime | None]] = {}
        self.latest: dict[str, Invitation] = {}
        """Every invitation as it was last committed."""
        self.reached: dict[tuple[str, State], float] = {}
        """When an invitation was first in a state."""
        self._now = now
        self._partitions = PartitionKeyNames("bridge")
        self._redis = redis
        self._complain = complain
        self._note_change = note_change

    def look(self, command: Command, answer: Any) -> None:
        """After a command: if it was a commit, look at the record."""
        if command[0] in ("EVALSHA", "EVAL") and answer in (1, 2) and _is_commit(command):
            key = str(command[3])
            value = self._redis.read_text(key)
            if value is not None:
                self._check(load_record(key.rpartition(":")[2], value, self.cipher))
        elif answer == 1 and command[1:2] in _RESEALS and ":iv:" in str(command[3]):
            self._check_same(str(command[3]))

    def forget(self, invitations: Iterable[str]) -> None:
        """Redis has gone back to an earlier moment, as far as these are concerned."""
        for invitation_id in invitations:
            self.seen.pop(invitation_id, None)
            self.latest.pop(invitation_id, None)
            names = self._partitions.of(invitation_id)
            key = names.invitation(invitation_id) if names is not None else ""
            if (value := self._redis.read_text(key)) is not None:
                record = load_record(invitation_id, value, self.cipher)
                self.latest[record.id] = record
                self.seen[record.id] = (record.state, record.completed_at)

    def _check_same(self, key: str) -> None:
        """After a record was sealed anew: it says what it said."""
        invitation_id, value = key.rpartition(":")[2], self._redis.read_text(key)
        if value is not None and (known := self.latest.get(invitation_id)) is not None:
            record = load_record(invitation_id, value, self.cipher)
            if record != known:
                how = f"version {record.version}, {record.state}, was {known.version}"
                self._complain("encrypted", f"{how}, {known.state}", invitation_id)

    def _check(self, record: Invitation) -> None:
        before, completed_at = self.seen.get(record.id, (record.state, None))
        if before is not record.state:
            self._note_change(before, record.state)
        if RANKS[record.state] < RANKS[before]:
            self._complain("forward", f"{before}, then {record.state}", record.id)
        if record.state is State.COMPLETED and completed_at not in (None, record.completed_at):
            self._complain("completion time", f"{completed_at}, {record.completed_at}", record.id)
        self.latest[record.id] = record
        self.reached.setdefault((record.id, record.state), self._now())
        self.seen[record.id] = (record.state, record.completed_at or completed_at)


def _is_commit(command: Command) -> bool:
    commit = lua_scripts.COMMIT
    return command[1] in (commit.sha, commit.text)
