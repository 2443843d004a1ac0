"""Redis has no room and evicts keys: what vanishes is found again by the sweep, or is gone with its
record alone; nobody else may notice.

The bridge warns of such a policy at its start, and refuses it where ``require_durable`` says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Final

from bridge.core import ids
from bridge.core.invitation import Invitation, State
from bridge.store.key_names import KeyNames, PartitionKeyNames, decode_name, split_key
from tests.simulation.damaged_entries import LOSES, Damage
from tests.simulation.stage_settings import load_settings

if TYPE_CHECKING:
    from tests.simulation.incidents import Incident
    from tests.simulation.world import Simulation

MOST: Final = 3
"""How many keys vanish at once."""
OTHERS: Final = (
    "lanes",
    "tasks",
    "due:",
    "dead",
    "absent",
    "quarantine",
    "app:",
    "looked:",
    "order:",
)
"""What may vanish of a partition beside records; the last part is what stands outside of all."""
BEING_MADE: Final = 0.25
"""How often it is a record whose application is just being made."""
RECORDS: Final = 0.6
"""How often it is that, or another record."""
WAITS_S: Final = 2.0
"""For such a record, at most."""
LOOK_S: Final = 0.01


class Evictions:
    """Has keys vanish, and says whose they were."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._partitions = PartitionKeyNames(load_settings().redis.key_prefix)

    async def perform(self, _: Incident, draws: Random) -> str:
        """Have some keys vanish; says which."""
        found = []
        for _ in range(draws.randint(1, MOST)):
            which = draws.random()
            if which < BEING_MADE:
                found.append(await self._evict_one_being_made())
            elif which < RECORDS:
                found.append(self._evict_any(self._list_done(), draws))
            else:
                found.append(self._evict_other(draws))
        return f"({', '.join(one for one in found if one) or 'there was none'})"

    async def _evict_one_being_made(self) -> str:
        """The record of an order whose create is under way: the provider's answer is nobody's."""
        simulation = self._simulation
        until = simulation.time.seconds + WAITS_S
        while simulation.time.seconds < until:
            for record in simulation.watch.latest.values():
                if record.state is State.CREATING and record.id not in simulation.by_invitation:
                    simulation.trouble.forgotten.being_made.add(record.id)
                    return self._evict_record(record)
            await asyncio.sleep(LOOK_S)
        return ""

    def _list_done(self) -> list[Invitation]:
        """The records of which softgarden knows, and wants nothing now."""
        simulation = self._simulation
        done = {
            one.invitation_id
            for journey in simulation.journeys
            for one in journey.rounds
            if one.ended and one.answers and journey.plan.deletion == "never"
        }
        return [one for one in simulation.watch.latest.values() if one.id in done]

    def _evict_any(self, records: Sequence[Invitation], draws: Random) -> str:
        return self._evict_record(draws.choice(records)) if records else ""

    def _evict_record(self, record: Invitation) -> str:
        simulation = self._simulation
        names = self._partitions.of(record.id)
        assert names is not None
        self._delete(names.invitation(record.id).encode())
        order = names.order(record.order_key).encode()
        simulation.trouble.forgotten.lose_record(record.id, order)
        return f"{record.id}, {record.state}"

    def _evict_other(self, draws: Random) -> str:
        """The queue of a lane, the index of lanes, a note: what is not a record."""
        keys = self._list(draws.choice(OTHERS))
        if not keys:
            return ""
        key = draws.choice(keys)
        names, name = self._split(key)
        simulation, now = self._simulation, self._simulation.time.seconds
        letters: Sequence[bytes] = ()
        if name == "dead":
            letters = simulation.redis.execute(("ZRANGE", key, 0, -1))
        elif name.startswith("dead:"):
            letters = (name.removeprefix("dead:").encode(),)
        self._delete(key)
        if name.startswith("order:"):
            simulation.trouble.forgotten.lose_claim(key)
            return f"{name} of p{names.partition:x}"
        damage = Damage(at=now, end=now, letters=tuple(map(decode_name, letters)))
        if name.partition(":")[0] in LOSES:
            damage.partition = names.partition
        if name == "quarantine":
            damage.note = f"{names.partition}/key:{name}"
        simulation.trouble.damaged.done.append(damage)
        if name == "tasks":
            records = simulation.watch.latest
            of_partition = [one for one in records if ids.read_partition(one) == names.partition]
            simulation.queue_watch.forget_attempts(of_partition)
        return f"{name} of p{names.partition:x}"

    def _list(self, start: str) -> list[bytes]:
        return [
            key
            for key in self._simulation.redis.list_keys()
            if (place := split_key(decode_name(key))) and place[1].startswith(start)
        ]

    def _split(self, key: bytes) -> tuple[KeyNames, str]:
        place = split_key(decode_name(key))
        assert place is not None
        return place

    def _delete(self, key: bytes) -> None:
        """Redis is not bound by what it refuses the bridge."""
        server = self._simulation.redis
        kept = server.full, server.read_only
        server.full = server.read_only = False
        server.execute(("DEL", key))
        server.full, server.read_only = kept
