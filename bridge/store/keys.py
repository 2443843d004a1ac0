"""Every key name, and nothing else.

::

    <prefix>:{p7}:iv:<invitation id>     string  the record, "<version>|<nonce>|<json>"
    <prefix>:{p7}:order:<order key>      string  invitation id
    <prefix>:{p7}:doubt:<invitation id>  string  its last change was not confirmed by enough replicas (see redis.wait)
    <prefix>:{p7}:lanes                  zset    lane -> due ms of its earliest task
    <prefix>:{p7}:due:<lane>             zset    invitation id -> due ms (of a leased task: the end of the lease)
    <prefix>:{p7}:tasks                  hash    task id -> entry; only while there is something to know (see common.lua)
    <prefix>:{p7}:absent                 set     customers whose tasks waited when somebody looked; see absences.py
    <prefix>:{p7}:dead                   zset    task id -> since ms
    <prefix>:{p7}:dead:<task id>         string  the dead letter as JSON

The part in braces is a Redis Cluster hash tag: all keys of one of the 16 partitions live in one slot, so that one script
may change them together. A lane is ``<customer>/<kind>``, a task id ``<invitation id>:<kind>``.
"""

from __future__ import annotations

import re

from bridge.core.ids import PARTITIONS
from bridge.core.models import TaskKind
from bridge.errors import Complaint, ConfigError

_GLOB = re.compile(r"([*?\[\]\\^])")


def lane(customer: str, kind: TaskKind) -> str:
    """The queue of one customer's tasks of one kind, so that nobody waits behind somebody else's trouble."""
    return f"{customer}/{kind}"


def read_lane(text: str) -> tuple[str, TaskKind]:
    """The inverse of ``lane``."""
    customer, _, kind = text.rpartition("/")
    return customer, TaskKind(kind)


def knows_lane(text: str) -> bool:
    """Whether this version performs such tasks; a newer one beside us may queue others."""
    return text.rpartition("/")[2] in {kind.value for kind in TaskKind}


def task(invitation_id: str, kind: TaskKind) -> str:
    """The id of a task: there is at most one of each kind for an invitation."""
    return f"{invitation_id}:{kind}"


def read_task(text: str) -> tuple[str, TaskKind]:
    """The inverse of ``task``."""
    invitation_id, _, kind = text.rpartition(":")
    return invitation_id, TaskKind(kind)


class Keys:
    """The key names of one partition."""

    __slots__ = ("absent", "base", "dead", "lanes", "tasks")

    def __init__(self, prefix: str, partition: int) -> None:
        if "{" in prefix or "}" in prefix:
            raise ConfigError(
                [Complaint("redis.key_prefix", 0, 0, "must not contain braces: they pick the cluster slot")]
            )
        self.base = f"{prefix}:{{p{partition:x}}}:"
        self.lanes = f"{self.base}lanes"
        self.tasks = f"{self.base}tasks"
        self.dead = f"{self.base}dead"
        self.absent = f"{self.base}absent"
        """Names of customers only, and gone when they are back; so it needs no life."""

    def invitation(self, invitation_id: str) -> str:
        """The record of an invitation."""
        return f"{self.base}iv:{invitation_id}"

    def order(self, order_key: str) -> str:
        """The claim on an order."""
        return f"{self.base}order:{order_key}"

    def doubt(self, invitation_id: str) -> str:
        """The mark of an invitation whose last change is not confirmed."""
        return f"{self.base}doubt:{invitation_id}"

    def due(self, lane_name: str) -> str:
        """The queue of a lane."""
        return f"{self.base}due:{lane_name}"

    def dead_letter(self, task_id: str) -> str:
        """The dead letter of a task."""
        return f"{self.base}dead:{task_id}"


def all_keys(prefix: str) -> tuple[Keys, ...]:
    """The key names of every partition, in order."""
    return tuple(Keys(prefix, partition) for partition in range(PARTITIONS))


def invitation_pattern(prefix: str) -> str:
    """What SCAN must match to find every record."""
    escaped = _GLOB.sub(r"\\\1", prefix)
    return f"{escaped}:{{p?}}:iv:*"


def invitation_in(key: str) -> str:
    """The invitation id in the key of a record."""
    return key.rpartition(":")[2]
