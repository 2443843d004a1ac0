"""Somebody writes nonsense into Redis: what it hits, and whom that may concern, which is never more
than one invitation, or what was lost together with a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bridge.core import ids
from bridge.core.queueing import TaskKind
from bridge.store.key_names import (
    KeyNames,
    PartitionKeyNames,
    build_lane_name,
    decode_name,
    split_key,
)
from tests.simulation.stage_settings import CUSTOMERS, SECRETS, load_settings
from tests.simulation.sweep_watch import SweepWatch

if TYPE_CHECKING:
    from tests.simulation.incidents import Incident
    from tests.simulation.journey import Journey
    from tests.simulation.world import Simulation

T = TypeVar("T")
EVICTS: Final = "Redis evicts keys"
DAMAGES: Final = (
    EVICTS,
    "a record is damaged",
    "a task's entry is damaged",
    "a queue holds nonsense",
    "a key holds a wrong type",
    "an order's entry is damaged",
    "a side note is damaged",
)
HEALS_S: Final = 45.0
"""Within what time what was lost with a key is found and queued again: the sweep's pause, two of
its passes, and a process that dies meanwhile.
"""
RECORDS: Final = (
    b"nonsense",
    b"",
    b"\xff\xfe\x00",
    b"1|n|{",
    b'1|n:c--|{"f":1,"customer":7}',
    b'1|n|{"f":1,"customer":"acme","state":"sleeping"}',
    b'99999999999999999999|n:----|{"f":3,"customer":"acme","r":"!!!"}',
)
ENTRIES: Final = (b"nonsense", b"", b"||||", b"1|w|||0|", b"|||x|0|", b"||||1|nonsense", b"\xff")
LANES: Final = (
    *(b"/check", b"\xff\xfe/check", b"x" * 300 + b"/notify", b"\x07/anonymise/urgent"),
    *(b"nonsense", b"\xff\xfe", b"acme/"),
)
STRANGE_LANE: Final = b"acme/dance"
"""As far as this version can know a newer one's."""
MEMBERS: Final = (b"nonsense", b"", b"\xff\xfe", b"iv_0tooshort", b"iv_" + b"0" * 200)
TYPE: Final = b"another type"
NOTHING: Final = "(there was none)"
LOSES: Final = ("lanes", "tasks", "due")
"""Keys whose content is work: it waits until the sweep has found it."""


@dataclass(slots=True, kw_only=True)
class Damage:
    """One damaged entry, and whom it concerns."""

    note: str = ""
    """The quarantine's note on it: partition and name. Empty: there is none."""
    is_noted: bool = False
    """The note must be there when all is over: nothing but the bridge puts this right."""
    at: float
    end: float
    """When somebody has put it right; at once, where only the bridge can."""
    partition: int = -1
    """All work of this partition may have been lost with it; -1: of none."""
    invitation_id: str = ""
    """This one invitation waits for it, or its task is performed once more."""
    journey: int = -1
    """The claim on this journey's order was lost."""
    spoils: int = -1
    """The queues of this partition hold what the bridge did not write."""
    strange_lane: str = ""
    """A lane of no known kind, which has no queue: the sweep takes it out of the index."""
    was_type: bytes = b""
    """Which type the key has that the bridge writes."""
    letters: tuple[str, ...] = ()
    """The tasks that were dead letters, which nobody knows any more: they are queued again."""

    def concerns(self, invitation_id: str) -> bool:
        """Whether it may keep this invitation's work waiting, or have it done again."""
        mine = ids.read_partition(invitation_id) == self.partition
        letters = any(one.startswith(f"{invitation_id}:") for one in self.letters)
        return invitation_id == self.invitation_id or mine or letters

    def is_left_to_sweep(self) -> bool:
        """Whether nothing but the sweep finds what was lost with it, or removes it."""
        return self.partition >= 0 or self.spoils >= 0 or bool(self.letters)


class DamagedEntries:
    """What was damaged in a world, and what that explains."""

    def __init__(self, simulation: Simulation) -> None:
        self.done: list[Damage] = []
        self.sweeps = SweepWatch(lambda: simulation.time.seconds)
        self._simulation = simulation

    async def perform(self, incident: Incident, draws: Random) -> str:
        """Damage an entry, and put it right again where the bridge must not; says which."""
        damager = _Damager(self._simulation, self.done, draws)
        return await damager.doers[incident.kind](incident.lasts_s)

    def concerns(self, invitation_id: str, begun: float, until: float) -> bool:
        """Whether any of it explains that this invitation's work waited, or was done again."""
        return any(
            one.at <= until and begun <= self.heals_by(one) and one.concerns(invitation_id)
            for one in self.done
        )

    def heals_by(self, damage: Damage) -> float:
        """When it does no harm any more, at the latest: what is left to the sweep waits while a
        process that has ended keeps the others from it.
        """
        latest = damage.end + HEALS_S
        for begun, over in self.sweeps.list_gaps() if damage.is_left_to_sweep() else ():
            if begun <= latest and over >= damage.at:
                latest = max(latest, over + HEALS_S)
        return latest

    def lost_claim(self, journey: int) -> bool:
        """Whether it cannot be known any more that this journey's order was answered."""
        return any(one.journey == journey for one in self.done)

    def holds_nonsense(self, partition: int, at: float) -> bool:
        """Whether the queues of this partition may have another form than the bridge gives them."""
        return any(
            partition in (one.partition, one.spoils) and one.at <= at <= self.heals_by(one)
            for one in self.done
        )

    def find_end(self, until: float, invitation_id: str) -> float:
        """When the last of what concerns this invitation, and began before, was put right."""
        ends = [
            min(self.heals_by(one), until)
            for one in self.done
            if one.at <= until and one.concerns(invitation_id)
        ]
        return max(ends, default=0.0)


