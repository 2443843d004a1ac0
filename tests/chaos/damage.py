"""A strike at what Redis holds: somebody writes by hand what makes no sense.

What is bad alone is put aside, said once and listed; what was a record is served again once it is
repaired; what a lost queue held is found again.
"""

from __future__ import annotations

import asyncio
import string

from bridge.core.ids import PARTITIONS, compose_invitation_id, read_partition
from bridge.store.connect import open_client
from bridge.store.key_names import KeyNames
from bridge.store.redis_access import RedisAccess
from tests.chaos.actors import Round
from tests.chaos.plan import QUICK
from tests.chaos.scene import Scene
from tests.chaos.stage import PREFIX, Bridge

_NONSENSE = ("nonsense", "1|n|{", '1|n:c--|{"f":1,"customer":7}', "")
_SPOIL = """
local value = redis.call('GET', KEYS[1])
if value then
  redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
end
return value
"""
"""In one step: what another process writes meanwhile must not be lost by a repair."""
_REPAIR = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
  return 1
end
return 0
"""
_REPLACE = "redis.call('DEL', KEYS[1]); redis.call('RPUSH', KEYS[1], 'not ours')"


async def spoil_entries(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """One of each kind of nonsense, in random partitions; and a living record, for a while."""
    async with open_client(scene.stage.redis_url, deadline_s=20) as commands:
        for plant in (_plant_task, _plant_lane, _plant_record, _replace_queue):
            names = KeyNames(PREFIX, scene.random_fraction.randrange(PARTITIONS))
            scene.planted[names.partition, await plant(scene, commands, names)] += 1
        spoilt = await _spoil_record(scene, commands)
        await _spoil_entry(scene, commands)
        await asyncio.sleep(1 + pause)
        if spoilt is not None:
            known, key, nonsense, value = spoilt
            if not await commands.run(("EVAL", _REPAIR, 1, key, nonsense, value)):
                scene.unkept.append(f"{key}: a damaged record was written over")
            # Its task was put off for ten minutes; whoever looks at it brings that forward.
            await scene.stage.softgarden.read(known.customer, str(known.invitation_id), tries=20)
    return ()


def _lane(scene: Scene) -> str:
    return f"{scene.random_fraction.choice(QUICK)}/check"


async def _plant_task(scene: Scene, commands: RedisAccess, names: KeyNames) -> str:
    """A member of a queue that belongs to no invitation."""
    member, lane = f"garbage-{scene.random_fraction.getrandbits(32):08x}", _lane(scene)
    await commands.run(("ZADD", names.due(lane), 1, member))
    await commands.run(("ZADD", names.lanes, 1, lane))
    return f"{member}:check"


async def _plant_lane(scene: Scene, commands: RedisAccess, names: KeyNames) -> str:
    """An entry among the lanes that is none."""
    lane = f"no lane {scene.random_fraction.getrandbits(32):08x}"
    await commands.run(("ZADD", names.lanes, 1, lane))
    return f"lane:{lane}"


async def _plant_record(scene: Scene, commands: RedisAccess, names: KeyNames) -> str:
    """A record that is none, and a task for it."""
    letters = scene.random_fraction.choices(string.ascii_letters, k=24)
    invitation_id, lane = compose_invitation_id(names.partition, "".join(letters)), _lane(scene)
    nonsense = scene.random_fraction.choice(_NONSENSE)
    await commands.run(("SET", names.invitation(invitation_id), nonsense))
    await commands.run(("ZADD", names.due(lane), 1, invitation_id))
    await commands.run(("ZADD", names.lanes, 1, lane))
    return invitation_id


async def _replace_queue(scene: Scene, commands: RedisAccess, names: KeyNames) -> str:
    """A whole queue is gone, and its key holds something else."""
    lane = _lane(scene)
    await commands.run(("EVAL", _REPLACE, 1, names.due(lane)))
    await commands.run(("ZADD", names.lanes, 1, lane))
    return f"key:due:{lane}"


async def _spoil_record(
    scene: Scene, commands: RedisAccess
) -> tuple[Round, str, str, bytes] | None:
    """The record of somebody whose test is not finished yet: its key, what it holds now and what
    it held.
    """
    unfinished = [
        known
        for known in scene.rounds()
        if known.answers
        and known.customer in QUICK
        and known.finished_at is None
        and known.deleting_at is None
    ]
    if not unfinished:
        return None
    known = scene.random_fraction.choice(unfinished)
    invitation_id = str(known.invitation_id)
    partition = read_partition(invitation_id)
    assert partition is not None
    key = KeyNames(PREFIX, partition).invitation(invitation_id)
    nonsense = scene.random_fraction.choice(_NONSENSE)
    value = await commands.run(("EVAL", _SPOIL, 1, key, nonsense))
    scene.mended.add(invitation_id)
    return None if value is None else (known, key, nonsense, value)


async def _spoil_entry(scene: Scene, commands: RedisAccess) -> None:
    """What is known of some task of a partition; the task itself stays in its queue."""
    for partition in range(PARTITIONS):
        names = KeyNames(PREFIX, partition)
        for task in (await commands.run(("HKEYS", names.tasks)))[:1]:
            await commands.run(("HSET", names.tasks, task, "garbage"))
            return
