"""Every key name, and nothing else.

::

    <prefix>:{p7}:iv:<invitation id>     string  the record, "<version>|<nonce>:<tasks>|<json>"
    <prefix>:{p7}:order:<order key>      string  invitation id
    <prefix>:{p7}:doubt:<invitation id>  string  its last change was not confirmed by enough
                                                 replicas (see redis.wait)
    <prefix>:{p7}:looked:<invitation id> string  ms at which its CHECK was last made due by a
                                                 reading; for a minute
    <prefix>:{p7}:lanes                  zset    lane -> due ms of its earliest task
    <prefix>:{p7}:due:<lane>             zset    invitation id -> due ms (of a leased task: the end
                                                 of the lease)
    <prefix>:{p7}:tasks                  hash    task id -> entry; only while there is something to
                                                 know (see common.lua)
    <prefix>:{p7}:absent                 set     customers whose tasks waited when somebody looked;
                                                 see absences.py
    <prefix>:{p7}:dead                   zset    task id -> since ms
    <prefix>:{p7}:dead:<task id>         string  the dead letter as JSON
    <prefix>:{p7}:quarantine             hash    name -> note on something that could not be read
    <prefix>:{p7}:quarantine:<key>       any     a key that did not hold what it must
    <prefix>:{p7}:probe                  string  written to see whether Redis takes writes

The part in braces is a Redis Cluster hash tag: all keys of one of the 16 partitions live in one
slot, so that one script may change them together. A lane is ``<customer>/<kind>``, with ``/urgent``
behind it for what goes ahead of a backlog; a task id is ``<invitation id>:<kind>``.

Outside of the partitions lie ``<prefix>:ref:<digest>`` and ``<prefix>:seen:<digest>``
(references.py), ``<prefix>:words:<customer>`` (words.py) and ``<prefix>:reconcile`` (reconcile.py):
none of these is needed for the truth.
"""

from __future__ import annotations

import re
from typing import Final

from bridge.core.ids import PARTITIONS
from bridge.core.queueing import Lane, TaskKind
from bridge.errors import Complaint, ConfigError

URGENT: Final = "/urgent"
KINDS: Final = tuple(kind.value for kind in TaskKind)
LONGEST_LANE: Final = 200
_GLOB = re.compile(r"([*?\[\]\\^])")
_TAG = re.compile(r"\{p([0-9a-f])\}:")
_LANE = re.compile(r"(?P<customer>[^\x00-\x1f\x7f]+)/(?P<kind>[a-z_]+)")


def lane(customer: str, kind: TaskKind, *, urgent: bool = False) -> str:
    """The name of the queue of one customer's tasks of one kind."""
    return f"{customer}/{kind}{URGENT if urgent else ''}"


def lane_name(which: Lane) -> str:
    """The same for a ``Lane``."""
    return lane(which.customer, which.kind, urgent=which.urgent)


def read_lane(text: str) -> Lane:
    """The inverse of ``lane_name``; raises ``ValueError`` for what is no lane of this version."""
    match = _LANE.fullmatch(text.removesuffix(URGENT))
    if match is None:
        raise ValueError("not a lane")
    return Lane(match["customer"], TaskKind(match["kind"]), text.endswith(URGENT))


def is_lane(name: bytes) -> bool:
    """Whether this is a lane, if perhaps of a kind that only a newer version knows."""
    try:
        return len(name) <= LONGEST_LANE and _LANE.fullmatch(name.decode()) is not None
    except UnicodeDecodeError:
        return False


def task(invitation_id: str, kind: TaskKind) -> str:
    """The id of a task: there is at most one of each kind for an invitation."""
    return f"{invitation_id}:{kind}"


def read_task(text: str) -> tuple[str, TaskKind]:
    """The inverse of ``task``; raises ``ValueError`` for a kind that is unknown."""
    invitation_id, _, kind = text.rpartition(":")
    return invitation_id, TaskKind(kind)


class KeyNames:
    """The key names of one partition."""

    __slots__ = ("absent", "base", "dead", "lanes", "probe", "quarantine", "tasks")

    def __init__(self, prefix: str, partition: int) -> None:
        if "{" in prefix or "}" in prefix:
            raise ConfigError(
                [
                    Complaint(
                        "redis.key_prefix",
                        0,
                        0,
                        "must not contain braces: they pick the cluster slot",
                    )
                ]
            )
        self.base = f"{prefix}:{{p{partition:x}}}:"
        self.lanes = f"{self.base}lanes"
        self.tasks = f"{self.base}tasks"
        self.dead = f"{self.base}dead"
        self.absent = f"{self.base}absent"
        """Names of customers only, and gone when they are back; so it needs no life."""
        self.quarantine = f"{self.base}quarantine"
        self.probe = f"{self.base}probe"

    def invitation(self, invitation_id: str) -> str:
        """The record of an invitation."""
        return f"{self.base}iv:{invitation_id}"

    def order(self, order_key: str) -> str:
        """The claim on an order."""
        return f"{self.base}order:{order_key}"

    def doubt(self, invitation_id: str) -> str:
        """The mark of an invitation whose last change is not confirmed."""
        return f"{self.base}doubt:{invitation_id}"

    def looked(self, invitation_id: str) -> str:
        """When a CHECK of an invitation was last brought forward, in ms; it lives for as long as
        that matters.
        """
        return f"{self.base}looked:{invitation_id}"

    def due(self, lane_name: str) -> str:
        """The queue of a lane."""
        return f"{self.base}due:{lane_name}"

    def queues(self, normal_lane: str) -> tuple[str, str]:
        """The normal and the urgent queue of the same tasks."""
        return self.due(normal_lane), self.due(normal_lane + URGENT)

    def dead_letter(self, task_id: str) -> str:
        """The dead letter of a task."""
        return f"{self.base}dead:{task_id}"

    def put_aside(self, name: str) -> str:
        """Where a damaged key of this name (without the base) goes."""
        return f"{self.quarantine}:{name}"


def all_keys(prefix: str) -> tuple[KeyNames, ...]:
    """The key names of every partition, in order."""
    return tuple(KeyNames(prefix, partition) for partition in range(PARTITIONS))


def split(key: str) -> tuple[KeyNames, str] | None:
    """The partition to which a key belongs and the rest of its name; None: it belongs to none."""
    match = _TAG.search(key)
    if match is None:
        return None
    prefix = key[: match.start()].removesuffix(":")
    return KeyNames(prefix, int(match[1], 16)), key[match.end() :]


def partition_of(key: str) -> int | None:
    """The partition to which a key belongs; None: to none."""
    match = _TAG.search(key)
    return int(match[1], 16) if match else None


def invitation_pattern(prefix: str) -> str:
    """What SCAN must match to find every record."""
    escaped = _GLOB.sub(r"\\\1", prefix)
    return f"{escaped}:{{p?}}:iv:*"


def invitation_in(key: str) -> str:
    """The invitation id in the key of a record."""
    return key.rpartition(":")[2]
