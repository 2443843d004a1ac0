"""A world: processes, vendors, Redis and journeys under one seed, from the first order to peace."""

from __future__ import annotations

import asyncio
import io
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from random import Random
from time import perf_counter
from typing import Final

from bridge.store.lua_scripts import ADD_REFERENCE, Command
from tests.simulation.bridge_process import BridgeProcess
from tests.simulation.closed_world import WorldTime
from tests.simulation.coverage_watch import CoverageWatch
from tests.simulation.delays import watch_overdue
from tests.simulation.end_checks import check_end, check_traces, list_owed
from tests.simulation.equalture_machine import EqualtureApplication, EqualtureMachine
from tests.simulation.event_loop import SimulatedLoop
from tests.simulation.journey import Journey
from tests.simulation.journey_plan import MAIL
from tests.simulation.journey_world import World
from tests.simulation.memory_network import MemoryNetwork
from tests.simulation.memory_redis import MemoryRedis
from tests.simulation.order_round import OrderRound
from tests.simulation.promises import BrokenPromises
from tests.simulation.queue_watch import QueueFacts, QueueWatch
from tests.simulation.record_watch import RecordWatch
from tests.simulation.redis_cluster import RedisServers
from tests.simulation.softgarden_machine import SoftgardenMachine
from tests.simulation.stage_settings import ATS_HOST, PROVIDER_HOST, RETRY_S, WATCHED_S
from tests.simulation.tape import Tape
from tests.simulation.trouble import Trouble
from tests.simulation.vendor_quirks import VendorQuirks
from tests.simulation.webhook_checks import is_unlisted
from tests.simulation.world_script import WorldScript

SETTLES_WITHIN_S = 2 * sum(RETRY_S) + 120.0
"""After the last fault and the last journey; more than the whole retry plan."""
CALM_S = 2.0
"""How long Redis may still be away for a process after the last fault: it waits between its tries.
"""
LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class WorldLimits:
    """When a world ends before its time, as when it is known enough of it."""

    promise: str = ""
    """Once this one is broken."""
    at_s: float = math.inf
    """By the world's time."""
    real_s: float = math.inf
    """By ``perf_counter``."""


NO_LIMITS: Final = WorldLimits()


