"""A strike at a part of a cluster: whoever lives elsewhere notices nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from time import perf_counter

from bridge.core.ids import PARTITIONS, compute_partition, hash_secret, read_partition
from bridge.sandbox import LedgerEntry
from bridge.store.key_names import KeyNames
from tests.chaos.scene import Scene
from tests.chaos.stage import PREFIX, Bridge
from tests.chaos.vendors import invitation_of
from tests.redis_servers import RedisServer

GO_ON = 6
"""How many orders of other partitions have to come to their end during the outage."""


async def freeze_primary(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """A primary hangs."""
    server = _choose(scene)
    return await _take_away(scene, server, pause, server.freeze, server.thaw)


async def kill_primary(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """A primary dies, and finds again what it had confirmed."""
    server = _choose(scene)
    return await _take_away(scene, server, pause, server.kill, server.start)


async def _take_away(
    scene: Scene,
    server: RedisServer,
    pause: float,
    away: Callable[[], object],
    back: Callable[[], object],
) -> tuple[int, ...]:
    await asyncio.to_thread(away)
    try:
        await _hold(scene, server, pause)
    finally:
        await asyncio.to_thread(back)
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
    stage = scene.stage
    for entry in (*stage.softgarden.ledger.entries, *stage.equalture.ledger.entries):
        refused = entry.direction == "made" and entry.began > began and entry.status == 503
        # Where a webhook is noted follows from its id, which the ledger does not have.
        if refused and entry.operation != "webhook" and server not in _find_servers(scene, entry):
            scene.unkept.append(
                f"{entry.operation} of a partition that works: {entry.status} {entry.response_json}"
            )


def _find_servers(scene: Scene, entry: LedgerEntry) -> set[RedisServer]:
    """Where what a call needs is stored: the record, and for a deletion which invitations have the
    same application, which lies outside of the partitions.
    """
    stage, owner_of = scene.stage, scene.stage.cluster.owner_of
    if entry.operation == "invite":
        whose = str(entry.account), entry.request_json["candidate"]["id"]
        return {owner_of(KeyNames(PREFIX, compute_partition(*whose)).base)}
    if entry.reference_id is not None:
        application = stage.equalture.applications[entry.reference_id]
        invitation_id = invitation_of(application.callback_url)
    else:
        invitation_id = str(entry.invitation_id)
    partition = read_partition(invitation_id)
    found = set() if partition is None else {owner_of(KeyNames(PREFIX, partition).base)}
    if entry.operation == "delete":
        found |= {
            owner_of(_reference_key(one.account, one.reference_id))
            for one in stage.equalture.applications.values()
            if invitation_of(one.callback_url) == invitation_id
        }
    return found


def _reference_key(customer: str, reference_id: str) -> str:
    """See ``store/reference_index.py``."""
    return f"{PREFIX}:ref:{hash_secret(f'{customer}/{reference_id}')[:40]}"


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