class _Damager:
    """Does what one incident asks for."""

    def __init__(self, simulation: Simulation, done: list[Damage], draws: Random) -> None:
        self._simulation = simulation
        self._done = done
        self._draws = draws
        self._partitions = PartitionKeyNames(load_settings().redis.key_prefix)
        self.doers: dict[str, Callable[[float], Awaitable[str]]] = {
            "a record is damaged": self._damage_record,
            "a task's entry is damaged": self._damage_task,
            "a queue holds nonsense": self._spoil_queue,
            "a key holds a wrong type": self._change_type,
            "an order's entry is damaged": self._damage_order,
            "a side note is damaged": self._damage_side_note,
        }

    async def _damage_record(self, lasts_s: float) -> str:
        damaged = [f":iv:{one.invitation_id}" for one in self._done if one.end > self._now()]
        records = self._list("iv:")
        key = self._choose([one for one in records if not decode_name(one).endswith((*damaged,))])
        if key is None:
            return NOTHING
        kept, life = self._run("GET", key), self._run("PTTL", key)
        head = kept[: kept.rindex(b"|") + 1]
        cut = kept[: len(kept) // 2]
        nonsense = self._draws.choice((*RECORDS, head + b"nonsense", head + b"null", cut))
        names, name = self._split(key)
        an_id = name.removeprefix("iv:")
        damage = self._add(names, an_id, invitation_id=an_id)
        damage.end = float("inf")
        self._run("SET", key, nonsense)
        await asyncio.sleep(lasts_s)
        seen = await self._read(an_id)
        if self._run("GET", key) == nonsense:
            if seen in ("PENDING", "EXPIRED", "COMPLETED"):
                self._simulation.complain("nothing in silence", f"{an_id} is read as {seen}")
            self._run("SET", key, kept, *(("PX", life) if life > 0 else ()))
        else:
            seen += ", and it was written anew"
        damage.end = self._now()
        return f"({an_id}: {nonsense[:40]!r}; read: {seen})"

    async def _damage_task(self, _: float) -> str:
        queue = self._choose(self._list("due:"))
        if queue is None:
            return NOTHING
        names, lane = self._split(queue)
        member = decode_name(self._draws.choice(self._run("ZRANGE", queue, 0, -1)))
        task = f"{member}:{lane.removesuffix('/urgent').rpartition('/')[2]}"
        self._run("HSET", names.tasks, task, self._draws.choice(ENTRIES))
        self._add(names, task, invitation_id=member)
        self._simulation.queue_watch.forget_attempts([member])
        return f"({task})"

    async def _spoil_queue(self, _: float) -> str:
        """A lane that is none, or what is no invitation among the tasks of a lane."""
        names, score = self._draws.choice(self._partitions), self._draws.choice((0, 1, "-inf"))
        if self._draws.random() < 0.5:
            lane = self._draws.choice((*LANES, STRANGE_LANE))
            self._run("ZADD", names.lanes, score, lane)
            what, note = f"lane {lane[:20]!r}", f"lane:{decode_name(lane[:200])}"
        else:
            kind = self._draws.choice((TaskKind.CHECK, TaskKind.NOTIFY, TaskKind.ANONYMISE))
            customer, urgent = self._draws.choice(CUSTOMERS), self._draws.random() < 0.5
            name, member = build_lane_name(customer, kind, urgent=urgent), self._choose(MEMBERS)
            assert member is not None
            self._run("ZADD", names.due(name), score, member)
            self._run("ZADD", names.lanes, score, name)
            what, note = f"{member[:20]!r} in {name}", f"{decode_name(member[:200])}:{kind}"
            lane = b""
        of_bridge, place = lane != STRANGE_LANE, names.partition
        damage = self._add(names, note, is_noted=of_bridge, spoils=place)
        damage.strange_lane = "" if damage.is_noted else f"{names.base}{decode_name(lane)}"
        return f"({what} of p{names.partition:x})"

    async def _change_type(self, _: float) -> str:
        kinds = ("lanes", "tasks", "due:", "dead", "absent", "quarantine", "app:", "looked:")
        key = self._choose(self._list(self._draws.choice(kinds)))
        if key is None:
            return NOTHING
        names, name = self._split(key)
        loses, is_dead = name.partition(":")[0] in LOSES, name == "dead"
        listed = self._run("ZRANGE", key, 0, -1) if is_dead else ()
        letters = tuple(map(decode_name, listed)) if isinstance(listed, list) else ()
        note = f"key:{name}"
        before = [one for one in self._done if one.note == f"{names.partition}/{note}"]
        right = before[0].was_type if before else b""  # of what is damaged already
        was_type = self._put_other_type(key, right)
        partition = names.partition if loses else -1
        noted = loses or is_dead
        damage = self._add(names, note, is_noted=noted, partition=partition)
        damage.was_type = right or was_type
        damage.letters = letters
        if name == "tasks":
            of_partition = [
                one
                for one in self._simulation.watch.latest
                if ids.read_partition(one) == names.partition
            ]
            self._simulation.queue_watch.forget_attempts(of_partition)
        return f"({name} of p{names.partition:x})"

    async def _damage_order(self, _: float) -> str:
        """The entry that says which invitation an order has got."""
        orders = {self._order_of(one): one for one in self._simulation.journeys}
        key = self._choose([one for one in self._list("order:") if one in orders])
        mine = self._run("GET", key) if key else None
        if key is None or not isinstance(mine, bytes):
            return NOTHING
        names, name = self._split(key)
        records = self._list("iv:")
        others = [
            one.rpartition(b":")[2]
            for one in records
            if self._split(one)[0].partition == names.partition and not one.endswith(mine)
        ]
        unknown = b"iv_%x%s" % (names.partition, b"0" * 24)
        nonsense = self._draws.choice((b"nonsense", b"", b"\xff", unknown, TYPE, *others[:4]))
        if nonsense == TYPE:
            self._put_other_type(key)
        else:
            self._run("SET", key, nonsense)
        journey = orders[key]
        self._add(names, f"key:{name}", journey=journey.plan.number)
        await journey.repeat_order()
        return f"(of journey {journey.plan.number}: {nonsense!r})"

    async def _damage_side_note(self, _: float) -> str:
        """Anything outside of the partitions: no record needs it."""
        key = self._choose([one for one in self._list_all() if b"{p" not in one])
        if key is None:
            return NOTHING
        if self._draws.random() < 0.5:
            self._put_other_type(key)
        else:
            self._run("SET", key, self._draws.choice((b"", b"nonsense", b"\xff\xfe", b"?", b"{")))
        return f"({decode_name(key)})"

    # How

    def _add(self, names: KeyNames, note: str, **whom: Any) -> Damage:
        noted = f"{names.partition}/{note}"
        damage = Damage(note=noted, at=self._now(), end=self._now(), **whom)
        self._done.append(damage)
        return damage

    def _put_other_type(self, key: bytes, right: bytes = b"") -> bytes:
        """Neither the type that it has, nor the *right* one; returns the one that it had."""
        before: bytes = self._run("TYPE", key)
        values: dict[bytes, tuple[str | bytes | int, ...]] = {
            b"string": ("SET", key, b"nonsense"),
            b"hash": ("HSET", key, b"a", b"nonsense"),
            b"set": ("SADD", key, b"nonsense"),
            b"zset": ("ZADD", key, 1, b"nonsense"),
        }
        self._run("DEL", key)
        others = [kind for kind in values if kind not in (before, right)]
        self._run(*values[self._draws.choice(others)])
        return before

    def _list_all(self) -> list[bytes]:
        return self._simulation.redis.list_keys()

    def _list(self, start: str) -> list[bytes]:
        """The keys of all partitions whose names begin with this."""
        return [
            key
            for key in self._list_all()
            if (place := split_key(decode_name(key))) and place[1].startswith(start)
        ]

    def _split(self, key: bytes) -> tuple[KeyNames, str]:
        place = split_key(decode_name(key))
        assert place is not None
        return place

    def _order_of(self, journey: Journey) -> bytes:
        plan = journey.plan
        names = self._partitions[ids.compute_partition(plan.customer, plan.candidate)]
        job = SECRETS[plan.customer].job
        return names.order(ids.compute_order_key(plan.customer, plan.candidate, job)).encode()

    async def _read(self, invitation_id: str) -> str:
        number, known = self._simulation.by_invitation.get(invitation_id, (-1, None))
        if known is None:
            return "by nobody"
        return await self._simulation.find_journey(number).read_result(known)

    def _choose(self, keys: Sequence[T]) -> T | None:
        return self._draws.choice(keys) if keys else None

    def _run(self, *command: str | bytes | int) -> Any:
        """Whoever damages or mends something is not bound by what Redis refuses the bridge."""
        server = self._simulation.redis
        kept = server.full, server.read_only
        server.full = server.read_only = False
        answer = server.execute(command)
        server.full, server.read_only = kept
        return answer

    def _now(self) -> float:
        return self._simulation.time.seconds
