"""Strikes at processes and at the way between them: they die, hang, lose answers, or have a wrong
clock.
"""

from __future__ import annotations

import asyncio
import json

from tests.chaos.scene import Scene
from tests.chaos.stage import Bridge

LOSS = 0.15
"""Of Redis's answers, while a link loses some."""
LOST_AT_LEAST = 5
WRONG_S = (0.0, -7200.0, -90.0, -11.0, 11.0, 600.0, 86_400.0)
"""How wrong a clock may be: by more than a lease, a time-out, a token's life, a grace period."""


async def kill_one(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """A bridge dies at this instant."""
    return await _end(scene, [victim], pause, kill=True)


async def kill_all(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """All bridges die at this instant."""
    return await _end(scene, scene.stage.bridges, pause, kill=True)


async def restart(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """A bridge is told to end, and started again."""
    return await _end(scene, [victim], pause, kill=False)


async def _end(scene: Scene, victims: list[Bridge], pause: float, *, kill: bool) -> tuple[int, ...]:
    codes = await asyncio.gather(*(bridge.end(kill=kill) for bridge in victims))
    if not kill and any(codes):
        raise RuntimeError(f"a bridge that was told to end gave {codes}; see {victims[0].log}")
    await asyncio.sleep(pause)
    for bridge in victims:
        bridge.start()
    await asyncio.gather(*(bridge.ready(scene.stage.session) for bridge in victims))
    return tuple(bridge.number for bridge in victims)


async def kill_redis(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """Redis dies at this instant, and finds again what it had confirmed."""
    await asyncio.to_thread(scene.stage.redis.kill)
    await asyncio.sleep(pause)
    await asyncio.to_thread(scene.stage.redis.start)
    return ()


async def hang_redis(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """Redis answers nobody for a while."""
    await asyncio.to_thread(scene.stage.redis.freeze)
    await asyncio.sleep(pause)
    await asyncio.to_thread(scene.stage.redis.thaw)
    return ()


async def lose_replies(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """Redis executes commands whose answers get lost with their connections."""
    for link in scene.stage.links:
        link.random_fraction, link.loss = scene.random_fraction, LOSS
    before = sum(link.lost for link in scene.stage.links)

    async def lost_some() -> bool:
        return sum(link.lost for link in scene.stage.links) >= before + LOST_AT_LEAST

    await asyncio.sleep(1 + pause)
    await scene.await_true(lost_some, "some of Redis's answers got lost")
    for link in scene.stage.links:
        link.loss = 0.0
    return ()


async def set_clock(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """A host's clock is set, by seconds or by hours, forwards or back; and it is told."""
    if victim.clock is None:
        victim = scene.stage.bridges[-1]
    assert victim.clock is not None
    now_s = float(victim.clock.read_text("ascii"))
    wrong_by_s = scene.random_fraction.choice([one for one in WRONG_S if one != now_s])
    victim.set_clock(wrong_by_s)

    async def is_told() -> bool:
        _, text = await victim.ask(scene.stage.session, "/readyz", admin=True)
        return ("clock" in json.loads(text or "{}")) is (wrong_by_s != 0)

    await scene.await_true(is_told, f"a clock that is {wrong_by_s:.0f} s wrong is told")
    await asyncio.sleep(pause)
    return ()
