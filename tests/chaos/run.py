"""A run: journeys while things fail, then peace, then the comparison.

Bounded in time throughout.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from time import perf_counter

from bridge.errors import StoreUnavailable
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess
from tests.chaos.actors import Journey, play_all
from tests.chaos.audit import audit
from tests.chaos.evidence import gather, keep, unsettled
from tests.chaos.faults import Incident, Saboteur
from tests.chaos.plan import Options, draw
from tests.chaos.report import Report, counted, recovery, waits
from tests.chaos.scenarios import SCENARIOS, list_strikes
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage

AUDIT_S = 20.0
"""Kept back of the time for the comparison."""
STALL_S = 0.5
_TICK_S = 0.05


async def run(options: Options, say: Callable[[str], None]) -> Report:
    """Play it all; *say* hears of the progress.

    The folder with the logs stays unless all is fine.
    """
    begun = perf_counter()
    scenario = SCENARIOS[options.scenario]
    async with Stage(options, clustered=scenario.clustered) as stage, _watched() as stalls:
        say(f"Configuration and logs: {stage.folder}")
        journeys = [
            Journey(stage, draw(options.seed, number)) for number in range(options.journeys)
        ]
        done: list[Journey] = []
        random_fraction = random.Random(f"{options.seed}/saboteur")
        scene = Scene(stage, journeys, lambda: len(done), random_fraction)
        saboteur = Saboteur(
            scene,
            list_strikes(options),
            until=scenario.until,
            vendors_fail=scenario.vendors_fail,
        )
        saboteur.start()

        def count(journey: Journey) -> None:
            done.append(journey)
            if len(done) % max(1, options.journeys // 10) == 0:
                say(f"{len(done)} of {options.journeys} journeys, {perf_counter() - begun:.0f} s")

        last = begun + options.minutes * 60 - options.settle_s - AUDIT_S
        wrong = await play_all(
            journeys, options.abreast, count, lambda: perf_counter() > last, saboteur.await_turn
        )
        await saboteur.end()
        played = perf_counter()
        if wrong:
            raise wrong[0]
        async with open_client(stage.redis_url, deadline_s=20.0) as commands:
            if scene.planted:
                # The daemons would come to it, in minutes where there is as much as here.
                await asyncio.to_thread(stage.bridges[0].reconcile)
            left = await _settle(scene, commands, say)
            settled = perf_counter()
            evidence = await gather(scene, commands, saboteur.incidents, stalls)
        found = await asyncio.to_thread(audit, evidence)
        waited = waits(evidence)
        report = Report(
            scenario=options.scenario,
            seed=options.seed,
            wanted=options.journeys,
            journeys=len(done),
            invitations=len(evidence.records),
            calls=len(stage.equalture.ledger.entries) + len(stage.softgarden.ledger.entries),
            faults=counted(saboteur.counts()),
            findings=found,
            unsettled=dict(left),
            recovery_s=recovery(evidence),
            longest_wait_s=waited[-1] if waited else 0.0,
            typical_wait_s=waited[len(waited) // 2] if waited else 0.0,
            journeys_s=played - begun,
            settling_s=settled - played,
            wall_s=perf_counter() - begun,
        )
        stage.keep = not report.fine
        if stage.keep:
            keep(evidence, stage.folder)
            say(f"The logs stay in {stage.folder}")
    return report


async def _settle(scene: Scene, commands: RedisAccess, say: Callable[[str], None]) -> Counter[str]:
    """Wait until nothing is owed any more; what is left when patience ends."""
    deadline = perf_counter() + scene.stage.options.settle_s
    while True:
        try:
            left = await unsettled(commands, scene.rounds(), scene.mended)
        except StoreUnavailable:
            left = Counter({"Redis away": 1})
        if not left or perf_counter() > deadline:
            return left
        say(f"Settling: {dict(left)}")
        await asyncio.sleep(1.0)


@contextlib.asynccontextmanager
async def _watched() -> AsyncIterator[list[Incident]]:
    """When this process did not get to its calls for a while: no vendor answers that late without a
    reason.
    """
    stalls: list[Incident] = []

    async def watch() -> None:
        while True:
            at = perf_counter()
            await asyncio.sleep(_TICK_S)
            if (now := perf_counter()) - at > STALL_S:
                stalls.append(Incident("stall", at, now))

    task = asyncio.create_task(watch())
    try:
        yield stalls
    finally:
        task.cancel()
