"""A strike at Redis's memory: an older backup of it is restored.

What is promised then (deploy/README.md): who was invited since is unknown and can be invited anew,
completions since are found again, deletions since have to be asked for again.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from time import perf_counter

from tests.chaos.scene import Scene
from tests.chaos.stage import Bridge

_SINCE = 0.25
"""Of all journeys, those that end between backup and restore."""


async def restore_backup(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """Redis's files are copied; some journeys later it dies, and is started with the copy."""
    redis, copy = scene.stage.redis, scene.stage.folder / "backup"
    files = Path(redis.settings["dir"], "appendonlydir")
    made_at = perf_counter()
    await asyncio.to_thread(redis.freeze)
    await asyncio.to_thread(shutil.copytree, files, copy)
    await asyncio.to_thread(redis.thaw)
    goal = scene.progress() + _SINCE * len(scene.journeys)

    async def is_older() -> bool:
        return scene.progress() >= goal

    await scene.hold(is_older, "journeys go on after a backup", within_s=180)
    await asyncio.to_thread(redis.kill)
    await asyncio.sleep(1 + pause)  # what was answered before that has arrived
    lost_at = perf_counter()
    await asyncio.to_thread(shutil.rmtree, files)
    await asyncio.to_thread(shutil.move, copy, files)
    undone = []
    for journey in scene.journeys:
        for known in journey.rounds:
            if known.answered_at is not None and made_at <= known.answered_at <= lost_at:
                known.forgotten, known.due = True, None
                scene.stage.softgarden.forget(str(known.invitation_id))
            elif known.deleted_at is not None and made_at <= known.deleted_at:
                undone.append((journey, known))
    await asyncio.to_thread(redis.start)
    scene.restored = (made_at, perf_counter())
    await asyncio.gather(*(journey.delete(known) for journey, known in undone))
    return ()