class Simulation:
    """One world while it is played."""

    def __init__(
        self, script: WorldScript, limits: WorldLimits, world_time: WorldTime, log: io.StringIO
    ) -> None:
        self.script = script
        self.options = script.options
        self._limits = limits
        self.time = world_time
        self.loop = SimulatedLoop(world_time, self._draws("order of tasks"))
        self.tape = Tape(world_time.read)
        self.broken = BrokenPromises()
        self.network = MemoryNetwork(self.loop, self._draws("network"))
        self.log = log
        self.loop.connect = self.network.connect_to_vendor
        self.redis_ahead_s = 0.0
        self.redis = MemoryRedis(self._redis_ms)
        self.redis_servers = RedisServers(self.redis, script.servers)
        self.coverage = CoverageWatch(self._list_trouble)
        self.watch = RecordWatch(
            self.redis, self._complain_of, self.coverage.note_change, world_time.read
        )
        self.journeys: list[Journey] = []
        self._by_number: dict[int, Journey] = {}
        self.by_invitation: dict[str, tuple[int, OrderRound]] = {}
        self.processes: dict[str, BridgeProcess] = {}
        self._all_processes: list[BridgeProcess] = []
        """Also those that were killed: what nobody refers to would run its last blocks."""
        self._last_stops: list[asyncio.Task[None]] = []
        self._stalls: dict[str, float] = {}
        """How long processes will stand still once they know the id of an application."""
        self._lives: Counter[str] = Counter()
        self.clocks = defaultdict[str, float](
            float, {f"bridge-{at}": ahead_s for at, ahead_s in enumerate(script.clocks)}
        )
        """By how many seconds the clocks of the processes' hosts are ahead."""
        self.strangers: dict[str, float] = {}
        """Invitations that softgarden was notified of and had not been given at that time, and when
        that was.
        """
        self.trouble = Trouble(self, script.incidents, self._draws)
        self.watch.cipher = self.trouble.keys.ring
        self.equalture = EqualtureMachine(
            world_time.read,
            self._draws("equalture"),
            self.tape,
            _journey_of_email,
            self._application_made,
            self._quirks_of,
        )
        self.softgarden = SoftgardenMachine(
            self._draws("softgarden"),
            self.tape,
            self._read_result,
            self._journey_of,
            self._told,
            self._quirks_of,
        )
        facts = QueueFacts(
            world_time.read,
            self._redis_ms,
            self._complain_of,
            self.trouble.is_near,
            self.trouble.may_be_news,
            self.trouble.damaged,
            self.trouble.may_wait,
            self.watch.latest,
            self.softgarden.calls,
            self.softgarden.accepted,
        )
        self.queue_watch = QueueWatch(self.redis, facts)
        if any(one.crowded for one in script.plans):
            self.equalture.short_lived = 0.0  # renewing them would slow a crowd down
        self.network.serve_vendor(PROVIDER_HOST, self.equalture.serve, self.equalture.note_unheard)
        self.network.serve_vendor(ATS_HOST, self.softgarden.serve)

    async def play(self) -> None:
        """From the start of the processes to their end in good order."""
        options = self.options
        for number in range(options.processes):
            await self.start_process(f"bridge-{number}")
        world = World(
            network=self.network,
            equalture=self.equalture,
            tape=self.tape,
            draws_of=self._draws,
            by_invitation=self.by_invitation,
            complain=self.complain,
            kill=partial(self._stop_at_once, "process killed"),
            may_be_unknown=self.trouble.administrators.may_be_unknown,
            judge=self.trouble.partial.judge,
            lost_claim=self.trouble.lost_claim,
            is_gone=self.trouble.forgotten.is_gone,
            went_back=self.trouble.forgotten.went_back,
            explains_delay=self.trouble.explains_delay,
            token_of=self.trouble.customers.token_of,
            find_life=self.trouble.customers.find_life,
            is_dead=self.trouble.keys.is_dead,
            may_be_dead=self.trouble.keys.may_be_dead,
            is_unlisted=partial(is_unlisted, self),
            find_record=self.watch.latest.get,
        )
        self.journeys = [Journey(world, plan) for plan in self.script.plans]
        self._by_number = {one.plan.number: one for one in self.journeys}
        trouble = self.loop.create_task(self.trouble.run())
        overdue = self.loop.create_task(watch_overdue(self))
        await asyncio.gather(*(journey.play() for journey in self.journeys))
        await trouble
        await asyncio.gather(*self._last_stops)
        await asyncio.sleep(CALM_S)
        await self._settle()
        overdue.cancel()
        await check_end(self)
        self.queue_watch.processes_end = True
        for process in list(self.processes.values()):
            await process.stop()
        check_traces(self)

    async def start_process(self, name: str) -> None:
        """Start a process of the bridge, perhaps not for the first time."""
        self._lives[name] += 1
        process = BridgeProcess(name, self._lives[name], self.loop, self.network)
        process.ahead_s = self.clocks[name]
        self.processes[name] = process
        self._all_processes.append(process)
        draws = self._draws(process.host)
        client = self.redis_servers.connect(draws, partial(self.look, process.host))
        administrators, deploys = self.trouble.administrators, self.trouble.deploys
        settings = self.trouble.keys.configure(administrators.load_settings(process), process)
        link = deploys.wrap(process.host, client, settings.encryption_keys)
        await process.start(link, settings)
        await administrators.configure(process)
        self.tape.write(process.host, "serves")

    async def _settle(self) -> None:
        """Wait until nothing is owed; what is left when patience ends breaks a promise."""
        deadline = self.time.seconds + SETTLES_WITHIN_S
        while (owed := list_owed(self)) and self.time.seconds < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S * WATCHED_S)
        for promise, how, number in owed:
            self.complain(promise, how, number)

    # What the parts of the world ask

    def find_journey(self, number: int) -> Journey:
        """The journey of this number."""
        return self._by_number[number]

    def _draws(self, what: str) -> Random:
        return Random(f"{self.script.seed}/{what}")

    def complain(self, promise: str, how: str, journey: int = -1) -> None:
        self.tape.write("PROMISE", f"broken: {promise}: {how}", journey)
        self.broken.note(promise, how, self.time.seconds, journey)
        if promise == self._limits.promise:
            self.loop.stop()

    def note_calls(self) -> None:
        """What calls met, once all is over."""
        self.coverage.note_calls(
            self.tape, self.trouble.incidents, self.watch.reached, self._callback_of
        )

    def _callback_of(self, reference_id: str) -> str:
        known = self.equalture.applications.get(reference_id)
        return known.callback_url if known is not None else ""

    def watch_limits(self) -> None:
        """End the world when its time is over, or that of who waits for it."""
        if self._limits.at_s < math.inf:
            self.loop.call_at(self._limits.at_s, self.loop.stop)
        if self._limits.real_s < math.inf:
            self._watch_real_time()

    def _watch_real_time(self) -> None:
        if perf_counter() >= self._limits.real_s:
            self.loop.stop()
        self.loop.call_later(LOOK_S, self._watch_real_time)

    def _stop_at_once(self, kind: str, host: str, lasts_s: float) -> None:
        stop = self.trouble.stop_at_once(kind, host, lasts_s)
        self._last_stops.append(self.loop.create_task(stop))

    def look(self, host: str, command: Command, answer: object) -> None:
        """After a command of a process, or of an administrator's command."""
        self.watch.look(command, answer)
        self.queue_watch.look(command, answer)
        self.trouble.damaged.sweeps.look(command, answer)
        if host in self._stalls and ADD_REFERENCE.sha in command[:2]:
            self._stop_at_once("process stands still", host, self._stalls.pop(host))

    def _complain_of(self, promise: str, how: str, invitation_id: str) -> None:
        self.complain(promise, f"{invitation_id}: {how}", self._journey_of(invitation_id))

    def _list_trouble(self) -> list[str]:
        return self.trouble.list_active()

    def _redis_ms(self) -> int:
        return round((self.time.seconds + self.redis_ahead_s) * 1000) + EPOCH_MS

    def _quirks_of(self, journey: int) -> VendorQuirks:
        return self._by_number[journey].plan.quirks

    def _journey_of(self, invitation_id: str) -> int:
        return self.by_invitation.get(invitation_id, (-1, None))[0]

    def _application_made(self, application: EqualtureApplication) -> None:
        journey = self._by_number[application.journey]
        if stalls_s := journey.plan.quirks.stalls_s:
            self._stalls[application.made_by] = stalls_s
        if journey.plan.early:
            self.loop.create_task(journey.report_early(application))

    async def _read_result(self, customer: str, invitation_id: str) -> str:
        number, known = self.by_invitation.get(invitation_id, (-1, None))
        if known is None:
            return "unknown"
        return await self._by_number[number].read_result(known)

    def _told(self, invitation_id: str, seen: str) -> None:
        _, known = self.by_invitation.get(invitation_id, (-1, None))
        if known is None:
            self.strangers[invitation_id] = self.time.seconds
        else:
            known.told.append((self.time.seconds, seen))


EPOCH_MS = 1_772_442_000_000
"""2026-03-02T09:00:00Z, as ``closed_world.START``."""


def _journey_of_email(email: str) -> int:
    return int(email.removesuffix(f"@{MAIL}").removeprefix("c"))
