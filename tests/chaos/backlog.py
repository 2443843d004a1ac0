"""A strike at the start: much is due at once, while new orders come in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import perf_counter

from bridge.sandbox import LedgerEntry
from tests.chaos.actors import Journey
from tests.chaos.plan import Plan, draw
from tests.chaos.scene import Scene
from tests.chaos.stage import Bridge

BEHIND = "acme"
"""Whose tasks have piled up."""
OTHERS = 8
"""How many orders of other customers have to come to their end while nothing of it can be done."""
_AT_A_TIME = 20


async def pile_up(scene: Scene, victim: Bridge, pause: float) -> tuple[int, ...]:
    """One customer's candidates finish while no bridge runs, as many as there are journeys.

    When the bridges are back, Equalture answers nothing about any of them until enough of the
    others' journeys have come to their end; then all of it is caught up with.
    """
    stage = scene.stage
    journeys = [Journey(stage, _plan(scene, number)) for number in range(len(scene.journeys))]
    scene.guests += journeys
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def begin(journey: Journey) -> None:
        async with turns:
            await journey.begin()

    await asyncio.gather(*(begin(journey) for journey in journeys))
    rounds = [journey.rounds[0] for journey in journeys if journey.rounds[0].answers]
    await asyncio.gather(*(bridge.end(kill=False) for bridge in stage.bridges))
    for known in rounds:
        known.finished_at, known.due = perf_counter(), "COMPLETED"
        await stage.equalture.complete(str(known.reference_id), fit=known.fit, send_callback=False)
    behind = {known.reference_id for known in rounds}
    await asyncio.sleep(4.0)  # longer than the bridge's poll: every one of them is due

    def is_behind(entry: LedgerEntry) -> bool:
        return entry.reference_id in behind

    silences = [
        stage.equalture.fault(operation, hang="before", when=is_behind)
        for operation in ("status", "results")
    ]
    for bridge in stage.bridges:
        bridge.start()
    await scene.await_ready()
    began = perf_counter()

    async def others_are_over() -> bool:
        return OTHERS <= sum(
            known.over and known.begun > began and known.customer != BEHIND
            for journey in scene.journeys
            for known in journey.rounds
        )

    await scene.hold(others_are_over, f"{OTHERS} journeys of other customers went on")
    for silence in silences:
        silence.heal()
    await asyncio.gather(*(journey.learn(journey.rounds[0]) for journey in journeys))
    return ()


def _plan(scene: Scene, number: int) -> Plan:
    seed = scene.stage.options.seed
    number += len(scene.journeys)
    plan = draw(seed, number)
    return replace(plan, customer=BEHIND, ending="silent", deletion="never", parallel=False)
