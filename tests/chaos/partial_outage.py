"""A strike at a part of a cluster: whoever lives elsewhere notices nothing."""

from __future__ import annotations

import asyncio
import json
from time import perf_counter

from bridge.core.ids import PARTITIONS, compute_partition
from tests.chaos.scene import Scene
from tests.chaos.stage import PREFIX, Bridge
from tests.redis_servers import RedisServer

GO_ON = 8
"""How many orders of other partitions have to come to their end during the outage."""


async def freeze_primary(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """A primary hangs."""
    server = _choose(scene)
    await asyncio.to_thread(server.freeze)
    try:
        await _hold(scene, server, pause)
    finally:
        await asyncio.to_thread(server.thaw)
    await _await_whole(scene)
    return ()


async def kill_primary(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """A primary dies, and finds again what it had confirmed."""
    server = _choose(scene)
    await asyncio.to_thread(server.kill)
    try:
        await _hold(scene, server, pause)
    finally:
        await asyncio.to_thread(server.start)
    await _await_whole(scene)
    return ()


def _choose(scene: Scene) -> RedisServer:
    return scene.random_fraction.choice(scene.stage.cluster.primaries)


async def _hold(scene: Scene, server: RedisServer, pause: float) -> None:
    """Until enough of the others have come to their end, all of it during the outage."""
    began = perf_counter()
    cluster = scene.stage.cluster
    gone = {
        number
        for number in range(PARTITIONS)
        if cluster.owner_of(f"{PREFIX}:{{p{number:x}}}:") is server
    }

    async def others_are_over() -> bool:
        return GO_ON <= sum(
            known.over
            and known.begun > began
            and compute_partition(known.customer, known.candidate_id) not in gone
            for known in scene.rounds()
        )

    async def is_told() -> bool:
        found = []
        for bridge in scene.stage.bridges:
            status, text = await bridge.ask(scene.stage.session, "/readyz", admin=True)
            missing = json.loads(text).get("missing_partitions", {}) if status == 200 else {}
            found.append({int(name[1:], 16) for name in missing} == gone)
        return all(found)

    await scene.await_true(is_told, f"ready, with the partitions {sorted(gone)} missing")
    await scene.hold(others_are_over, f"{GO_ON} journeys of other partitions went on")
    await asyncio.sleep(pause)
    if set(await scene.readiness()) != {200}:
        scene.unkept.append("not ready though some partitions work")


async def _await_whole(scene: Scene) -> None:
    async def is_whole() -> bool:
        asked = (
            bridge.ask(scene.stage.session, "/readyz", admin=True) for bridge in scene.stage.bridges
        )
        return all(
            status == 200 and "missing_partitions" not in text
            for status, text in await asyncio.gather(*asked)
        )

    await scene.await_true(is_whole, "all partitions are back")
