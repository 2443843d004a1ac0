"""Strikes at what Redis takes: it answers, and refuses every change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from redis import Redis

from tests.chaos.scene import Scene
from tests.chaos.stage import HOST, Bridge
from tests.redis_servers import await_true, free_port


async def fill_memory(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """OOM: there is no room but for what takes away."""
    return await _refuse(
        scene,
        pause,
        "OOM",
        lambda client: client.config_set("maxmemory", 1),
        lambda client: client.config_set("maxmemory", 0),
    )


async def spoil_disk(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """MISCONF: its last snapshot could not be written."""
    in_the_way = Path(scene.stage.redis.settings["dir"], "dump.rdb")

    def spoil(client: Redis) -> None:
        in_the_way.mkdir()
        client.config_set("save", "3600 1")
        await_true(lambda: _has_failed(client))

    def mend(client: Redis) -> None:
        client.config_set("save", "")
        in_the_way.rmdir()

    return await _refuse(scene, pause, "MISCONF", spoil, mend)


async def demote(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """READONLY: somebody made it a replica of another server."""
    return await _refuse(
        scene,
        pause,
        "READONLY",
        lambda client: client.replicaof(HOST, free_port()),
        lambda client: client.replicaof("NO", "ONE"),
    )


def _has_failed(client: Redis) -> bool:
    state = client.info("persistence")
    if state["rdb_last_bgsave_status"] == "ok" and not state["rdb_bgsave_in_progress"]:
        client.bgsave()
    return bool(state["rdb_last_bgsave_status"] != "ok")


async def _refuse(
    scene: Scene,
    pause: float,
    word: str,
    refuse: Callable[[Redis], object],
    relent: Callable[[Redis], object],
) -> tuple[int, ...]:
    """Every bridge says that it is not ready, until Redis takes writes again; then all are."""
    await asyncio.to_thread(_tell, scene, refuse)

    async def is_told() -> bool:
        return set(await scene.readiness()) == {503}

    await scene.await_true(is_told, f"/readyz is 503 while Redis refuses ({word})")
    refused_since = perf_counter()
    await asyncio.sleep(1 + pause)
    relented_at = perf_counter()
    await asyncio.to_thread(_tell, scene, relent)
    await scene.await_ready()
    _look_for_acknowledged(scene, refused_since, relented_at)
    return ()


def _look_for_acknowledged(scene: Scene, since: float, until: float) -> None:
    """A first report that was answered 200 while it could not be written down: the poll would find
    the result all the same, so nothing else would show it. (One whose result was fetched before may
    be written down already.)
    """
    fetched = {
        entry.reference_id: entry.began
        for entry in reversed(scene.stage.equalture.calls("results", status=200))
    }
    acknowledged: set[str | None] = {
        str(known.reference_id) for known in scene.rounds() if known.deleting_at is not None
    }
    for entry in scene.stage.equalture.calls("callback", status=200):
        if entry.reference_id in acknowledged:
            continue
        acknowledged.add(entry.reference_id)
        known_at = fetched.get(entry.reference_id, until)
        if since < entry.began < known_at and entry.ended < until:
            scene.unkept.append(f"a report for {entry.reference_id} got 200 while Redis refused")


def _tell(scene: Scene, what: Callable[[Redis], object]) -> None:
    with Redis(unix_socket_path=scene.stage.redis.socket, socket_timeout=20) as client:
        what(client)
