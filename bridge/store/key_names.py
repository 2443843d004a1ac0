"""Every key name, and nothing else.

::

    <prefix>:{p7}:iv:<invitation id>     string  the record, "<version>|<commit>:<tasks>|<json>"
    <prefix>:{p7}:order:<order key>      string  invitation id
    <prefix>:{p7}:app:<application key>  zset    invitation id -> ms at which its record goes;
                                                 for as long as one of them lives
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
                                                 see unserved_customers.py
    <prefix>:{p7}:dead                   zset    task id -> since ms
    <prefix>:{p7}:dead:<task id>         string  the dead letter as JSON
    <prefix>:{p7}:quarantine             hash    name -> note on something that could not be read
    <prefix>:{p7}:quarantine:<key>       any     a key that did not hold what it must
    <prefix>:{p7}:probe                  string  written to see whether Redis takes writes

The part in braces is a Redis Cluster hash tag: all keys of one of the 16 partitions live in one
slot, so that one script may change them together. A lane is ``<customer>/<kind>``, with ``/urgent``
behind it for what goes ahead of a backlog; a task id is ``<invitation id>:<kind>``.

Outside of the partitions lie ``<prefix>:ref:<digest>`` and ``<prefix>:seen:<digest>``
(reference_index.py), ``<prefix>:words:<customer>`` (status_word_store.py),
``<prefix>:contacts`` (last_contacts.py), ``<prefix>:contract:first`` and ``:last``
(contract_store.py), ``<prefix>:watched`` and ``<prefix>:calls`` (call_exchange.py),
``<prefix>:{alerts}:...`` (alert_queue.py) and ``<prefix>:reconcile`` (reconciliation.py):
none of these is needed for the truth.
"""

from __future__ import annotations

import re
from typing import Final

from bridge.core.ids import PARTITIONS, read_partition
from bridge.core.queueing import Lane, TaskKind

URGENT: Final = "/urgent"
KINDS: Final = tuple(kind.value for kind in TaskKind)
LONGEST_LANE: Final = 200
_GLOB = re.compile(r"([*?\[\]\\^])")
_TAG = re.compile(r"\{p([0-9a-f])\}:")
_LANE = re.compile(r"(?P<customer>[^\x00-\x1f\x7f]+)/(?P<kind>[a-z_]+)")


def build_lane_name(customer: str, kind: TaskKind, *, urgent: bool = False) -> str:
    """The name of the lane of one customer's tasks of one kind."""
    return f"{customer}/{kind}{URGENT if urgent else ''}"


def get_lane_name(which: Lane) -> str:
    """The name of a ``Lane``."""
    return build_lane_name(which.customer, which.kind, urgent=which.urgent)


def parse_lane_name(text: str) -> Lane:
    """The inverse of ``get_lane_name``; raises ``ValueError`` for anything that is not a lane of
    this version.
    """
    match = _LANE.fullmatch(text.removesuffix(URGENT))
    if match is None:
        raise ValueError("not a lane")
    return Lane(match["customer"], TaskKind(match["kind"]), text.endswith(URGENT))


def is_lane_name(name: bytes) -> bool:
    """Whether this is a lane, perhaps of a kind that only a newer version knows."""
    try:
        return len(name) <= LONGEST_LANE and _LANE.fullmatch(name.decode()) is not None
    except UnicodeDecodeError:
        return False


class KeyNames:
    """The key names of one partition."""

    def __init__(self, prefix: str, partition: int) -> None:
        if "{" in prefix or "}" in prefix:
            raise ValueError("braces in a prefix would pick the cluster slot")
        self.partition = partition
        self.base = f"{prefix}:{{p{partition:x}}}:"
        self.lanes = f"{self.base}lanes"
        self.tasks = f"{self.base}tasks"
        self.dead = f"{self.base}dead"
        self.unserved = f"{self.base}absent"  # names of customers that will return: needs no expiry
        self.quarantine = f"{self.base}quarantine"
        self.probe = f"{self.base}probe"

    def invitation(self, invitation_id: str) -> str:
        """The record of an invitation."""
        return f"{self.base}iv:{invitation_id}"

    def order(self, order_key: str) -> str:
        """The claim on an order."""
        return f"{self.base}order:{order_key}"

    def application(self, application_key: str) -> str:
        """The invitations of one of the ATS' applications."""
        return f"{self.base}app:{application_key}"

    def unconfirmed(self, invitation_id: str) -> str:
        """The mark of an invitation whose last change is not confirmed by enough replicas."""
        return f"{self.base}doubt:{invitation_id}"

    def check_brought_forward(self, invitation_id: str) -> str:
        """When a CHECK was last brought forward, in ms; expires when that no longer matters."""
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

    def quarantined_key(self, name: str) -> str:
        """The name in quarantine of a damaged key of this name (without the base)."""
        return f"{self.quarantine}:{name}"


class PartitionKeyNames(tuple[KeyNames, ...]):
    """The key names of every partition, in order."""

    __slots__ = ()

    def __new__(cls, prefix: str) -> PartitionKeyNames:
        """The partitions of all keys that begin with *prefix*."""
        return super().__new__(cls, (KeyNames(prefix, number) for number in range(PARTITIONS)))

    def of(self, invitation_id: str) -> KeyNames | None:
        """The partition of an invitation; None: this is not an invitation id."""
        partition = read_partition(invitation_id)
        return None if partition is None else self[partition]


def split_key(key: str) -> tuple[KeyNames, str] | None:
    """The partition of a key and the rest of its name; None: it is in no partition."""
    match = _TAG.search(key)
    if match is None:
        return None
    prefix = key[: match.start()].removesuffix(":")
    return KeyNames(prefix, int(match[1], 16)), key[match.end() :]


def build_scan_pattern(prefix: str, rest: str = "iv:*", partition: int | None = None) -> str:
    """The SCAN pattern that finds every key of this kind in the partitions, or in one; by default
    records.
    """
    escaped, number = _GLOB.sub(r"\\\1", prefix), "?" if partition is None else f"{partition:x}"
    return f"{escaped}:{{p{number}}}:{rest}"


def get_invitation_id(key: str) -> str:
    """The invitation id in the key of a record."""
    return key.rpartition(":")[2]


def decode_name(raw: bytes) -> str:
    """A name in Redis as text; bytes that are not UTF-8 are escaped."""
    return raw.decode("utf-8", "backslashreplace")
